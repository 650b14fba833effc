//! The events of a run: drawn from a seed, parsed from a line of text, or decoded from bytes.
//!
//! Every event is valid at any moment: one that is impossible then (a message on an empty link, a crash of a machine that
//! is down, one more lost disk than a cluster survives) has no effect. So any part of a schedule is a schedule, which
//! shrinking and fuzzing need. Fields are bytes, taken modulo the number of what they select. Machines and clients are
//! counted from 0.

use std::fmt;
use std::str::FromStr;

macro_rules! events {
    ($($(#[$doc:meta])* $name:ident $word:literal ($($field:ident),*) $sort:ident;)*) => {
        /// An event.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Event {
            $($(#[$doc])* $name { $($field: u8),* },)*
        }

        /// An event without its fields.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Kind {
            $($name,)*
        }

        impl Kind {
            /// All of them, in the order of their bytes.
            pub(crate) const ALL: &'static [Kind] = &[$(Kind::$name,)*];

            /// Its name in a schedule.
            pub(crate) fn word(self) -> &'static str {
                match self {
                    $(Kind::$name => $word,)*
                }
            }

            /// Whether it is a fault, or the end of one. All other events are ordinary.
            pub(crate) fn is_fault(self) -> bool {
                match self {
                    $(Kind::$name => stringify!($sort) == "fault",)*
                }
            }
        }

        impl Event {
            pub(crate) fn kind(&self) -> Kind {
                match self {
                    $(Event::$name { .. } => Kind::$name,)*
                }
            }

            /// The bytes that [`from_bytes`] decodes.
            pub(crate) fn to_bytes(self) -> [u8; 5] {
                let mut bytes = [0; 5];
                bytes[0] = self.kind() as u8;
                match self {
                    $(Event::$name { $($field),* } => {
                        let fields: &[u8] = &[$($field),*];
                        bytes[1..=fields.len()].copy_from_slice(fields);
                    })*
                }
                bytes
            }

            /// The event of a kind whose fields are taken from four bytes.
            pub(crate) fn from_bytes(kind: Kind, bytes: [u8; 4]) -> Event {
                // Each field takes the next byte.
                let mut rest = bytes.into_iter();
                let mut next = || rest.next().unwrap_or_default();
                match kind {
                    $(Kind::$name => Event::$name { $($field: next()),* },)*
                }
            }
        }

        impl fmt::Display for Event {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Event::$name { $($field),* } => {
                        f.write_str($word)?;
                        $(write!(f, " {}", $field)?;)*
                        Ok(())
                    })*
                }
            }
        }

        impl FromStr for Event {
            type Err = String;

            fn from_str(text: &str) -> Result<Event, String> {
                let mut words = text.split_whitespace();
                let name = words.next().ok_or("an event is missing between two semicolons")?;
                let event = match name {
                    $($word => {
                        $(let $field: u8 = {
                            let word = words.next().ok_or_else(|| format!("`{text}` lacks {}", stringify!($field)))?;
                            word.parse().map_err(|_| format!("`{word}` in `{text}` is not {}", stringify!($field)))?
                        };)*
                        Event::$name { $($field),* }
                    })*
                    _ => return Err(format!("`{name}` is not an event")),
                };
                match words.next() {
                    None => Ok(event),
                    Some(word) => Err(format!("`{word}` is too much in `{text}`")),
                }
            }
        }
    };
}

events! {
    /// A tick of virtual time passes, on each machine at its own rate.
    Tick "tick" () ordinary;
    /// The `count` oldest messages of a link arrive.
    Deliver "deliver" (from, to, count) ordinary;
    /// A disk does the `count` oldest queued writes, in one group commit.
    Write "write" (server, count) ordinary;
    /// An object applies the `count` oldest queued batches of entries.
    Apply "apply" (server, count) ordinary;
    /// A client makes its next call or read. From 192 on `client` also chooses the machine that gets it.
    Call "call" (client) ordinary;
    /// A client sets another deadline, this many ticks from now, for one of the last calls, counted backwards from 0.
    Deadline "deadline" (back, ticks) ordinary;
    /// A machine dials another one.
    Dial "dial" (from, to) ordinary;
    /// Nothing was written for a while, and the log records that.
    Idle "idle" (server) ordinary;
    /// An engine begins a turn of its event loop: its node gets the inputs of the turn together, and its effects wait for
    /// the turn's end. Disk and object continue meanwhile.
    Gather "gather" (server) ordinary;
    /// An engine ends its turn.
    Turn "turn" (server) ordinary;
    /// The background job for the next segment of the log begins, or ends.
    Prepare "prepare" (server) ordinary;
    /// A machine that is down starts. If `calls` is not zero, it loses power at that call to its disk.
    Start "start" (server, calls, keep) ordinary;
    /// A process is shut down, after its queued writes. If `keep` is not zero, the machine loses power right afterwards.
    Shutdown "shutdown" (server, keep) ordinary;
    /// A message arrives before older ones.
    Overtake "overtake" (from, to, nth) fault;
    /// A message is lost.
    Drop "drop" (from, to, nth) fault;
    /// A message arrives and stays in flight; a late copy of it is kept, too (see `echo`).
    Repeat "repeat" (from, to, nth) fault;
    /// The oldest late copy of a link arrives: of a repeated message, or of a process that has ended.
    Echo "echo" (from, to) fault;
    /// A connection breaks. If `lose` is odd, its messages in flight are lost.
    Break "break" (from, to, lose) fault;
    /// A link is cut, in one direction.
    CutOneWay "cut" (from, to) fault;
    /// A machine's links are cut: all to it (`way` 0), all from it (1), or both (2).
    Isolate "isolate" (server, way) fault;
    /// The machines are split into two sides, by the bits of `side`; links between them are cut.
    Split "split" (side) fault;
    /// As `split`, except that one machine keeps all its links.
    Bridge "bridge" (server, side) fault;
    /// The machines form a ring: only links between neighbours are whole.
    Ring "ring" (turn) fault;
    /// All cut links heal.
    Heal "heal" () fault;
    /// A machine loses power: at once, or, if `calls` is not zero, at that call to its disk during its queued writes. `keep`
    /// decides which unsynced data is on the disk. If it is 0 only the process dies, and all of it is.
    Crash "crash" (server, calls, keep) fault;
    /// A process is paused.
    Pause "pause" (server) fault;
    /// A paused process continues.
    Resume "resume" (server) fault;
    /// A machine's ticks come at this many percent of the right rate, from 20 to 250.
    Rate "rate" (server, percent) fault;
    /// A machine's clock jumps forward, by a time that grows with `seconds`; from 128 on it jumps back.
    Clock "clock" (server, seconds) fault;
    /// A disk hangs: it completes nothing.
    Hang "hang" (server) fault;
    /// A disk that hangs continues.
    Unhang "unhang" (server) fault;
    /// A disk fails at this call of its next write or start, by an I/O error (`how` 0), no space (1), or half a write (2).
    FailDisk "fail" (server, calls, how) fault;
    /// A disk has no space left.
    Fill "fill" (server) fault;
    /// A full disk has space again.
    Free "free" (server) fault;
    /// A disk is lost. The machine gets an empty one, and is down.
    Wipe "wipe" (server) fault;
    /// A machine's replica diverges: it applies an earlier call in the place of its next one, as faulty memory or a method
    /// that is not deterministic might.
    Diverge "diverge" (server) fault;
    /// A bit of a file flips on the disk of a machine that is down.
    Flip "flip" (server, file, high, low) fault;
}

/// Decodes events of five bytes each; incomplete ones at the end are ignored.
pub(crate) fn from_bytes(bytes: &[u8]) -> impl Iterator<Item = Event> + '_ {
    let (events, _) = bytes.as_chunks::<5>();
    events.iter().map(|[kind, fields @ ..]| {
        let kind = Kind::ALL[usize::from(*kind) % Kind::ALL.len()];
        Event::from_bytes(kind, *fields)
    })
}

/// A schedule as text: events separated by semicolons; `12*tick` is twelve ticks.
pub(crate) fn to_text(events: &[Event]) -> String {
    let mut text = String::new();
    for run in events.chunk_by(|a, b| a == b) {
        if !text.is_empty() {
            text.push_str("; ");
        }
        match run.len() {
            1 => text.push_str(&run[0].to_string()),
            n => text.push_str(&format!("{n}*{}", run[0])),
        }
    }
    text
}

/// Parses what [`to_text`] returns.
pub(crate) fn from_text(text: &str) -> Result<Vec<Event>, String> {
    let mut events = Vec::new();
    for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
        let (times, event) = match part.split_once('*') {
            None => (1, part),
            Some((times, event)) => {
                let times: u32 =
                    times.trim().parse().map_err(|_| format!("`{times}` is not a number of times"))?;
                if times > TIMES_MAX {
                    return Err(format!("{times} times is more than {TIMES_MAX}"));
                }
                (times, event)
            }
        };
        let event: Event = event.parse()?;
        events.extend((0..times).map(|_| event));
    }
    Ok(events)
}

/// How many times an event is repeated at most.
const TIMES_MAX: u32 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::random::Random;

    // Breaks: a failing schedule cannot be repeated from its text.
    #[test]
    fn schedules_are_parsed_as_they_are_printed() {
        let mut random = Random::new(1);
        let bytes: Vec<u8> = (0..5_000).map(|_| random.below(256) as u8).collect();
        let events: Vec<Event> = from_bytes(&bytes).collect();
        assert_eq!(events.len(), 1_000);
        let kinds: std::collections::BTreeSet<Kind> = events.iter().map(Event::kind).collect();
        assert_eq!(kinds.len(), Kind::ALL.len(), "bytes reach every kind");
        let again: Vec<u8> = events.iter().flat_map(|event| event.to_bytes()).collect();
        assert_eq!(from_bytes(&again).collect::<Vec<_>>(), events);
        assert_eq!(from_text(&to_text(&events)), Ok(events));
    }

    #[test]
    fn repeated_events_are_counted() {
        let events = from_text("3*tick; write 0 2;tick").unwrap();
        assert_eq!(events.len(), 5);
        assert_eq!(to_text(&events), "3*tick; write 0 2; tick");
        for (text, error) in [
            ("tock", "`tock` is not an event"),
            ("write 1", "`write 1` lacks count"),
            ("write 1 300", "`300` in `write 1 300` is not count"),
            ("tick 1", "`1` is too much in `tick 1`"),
            ("9999999*tick", "9999999 times is more than 1000000"),
        ] {
            assert_eq!(from_text(text), Err(error.to_owned()));
        }
    }
}
