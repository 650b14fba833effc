//! What holds between any two events of one node. It is checked after each event, in debug builds and in the simulator.

use super::{Raft, ServerState};

impl Raft {
    /// Panics where the node contradicts itself.
    pub(super) fn check_invariants(&self) {
        if !cfg!(any(debug_assertions, test, feature = "sim")) {
            return;
        }
        let last = self.log.last_index();
        let durable = self.durability.durable_index();
        assert!(self.commit <= last, "commit {} beyond last {last}", self.commit);
        assert!(self.leader_match <= last, "leader match {} beyond last {last}", self.leader_match);
        assert!(durable <= last, "durable up to {durable}, beyond last {last}");
        assert!(self.applying <= self.commit, "applying {} beyond commit {}", self.applying, self.commit);
        assert!(self.applying <= durable, "applying {}, durable only {durable}", self.applying);
        assert!(self.applied <= self.applying, "applied {} beyond applying {}", self.applied, self.applying);
        assert!(
            self.log.last().term <= self.hard_state.term,
            "last entry {} of a later term than {}",
            self.log.last(),
            self.hard_state.term
        );
        match &self.state {
            ServerState::Leader(leader) => {
                assert!(self.hard_state.voted_for == Some(self.config.id), "leads a term it did not vote in");
                assert!(leader.noop <= last, "no-op {} beyond last {last}", leader.noop);
                for (peer, progress) in &leader.peers {
                    let (match_index, next_index) = (progress.match_index(), progress.next_index());
                    assert!(
                        match_index < next_index,
                        "{peer}: matchIndex {match_index}, nextIndex {next_index}"
                    );
                    assert!(next_index <= last.next(), "{peer}: nextIndex {next_index} beyond last {last}");
                }
            }
            ServerState::Candidate(_) => {
                assert!(self.hard_state.voted_for == Some(self.config.id), "candidate without its own vote");
            }
            ServerState::PreCandidate { pre_votes, votes } => {
                let own = self.hard_state.voted_for == Some(self.config.id);
                assert!(own || votes.granted().count() == 0, "votes in a term in which it voted for another");
                assert!(
                    pre_votes.granted().any(|id| id == self.config.id),
                    "pre-candidate without its own vote"
                );
            }
            ServerState::Follower { leader } => {
                assert!(*leader != Some(self.config.id), "follows itself");
            }
        }
    }
}
