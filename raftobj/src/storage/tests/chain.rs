//! Whole frames, each valid by itself, that do not belong where they are: rule *chain*.

use super::damage::Damage;
use super::frame::{FRAME_HEADER_BYTES, FramePosition, begin_frame, frame_bytes, header_at, seal_frame};
use super::*;
use crate::planted::{Bug, with};
use std::panic::catch_unwind;

// Lost writes leave an older state of a file, with valid checksums.
#[test]
fn an_older_state_of_a_file_is_refused() {
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

// Left-over frames of an earlier use of the same place.
#[test]
fn frames_of_another_file_or_place_are_ignored() {
    let (disk, log) = three_segments(true);
    let files = segments(&disk);
    let (first, mut last) = (disk.bytes(&files[0]), disk.bytes(&files[2]));
    let (_, end) = tail(&last);
    // A whole frame of the first file, at its own offset and at another, behind the end of the last.
    let frame = &first[SEGMENT_HEADER_BYTES..SEGMENT_HEADER_BYTES + 64];
    last[end..end + 64].copy_from_slice(frame);
    disk.set_bytes(&files[2], &last);
    let started = start(&disk).unwrap();
    assert_eq!(NaiveLog::of(&started.recovered), log);
    assert_eq!(started.recovered.torn_tail.unwrap().offset, end as u64);
}

// A valid frame at the right place that does not follow the previous frame.
#[test]
fn a_whole_frame_that_is_not_linked_is_refused() {
    let (good, log) = three_segments(true);
    let path = segments(&good).pop().unwrap();
    let image = good.bytes(&path);
    let header = segment_header(&image);
    let (_, end) = tail(&image);
    let marker = header_at(&image, end - FRAME_HEADER_BYTES, header.id).unwrap();
    let (previous, batch) = (marker.checksum, marker.batch + 1);
    let with_frame = |previous, batch| {
        let disk = good.fork();
        let mut frame = Vec::new();
        begin_frame(&mut frame);
        let offset = end as u64;
        seal_frame(&mut frame, 0, FramePosition { segment: header.id, offset, previous, batch, synced: 0 });
        let mut image = image.clone();
        image[end..end + frame.len()].copy_from_slice(&frame);
        disk.set_bytes(&path, &image);
        disk
    };
    assert_eq!(NaiveLog::of(&start(&with_frame(previous, batch)).unwrap().recovered), log);
    for (previous, found) in [(previous ^ 1, batch), (previous, batch + 1), (previous, batch - 1)] {
        assert_eq!(
            problem(&with_frame(previous, found)).damage,
            Damage::Chain { previous: batch - 1, found }
        );
    }
}

// Breaks: an inspection reports damage where there is none, or not all damage.
#[test]
fn after_damage_the_scan_continues_at_the_next_file() {
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

    // The second frame of the second file does not follow the first.
    let mut second = disk.bytes(&files[1]);
    let header = segment_header(&second);
    let opening = header_at(&second, SEGMENT_HEADER_BYTES, header.id).unwrap();
    let at = SEGMENT_HEADER_BYTES + frame_bytes(opening.payload_bytes as usize);
    let (offset, batch) = (at as u64, opening.batch + 1);
    let mut frame = Vec::new();
    begin_frame(&mut frame);
    let previous = opening.checksum ^ 1;
    seal_frame(&mut frame, 0, FramePosition { segment: header.id, offset, previous, batch, synced: 0 });
    second[at..at + frame.len()].copy_from_slice(&frame);
    disk.set_bytes(&files[1], &second);
    let unlinked = (files[1].clone(), Damage::Chain { previous: opening.batch, found: batch });
    assert_eq!(problems(), [damaged, unlinked]);
}

// Breaks: `a_whole_frame_that_is_not_linked_is_refused` passes without the check. Batch numbers hide the missing check
// from power cuts, and checksums hide it from flipped bits: only a disk that shows an older, whole state of a place
// reveals it.
#[test]
fn planted_frames_that_are_not_linked_are_found() {
    let check = || with(Bug::ChainNotChecked, a_whole_frame_that_is_not_linked_is_refused);
    assert!(catch_unwind(check).is_err(), "the planted bug was not found");
}
