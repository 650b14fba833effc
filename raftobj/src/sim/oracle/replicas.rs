//! Copies of the object compared: those of nodes with the reference, to which each call is applied once.

use super::{Oracle, Replied};
use crate::codec::command::Command;
use crate::object::Object;
use crate::object::describe::call_text;
use crate::raft::types::{Entry, EntryKind, Index};
use crate::sim::violation::{Violation, hold};
use crate::sim::world::Program;
use crate::sim::world::server::Divergence;
use std::panic::{AssertUnwindSafe, catch_unwind};

impl<T: Object> Oracle<T> {
    /// What a copy that is to diverge is given in the place of these entries, and which of them is another.
    pub(crate) fn led_astray(
        &self,
        divergence: Option<Divergence>,
        entries: &[Entry],
    ) -> Option<(usize, Vec<Entry>)> {
        if divergence != Some(Divergence::Due) {
            return None;
        }
        let (at, payload) = entries.iter().enumerate().find_map(|(at, entry)| {
            let command =
                Command::decode(&entry.payload).ok().filter(|_| entry.kind == EntryKind::Command)?;
            let Command { method, arguments, .. } = self.call_before(entry.id.index, &command)?.clone();
            Some((at, Command { method, arguments, ..command }.encode()))
        })?;
        let mut wrong = entries.to_vec();
        wrong[at].payload = payload;
        Some((at, wrong))
    }

    /// A call that took effect before an entry, the last that is not the same.
    fn call_before(&self, index: Index, command: &Command) -> Option<&Command> {
        let before = &self.effects[..self.effects.len().min(index.0 as usize - 1)];
        let calls = before.iter().rev().filter_map(|effect| effect.call.as_ref());
        calls
            .map(|(call, _)| call)
            .find(|call| call.method != command.method || call.arguments != command.arguments)
    }

    /// Where a node is as far as the reference, they are the same.
    pub(crate) fn compare(&self, program: &Program<T>, node: usize, applied: Index, state: &T) {
        if let Some(equal) = program.equal
            && applied.0 as usize == self.effects.len()
            && !equal(state, &self.reference)
        {
            self.raise_difference(program, node, applied);
        }
    }

    /// A client was told `value` by a node that has applied as much as the reference: read there, it is the same.
    pub(crate) fn read_again(&self, node: usize, index: Index, read: &dyn Fn(&T) -> String, value: &str) {
        if index.0 as usize == self.effects.len() {
            let other = read(&self.reference);
            hold!(
                value == other,
                "replicas of an object are equal",
                "a read at n{node} after index {index} returned {value}, and of another copy {other}: a method that was \
                 called before, or what is read, is not a function of the object (a clock, a random number, the order of \
                 a hash map?); `Simulation::check_state` finds the first call that leaves copies different"
            );
        }
    }

    /// The last calls that took effect, as a person reads them.
    pub(crate) fn last_calls(&self, count: usize) -> Vec<String> {
        let calls =
            (1..).zip(&self.effects).filter_map(|(index, effect)| Some((index, effect.call.as_ref()?)));
        let calls: Vec<(u64, &(Command, Replied))> = calls.collect();
        let line = |(index, (command, replied)): &(u64, &(Command, Replied))| {
            let end = match replied {
                Replied::Value(_) => "",
                Replied::Panicked => " panicked",
                Replied::Unencodable => " returned what cannot be encoded",
            };
            format!("index {index}: {}{end}", call_text::<T>(command.method, &command.arguments))
        };
        calls[calls.len().saturating_sub(count)..].iter().map(line).collect()
    }

    /// A node and another copy differ, as is seen at `seen`. The cause may lie before it.
    pub(super) fn raise_difference(&self, program: &Program<T>, node: usize, seen: Index) -> ! {
        let (index, cause) = match self.first_difference(program, seen) {
            Some(Index(0)) => Violation::raise(
                "replicas of an object are equal",
                "two copies differ before the first call: the function that makes the object does not always make \
                 the same"
                    .to_owned(),
            ),
            Some(index) if program.equal.is_some() => {
                (index, "two fresh copies that apply the same entries differ there, too")
            }
            Some(index) => (
                index,
                "by its reply; the cause may be an earlier call: `Simulation::check_state` finds the first that leaves \
                 copies different",
            ),
            None => (seen, "it is the first that shows a difference, one before it may have made it"),
        };
        let what = match &self.effects[index.0 as usize - 1].call {
            None => "which had no effect".to_owned(),
            Some((command, _)) => format!("`{}`", call_text::<T>(command.method, &command.arguments)),
        };
        Violation::raise(
            "replicas of an object are equal",
            format!(
                "n{node} and another copy differ after index {index}, {what} ({cause}): the method is not a function \
                 of the object, its arguments and its context (a clock, a random number, the order of a hash map?)"
            ),
        )
    }

    /// Applies everything once more, to two fresh copies: after which index do they differ? After 0 where they are made so.
    fn first_difference(&self, program: &Program<T>, upto: Index) -> Option<Index> {
        let (mut one, mut other) = ((program.object)(), (program.object)());
        if program.equal.is_some_and(|equal| !equal(&one, &other)) {
            return Some(Index(0));
        }
        for index in (1..=upto.0).map(Index) {
            let Some((command, _)) = &self.effects.get(index.0 as usize - 1)?.call else { continue };
            let replied = |object: &mut T| {
                let mut reply = Vec::new();
                let context = self.context(index);
                let apply = || object.apply(command.method, &command.arguments, &context, &mut reply);
                let ended = catch_unwind(AssertUnwindSafe(apply)).map_err(|_| ());
                (ended, reply)
            };
            let same_reply = replied(&mut one) == replied(&mut other);
            if !same_reply || program.equal.is_some_and(|equal| !equal(&one, &other)) {
                return Some(index);
            }
        }
        None
    }
}
