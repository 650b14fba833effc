//! One target on one input: whether it panics, and what memory it takes.

use crate::Target;
use peak_alloc::PeakAlloc;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Who may run targets: memory is counted for the whole process.
#[derive(Debug)]
pub struct Runner {
    _guard: MutexGuard<'static, ()>,
}

/// Waits until nobody else runs targets.
pub fn runner() -> Runner {
    static ONE: Mutex<()> = Mutex::new(());
    static HOOK: Once = Once::new();
    HOOK.call_once(keep_panics_of_targets);
    Runner { _guard: ONE.lock().unwrap_or_else(PoisonError::into_inner) }
}

/// Panics within a target are kept and not printed: a user's method may panic, and shrinking panics often.
fn keep_panics_of_targets() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| match IS_RUNNING.get() {
        true => LAST_PANIC.set(panic.to_string()),
        false => usual(panic),
    }));
}

thread_local! {
    static IS_RUNNING: Cell<bool> = const { Cell::new(false) };
    static LAST_PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// What a target must not do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It panicked: what it asserts does not hold, or worse.
    Panic(String),
    /// It held more memory than it may for an input of this length.
    Memory {
        /// What it held.
        held: usize,
        /// What it may hold.
        bytes_max: usize,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Finding::Panic(message) => write!(f, "{message}"),
            Finding::Memory { held, bytes_max } => {
                write!(f, "held {held} bytes at once, and may hold {bytes_max} for an input of this length")
            }
        }
    }
}

impl Runner {
    /// Whether the input is accepted.
    ///
    /// # Errors
    /// The finding.
    pub fn run(&self, target: &Target, input: &[u8]) -> Result<bool, Finding> {
        IS_RUNNING.set(true);
        let result = run(target, input);
        IS_RUNNING.set(false);
        result
    }

    /// A shorter input with a finding, from one that has one.
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
