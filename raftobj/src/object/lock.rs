//! The lock around the user's object.
//!
//! Callers of a replica need what a standard `RwLock` does not promise:
//! - A thread that holds a guard can read again without blocking, even while a writer waits.
//! - [`LockId::is_held`] shows whether the current thread holds a guard. A thread with a guard that waits for a call
//!   gets an error: the call cannot be applied before the guard is dropped, so it would wait for ever.
//! - Nobody starves: while a writer waits, no new readers enter (except threads that hold a guard already), and when a
//!   writer leaves, all readers that waited for it enter before the next writer.
//! - A panic under a guard does not poison the lock.
//!
//! ```text
//!            read, no writer           last reader leaves
//!   ┌──────┐ ───────────────▶ ┌─────────┐ ──────────────▶ ┌─────────┐
//!   │ free │                  │ readers │                 │ writing │
//!   └──────┘ ◀─────────────── └─────────┘ ◀────────────── └─────────┘
//!            last reader leaves        writer leaves: all readers that waited are in at once
//! ```
//!
//! [`Turns`] decides who may enter. The `RwLock` inside is never contended, because only threads that have entered take
//! it. It is there because `&mut T` without it needs unsafe code.
//!
//! Limit: a thread that holds a guard must not wait for another thread that takes its first guard. If a writer waits
//! between them, both threads wait for ever.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{
    Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError,
};

/// A lock around `T` for many readers or one writer.
#[derive(Debug)]
pub(crate) struct StateLock<T> {
    turns: Turns,
    value: RwLock<T>,
}

/// Shared access; it cannot be sent to another thread. Fields are dropped in order: first the value, then the turn.
#[derive(Debug)]
pub struct ReadGuard<'a, T> {
    value: RwLockReadGuard<'a, T>,
    _turn: ReadTurn<'a>,
}

/// Exclusive access; like [`ReadGuard`].
#[derive(Debug)]
pub(crate) struct WriteGuard<'a, T> {
    value: RwLockWriteGuard<'a, T>,
    _turn: WriteTurn<'a>,
}

impl<T> StateLock<T> {
    /// A lock that nobody holds.
    pub(crate) fn new(value: T) -> StateLock<T> {
        StateLock { turns: Turns::new(), value: RwLock::new(value) }
    }

    /// Waits for shared access, but not if this thread holds a guard of this lock already.
    ///
    /// # Panics
    /// If this thread holds the *write* guard: then a replicated method reads the replica that it is applied to.
    pub(crate) fn read(&self) -> ReadGuard<'_, T> {
        let turn = self.turns.enter_read();
        let value = match self.value.try_read() {
            Ok(value) => value,
            Err(TryLockError::Poisoned(value)) => value.into_inner(),
            Err(TryLockError::WouldBlock) => unreachable!("a reader has a turn only while nobody writes"),
        };
        ReadGuard { value, _turn: turn }
    }

    /// Waits for exclusive access.
    pub(crate) fn write(&self) -> WriteGuard<'_, T> {
        let turn = self.turns.enter_write();
        let value = match self.value.try_write() {
            Ok(value) => value,
            Err(TryLockError::Poisoned(value)) => value.into_inner(),
            Err(TryLockError::WouldBlock) => {
                unreachable!("a writer has a turn only while nobody else has one")
            }
        };
        WriteGuard { value, _turn: turn }
    }

    /// The id of this lock, to check whether a thread holds it.
    pub(crate) fn id(&self) -> LockId {
        LockId(self.turns.id)
    }
}

/// Identifies a [`StateLock`] of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LockId(u64);

impl LockId {
    /// Whether the current thread holds a guard of the lock.
    pub(crate) fn is_held(self) -> bool {
        held(self.0) != Held::default()
    }
}

impl<T> Deref for ReadGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> Deref for WriteGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for WriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

/// Decides who may enter.
#[derive(Debug)]
struct Turns {
    /// The key of this lock in [`HELD`].
    id: u64,
    counts: Mutex<TurnCounts>,
    readable: Condvar,
    writable: Condvar,
}

/// Who is inside, and who waits. Invariant: nobody writes while `readers > 0`.
#[derive(Debug, Default)]
struct TurnCounts {
    /// How many read guards there are.
    readers: usize,
    readers_waiting: usize,
    writing: bool,
    writers_waiting: usize,
    /// How many writers have left. A waiting reader waits until it changes; the writer that leaves has then counted
    /// it among `readers`.
    phase: u64,
}

#[derive(Debug)]
struct ReadTurn<'a>(&'a Turns);

#[derive(Debug)]
struct WriteTurn<'a>(&'a Turns);

impl Turns {
    fn new() -> Turns {
        static NEXT_ID: AtomicU64 = AtomicU64::new(0);
        Turns {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            counts: Mutex::default(),
            readable: Condvar::new(),
            writable: Condvar::new(),
        }
    }

    fn counts(&self) -> MutexGuard<'_, TurnCounts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter_read(&self) -> ReadTurn<'_> {
        let held = held(self.id);
        assert!(!held.writing, "a replicated method must not read the replica it is applied to; use `self`");
        let mut counts = self.counts();
        if held.reads == 0 && (counts.writing || counts.writers_waiting > 0) {
            let phase = counts.phase;
            counts.readers_waiting += 1;
            while counts.phase == phase {
                counts = self.readable.wait(counts).unwrap_or_else(PoisonError::into_inner);
            }
        } else {
            counts.readers += 1;
        }
        drop(counts);
        change_held(self.id, |held| held.reads += 1);
        ReadTurn(self)
    }

    fn enter_write(&self) -> WriteTurn<'_> {
        assert!(held(self.id) == Held::default(), "a thread that holds a guard would wait for itself");
        let mut counts = self.counts();
        counts.writers_waiting += 1;
        while counts.writing || counts.readers > 0 {
            counts = self.writable.wait(counts).unwrap_or_else(PoisonError::into_inner);
        }
        counts.writers_waiting -= 1;
        counts.writing = true;
        drop(counts);
        change_held(self.id, |held| held.writing = true);
        WriteTurn(self)
    }
}

impl Drop for ReadTurn<'_> {
    fn drop(&mut self) {
        change_held(self.0.id, |held| held.reads -= 1);
        let mut counts = self.0.counts();
        counts.readers -= 1;
        if counts.readers == 0 && counts.writers_waiting > 0 {
            self.0.writable.notify_one();
        }
    }
}

impl Drop for WriteTurn<'_> {
    fn drop(&mut self) {
        change_held(self.0.id, |held| held.writing = false);
        let mut counts = self.0.counts();
        counts.writing = false;
        counts.phase += 1;
        counts.readers = std::mem::take(&mut counts.readers_waiting);
        if counts.readers > 0 {
            self.0.readable.notify_all();
        } else {
            self.0.writable.notify_one();
        }
    }
}

/// The guards of one lock that a thread holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Held {
    reads: usize,
    writing: bool,
}

thread_local! {
    /// The guards of this thread, by the lock's id. It has an entry for each lock that is held: nearly always none or
    /// one.
    static HELD: RefCell<Vec<(u64, Held)>> = const { RefCell::new(Vec::new()) };
}

/// NB: in the destructor of a thread-local value `HELD` may be gone; then nothing is held.
fn held(id: u64) -> Held {
    let find = |held: &RefCell<Vec<(u64, Held)>>| {
        held.borrow().iter().find(|(of, _)| *of == id).map(|(_, held)| *held)
    };
    HELD.try_with(find).ok().flatten().unwrap_or_default()
}

fn change_held(id: u64, change: impl FnOnce(&mut Held)) {
    let _ = HELD.try_with(|held| {
        let mut held = held.borrow_mut();
        let at = held.iter().position(|(of, _)| *of == id).unwrap_or_else(|| {
            held.push((id, Held::default()));
            held.len() - 1
        });
        change(&mut held[at].1);
        if held[at].1 == Held::default() {
            held.swap_remove(at);
        }
    });
}

#[cfg(test)]
#[path = "tests/lock.rs"]
mod tests;
