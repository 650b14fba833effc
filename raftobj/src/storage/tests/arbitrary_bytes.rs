//! Whatever bytes are on the disk: a start and an inspection may return errors, but never panic.

use super::frame::{FRAME_HEADER_BYTES, FramePosition, begin_frame, header_at, seal_frame};
use super::*;

#[test]
fn random_changes_of_a_log_cause_no_panic() {
    let (good, _) = three_segments(true);
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

// Payloads with valid checksums, which only a bug or an attacker can write.
#[test]
fn random_payloads_in_valid_frames_cause_no_panic() {
    let (good, _) = three_segments(true);
    let path = segments(&good).pop().unwrap();
    let image = good.bytes(&path);
    let header = segment_header(&image);
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
        let position = FramePosition {
            segment: header.id,
            offset: end as u64,
            previous: marker.checksum,
            batch: marker.batch + 1,
            synced: marker.batch,
        };
        seal_frame(&mut frame, 0, position);
        let disk = good.fork();
        let mut bad = image.clone();
        bad[end..end + frame.len()].copy_from_slice(&frame);
        disk.set_bytes(&path, &bad);
        let _ = inspect::inspect(&disk, dir(), &mut |_| {});
        if let Err(error) = start(&disk) {
            assert!(error.to_string().contains("has invalid contents"), "seed {seed}: {error}");
            refused += 1;
        }
    }
    assert!(refused > 1000);
}
