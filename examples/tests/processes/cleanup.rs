//! What must not outlive the tests, whatever ends them.
//!
//! An [`Undo`] is carried out when it is dropped, which covers a panic too, or when SIGINT or SIGTERM ends the tests, which
//! drops nothing. SIGHUP is left alone: who runs them for long may have said that it is to be ignored.

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::thread;

/// Carries out what it was made with, once.
pub(crate) struct Undo(u64);

type Action = Box<dyn FnOnce() + Send>;

/// What is to be done, and the number of the next one.
struct Actions {
    next: u64,
    waiting: BTreeMap<u64, Action>,
}

static ACTIONS: Mutex<Actions> = Mutex::new(Actions { next: 0, waiting: BTreeMap::new() });

impl Undo {
    /// To be done in the end. Make it before what it undoes: it must bear that nothing was done yet.
    pub(crate) fn with(action: impl FnOnce() + Send + 'static) -> Undo {
        static SIGNALS: Once = Once::new();
        SIGNALS.call_once(on_signals);
        let mut actions = actions();
        actions.next += 1;
        let number = actions.next;
        actions.waiting.insert(number, Box::new(action));
        Undo(number)
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        // The lock is free again before the action runs.
        let action = actions().waiting.remove(&self.0);
        if let Some(action) = action {
            action();
        }
    }
}

/// The list is whole at any time, so a panic with it does no harm.
fn actions() -> MutexGuard<'static, Actions> {
    ACTIONS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn on_signals() {
    let mut signals = Signals::new([SIGINT, SIGTERM]).expect("these signals may be handled");
    thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            // Nobody makes new ones: the lock is kept until the process ends.
            let mut actions = actions();
            // The latest first: what was made last stands on what was made before.
            while let Some((_, action)) = actions.waiting.pop_last() {
                action();
            }
            let _ = emulate_default_handler(signal);
        }
    });
}
