//! Compares the replicas of nodes with the reference replica, to which each call is applied once.

use super::{MethodEnd, Oracle};
use crate::codec::command::Command;
use crate::object::Object;
use crate::object::describe::call_text;
use crate::raft::types::{Entry, EntryKind, Index};
use crate::sim::program::Program;
use crate::sim::violation::{Violation, ensure};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// How a replica was made to differ from the others. It differs until its process ends, because its log is intact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Divergence {
    /// The next call will be another one.
    Pending,
    /// A call was another one, and no reply has shown it yet.
    Hidden,
    /// Its digest differs from the others'.
    Visible,
}

impl<T: Object> Oracle<T> {
    /// The entries that a replica which is to diverge applies instead of these, and the position of the one that differs.
    pub(crate) fn diverging_entries(
        &self,
        divergence: Option<Divergence>,
        entries: &[Entry],
    ) -> Option<(usize, Vec<Entry>)> {
        if divergence != Some(Divergence::Pending) {
            return None;
        }
        let (at, payload) = entries.iter().enumerate().find_map(|(at, entry)| {
            let command =
                Command::decode(&entry.payload).ok().filter(|_| entry.kind == EntryKind::Command)?;
            let Command { method, arguments, .. } = self.call_before(entry.id.index, &command)?.clone();
            Some((at, Command { method, arguments, ..command }.encode()))
        })?;
        let mut diverging = entries.to_vec();
        diverging[at].payload = payload;
        Some((at, diverging))
    }

    /// The last call that took effect before this index and differs from `command`.
    fn call_before(&self, index: Index, command: &Command) -> Option<&Command> {
        let before = &self.effects[..self.effects.len().min(index.0 as usize - 1)];
        let calls = before.iter().rev().filter_map(|effect| effect.call.as_ref());
        calls
            .map(|(call, _)| call)
            .find(|call| call.method != command.method || call.arguments != command.arguments)
    }

    /// If a node has applied as much as the reference replica, their states are equal.
    pub(crate) fn check_state(&self, program: &Program<T>, node: usize, applied: Index, state: &T) {
        if let Some(equal) = program.equal
            && applied.0 as usize == self.effects.len()
            && !equal(state, &self.reference)
        {
            self.raise_difference(program, node, applied);
        }
    }

    /// If a node that returned `value` has applied as much as the reference replica, that returns the same.
    pub(crate) fn check_read(&self, node: usize, index: Index, read: &dyn Fn(&T) -> String, value: &str) {
        if index.0 as usize == self.effects.len() {
            let other = read(&self.reference);
            ensure!(
                value == other,
                "replicas of an object are equal",
                "a read at n{node} after index {index} returned {value}, and on another replica {other}: the read, or a \
                 method that was called before, is not deterministic (it uses a clock, a random number, the order of a \
                 hash map?); `Simulation::check_state` finds the first call after which replicas differ"
            );
        }
    }

    /// The last calls that took effect, as text.
    pub(crate) fn last_calls(&self, count: usize) -> Vec<String> {
        let calls =
            (1..).zip(&self.effects).filter_map(|(index, effect)| Some((index, effect.call.as_ref()?)));
        let calls: Vec<(u64, &(Command, MethodEnd))> = calls.collect();
        let line = |(index, (command, end)): &(u64, &(Command, MethodEnd))| {
            let end = match end {
                MethodEnd::Value(_) => "",
                MethodEnd::Panicked => " panicked",
                MethodEnd::Unencodable => " returned a value that cannot be encoded",
            };
            format!("index {index}: {}{end}", call_text::<T>(command.method, &command.arguments))
        };
        calls[calls.len().saturating_sub(count)..].iter().map(line).collect()
    }

    /// A node's replica and another one differ after index `visible`, perhaps because of an earlier call.
    pub(super) fn raise_difference(&self, program: &Program<T>, node: usize, visible: Index) -> ! {
        let (index, cause) = match self.first_difference(program, visible) {
            Some(Index(0)) => Violation::raise(
                "replicas of an object are equal",
                "two replicas differ before the first call: the function that makes the object is not deterministic"
                    .to_owned(),
            ),
            Some(index) if program.equal.is_some() => {
                (index, "two new replicas that apply the same entries differ there, too")
            }
            Some(index) => (
                index,
                "its replies differ, perhaps because of an earlier call: `Simulation::check_state` finds the first call \
                 after which replicas differ",
            ),
            None => (visible, "the first call that shows a difference, perhaps because of an earlier one"),
        };
        let call = match &self.effects[index.0 as usize - 1].call {
            None => "an entry without effect".to_owned(),
            Some((command, _)) => format!("`{}`", call_text::<T>(command.method, &command.arguments)),
        };
        Violation::raise(
            "replicas of an object are equal",
            format!(
                "n{node} and another replica differ after index {index}, {call} ({cause}): the method is not a \
                 function of the object, its arguments and its context (it uses a clock, a random number, the order of a \
                 hash map?)"
            ),
        )
    }

    /// Applies every call again, to two new replicas. Returns the first index after which they differ; 0 if they differ when
    /// they are made.
    fn first_difference(&self, program: &Program<T>, upto: Index) -> Option<Index> {
        let (mut one, mut other) = ((program.object)(), (program.object)());
        if program.equal.is_some_and(|equal| !equal(&one, &other)) {
            return Some(Index(0));
        }
        for index in (1..=upto.0).map(Index) {
            let Some((command, _)) = &self.effects.get(index.0 as usize - 1)?.call else { continue };
            let apply_to = |object: &mut T| {
                let mut reply = Vec::new();
                let context = self.context(index);
                let apply = || object.apply(command.method, &command.arguments, &context, &mut reply);
                let ended = catch_unwind(AssertUnwindSafe(apply)).map_err(|_| ());
                (ended, reply)
            };
            let same_reply = apply_to(&mut one) == apply_to(&mut other);
            if !same_reply || program.equal.is_some_and(|equal| !equal(&one, &other)) {
                return Some(index);
            }
        }
        None
    }
}
