//! The bytes on the disk are not what was written.
//!
//! Guarantee for one damaged place in a log whose last batch is confirmed: the node starts with everything, or it
//! refuses and names the file.

use super::damage::Damage;
use super::frame::FRAME_HEADER_BYTES;
use super::*;

// Breaks: flipped bits are served as data, or a node votes although it lost a part of its log. Rules *checksums* and
// *damage is refused, not repaired*.
#[test]
fn every_flipped_byte_of_an_idle_log_is_harmless_or_refused() {
    let (good, log) = three_segments(true);
    let before = good.snapshot();
    let files = segments(&good);
    for (number, path) in files.iter().enumerate() {
        let bytes = good.bytes(path);
        let is_last = number + 1 == files.len();
        let (last, end) = tail(&bytes);
        let confirmed = if is_last { end - FRAME_HEADER_BYTES } else { end };
        assert!(last < confirmed);
        for byte in 0..bytes.len() {
            let disk = good.fork();
            let mut bad = bytes.clone();
            bad[byte] ^= 1 << (byte % 8);
            disk.set_bytes(path, &bad);
            let report = inspect::inspect(&disk, dir(), &mut |_| {}).unwrap();
            let context = format!("{} byte {byte}", path.display());
            match start(&disk) {
                Ok(started) => {
                    assert!(is_last && byte >= confirmed, "{context}: not noticed");
                    assert_eq!(NaiveLog::of(&started.recovered), log, "{context}");
                    assert_eq!(started.recovered.torn_tail, report.torn_tail, "{context}");
                    assert!(started.recovered.torn_tail.is_some(), "{context}");
                    assert!(report.problems.is_empty(), "{context}");
                }
                Err(RefusedStart::Open(error @ OpenError::Refused { .. })) => {
                    assert!(!is_last || byte < confirmed, "{context}: {error}");
                    let OpenError::Refused { problem } = &error else { unreachable!() };
                    assert_eq!(Some(problem), report.problems.first(), "{context}");
                    assert_eq!(&problem.file, path, "{context}");
                    assert!(problem.offset <= byte as u64, "{context}: {problem}");
                    assert!(error.to_string().contains("never an older copy"), "{error}");
                    // Only the boot was counted, nothing else was changed.
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

// The stated limit: damage to the last batch, which no later frame confirms, looks like a torn write.
#[test]
fn without_an_idle_marker_only_damage_to_the_last_batch_is_missed() {
    let (good, log) = three_segments(false);
    let path = segments(&good).pop().unwrap();
    let bytes = good.bytes(&path);
    let (last, end) = tail(&bytes);
    let shorter = NaiveLog { entries: log.entries[..5].to_vec(), ..log };
    for byte in SEGMENT_HEADER_BYTES..end {
        let disk = good.fork();
        let mut bad = bytes.clone();
        bad[byte] ^= 0xff;
        disk.set_bytes(&path, &bad);
        match start(&disk) {
            Ok(started) => {
                assert!(byte >= last, "byte {byte} not noticed");
                assert_eq!(NaiveLog::of(&started.recovered), shorter, "byte {byte}");
                assert_eq!(started.recovered.torn_tail.unwrap().offset, last as u64);
            }
            Err(error) => assert!(byte < last, "byte {byte}: {error}"),
        }
    }
}

#[test]
fn every_flipped_byte_of_the_identity_is_refused() {
    let (good, _) = three_segments(true);
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
        let report = inspect::inspect(&disk, dir(), &mut |_| {}).unwrap();
        assert_eq!(report.problems[0].file, path);
    }
}

#[test]
fn a_file_of_another_length_is_refused() {
    let (good, _) = three_segments(true);
    for path in segments(&good) {
        let bytes = good.bytes(&path);
        for length in [0, 1, 511, 4095, 4096, 4097, bytes.len() - 1] {
            let disk = good.fork();
            disk.set_bytes(&path, &bytes[..length]);
            let problem = problem(&disk);
            assert_eq!(problem.file, path);
            let too_short = Damage::Length { found: length as u64, made: bytes.len() as u64 };
            let expected = if length < SEGMENT_HEADER_BYTES { Damage::Header } else { too_short };
            assert_eq!(problem.damage, expected, "truncated at {length}");
        }
        let disk = good.fork();
        disk.set_bytes(&path, &[&bytes[..], &[0; 512]].concat());
        assert!(matches!(problem(&disk).damage, Damage::Length { .. }));
    }
}

// Rule *segments identify themselves*.
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
    assert_eq!(problem(&disk).damage, Damage::NoLog, "an identity without a log is not a new directory");
}

#[test]
fn a_file_of_another_node_or_another_disk_is_refused() {
    let (disk, _) = three_segments(true);
    let path = segments(&disk).pop().unwrap();
    let mine = disk.bytes(&path);
    let header = segment_header(&mine);
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
fn a_newer_format_is_reported_as_newer() {
    let (disk, _) = three_segments(true);
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

// Breaks: an unreadable sector is taken for the end of the log, and a voter forgets. Rule *unreadable is damage*.
#[test]
fn an_unreadable_file_is_damage_and_not_the_end() {
    let (good, _) = three_segments(true);
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

// Breaks: a torn record in the middle is taken for the tail. Rule *synced watermark*.
#[test]
fn zeros_in_the_middle_are_damage() {
    let (good, _) = three_segments(true);
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

// A file that looks unused although later ones are used.
#[test]
fn a_zeroed_file_before_others_is_refused() {
    let (good, _) = three_segments(true);
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
