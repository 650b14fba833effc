//! What a node sends to all peers from time to time, and what follows when digests differ.

use super::divergence::DisputeResult;
use super::{Formation, Node};
use crate::codec::message::{Announcement, Message};
use crate::marks::mark;
use crate::planted::planted;
use crate::raft::types::{Index, NodeId};

impl Node {
    /// Sends announcements or digests again: earlier ones may be lost.
    pub(super) fn gossip(&mut self) {
        match &self.formation {
            Formation::Founding(founding) => {
                let announcement: Announcement = founding.announcement();
                mark!(AnnouncementRepeated if matches!(announcement, Announcement::Proposed(_)));
                self.send_to_all(&Message::Founding(announcement));
            }
            Formation::Formed { raft, .. } => {
                let is_connected = |peer| self.connections.get(&peer).is_some_and(|count| *count > 0);
                let result = self.divergence.gossip_round(raft.membership(), self.config.node, is_connected);
                self.act_on_dispute(result);
                self.send_question(self.divergence.question());
                if let Some(latest) = self.divergence.latest() {
                    self.send_to_all(&Message::Digest { index: latest.index, digest: latest.digest });
                }
            }
        }
    }

    /// Asks all members for digests, where there is a question.
    pub(super) fn send_question(&mut self, question: Option<Message>) {
        if let Some(question) = question {
            self.send_to_all(&question);
        }
    }

    /// A peer replies with its digests.
    pub(super) fn receive_digests(&mut self, from: NodeId, first: Index, digests: &[u64]) {
        let Formation::Formed { raft, .. } = &self.formation else { return };
        let result =
            self.divergence.receive_digests(from, first, digests, raft.membership(), self.config.node);
        self.act_on_dispute(result);
    }

    /// A node whose state differs from the majority's stops. Where no majority agrees on a state, all nodes stop but the
    /// leader, which cannot commit any more.
    fn act_on_dispute(&mut self, result: Option<DisputeResult>) {
        let Some(result) = result else { return };
        if planted!(DivergenceGoesOn) {
            return;
        }
        let is_leader = self.leader().is_some_and(|leader| leader.node == self.config.node);
        let method = result.method.map_or("no method", |method| self.config.method_name(method));
        let index = result.index;
        let what = if result.exact {
            format!("replicas differ from index {index} on, after `{method}`")
        } else {
            format!("replicas differ at index {index}, and at earlier ones whose digests are not kept")
        };
        let cause = "The method is not deterministic, or runs in different versions: correct it on all nodes, then \
                     start them again";
        mark!(DivergenceOutvoted if result.outvoted);
        mark!(DivergenceUndecided if !result.outvoted && !result.confirmed);
        if result.outvoted {
            self.stop(&format!("{what}: this node is alone with its state. {cause}"));
        } else if result.confirmed {
            self.effects.warnings.push(format!("{what}: this node agrees with the majority"));
        } else if is_leader {
            let rest =
                "no majority agrees on any state; the others stop, and without them nothing is acknowledged";
            self.effects.warnings.push(format!("{what}: {rest}. {cause}"));
        } else {
            self.stop(&format!("{what}: no majority agrees on any state. {cause}"));
        }
    }
}
