//! Without faults: what is appended is read back, and segments are made and used in time.

use super::*;

// Rule *append only*.
#[test]
fn appended_records_are_read_back_across_starts_and_segments() {
    let disk = SimDisk::new();
    let mut log = NaiveLog::default();
    let mut term = 1;
    for round in 0..12 {
        let mut started = start(&disk).unwrap();
        assert_eq!(NaiveLog::of(&started.recovered), log, "round {round}");
        assert_eq!(started.recovered.first, Index(1));
        assert_eq!(started.recovered.torn_tail, None);
        assert_eq!(started.directory.identity().boot.0, round + 1);
        let next = started.wal.last_index().next().0;
        // Every third round a leader overwrites a part of the log.
        let from = if round % 3 == 2 { next - 3 } else { next };
        term += u64::from(round % 3 == 2);
        for batch in [
            vec![vote(term, Some(round)), entry(from, term, 700)],
            (1..8).map(|i| entry(from + i, term, 300 * i as usize)).collect(),
            vec![],
            vec![entry(from + 8, term, 0)],
        ] {
            started.wal.append(&batch).unwrap();
            started.wal.sync().unwrap();
            started.wal.mark_idle().unwrap();
            log.take(&batch);
        }
        term += 1;
    }
    let names = disk.list(dir()).unwrap().unwrap();
    assert!(names.iter().filter(|name| name.starts_with("wal-")).count() > 5, "{names:?}");
}

#[test]
fn a_batch_larger_than_a_segment_gets_a_larger_segment() {
    let disk = SimDisk::new();
    let mut started = start(&disk).unwrap();
    let mut log = NaiveLog::default();
    for batch in [vec![entry(1, 1, 10)], vec![entry(2, 1, 100_000), entry(3, 1, 1)], vec![entry(4, 1, 10)]] {
        started.wal.append(&batch).unwrap();
        log.take(&batch);
    }
    started.wal.sync().unwrap();
    drop(started);
    assert_eq!(NaiveLog::of(&start(&disk).unwrap().recovered), log);
    let big = disk.bytes(&dir().join(segment_name(2))).len();
    assert!((100_000..120_000).contains(&big), "{big}");
}

// Rule *zero-filled segments*.
#[test]
fn a_prepared_segment_is_used_and_a_late_one_is_not() {
    let disk = SimDisk::new();
    let mut started = start(&disk).unwrap();
    let wal = &mut started.wal;
    wal.append(&[entry(1, 1, 3000)]).unwrap();
    let late = wal.prepare_next().unwrap();
    assert!(wal.prepare_next().is_none(), "one at a time");
    wal.append(&[entry(2, 1, 3000)]).unwrap();
    let late = late.run();
    assert!(late.result.is_ok());
    wal.install_prepared(late).unwrap();
    wal.append(&[entry(3, 1, 3000)]).unwrap();

    let job = wal.prepare_next().unwrap();
    wal.install_prepared(job.run()).unwrap();
    let names = disk.list(dir()).unwrap().unwrap();
    assert_eq!(
        names,
        [
            "LOCK",
            "identity",
            "identity.reserve",
            &segment_name(1),
            &segment_name(2),
            &segment_name(3),
            &segment_name(4)
        ]
    );
    let before = disk.calls();
    wal.append(&[entry(4, 1, 3000)]).unwrap();
    assert_eq!(disk.calls() - before, 3, "sync of the full one, opening, batch");
    wal.sync().unwrap();
    drop(started);

    let mut started = start(&disk).unwrap();
    assert_eq!(started.recovered.entries.len(), 4);
    let job = started.wal.prepare_next().unwrap();
    started.wal.install_prepared(job.run()).unwrap();
    drop(started);
    // The next start finds a prepared segment. If it is too small, it is replaced.
    let mut started = start(&disk).unwrap();
    assert!(started.wal.prepare_next().is_none());
    started.wal.append(&[entry(5, 1, 30_000)]).unwrap();
    drop(started);
    assert_eq!(start(&disk).unwrap().recovered.entries.len(), 5);
}

// Snapshots will release segments by it. Breaks: entries are released that no snapshot covers.
#[test]
fn full_segments_know_their_next_index_before_and_after_a_restart() {
    let disk = SimDisk::new();
    let mut started = start(&disk).unwrap();
    for (index, term) in [(1, 1), (2, 1), (3, 1), (2, 2), (3, 2)] {
        started.wal.append(&[entry(index, term, 3000)]).unwrap();
    }
    let full = vec![(1, Index(2)), (2, Index(3)), (3, Index(4)), (4, Index(3))];
    assert_eq!(started.wal.full_segments(), full);
    drop(started);
    assert_eq!(start(&disk).unwrap().wal.full_segments(), full);
}

#[test]
fn an_idle_marker_is_written_once_and_only_when_everything_is_synced() {
    let disk = SimDisk::new();
    let mut started = start(&disk).unwrap();
    let calls = |disk: &SimDisk, act: &mut dyn FnMut()| {
        let before = disk.calls();
        act();
        disk.calls() - before
    };
    let wal = &mut started.wal;
    assert_eq!(calls(&disk, &mut || wal.mark_idle().unwrap()), 0, "an empty log has nothing to confirm");
    wal.append(&[entry(1, 1, 1)]).unwrap();
    assert_eq!(calls(&disk, &mut || wal.mark_idle().unwrap()), 0);
    wal.sync().unwrap();
    assert_eq!(calls(&disk, &mut || wal.mark_idle().unwrap()), 1);
    assert_eq!(calls(&disk, &mut || wal.mark_idle().unwrap()), 0);
    assert_eq!(calls(&disk, &mut || wal.sync().unwrap()), 1);
    assert_eq!(calls(&disk, &mut || wal.mark_idle().unwrap()), 0);
    assert_eq!(calls(&disk, &mut || wal.sync().unwrap()), 0, "nothing was written since");
    drop(started);
    // The next start finds the marker.
    let mut started = start(&disk).unwrap();
    assert_eq!(calls(&disk, &mut || started.wal.mark_idle().unwrap()), 0);
    started.wal.append(&[entry(2, 1, 1)]).unwrap();
    started.wal.sync().unwrap();
    drop(started);
    let mut started = start(&disk).unwrap();
    assert_eq!(calls(&disk, &mut || started.wal.mark_idle().unwrap()), 1);
}

// Breaks: the log panics when it goes idle, because its last batch left no room for the marker; or the log moves to the
// next segment before one is full.
#[test]
fn a_segment_is_filled_to_its_last_byte_and_has_room_for_an_idle_marker() {
    let mut full = 0;
    for payload_bytes in 3_700..4_100 {
        let disk = SimDisk::new();
        let mut started = start(&disk).unwrap();
        started.wal.append(&[entry(1, 1, 1)]).unwrap();
        started.wal.append(&[entry(2, 1, payload_bytes)]).unwrap();
        started.wal.sync().unwrap();
        started.wal.mark_idle().unwrap();
        let last = &disk.bytes(&dir().join(segment_name(1)))[SMALL.segment_bytes as usize - 48..];
        full += usize::from(last.starts_with(b"rfrm"));
    }
    assert_eq!(full, 16, "16 payload lengths are padded to the one that fits");
}

#[test]
fn a_segments_size_has_bounds_and_is_in_whole_sectors() {
    let size = |segment_bytes| WalOptions { segment_bytes, reserve_bytes: 0 }.segment_bytes();
    assert_eq!([0, 5_120, 5_121, u64::MAX].map(size), [5_120, 5_120, 5_632, 1 << 30]);
    assert_eq!(size(WalOptions::default().segment_bytes), 8 << 20);
}

// Breaks: a late segment replaces the one in use, and the records in that are lost.
#[test]
fn a_late_segment_does_not_replace_the_one_in_use() {
    let disk = SimDisk::new();
    let mut started = start(&disk).unwrap();
    let wal = &mut started.wal;
    wal.append(&[entry(1, 1, 3000)]).unwrap();
    let late = wal.prepare_next().unwrap().run();
    let names = disk.list(dir()).unwrap().unwrap();
    let made = disk.bytes(&dir().join(names.iter().find(|name| name.ends_with(".tmp")).unwrap()));
    wal.append(&[entry(2, 1, 3000)]).unwrap();
    let id = |bytes: &[u8]| SegmentHeader::decode(bytes.first_chunk().unwrap()).unwrap().id;
    let in_use = disk.bytes(&dir().join(segment_name(2)));
    assert_ne!(id(&made), id(&in_use), "the frames of one are ignored in the other");

    let next = wal.prepare_next().unwrap();
    wal.install_prepared(late).unwrap();
    assert_eq!(disk.bytes(&dir().join(segment_name(2))), in_use);
    wal.install_prepared(next.run()).unwrap();
    wal.append(&[entry(3, 1, 3000)]).unwrap();
    wal.sync().unwrap();
    drop(started);
    assert_eq!(start(&disk).unwrap().recovered.entries.len(), 3);
}

// Breaks: a late job that failed stops the preparation of segments, and every batch that needs a new one waits for it.
#[test]
fn a_late_failed_job_does_not_replace_the_one_under_way() {
    let disk = SimDisk::new();
    let mut started = start(&disk).unwrap();
    let wal = &mut started.wal;
    wal.append(&[entry(1, 1, 3000)]).unwrap();
    let late = wal.prepare_next().unwrap();
    wal.append(&[entry(2, 1, 3000)]).unwrap();
    disk.fail_at(disk.calls() + 2, DiskFault::NoSpace);
    let late = late.run();
    assert!(late.result.is_err());
    let next = wal.prepare_next().unwrap();
    wal.install_prepared(late).unwrap();
    wal.install_prepared(next.run()).unwrap();
    assert!(disk.list(dir()).unwrap().unwrap().contains(&segment_name(3)));
}

// Breaks: ten live bytes keep the megabyte in memory that they were written with; or every payload is copied.
#[test]
fn payloads_of_mostly_overwritten_frames_are_copied_and_others_are_shared() {
    let disk = SimDisk::new();
    let mut started = start(&disk).unwrap();
    started.wal.append(&[entry(1, 1, 10), entry(2, 1, 10), entry(3, 1, 1000)]).unwrap();
    started.wal.append(&[entry(3, 2, 500), entry(4, 2, 500)]).unwrap();
    started.wal.sync().unwrap();
    drop(started);
    let entries = start(&disk).unwrap().recovered.entries;
    let copied: Vec<bool> = entries.iter().map(|entry| entry.payload.is_unique()).collect();
    assert_eq!(copied, [true, true, false, false]);
}

// §5.2. Breaks: a node votes twice in a term.
#[test]
#[should_panic(expected = "the hard state goes back")]
fn a_second_vote_in_a_term_panics() {
    let mut started = start(&SimDisk::new()).unwrap();
    let _ = started.wal.append(&[vote(2, Some(1)), vote(2, Some(2))]);
}

#[test]
#[should_panic(expected = "entry 3 cannot follow")]
fn a_gap_between_entries_panics() {
    let mut started = start(&SimDisk::new()).unwrap();
    let _ = started.wal.append(&[entry(1, 1, 1), entry(3, 1, 1)]);
}

// Breaks: existing directories cannot be read any more. A change of format increments its version and is announced.
#[test]
fn the_bytes_of_the_formats_are_pinned() {
    let disk = SimDisk::new();
    let mut started = start(&disk).unwrap();
    started.wal.append(&[vote(3, Some(7)), entry(1, 2, 5)]).unwrap();
    started.wal.append(&[entry(1, 3, 40)]).unwrap();
    started.wal.sync().unwrap();
    started.wal.mark_idle().unwrap();
    let member = Member { incarnation: Incarnation(0x2222), address: "a:1".into() };
    let membership = Membership { members: [(NodeId(0x1111), member)].into() };
    started.directory.save_proposal(membership.clone()).unwrap();
    started.directory.save_formed(FormedCluster { cluster: 9, membership }).unwrap();
    let checksum = |name: &str| crc32c::crc32c(&disk.bytes(&dir().join(name)));
    assert_eq!(checksum("wal-0000000000000001"), 3_938_919_460, "log");
    assert_eq!(checksum("identity"), 1280002842, "identity");
}

// The driver runs the log on a thread of its own and prepares segments on another.
#[test]
fn the_log_and_its_jobs_can_move_to_other_threads() {
    fn is_send<T: Send + 'static>() {}
    is_send::<Wal<RealDisk>>();
    is_send::<PrepareJob<RealDisk>>();
    is_send::<PreparedSegment>();
    is_send::<Directory<RealDisk>>();
}
