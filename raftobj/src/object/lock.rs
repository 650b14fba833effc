//! The lock around the user's object.
//!
//! What a standard `RwLock` does not promise, and callers of a replica need:
//! - A thread that holds a guard reads again without blocking, even while a writer waits.
//! - A thread can be asked whether it holds a guard ([`LockId::is_held`]), so that it is told, not
//!   hung, when it waits for a call that cannot be applied before the guard is gone.
//! - Nobody starves: a waiting writer lets no new readers in (but for those that hold a guard already), and
//!   when a writer leaves, all readers that waited for it enter before the next.
//! - A panic under a guard poisons nothing.
//!
//! ```text
//!            read, no writer           last reader leaves
//!   ┌──────┐ ───────────────▶ ┌─────────┐ ──────────────▶ ┌─────────┐
//!   │ free │                  │ readers │                 │ writing │
//!   └──────┘ ◀─────────────── └─────────┘ ◀────────────── └─────────┘
//!            last reader leaves        writer leaves: all readers that waited are in at once
//! ```
//!
//! [`Turns`] decides who may enter; the `RwLock` inside is taken only by those it let in, so it is never
//! contended. It is there because handing out `&mut T` without it takes unsafe code.
//!
//! Limit: a thread that holds a guard must not wait for another thread that takes its first one; with a writer
//! between them both would wait for ever.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{
    Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError,
};

/// A lock around `T` for many readers, or one writer.
#[derive(Debug)]
pub(crate) struct StateLock<T> {
    turns: Turns,
    value: RwLock<T>,
}

/// Shared access; it cannot leave its thread. Fields are dropped in order: the value is let go before the turn.
#[derive(Debug)]
pub struct ReadGuard<'a, T> {
    value: RwLockReadGuard<'a, T>,
    _turn: ReadTurn<'a>,
}

/// Exclusive access; as [`ReadGuard`].
#[derive(Debug)]
pub(crate) struct WriteGuard<'a, T> {
    value: RwLockWriteGuard<'a, T>,
    _turn: WriteTurn<'a>,
}

impl<T> StateLock<T> {
    /// A free lock.
    pub(crate) fn new(value: T) -> StateLock<T> {
        StateLock { turns: Turns::new(), value: RwLock::new(value) }
    }

    /// Waits for shared access; does not wait if this thread holds a guard of this lock already.
    ///
    /// # Panics
    /// If this thread holds the *write* guard: a replicated method reads the replica it is applied to.
    pub(crate) fn read(&self) -> ReadGuard<'_, T> {
        let turn = self.turns.enter_read();
        let value = match self.value.try_read() {
            Ok(value) => value,
            Err(TryLockError::Poisoned(value)) => value.into_inner(),
            Err(TryLockError::WouldBlock) => unreachable!("a reader has its turn only while nobody writes"),
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
                unreachable!("a writer has its turn only while nobody else does")
            }
        };
        WriteGuard { value, _turn: turn }
    }

    /// Names this lock, for asking whether a thread holds it.
    pub(crate) fn id(&self) -> LockId {
        LockId(self.turns.id)
    }
}

/// Names a [`StateLock`] of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LockId(u64);

impl LockId {
    /// Whether this thread holds a guard of the lock.
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

/// Who may enter.
#[derive(Debug)]
struct Turns {
    /// Names this lock in [`HELD`].
    id: u64,
    gate: Mutex<Gate>,
    readable: Condvar,
    writable: Condvar,
}

/// Invariant: nobody writes while `readers > 0`.
#[derive(Debug, Default)]
struct Gate {
    /// Guards given out for reading.
    readers: usize,
    readers_waiting: usize,
    writing: bool,
    writers_waiting: usize,
    /// How many writers have left. A reader waits for it to change, and is then among `readers` already.
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
            gate: Mutex::default(),
            readable: Condvar::new(),
            writable: Condvar::new(),
        }
    }

    fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter_read(&self) -> ReadTurn<'_> {
        let held = held(self.id);
        assert!(!held.writing, "a replicated method must not read the replica it is applied to; use `self`");
        let mut gate = self.gate();
        if held.reads == 0 && (gate.writing || gate.writers_waiting > 0) {
            let phase = gate.phase;
            gate.readers_waiting += 1;
            while gate.phase == phase {
                gate = self.readable.wait(gate).unwrap_or_else(PoisonError::into_inner);
            }
        } else {
            gate.readers += 1;
        }
        drop(gate);
        change_held(self.id, |held| held.reads += 1);
        ReadTurn(self)
    }

    fn enter_write(&self) -> WriteTurn<'_> {
        assert!(held(self.id) == Held::default(), "a thread that holds a guard would wait for itself");
        let mut gate = self.gate();
        gate.writers_waiting += 1;
        while gate.writing || gate.readers > 0 {
            gate = self.writable.wait(gate).unwrap_or_else(PoisonError::into_inner);
        }
        gate.writers_waiting -= 1;
        gate.writing = true;
        drop(gate);
        change_held(self.id, |held| held.writing = true);
        WriteTurn(self)
    }
}

impl Drop for ReadTurn<'_> {
    fn drop(&mut self) {
        change_held(self.0.id, |held| held.reads -= 1);
        let mut gate = self.0.gate();
        gate.readers -= 1;
        if gate.readers == 0 && gate.writers_waiting > 0 {
            self.0.writable.notify_one();
        }
    }
}

impl Drop for WriteTurn<'_> {
    fn drop(&mut self) {
        change_held(self.0.id, |held| held.writing = false);
        let mut gate = self.0.gate();
        gate.writing = false;
        gate.phase += 1;
        gate.readers = std::mem::take(&mut gate.readers_waiting);
        if gate.readers > 0 {
            self.0.readable.notify_all();
        } else {
            self.0.writable.notify_one();
        }
    }
}

/// What a thread holds of one lock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Held {
    reads: usize,
    writing: bool,
}

thread_local! {
    /// What this thread holds, by the lock's id: as many entries as locks it holds, so nearly always none or one.
    static HELD: RefCell<Vec<(u64, Held)>> = const { RefCell::new(Vec::new()) };
}

/// NB: in the destructor of a thread-local value there may be no `HELD` any more; nothing is held then.
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
