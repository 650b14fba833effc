//! A life of a log as a list of steps, which faults are then thrown at.

use super::*;

/// What a node's storage is asked to do.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Append(Vec<Record>),
    Sync,
    Idle,
    Prepare,
    /// The process is killed and comes back; the power stays.
    Restart,
}

/// What a run of a script can claim afterwards.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// All batches handed to `append`, the one that failed included.
    pub(super) appended: Vec<Vec<Record>>,
    /// How many of them a sync, or a start that showed them, has covered.
    pub(super) synced: usize,
    /// The last boot that a start has told.
    pub(super) boot: Boot,
    /// Whether an append or a sync failed.
    pub(super) failed: bool,
}

impl Told {
    /// What a start after a crash or an error may show: some batch after the last synced one is the last.
    pub(super) fn check(&self, recovered: &Recovered) -> Result<usize, String> {
        let found = Model::of(recovered);
        let mut model = Model::default();
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

    /// Starts after a crash, which must succeed, and checks what it shows. From then on that is all there is.
    pub(super) fn check_start(&mut self, disk: &SimDisk, context: &dyn Fn() -> String) -> Started {
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
pub(super) fn run(disk: &SimDisk, steps: &[Step]) -> Told {
    let mut told = Told::default();
    let Ok(mut started) = start(disk) else { return told };
    told.boot = started.directory.identity().boot;
    for step in steps {
        let done = match step {
            Step::Append(records) => {
                told.appended.push(records.clone());
                started.wal.append(records)
            }
            Step::Sync => started.wal.sync().inspect(|()| told.synced = told.appended.len()),
            Step::Idle => started.wal.mark_idle(),
            Step::Prepare => match started.wal.prepare_next() {
                Some(job) => started.wal.install_prepared(job.run()),
                None => Ok(()),
            },
            Step::Restart => {
                disk.restart();
                let Ok(again) = start(disk) else { return told };
                started = again;
                told.boot = started.directory.identity().boot;
                told.check(&started.recovered).expect("nothing was lost without a fault");
                told.synced = told.appended.len();
                Ok(())
            }
        };
        if done.is_err() {
            told.failed = true;
            assert_closed(disk, &mut started.wal);
            break;
        }
    }
    told
}

// Rules 3 and 4: after an error nothing is tried again.
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

/// A short life with everything in it: group commits, conflicts, full and prepared segments, restarts.
pub(super) fn short_life() -> Vec<Step> {
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

/// A longer life, drawn from a seed.
pub(super) fn random_life(random: &mut Random, steps: usize) -> Vec<Step> {
    let (mut next, mut term) = (1, 1);
    let mut life = Vec::new();
    for _ in 0..steps {
        life.push(match random.below(20) {
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
                    // A new leader overwrites some of the tail.
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
    life
}
