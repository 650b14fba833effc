//! Bytes on the disk are not what was written.
//!
//! What is guaranteed for one damaged place in a log whose last batch is vouched for: the node starts with
//! everything, or refuses and names the file. Nothing in between.

use super::frame::{FRAME_HEADER_BYTES, Placement, begin_frame, frame_bytes, header_at, seal_frame};
use super::recovery::Damage;
use super::*;
use crate::planted::{Bug, with};
use std::panic::catch_unwind;

/// Three segments, all synced; with or without an idle marker at the end.
fn log(idle: bool) -> (SimDisk, Model) {
    let disk = SimDisk::new();
    let mut started = start(&disk).unwrap();
    let mut model = Model::default();
    for batch in [
        vec![vote(1, Some(1)), entry(1, 1, 300), entry(2, 1, 5)],
        vec![entry(3, 1, 2500)],
        vec![entry(4, 1, 2500)],
        vec![vote(2, None), entry(3, 2, 7), entry(4, 2, 2000)],
        vec![entry(5, 2, 3)],
        vec![entry(6, 2, 700)],
    ] {
        started.wal.append(&batch).unwrap();
        started.wal.sync().unwrap();
        model.take(&batch);
    }
    if idle {
        started.wal.mark_idle().unwrap();
    }
    drop(started);
    assert_eq!(segments(&disk).len(), 3);
    (disk, model)
}

fn segments(disk: &SimDisk) -> Vec<PathBuf> {
    let names = disk.list(dir()).unwrap().unwrap();
    names.iter().filter(|name| name.starts_with("wal-")).map(|name| dir().join(name)).collect()
}

fn problem(disk: &SimDisk) -> Problem {
    match start(disk) {
        Err(StartError::Open(OpenError::Refused { problem })) => problem,
        Err(StartError::Directory(DirectoryError::Refused { problem })) => problem,
        other => panic!("not refused: {other:?}"),
    }
}

/// Where the last frame with a payload begins, and where the frames end.
fn tail(image: &[u8]) -> (usize, usize) {
    let header = SegmentHeader::decode(image.first_chunk().unwrap()).unwrap();
    let (mut at, mut last) = (SEGMENT_HEADER_BYTES, SEGMENT_HEADER_BYTES);
    while let Some(frame) = header_at(image, at, header.id) {
        if frame.payload_bytes > 0 {
            last = at;
        }
        at += FRAME_HEADER_BYTES + (frame.payload_bytes as usize).next_multiple_of(16);
    }
    (last, at)
}

// Pitfall 41. If it breaks, flipped bits are served as data, or a node forgets and votes.
#[test]
fn every_flipped_byte_of_an_idle_log_is_harmless_or_refused() {
    let (good, model) = log(true);
    let before = good.snapshot();
    let files = segments(&good);
    for (number, path) in files.iter().enumerate() {
        let bytes = good.bytes(path);
        let is_last = number + 1 == files.len();
        let (last, end) = tail(&bytes);
        let vouched = if is_last { end - FRAME_HEADER_BYTES } else { end };
        assert!(last < vouched);
        for byte in 0..bytes.len() {
            let disk = good.fork();
            let mut bad = bytes.clone();
            bad[byte] ^= 1 << (byte % 8);
            disk.set_bytes(path, &bad);
            let told = inspect::inspect(&disk, dir(), &mut |_| {}).unwrap();
            let context = format!("{} byte {byte}", path.display());
            match start(&disk) {
                Ok(started) => {
                    assert!(is_last && byte >= vouched, "{context}: not noticed");
                    assert_eq!(Model::of(&started.recovered), model, "{context}");
                    assert_eq!(started.recovered.torn_tail, told.torn_tail, "{context}");
                    assert!(started.recovered.torn_tail.is_some(), "{context}");
                    assert!(told.problems.is_empty(), "{context}");
                }
                Err(StartError::Open(error @ OpenError::Refused { .. })) => {
                    assert!(!is_last || byte < vouched, "{context}: {error}");
                    let OpenError::Refused { problem } = &error else { unreachable!() };
                    assert_eq!(Some(problem), told.problems.first(), "{context}");
                    assert_eq!(&problem.file, path, "{context}");
                    assert!(problem.offset <= byte as u64, "{context}: {problem}");
                    assert!(error.to_string().contains("no older copy"), "{error}");
                    // Nothing was changed but the count of starts.
                    for (file, content) in disk.snapshot() {
                        if file != *path && !file.ends_with("identity") {
                            assert_eq!(before.get(&file), Some(&content), "{context}");
                        }
                    }
                    assert_eq!(disk.bytes(path), bad, "{context}");
                }
                Err(error) => panic!("{context}: {error}"),
            }
        }
    }
}

// The stated limit: damage to the one batch that nothing vouches for looks like a torn write.
#[test]
fn without_an_idle_marker_only_the_last_batch_can_go_unnoticed() {
    let (good, model) = log(false);
    let path = segments(&good).pop().unwrap();
    let bytes = good.bytes(&path);
    let (last, end) = tail(&bytes);
    let shorter = Model { entries: model.entries[..5].to_vec(), ..model };
    for byte in SEGMENT_HEADER_BYTES..end {
        let disk = good.fork();
        let mut bad = bytes.clone();
        bad[byte] ^= 0xff;
        disk.set_bytes(&path, &bad);
        match start(&disk) {
            Ok(started) => {
                assert!(byte >= last, "byte {byte} not noticed");
                assert_eq!(Model::of(&started.recovered), shorter, "byte {byte}");
                assert_eq!(started.recovered.torn_tail.unwrap().offset, last as u64);
            }
            Err(error) => assert!(byte < last, "byte {byte}: {error}"),
        }
    }
}

#[test]
fn every_flipped_byte_of_the_identity_is_refused() {
    let (good, _) = log(true);
    let path = dir().join("identity");
    let bytes = good.bytes(&path);
    for byte in 0..bytes.len() {
        let disk = good.fork();
        let mut bad = bytes.clone();
        bad[byte] ^= 0x20;
        disk.set_bytes(&path, &bad);
        let before = disk.snapshot();
        assert_eq!(problem(&disk).file, path, "byte {byte}");
        assert_eq!(disk.snapshot(), before);
        let told = inspect::inspect(&disk, dir(), &mut |_| {}).unwrap();
        assert_eq!(told.problems[0].file, path);
    }
}

#[test]
fn a_file_of_another_length_is_refused() {
    let (good, _) = log(true);
    for path in segments(&good) {
        let bytes = good.bytes(&path);
        for length in [0, 1, 511, 4095, 4096, 4097, bytes.len() - 1] {
            let disk = good.fork();
            disk.set_bytes(&path, &bytes[..length]);
            let problem = problem(&disk);
            assert_eq!(problem.file, path);
            let cut = Damage::Length { found: length as u64, made: bytes.len() as u64 };
            let expected = if length < SEGMENT_HEADER_BYTES { Damage::Header } else { cut };
            assert_eq!(problem.damage, expected, "cut at {length}");
        }
        let disk = good.fork();
        disk.set_bytes(&path, &[&bytes[..], &[0; 512]].concat());
        assert!(matches!(problem(&disk).damage, Damage::Length { .. }));
    }
}

#[test]
fn a_missing_or_exchanged_file_is_refused() {
    let disk = SimDisk::new();
    let mut started = start(&disk).unwrap();
    for index in 1..6 {
        started.wal.append(&[entry(index, 1, 3000)]).unwrap();
    }
    started.wal.sync().unwrap();
    let job = started.wal.prepare_next().unwrap();
    started.wal.install_prepared(job.run()).unwrap();
    drop(started);
    let files = segments(&disk);
    assert_eq!(files.len(), 6, "five in use, and one prepared");
    for (number, path) in files[..5].iter().enumerate() {
        let disk = disk.fork();
        disk.remove(path).unwrap();
        let missing = number as u64 + 1;
        assert_eq!(problem(&disk).damage, Damage::Missing { missing });
        assert!(problem(&disk).to_string().contains("wal-"));
    }
    let exchanged = disk.fork();
    exchanged.set_bytes(&files[1], &disk.bytes(&files[2]));
    assert_eq!(problem(&exchanged).damage, Damage::Misnamed { sequence: 3 });

    for path in &files {
        disk.remove(path).unwrap();
    }
    assert_eq!(problem(&disk).damage, Damage::NoLog, "an identity without a log is not a fresh start");
}

#[test]
fn a_file_of_another_node_or_another_life_is_refused() {
    let (disk, _) = log(true);
    let path = segments(&disk).pop().unwrap();
    let mine = disk.bytes(&path);
    let header = SegmentHeader::decode(mine.first_chunk().unwrap()).unwrap();
    for theirs in
        [SegmentHeader { node: NodeId(5), ..header }, SegmentHeader { incarnation: Incarnation(6), ..header }]
    {
        let disk = disk.fork();
        disk.set_bytes(&path, &[&theirs.encode(), &mine[SEGMENT_HEADER_BYTES..]].concat());
        let damage = Damage::Owner { node: theirs.node.0, incarnation: theirs.incarnation.0 };
        assert_eq!(problem(&disk).damage, damage);
        assert!(start(&disk).unwrap_err().to_string().contains("of its own"));
    }
}

#[test]
fn a_newer_format_is_refused_as_that() {
    let (disk, _) = log(true);
    let path = segments(&disk).remove(0);
    let mut bytes = disk.bytes(&path);
    bytes[8] = 7;
    let block = &bytes[..SEGMENT_HEADER_BYTES];
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&block[..12]), &block[16..]);
    bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
    disk.set_bytes(&path, &bytes);
    assert_eq!(problem(&disk).damage, Damage::Newer { found: 7, known: 1 });
    assert!(start(&disk).unwrap_err().to_string().contains("a later one"));
}

// Rule 14. If it breaks, an unreadable sector is the end of the log, and a voter forgets.
#[test]
fn what_cannot_be_read_is_damage_and_not_the_end() {
    let (good, _) = log(true);
    for path in segments(&good) {
        for offset in [0, 4096, 5000, 8191] {
            let disk = good.fork();
            disk.unreadable_from(&path, offset);
            let problem = problem(&disk);
            assert_eq!(problem.file, path);
            assert!(matches!(problem.damage, Damage::Unreadable { .. }), "{problem}");
        }
    }
}

// Rule 7. Lost writes leave what was there before: an older state of a file, whole by its checksums.
#[test]
fn a_file_that_went_back_in_time_is_refused() {
    let disk = SimDisk::new();
    let mut started = start(&disk).unwrap();
    let mut older = Vec::new();
    let path = dir().join(segment_name(1));
    for index in 1..5 {
        older.push(disk.bytes(&path));
        started.wal.append(&[entry(index, 1, 1000)]).unwrap();
        started.wal.sync().unwrap();
    }
    drop(started);
    assert_eq!(segments(&disk).len(), 2);
    for older in &older[..3] {
        let disk = disk.fork();
        disk.set_bytes(&path, older);
        let problem = problem(&disk);
        assert!(matches!(problem.damage, Damage::Chain { .. } | Damage::Batch { .. }), "{problem}");
    }
}

// Rule 7. Left-over frames of an earlier life of the same place.
#[test]
fn frames_of_another_file_or_place_are_not_read() {
    let (disk, model) = log(true);
    let files = segments(&disk);
    let (first, mut last) = (disk.bytes(&files[0]), disk.bytes(&files[2]));
    let (_, end) = tail(&last);
    // A whole frame of the first file, at its own offset and at another, behind the end of the last.
    let frame = &first[SEGMENT_HEADER_BYTES..SEGMENT_HEADER_BYTES + 64];
    last[end..end + 64].copy_from_slice(frame);
    disk.set_bytes(&files[2], &last);
    let started = start(&disk).unwrap();
    assert_eq!(Model::of(&started.recovered), model);
    assert_eq!(started.recovered.torn_tail.unwrap().offset, end as u64);
}

// Rule 7. Whole frames, each right by itself, that are not the ones which follow.
#[test]
fn a_whole_frame_that_is_not_linked_is_refused() {
    let (good, model) = log(true);
    let path = segments(&good).pop().unwrap();
    let image = good.bytes(&path);
    let header = SegmentHeader::decode(image.first_chunk().unwrap()).unwrap();
    let (_, end) = tail(&image);
    let marker = header_at(&image, end - FRAME_HEADER_BYTES, header.id).unwrap();
    let (previous, batch) = (marker.checksum, marker.batch + 1);
    let with = |previous, batch| {
        let disk = good.fork();
        let mut frame = Vec::new();
        begin_frame(&mut frame);
        let offset = end as u64;
        seal_frame(&mut frame, 0, Placement { segment: header.id, offset, previous, batch, synced: 0 });
        let mut image = image.clone();
        image[end..end + frame.len()].copy_from_slice(&frame);
        disk.set_bytes(&path, &image);
        disk
    };
    assert_eq!(Model::of(&start(&with(previous, batch)).unwrap().recovered), model);
    for (previous, found) in [(previous ^ 1, batch), (previous, batch + 1), (previous, batch - 1)] {
        assert_eq!(problem(&with(previous, found)).damage, Damage::Chain { previous: batch - 1, found });
    }
}

// Breaks: a person who looks for all that is wrong is told of damage where there is none, or not of all.
#[test]
fn after_a_first_damage_the_thread_is_taken_up_at_the_next_file() {
    let disk = SimDisk::new();
    let mut started = start(&disk).unwrap();
    for index in 1..=6 {
        started.wal.append(&[entry(index, 1, 1500)]).unwrap();
        started.wal.sync().unwrap();
    }
    drop(started);
    let files = segments(&disk);
    assert_eq!(files.len(), 3);
    let mut first = disk.bytes(&files[0]);
    first[SEGMENT_HEADER_BYTES + 70] ^= 1;
    disk.set_bytes(&files[0], &first);
    let problems = || {
        let found = inspect::inspect(&disk, dir(), &mut |_| {}).unwrap().problems;
        found.into_iter().map(|problem| (problem.file, problem.damage)).collect::<Vec<_>>()
    };
    let damaged = (files[0].clone(), Damage::Batch { batch: 2 });
    assert_eq!(problems(), std::slice::from_ref(&damaged));

    // The second frame of the second file, as if written before the first.
    let mut second = disk.bytes(&files[1]);
    let header = SegmentHeader::decode(second.first_chunk().unwrap()).unwrap();
    let opening = header_at(&second, SEGMENT_HEADER_BYTES, header.id).unwrap();
    let at = SEGMENT_HEADER_BYTES + frame_bytes(opening.payload_bytes as usize);
    let (offset, batch) = (at as u64, opening.batch + 1);
    let mut frame = Vec::new();
    begin_frame(&mut frame);
    let previous = opening.checksum ^ 1;
    seal_frame(&mut frame, 0, Placement { segment: header.id, offset, previous, batch, synced: 0 });
    second[at..at + frame.len()].copy_from_slice(&frame);
    disk.set_bytes(&files[1], &second);
    let unlinked = (files[1].clone(), Damage::Chain { previous: opening.batch, found: batch });
    assert_eq!(problems(), [damaged, unlinked]);
}

/// Breaks: the test before that would not see that frames are not linked. Numbers of batches hide it from power cuts, and
/// checksums from damage: only a disk that shows an older, whole state of a place reveals it.
#[test]
fn planted_frames_that_are_not_linked_are_found() {
    let check = || with(Bug::ChainNotChecked, a_whole_frame_that_is_not_linked_is_refused);
    assert!(catch_unwind(check).is_err(), "it was not found");
}

// Planted bug 21. A torn record in the middle is not the tail.
#[test]
fn zeros_in_the_middle_are_damage() {
    let (good, _) = log(true);
    for path in segments(&good) {
        let bytes = good.bytes(&path);
        let (last, _) = tail(&bytes);
        for sector in (SEGMENT_HEADER_BYTES..=last).step_by(512) {
            let disk = good.fork();
            let mut bad = bytes.clone();
            bad[sector..sector + 16].fill(0);
            if bad == bytes {
                continue;
            }
            disk.set_bytes(&path, &bad);
            assert_eq!(problem(&disk).file, path, "sector {sector}");
        }
    }
}

// A file that reads as if it had never been used, although what follows it was.
#[test]
fn a_zeroed_file_before_others_is_named() {
    let (good, _) = log(true);
    let files = segments(&good);
    for path in &files[..files.len() - 1] {
        let disk = good.fork();
        let mut bytes = disk.bytes(path);
        bytes[SEGMENT_HEADER_BYTES..].fill(0);
        disk.set_bytes(path, &bytes);
        let problem = problem(&disk);
        assert_eq!((&problem.file, problem.offset), (path, SEGMENT_HEADER_BYTES as u64));
        assert!(matches!(problem.damage, Damage::Batch { .. }), "{problem}");
    }
}

// From the disk: an error, never a panic, whatever is there.
#[test]
fn no_bytes_make_it_panic() {
    let (good, _) = log(true);
    let files = segments(&good);
    for seed in 0..3000 {
        let mut random = Random(seed);
        let disk = good.fork();
        for _ in 0..=random.below(4) {
            let path = &files[random.below(files.len() as u64) as usize];
            let mut bytes = disk.bytes(path);
            if bytes.is_empty() {
                continue;
            }
            let at = random.below(bytes.len() as u64) as usize;
            match random.below(4) {
                0 => bytes.truncate(at),
                1 => bytes[at] = random.next() as u8,
                2 => {
                    let end = bytes.len().min(at + 512);
                    bytes[at..end].iter_mut().for_each(|byte| *byte = random.next() as u8);
                }
                _ => {
                    let to = random.below(at as u64 + 1) as usize;
                    bytes.copy_within(at.., to);
                }
            }
            disk.set_bytes(path, &bytes);
        }
        let _ = inspect::inspect(&disk, dir(), &mut |_| {});
        let _ = start(&disk);
    }
}

// The same behind a checksum that fits: what only a bug or an enemy writes.
#[test]
fn no_payload_makes_it_panic() {
    let (good, _) = log(true);
    let path = segments(&good).pop().unwrap();
    let image = good.bytes(&path);
    let header = SegmentHeader::decode(image.first_chunk().unwrap()).unwrap();
    let (_, end) = tail(&image);
    let marker = header_at(&image, end - FRAME_HEADER_BYTES, header.id).unwrap();
    let mut refused = 0;
    for seed in 0..3000 {
        let mut random = Random(seed);
        let mut frame = Vec::new();
        begin_frame(&mut frame);
        for _ in 0..=random.below(3) {
            match random.below(3) {
                0 => {
                    frame.extend([1, 2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0, 1, 0])
                }
                1 => frame.extend([3, 7]),
                _ => frame.extend((0..random.below(30)).map(|_| random.below(4) as u8)),
            }
        }
        let placement = Placement {
            segment: header.id,
            offset: end as u64,
            previous: marker.checksum,
            batch: marker.batch + 1,
            synced: marker.batch,
        };
        seal_frame(&mut frame, 0, placement);
        let disk = good.fork();
        let mut bad = image.clone();
        bad[end..end + frame.len()].copy_from_slice(&frame);
        disk.set_bytes(&path, &bad);
        let _ = inspect::inspect(&disk, dir(), &mut |_| {});
        if let Err(error) = start(&disk) {
            assert!(error.to_string().contains("cannot be understood"), "seed {seed}: {error}");
            refused += 1;
        }
    }
    assert!(refused > 1000);
}
