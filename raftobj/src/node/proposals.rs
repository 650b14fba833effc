//! Calls on their way into the log: this process's own, and those that peers forward.

use super::{Formation, Node};
use crate::calls::CallsReady;
use crate::codec::command::{Command, Number};
use crate::codec::message::{CallsRefusal, Message};
use crate::marks::mark;
use crate::object::admission;
use crate::raft::ProposeError;
use crate::raft::types::NodeId;

/// Bytes of calls in one message to the leader, unless a single call has more.
const CALLS_MESSAGE_BYTES: usize = 1 << 20;

impl Node {
    /// Does what the calls of this process need.
    pub(super) fn serve(&mut self, ready: CallsReady) {
        let CallsReady { leader, commands, read, completions, read_completions } = ready;
        self.effects.completions.extend(completions);
        self.effects.reads.extend(read_completions);
        let Some(leader) = leader else { return };
        if leader.node == self.config.node {
            if let Err((number, why)) = self.propose(&commands) {
                self.calls.refused(leader.node, number, why);
            }
        } else {
            let mut batch = Vec::new();
            let mut bytes = 0;
            for command in commands {
                bytes += command.arguments.len();
                if bytes > CALLS_MESSAGE_BYTES && !batch.is_empty() {
                    self.effects.messages.push((leader.node, Message::Calls(std::mem::take(&mut batch))));
                    bytes = command.arguments.len();
                }
                batch.push(command);
            }
            if !batch.is_empty() {
                self.effects.messages.push((leader.node, Message::Calls(batch)));
            }
        }
        if let (Some(id), Formation::Formed { raft, .. }) = (read, &mut self.formation) {
            raft.read_index(id);
        }
    }

    /// Puts calls into the log; the first that is not taken is named, and those after it are not tried.
    fn propose(&mut self, commands: &[Command]) -> Result<(), (Number, CallsRefusal)> {
        let Formation::Formed { raft, .. } = &mut self.formation else { return Ok(()) };
        for command in commands {
            let why = match raft.propose(command.encode()) {
                Ok(_) => continue,
                Err(ProposeError::NotLeader) => CallsRefusal::NotLeader,
                Err(ProposeError::Busy { .. }) => CallsRefusal::Busy,
            };
            return Err((command.number, why));
        }
        Ok(())
    }

    /// A peer takes this node for the leader. What no replica could apply stays out of the log: it would stop them
    /// all. Calls behind such a one wait for it, as they would behind one that was lost.
    pub(super) fn propose_for(&mut self, from: NodeId, commands: Vec<Command>) {
        let Some(member) = self.membership().and_then(|membership| membership.members.get(&from)) else {
            return;
        };
        let knows = |id| self.config.methods.iter().any(|method| method.id == id);
        let judge = |command| admission::admit(command, from, member.incarnation, knows);
        let barred = commands.iter().enumerate().find_map(|(at, command)| Some((at, judge(command).err()?)));
        let admitted = barred.map_or(&commands[..], |(at, _)| &commands[..at]);
        let address = member.address.clone();
        let refused = match (self.propose(admitted), barred) {
            (Err(refused), _) => Some(refused),
            (Ok(()), Some((at, error))) => {
                mark!(CallBarred);
                if self.barred.insert(from) {
                    let warning = format!("a call that {address} has forwarded is not taken: {error}");
                    self.effects.warnings.push(warning);
                }
                Some((commands[at].number, CallsRefusal::NotAdmitted))
            }
            (Ok(()), None) => None,
        };
        if let Some((number, why)) = refused {
            self.effects.messages.push((from, Message::CallsRefused { from: number, why }));
        }
    }
}
