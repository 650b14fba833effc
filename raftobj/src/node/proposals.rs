//! Calls on their way into the log: this node's own, and those that peers forward to it as the leader.

use super::{Formation, Node};
use crate::calls::CallsReady;
use crate::calls::appended::Proposal;
use crate::codec::command::{Command, Number};
use crate::codec::message::{CallsRefusal, Message};
use crate::marks::mark;
use crate::object::admission;
use crate::raft::ProposeError;
use crate::raft::types::NodeId;

/// Limit of the arguments in one message to the leader; a single larger call has a message of its own.
const CALLS_MESSAGE_BYTES_MAX: usize = 1 << 20;

impl Node {
    /// Carries out what [`Calls`](crate::calls::Calls) needs: proposes the commands if this node leads, or else sends them
    /// to the leader.
    pub(super) fn send_calls(&mut self, ready: CallsReady) {
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
                if bytes > CALLS_MESSAGE_BYTES_MAX && !batch.is_empty() {
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

    /// Proposes commands, in order, except those that are in the log from this term. At the first that cannot be appended
    /// it stops, and returns that one's number.
    fn propose(&mut self, commands: &[Command]) -> Result<(), (Number, CallsRefusal)> {
        let Formation::Formed { raft, .. } = &mut self.formation else { return Ok(()) };
        let Some(first) = commands.first() else { return Ok(()) };
        if !raft.is_leader() {
            return Err((first.number, CallsRefusal::NotLeader));
        }
        self.appended.enter(raft.term());
        for command in commands {
            let why = match self.appended.check(command) {
                Proposal::Known => continue,
                Proposal::Gap => CallsRefusal::Gap,
                Proposal::Append if self.disk_nearly_full => {
                    mark!(CallRefusedDiskFull);
                    CallsRefusal::DiskNearlyFull
                }
                Proposal::Append => match raft.propose(command.encode()) {
                    Ok(_) => {
                        self.appended.append(command);
                        continue;
                    }
                    Err(ProposeError::NotLeader) => CallsRefusal::NotLeader,
                    Err(ProposeError::Busy { .. }) => CallsRefusal::Busy,
                },
            };
            return Err((command.number, why));
        }
        Ok(())
    }

    /// A peer forwards calls, because it takes this node for the leader. A command that no replica could apply is not
    /// proposed: it would stop them all. The calls behind it wait for it, as they would if it were lost.
    ///
    /// No outcome is sent back: a call is decided when its own node applies the entry.
    pub(super) fn propose_forwarded(&mut self, from: NodeId, commands: Vec<Command>) {
        let Some(member) = self.membership().and_then(|membership| membership.members.get(&from)) else {
            return;
        };
        let knows = |id| self.config.methods.iter().any(|method| method.id == id);
        let check = |command| admission::admit(command, from, member.incarnation, knows);
        let rejected =
            commands.iter().enumerate().find_map(|(at, command)| Some((at, check(command).err()?)));
        let admitted = rejected.map_or(&commands[..], |(at, _)| &commands[..at]);
        let address = member.address.clone();
        let refused = match (self.propose(admitted), rejected) {
            (Err(refused), _) => Some(refused),
            (Ok(()), Some((at, error))) => {
                mark!(CallBarred);
                if self.warned_members.insert(from) {
                    let warning = format!("a call forwarded by {address} is refused: {error}");
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
