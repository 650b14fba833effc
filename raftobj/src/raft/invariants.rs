//! What must hold between any two events of one node; checked after each in debug builds and in simulation.

use super::{Raft, Role};

impl Raft {
    /// Panics where the node contradicts itself.
    pub(super) fn check_invariants(&self) {
        if !cfg!(any(debug_assertions, test, feature = "sim")) {
            return;
        }
        let last = self.log.last_index();
        let stable = self.disk.stable();
        assert!(self.commit <= last, "commit {} beyond last {last}", self.commit);
        assert!(self.confirmed <= last, "confirmed {} beyond last {last}", self.confirmed);
        assert!(stable <= last, "durable up to {stable}, beyond last {last}");
        assert!(self.handed <= self.commit, "handed out {} beyond commit {}", self.handed, self.commit);
        assert!(self.handed <= stable, "handed out {}, durable only {stable}", self.handed);
        assert!(self.applied <= self.handed, "applied {} beyond handed out {}", self.applied, self.handed);
        assert!(
            self.log.last().term <= self.hard_state.term,
            "last entry {} of a later term than {}",
            self.log.last(),
            self.hard_state.term
        );
        match &self.role {
            Role::Leader(leader) => {
                assert!(self.hard_state.voted_for == Some(self.config.id), "leads a term it did not vote in");
                assert!(leader.noop <= last, "no-op {} beyond last {last}", leader.noop);
                for (peer, progress) in &leader.peers {
                    let (matched, next) = (progress.matched(), progress.next());
                    assert!(matched < next, "{peer}: matched {matched}, next {next}");
                    assert!(next <= last.next(), "{peer}: next {next} beyond last {last}");
                }
            }
            Role::Candidate(_) => {
                assert!(self.hard_state.voted_for == Some(self.config.id), "candidate without its own vote");
            }
            Role::PreCandidate(votes) => {
                assert!(votes.granted().any(|id| id == self.config.id), "pre-candidate without its own vote");
            }
            Role::Follower { leader } => {
                assert!(*leader != Some(self.config.id), "follows itself");
            }
        }
    }
}
