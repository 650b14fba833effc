//! The checks of calls: each takes effect once, in order, and its caller gets the reply of the reference replica.

use super::{Effect, MethodEnd, Oracle};
use crate::codec::command::Command;
use crate::codec::method::MethodId;
use crate::object::context::ApplyContext;
use crate::object::describe::call_text;
use crate::object::digest::Checkpoint;
use crate::object::reply::Reply;
use crate::object::{MethodError, Object};
use crate::raft::types::{Entry, EntryId, EntryKind, Index};
use crate::sim::operation::{End, Operation, Request};
use crate::sim::program::Program;
use crate::sim::violation::{Violation, ensure};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

impl<T: Object> Oracle<T> {
    /// The number of calls that took effect.
    pub(crate) fn calls(&self) -> usize {
        self.effects.iter().filter(|effect| effect.call.is_some()).count()
    }

    /// A node has applied entries. Returns whether a digest shows that its replica, which has `diverged`, differs.
    pub(crate) fn check_applied(
        &mut self,
        program: &Program<T>,
        node: usize,
        entries: &[Entry],
        checkpoints: &[Checkpoint],
        diverged: bool,
    ) -> bool {
        let mut differs = false;
        ensure!(
            entries.len() == checkpoints.len(),
            "every entry is applied",
            "n{node} applied {} of {} entries",
            checkpoints.len(),
            entries.len()
        );
        for (entry, checkpoint) in entries.iter().zip(checkpoints) {
            let at = entry.id.index.0 as usize - 1;
            if at == self.effects.len() {
                let effect = self.apply(entry, checkpoint.method.is_some());
                self.effects.push(effect);
            }
            let effect = &self.effects[at];
            if effect.digest != checkpoint.digest {
                if !diverged {
                    self.raise_difference(program, node, entry.id.index);
                }
                differs = true;
            }
        }
        differs
    }

    /// Applies an entry to the reference replica.
    fn apply(&mut self, entry: &Entry, takes_effect: bool) -> Effect {
        let index = entry.id.index;
        self.check_entry(entry);
        if !takes_effect {
            self.checkpoint = self.checkpoint.without_effect(index);
            return Effect { digest: self.checkpoint.digest, call: None };
        }
        let command = match (entry.kind, Command::decode(&entry.payload)) {
            (EntryKind::Command, Ok(command)) => command,
            _ => Violation::raise("only calls take effect", format!("{} is not a call, and did", entry.id)),
        };
        self.check_session(entry.id, &command);
        let context = ApplyContext::new(index, entry.id.term, entry.time);
        let mut buffer = Vec::new();
        let reference = &mut self.reference;
        let apply = || reference.apply(command.method, &command.arguments, &context, &mut buffer);
        let (reply, end) = match catch_unwind(AssertUnwindSafe(apply)) {
            Ok(Ok(())) => (Reply::Value(Bytes::copy_from_slice(&buffer)), MethodEnd::Value(buffer.clone())),
            Ok(Err(MethodError::Reply { .. })) => (Reply::Unencodable("".into()), MethodEnd::Unencodable),
            Ok(Err(error)) => {
                Violation::raise("every method in the log is known", format!("{}: {error}", entry.id))
            }
            Err(_) => (Reply::Panicked("".into()), MethodEnd::Panicked),
        };
        self.checkpoint = self.checkpoint.with_effect(index, command.method, &reply, &buffer);
        Effect { digest: self.checkpoint.digest, call: Some((command, end)) }
    }

    /// Without a leader change a call has at most one entry. Those of an earlier boot, which have no effect, may have more.
    fn check_entry(&mut self, entry: &Entry) {
        let (EntryKind::Command, Ok(command)) = (entry.kind, Command::decode(&entry.payload)) else { return };
        let (session, number) = (command.session, command.number);
        if self.boots.get(&session.node).is_some_and(|boot| session.boot < *boot) {
            return;
        }
        let before = self.entries.insert((session, number), entry.id.term);
        ensure!(
            before != Some(entry.id.term),
            "without a leader change a call has at most one entry",
            "{} is call {} of n{}, which has an entry of this term already",
            entry.id,
            number.0,
            session.node.short()
        );
    }

    /// A call takes effect once, in the order of its session, and not after a later boot of its node.
    fn check_session(&mut self, id: EntryId, command: &Command) {
        let session = command.session;
        let boot = self.boots.entry(session.node).or_insert(session.boot);
        ensure!(
            session.boot >= *boot,
            "no call of an earlier boot takes effect after one of a later boot",
            "{id} is of boot {}, after boot {boot}",
            session.boot
        );
        *boot = session.boot;
        let last = self.last_numbers.entry(session).or_default();
        ensure!(
            command.number > *last,
            "a call takes effect once, in its session's order",
            "{id} is call {} of n{}, after call {}",
            command.number.0,
            session.node.short(),
            last.0
        );
        *last = command.number;
    }

    /// A call has ended, perhaps with a reply. `acknowledged_before` is the last index acknowledged when it was made.
    pub(crate) fn check_reply(
        &self,
        client: usize,
        request: &Request<T>,
        end: &End,
        acknowledged_before: Index,
    ) {
        let (Request::Call { method, arguments, .. }, Some(index)) = (request, end.index()) else { return };
        ensure!(
            index > acknowledged_before,
            "a call takes effect after all that was acknowledged before it was made (linearizability)",
            "client {client}'s call is at {index}; {acknowledged_before} had been acknowledged when it was made"
        );
        let at = (index.0 as usize).checked_sub(1);
        let effect = at.and_then(|at| self.effects.get(at)).and_then(|effect| effect.call.as_ref());
        let Some((command, method_end)) = effect else {
            Violation::raise(
                "an acknowledged call is in the log",
                format!("client {client} got an acknowledgement at {index}, where no call took effect"),
            )
        };
        ensure!(
            command.method == *method && command.arguments == *arguments,
            "an acknowledged call is in the log",
            "client {client} got an acknowledgement at {index}, where another call is"
        );
        if let End::Returned { reply, .. } = end {
            ensure!(
                *method_end == MethodEnd::Value(reply.to_vec()),
                "a caller gets its call's reply",
                "client {client} got {reply:?} at {index}, where the call ended with {method_end:?}"
            );
        }
    }

    /// At the end of a run, when no more calls take effect: compares the calls that took effect with those that clients
    /// know of. Calls with equal arguments cannot be distinguished, and are counted together.
    pub(crate) fn check_calls(&self, operations: &[Operation<T>]) {
        let mut counts: BTreeMap<(u32, &[u8]), [usize; 3]> = BTreeMap::new();
        for operation in operations {
            let Request::Call { method, arguments, .. } = &operation.request else { continue };
            let [acknowledged, unknown, _] = counts.entry((method.0, arguments)).or_default();
            match &operation.ended {
                Some((_, End::Returned { .. } | End::Applied { .. })) => *acknowledged += 1,
                Some((_, End::Unknown)) => *unknown += 1,
                _ => {}
            }
        }
        for (command, _) in self.effects.iter().filter_map(|effect| effect.call.as_ref()) {
            let [.., effects] = counts.entry((command.method.0, &command.arguments)).or_default();
            *effects += 1;
        }
        for ((method, arguments), [acknowledged, unknown, effects]) in counts {
            ensure!(
                (acknowledged..=acknowledged + unknown).contains(&effects),
                "every acknowledged call takes effect once, and no refused call does",
                "`{}` took effect {effects} times; {acknowledged} were acknowledged, {unknown} ended unknown",
                call_text::<T>(MethodId(method), arguments)
            );
        }
    }
}
