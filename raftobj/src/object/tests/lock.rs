use super::*;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// How long something that must happen may take before the test fails.
const BOUND: Duration = Duration::from_secs(20);

impl<T> StateLock<T> {
    /// Spins until the gate looks as asked.
    fn wait_until(&self, what: &str, condition: impl Fn(&Gate) -> bool) {
        for _ in 0..2_000_000 {
            if condition(&self.turns.gate()) {
                return;
            }
            thread::yield_now();
        }
        panic!("never: {what}");
    }

    /// Spins until a reader waits.
    pub(crate) fn wait_for_a_reader(&self) {
        self.wait_until("a reader waits", |gate| gate.readers_waiting > 0);
    }
}

// Breaks: a thread that reads while it holds a guard hangs for ever (a std `RwLock` would).
#[test]
fn a_thread_that_holds_a_guard_reads_again_while_a_writer_waits() {
    let lock = Arc::new(StateLock::new(1));
    let first = lock.read();
    let writer = thread::spawn({
        let lock = Arc::clone(&lock);
        move || *lock.write() += 1
    });
    lock.wait_until("a writer waits", |gate| gate.writers_waiting == 1);
    let second = lock.read();
    assert_eq!((*first, *second), (1, 1));
    drop(first);
    let third = lock.read();
    drop((second, third));
    writer.join().unwrap();
    assert_eq!(*lock.read(), 2);
}

#[test]
fn a_thread_knows_which_locks_it_holds() {
    let (one, two) = (StateLock::new(()), StateLock::new(()));
    assert!(!one.id().is_held());
    let (a, b) = (one.read(), one.read());
    assert!(one.id().is_held());
    assert!(!two.id().is_held());
    let elsewhere = thread::scope(|scope| scope.spawn(|| one.id().is_held()).join().unwrap());
    assert!(!elsewhere, "another thread holds nothing");
    drop(a);
    assert!(one.id().is_held());
    drop(b);
    assert!(!one.id().is_held());
    let writing = two.write();
    assert!(two.id().is_held());
    drop(writing);
    assert!(!two.id().is_held());
}

// Breaks: a stream of readers keeps apply out for ever.
#[test]
fn a_waiting_writer_lets_no_new_readers_in() {
    let lock = Arc::new(StateLock::new(0));
    let first = lock.read();
    let (told, tells) = mpsc::channel();
    let writer = thread::spawn({
        let lock = Arc::clone(&lock);
        move || *lock.write() = 7
    });
    lock.wait_until("a writer waits", |gate| gate.writers_waiting == 1);
    let reader = thread::spawn({
        let lock = Arc::clone(&lock);
        move || told.send(*lock.read())
    });
    lock.wait_until("a reader waits", |gate| gate.readers_waiting == 1);
    drop(first);
    assert_eq!(tells.recv_timeout(BOUND), Ok(7), "the reader came after the writer");
    writer.join().unwrap();
    reader.join().unwrap().unwrap();
}

// Breaks: apply, which takes the lock again at once, keeps readers out for ever.
#[test]
fn readers_that_waited_for_a_writer_enter_before_the_next_write() {
    let lock = Arc::new(StateLock::new(0));
    let mut writing = lock.write();
    let (told, tells) = mpsc::channel();
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let (lock, told) = (Arc::clone(&lock), told.clone());
            thread::spawn(move || told.send(*lock.read()))
        })
        .collect();
    lock.wait_until("four readers wait", |gate| gate.readers_waiting == 4);
    *writing = 1;
    drop(writing);
    *lock.write() = 2;
    for _ in 0..4 {
        assert_eq!(tells.recv_timeout(BOUND), Ok(1), "a reader saw what the first writer left");
    }
    for reader in readers {
        reader.join().unwrap().unwrap();
    }
}

#[test]
fn a_panic_under_a_guard_poisons_nothing() {
    let lock = Arc::new(StateLock::new(0));
    for write in [true, false] {
        let lock = Arc::clone(&lock);
        let panicked = thread::spawn(move || {
            let _reading = (!write).then(|| lock.read());
            let _writing = write.then(|| lock.write());
            panic!("on purpose");
        });
        assert!(panicked.join().is_err());
    }
    *lock.write() += 1;
    assert_eq!(*lock.read(), 1);
}

#[test]
#[should_panic(expected = "must not read the replica it is applied to")]
fn a_writer_that_reads_is_told_not_hung() {
    let lock = StateLock::new(0);
    let _writing = lock.write();
    let _ = lock.read();
}

// Breaks: two writers at once, or a reader beside one.
#[test]
fn writers_are_alone_under_load() {
    let lock = Arc::new(StateLock::new((0_u64, 0_u64)));
    let over = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..3)
        .map(|_| {
            let (lock, over) = (Arc::clone(&lock), Arc::clone(&over));
            thread::spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    let outer = lock.read();
                    let inner = lock.read();
                    assert_eq!(outer.0, inner.1, "a reader saw half a write");
                }
            })
        })
        .collect();
    let writers: Vec<_> = (0..2)
        .map(|_| {
            let lock = Arc::clone(&lock);
            thread::spawn(move || {
                for _ in 0..2_000 {
                    let mut pair = lock.write();
                    pair.0 += 1;
                    pair.1 += 1;
                }
            })
        })
        .collect();
    for writer in writers {
        writer.join().unwrap();
    }
    over.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.join().unwrap();
    }
    assert_eq!(*lock.read(), (4_000, 4_000));
    lock.wait_until("nobody is in", |gate| gate.readers == 0 && !gate.writing);
}
