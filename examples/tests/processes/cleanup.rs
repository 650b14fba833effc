//! Actions that run however the tests end.
//!
//! A [`Cleanup`] runs when it is dropped, also by a panic, or when SIGINT or SIGTERM ends the tests, which drops
//! nothing. SIGHUP is not handled: the tests may run under `nohup`, which ignores it.

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::thread;

/// Runs its action once, at the latest when the tests end.
pub(crate) struct Cleanup(u64);

type Action = Box<dyn FnOnce() + Send>;

/// The actions that have not run, by number.
struct Actions {
    last: u64,
    pending: BTreeMap<u64, Action>,
}

static ACTIONS: Mutex<Actions> = Mutex::new(Actions { last: 0, pending: BTreeMap::new() });

impl Cleanup {
    /// Registers an action. Call it before what the action cleans up; the action must work even if that never happened.
    pub(crate) fn new(action: impl FnOnce() + Send + 'static) -> Cleanup {
        static SIGNALS: Once = Once::new();
        SIGNALS.call_once(on_signals);
        let mut actions = actions();
        actions.last += 1;
        let number = actions.last;
        actions.pending.insert(number, Box::new(action));
        Cleanup(number)
    }
}

impl Drop for Cleanup {
    fn drop(&mut self) {
        // The lock is released before the action runs.
        let action = actions().pending.remove(&self.0);
        if let Some(action) = action {
            action();
        }
    }
}

/// Every change of the map is atomic, so a panic while it is locked does no harm.
fn actions() -> MutexGuard<'static, Actions> {
    ACTIONS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn on_signals() {
    let mut signals = Signals::new([SIGINT, SIGTERM]).expect("these signals may be handled");
    thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            // The lock is held until the process ends, so no action can be added.
            let mut actions = actions();
            // The latest first: it may depend on what earlier ones clean up.
            while let Some((_, action)) = actions.pending.pop_last() {
                action();
            }
            let _ = emulate_default_handler(signal);
        }
    });
}
