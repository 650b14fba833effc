//! Scripts: what a node asks of its storage, as a list of steps. The tests run them under faults and power cuts.

use super::*;

/// One request to a node's storage.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Append(Vec<Record>),
    Sync,
    Idle,
    Prepare,
    /// The process is killed and started again; the power stays on.
    Restart,
}

/// What the next start must find after a run of a script, and what it may find.
#[derive(Debug, Default)]
pub(super) struct Expected {
    /// All batches passed to `append`, including one that failed.
    pub(super) appended: Vec<Vec<Record>>,
    /// How many of them must be there: a sync covered them, or an earlier start has shown them.
    pub(super) synced: usize,
    /// The number of the last start.
    pub(super) boot: Boot,
    /// Whether an append or a sync failed.
    pub(super) failed: bool,
}

impl Expected {
    /// Checks what a start after a crash or an error found: a prefix of the batches that includes every synced one.
    /// Returns its length.
    pub(super) fn check(&self, recovered: &Recovered) -> Result<usize, String> {
        let found = NaiveLog::of(recovered);
        let mut model = NaiveLog::default();
        for batches in 0..=self.appended.len() {
            if batches > 0 {
                model.take(&self.appended[batches - 1]);
            }
            if batches >= self.synced && model == found {
                return Ok(batches);
            }
        }
        let indexes: Vec<String> = found.entries.iter().map(|entry| entry.id.to_string()).collect();
        Err(format!(
            "synced {} of {}, found {:?} {indexes:?}",
            self.synced,
            self.appended.len(),
            found.hard_state
        ))
    }

    /// Starts after a crash, which must succeed, and checks what it finds. From then on exactly that is expected.
    pub(super) fn check_start(&mut self, disk: &SimDisk, context: &dyn Fn() -> String) -> StartedStorage {
        let started = start(disk).unwrap_or_else(|error| panic!("{}: {error}", context()));
        let batches = self.check(&started.recovered).unwrap_or_else(|error| panic!("{}: {error}", context()));
        self.appended.truncate(batches);
        self.synced = batches;
        let boot = started.directory.identity().boot;
        assert!(boot > self.boot, "{}: boot {boot} after {}", context(), self.boot);
        self.boot = boot;
        started
    }
}

/// Runs the steps until one fails.
pub(super) fn run(disk: &SimDisk, steps: &[Step]) -> Expected {
    let mut expected = Expected::default();
    let Ok(mut started) = start(disk) else { return expected };
    expected.boot = started.directory.identity().boot;
    for step in steps {
        let done = match step {
            Step::Append(records) => {
                expected.appended.push(records.clone());
                match started.wal.append(records) {
                    // The fault is over: the disk has space again.
                    Err(WalError::NoSpace { written, .. }) => started.wal.append(&records[written..]),
                    appended => appended,
                }
            }
            Step::Sync => started.wal.sync().inspect(|()| expected.synced = expected.appended.len()),
            Step::Idle => started.wal.mark_idle(),
            Step::Prepare => match started.wal.prepare_next() {
                Some(job) => started.wal.install_prepared(job.run()),
                None => Ok(()),
            },
            Step::Restart => {
                disk.restart();
                let Ok(again) = start(disk) else { return expected };
                started = again;
                expected.boot = started.directory.identity().boot;
                expected.check(&started.recovered).expect("without a fault nothing is lost");
                expected.synced = expected.appended.len();
                Ok(())
            }
        };
        if done.is_err() {
            expected.failed = true;
            assert_closed(disk, &mut started.wal);
            break;
        }
    }
    expected
}

/// After an error every call fails and the disk is not touched: rule *an error closes the log*.
fn assert_closed(disk: &SimDisk, wal: &mut Wal<SimDisk>) {
    let before = disk.calls();
    let next = wal.last_index().next().0;
    for again in [wal.sync(), wal.append(&[entry(next, 9, 1)]), wal.mark_idle(), wal.sync()] {
        assert!(matches!(again, Err(WalError::Closed(_))), "{again:?}");
        assert!(again.unwrap_err().to_string().contains(DIR), "the message names the file");
    }
    assert!(wal.prepare_next().is_none());
    assert_eq!(disk.calls(), before);
}

/// A short script with group commits, conflicts, full and prepared segments, and restarts.
pub(super) fn short_script() -> Vec<Step> {
    use Step::*;
    vec![
        Append(vec![vote(1, Some(1)), entry(1, 1, 10)]),
        Append(vec![entry(2, 1, 600)]),
        Sync,
        Idle,
        Append(vec![entry(3, 1, 900)]),
        Append(vec![vote(2, None), entry(3, 2, 40), entry(4, 2, 40)]),
        Append(vec![entry(5, 2, 20)]),
        Sync,
        Prepare,
        Append(vec![entry(6, 2, 1800)]),
        Append(vec![entry(7, 2, 1500)]),
        Append(vec![entry(8, 2, 30), vote(3, Some(3))]),
        Sync,
        Idle,
        Restart,
        Append(vec![entry(7, 4, 100)]),
        Append(vec![vote(4, Some(1)), entry(8, 4, 3000)]),
        Append(vec![entry(9, 4, 10)]),
        Append(vec![entry(10, 4, 3000)]),
        Restart,
        Append(vec![entry(2, 5, 70)]),
        Sync,
    ]
}

/// A longer script, drawn from a seed.
pub(super) fn random_script(random: &mut Random, steps: usize) -> Vec<Step> {
    let (mut next, mut term) = (1, 1);
    let mut script = Vec::new();
    for _ in 0..steps {
        script.push(match random.below(20) {
            0 => Step::Restart,
            1..=2 => Step::Prepare,
            3..=4 => Step::Idle,
            5..=8 => Step::Sync,
            _ => {
                let mut batch = Vec::new();
                if random.below(4) == 0 {
                    term += 1;
                    batch.push(vote(term, Some(random.below(3))));
                }
                if random.below(6) == 0 {
                    // A new leader overwrites a part of the tail.
                    next = 1 + random.below(next);
                }
                for _ in 0..random.below(4) {
                    let size = [0, 1, 30, 500, 2500][random.below(5) as usize];
                    batch.push(entry(next, term, size));
                    next += 1;
                }
                if batch.is_empty() {
                    batch.push(vote(term, None));
                    term += 1;
                    batch[0] = vote(term, None);
                }
                Step::Append(batch)
            }
        });
    }
    script
}
