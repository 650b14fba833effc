//! Runs a target on an input: does it panic, and how much memory does it hold?

use crate::Target;
use peak_alloc::PeakAlloc;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Runs targets. There is one at a time, because memory is counted for the whole process.
#[derive(Debug)]
pub struct Runner {
    _guard: MutexGuard<'static, ()>,
}

/// Waits until no other thread runs targets.
pub fn runner() -> Runner {
    static LOCK: Mutex<()> = Mutex::new(());
    static HOOK: Once = Once::new();
    HOOK.call_once(keep_panics_of_targets);
    Runner { _guard: LOCK.lock().unwrap_or_else(PoisonError::into_inner) }
}

/// Keeps panics of targets instead of printing them: a user's method may panic, and shrinking panics often.
fn keep_panics_of_targets() {
    let default_hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| match IS_RUNNING.get() {
        true => LAST_PANIC.set(panic.to_string()),
        false => default_hook(panic),
    }));
}

thread_local! {
    static IS_RUNNING: Cell<bool> = const { Cell::new(false) };
    static LAST_PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// What a target did wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It panicked, with this message.
    Panic(String),
    /// It held more memory than its bound for an input of this length.
    Memory {
        /// Bytes that it held at once.
        held: usize,
        /// Bytes that it may hold at once.
        bytes_max: usize,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Finding::Panic(message) => write!(f, "{message}"),
            Finding::Memory { held, bytes_max } => {
                write!(f, "held {held} bytes at once; the bound for an input of this length is {bytes_max}")
            }
        }
    }
}

impl Runner {
    /// Runs the target. Returns whether the input is accepted.
    ///
    /// # Errors
    /// The target panicked or exceeded its memory bound.
    pub fn run(&self, target: &Target, input: &[u8]) -> Result<bool, Finding> {
        IS_RUNNING.set(true);
        let result = run(target, input);
        IS_RUNNING.set(false);
        result
    }

    /// Shrinks an input that has a finding to a shorter one that still has a finding.
    pub fn shrink(&self, target: &Target, input: &[u8]) -> Vec<u8> {
        let fails = |input: &[u8]| self.run(target, input).is_err();
        let mut best = input.to_vec();
        let mut step = best.len().next_power_of_two();
        while step > 0 {
            let mut at = 0;
            while at < best.len() {
                let mut shorter = best.clone();
                shorter.drain(at..(at + step).min(best.len()));
                if fails(&shorter) {
                    best = shorter;
                } else {
                    at += step;
                }
            }
            step /= 2;
        }
        for at in 0..best.len() {
            let byte = std::mem::take(&mut best[at]);
            if !fails(&best) {
                best[at] = byte;
            }
        }
        best
    }
}

fn run(target: &Target, input: &[u8]) -> Result<bool, Finding> {
    let panicked = |_| Finding::Panic(LAST_PANIC.take());
    ALLOCATOR.reset_peak_usage();
    let before = ALLOCATOR.current_usage();
    let decoded = catch_unwind(|| (target.decode)(input));
    let held = ALLOCATOR.peak_usage().saturating_sub(before);
    let check = decoded.map_err(panicked)?;
    let bytes_max = target.memory.bytes_max(input.len());
    if held > bytes_max {
        return Err(Finding::Memory { held, bytes_max });
    }
    let is_accepted = check.is_some();
    if let Some(check) = check {
        catch_unwind(AssertUnwindSafe(check)).map_err(panicked)?;
    }
    Ok(is_accepted)
}
