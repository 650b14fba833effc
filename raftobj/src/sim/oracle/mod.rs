//! What is true of the whole cluster, told by somebody who sees all of it: the checks after every step.
//!
//! Comparing whole logs at each step would cost more than the run. Instead every entry that anybody appends is chained
//! by a hash to the one before it: equal id and hash mean equal logs up to there, so each property is one comparison
//! where something changed.
//!
//! | property | where it is held |
//! |---|---|
//! | one leader a term, by votes that are durable (§5.2) | [`Oracle::leads`] |
//! | a leader counts what a peer told it in its term, and never less (figure 2) | [`Oracle::counts`] |
//! | log matching (§5.3) | [`Oracle::appended`] |
//! | leader completeness (§5.4) | [`Oracle::leads`] |
//! | committed entries never change, and are durable at a majority | [`Oracle::committed`] |
//! | state machine safety (§5.4.3) | [`Oracle::handed_out`], [`Oracle::applied`] |
//! | nothing is told that is not durable | [`Oracle::told`] |
//! | a call takes effect at most once, in its session's order | [`Oracle::applied`] |
//! | what took effect is what callers were told | [`Oracle::check_calls`] |
//! | replies are those of the object, one call after the other | [`Oracle::applied`], [`Oracle::returned`] |
//! | copies are equal, and read the same | [`replicas`] |

mod replicas;

use super::client::{End, Operation, What};
use super::violation::{Violation, hold};
use super::world::Program;
use super::world::server::{Durable, Link};
use crate::codec::command::{Command, Number, SessionId};
use crate::codec::message::{Announcement, Message};
use crate::codec::method::MethodId;
use crate::object::context::ApplyContext;
use crate::object::describe::call_text;
use crate::object::digest::Checkpoint;
use crate::object::reply::Reply;
use crate::object::{MethodError, Object};
use crate::raft::membership::Membership;
use crate::raft::message::Message as RaftMessage;
use crate::raft::types::{Boot, Entry, EntryId, EntryKind, HardState, Index, NodeId, Term};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

const TOLD: &str = "nothing is told before it is durable";

/// Everything that was ever decided in a run.
pub(crate) struct Oracle<T: Object> {
    /// Every entry that was ever in a log.
    chain: BTreeMap<EntryId, u64>,
    pub(crate) leaders: BTreeMap<Term, NodeId>,
    votes: BTreeMap<(Term, NodeId), NodeId>,
    /// Of each follower in a term: what it told its leader to have, and what its leader counts.
    followers: BTreeMap<(Term, NodeId), Follower>,
    committed: Vec<Link>,
    /// The term in which each of them was seen to be committed first; entries of earlier terms are by later leaders.
    committed_in: Vec<Term>,
    /// Of each committed entry that somebody has applied: what it did.
    effects: Vec<Effect>,
    membership: Option<Membership>,
    /// The last number of each session that took effect, and the latest life of each node.
    last_numbers: BTreeMap<SessionId, Number>,
    boots: BTreeMap<NodeId, Boot>,
    /// One copy more, to which each call that takes effect is applied once, by nothing but the user's code.
    reference: T,
    checkpoint: Checkpoint,
}

/// How far a follower's log agrees with its leader's.
#[derive(Clone, Copy, Debug, Default)]
struct Follower {
    told: Index,
    counted: Index,
}

/// What an entry did.
struct Effect {
    digest: u64,
    /// The call that took effect, and its reply.
    call: Option<(Command, Replied)>,
}

/// How the reference's method ended.
#[derive(Debug, PartialEq, Eq)]
enum Replied {
    Value(Vec<u8>),
    Panicked,
    Unencodable,
}

impl<T: Object> Oracle<T> {
    pub(crate) fn new(reference: T) -> Oracle<T> {
        Oracle {
            chain: BTreeMap::new(),
            leaders: BTreeMap::new(),
            votes: BTreeMap::new(),
            followers: BTreeMap::new(),
            committed: Vec::new(),
            committed_in: Vec::new(),
            effects: Vec::new(),
            membership: None,
            last_numbers: BTreeMap::new(),
            boots: BTreeMap::new(),
            reference,
            checkpoint: Checkpoint::default(),
        }
    }

    /// The last index that any node knows to be committed.
    pub(crate) fn commit(&self) -> Index {
        Index(self.committed.len() as u64)
    }

    /// What the method that took effect there could know beside its arguments.
    pub(crate) fn context(&self, index: Index) -> ApplyContext {
        let link = (index.0 as usize).checked_sub(1).and_then(|at| self.committed.get(at));
        link.map_or(ApplyContext::for_test(0, 0, 0), |link| ApplyContext::new(index, link.id.term, link.time))
    }

    /// How many calls took effect.
    pub(crate) fn calls(&self) -> usize {
        self.effects.iter().filter(|effect| effect.call.is_some()).count()
    }

    /// A node has taken these entries into its log; `log` ends with the last of them.
    pub(crate) fn appended(&mut self, node: usize, log: &[Link], from: Index) {
        let first = from.0 as usize - 1;
        for at in first..log.len() {
            let link = log[at];
            if let Some(before) = at.checked_sub(1).map(|at| log[at]) {
                hold!(
                    before.id.term <= link.id.term && before.time <= link.time,
                    "terms and times in a log never go back",
                    "n{node} has {} of {} after {} of {}",
                    link.id,
                    link.time,
                    before.id,
                    before.time
                );
            }
            let known = *self.chain.entry(link.id).or_insert(link.hash);
            hold!(
                known == link.hash,
                "logs that agree on an entry agree on all before it (log matching, §5.3)",
                "n{node} holds another {}, or another log before it, than somebody else",
                link.id
            );
        }
    }

    /// A node leads. `durable` are the disks of all machines, `lost` how many disks are gone.
    pub(crate) fn leads<'a>(
        &mut self,
        node: usize,
        id: NodeId,
        term: Term,
        log: &[Link],
        disks: impl Iterator<Item = &'a Durable> + Clone,
    ) {
        match self.leaders.get(&term) {
            Some(leader) if *leader == id => {}
            Some(leader) => hold!(
                false,
                "a term has one leader (election safety, §5.2)",
                "n{node} leads term {term}, which {} has led",
                leader.short()
            ),
            None => {
                self.leaders.insert(term, id);
                // Whoever went on to a later term can give its vote to nobody else.
                let vote = HardState { term, voted_for: Some(id) };
                let voted = |disk: &&Durable| disk.hard_state == vote || disk.hard_state.term > term;
                let (votes, all) = (disks.clone().filter(voted).count(), disks.count());
                hold!(
                    votes > all / 2,
                    "a leader has the durable votes of a majority (§5.2)",
                    "n{node} leads term {term} with its votes on {votes} of {all} disks"
                );
                // What was committed in later terms this leader, elected late, need not have.
                let before = self.committed_in.partition_point(|committed_in| *committed_in < term);
                if let Some(last) = before.checked_sub(1).map(|at| self.committed[at]) {
                    let held = log.get(last.id.index.0 as usize - 1);
                    hold!(
                        held == Some(&last),
                        "a leader has all that was committed before (leader completeness, §5.4)",
                        "n{node} leads term {term} without {}, which is committed; it has {}",
                        last.id,
                        held.map_or("nothing there".to_owned(), |held| held.id.to_string())
                    );
                }
            }
        }
    }

    /// A leader counts a peer's log as its own up to `matched`.
    pub(crate) fn counts(&mut self, node: usize, term: Term, peer: NodeId, matched: Index) {
        let Follower { told, counted } = self.followers.entry((term, peer)).or_default();
        hold!(
            matched <= *told,
            "a leader counts what a peer has told it in its term",
            "n{node} counts on {matched} at {} in term {term}, where it said {told}",
            peer.short()
        );
        hold!(
            matched >= *counted,
            "what a leader has counted never goes back in its term",
            "n{node} counts on {matched} at {} in term {term}, after {counted}",
            peer.short()
        );
        *counted = matched;
    }

    /// A node in this term knows entries up to `commit` to be committed. `disks` are those of all machines: of a machine whose disk was
    /// lost the one that it had, because what was on that counted.
    pub(crate) fn committed<'a>(
        &mut self,
        node: usize,
        term: Term,
        commit: Index,
        log: &[Link],
        disks: impl Iterator<Item = &'a Durable> + Clone,
    ) {
        let known = self.committed.len().min(commit.0 as usize);
        if let Some(last) = known.checked_sub(1) {
            hold!(
                log.get(last) == Some(&self.committed[last]),
                "committed entries never change",
                "n{node} takes another log for committed than others: it differs at {} or before",
                self.committed[last].id
            );
        }
        for at in known..commit.0 as usize {
            let Some(link) = log.get(at) else {
                Violation::raise(
                    "a commit index is within the log",
                    format!("n{node} commits up to {commit} with a log of {} entries", log.len()),
                )
            };
            self.committed.push(*link);
            let latest = self.committed_in.last().copied().unwrap_or_default();
            self.committed_in.push(latest.max(term));
        }
        if let Some(last) = self.committed.get(known..).and_then(<[Link]>::last) {
            let holders =
                disks.clone().filter(|disk| disk.log.get(last.id.index.0 as usize - 1) == Some(last));
            let (holders, all) = (holders.count(), disks.count());
            hold!(
                holders > all / 2,
                "what is committed is durable at a majority",
                "n{node} takes {} for committed, which is on {holders} of {all} disks",
                last.id
            );
        }
    }

    /// A node is told to apply these.
    pub(crate) fn handed_out(&self, node: usize, entries: &[Entry], log: &[Link], durable: &Durable) {
        for entry in entries {
            let at = entry.id.index.0 as usize - 1;
            let link = log.get(at).copied();
            let before = at.checked_sub(1).and_then(|at| log.get(at));
            hold!(
                link == Some(Link::after(before, entry)) && link.as_ref() == self.committed.get(at),
                "only committed entries are applied",
                "n{node} applies {}, which is not what is committed there",
                entry.id
            );
            hold!(
                link.as_ref() == durable.log.get(at),
                "an entry is on a node's own disk before it is applied there",
                "n{node} applies {}, its disk has {} entries",
                entry.id,
                durable.log.len()
            );
        }
    }

    /// A node has applied these entries, with these results. Returns whether the digest shows a copy that went `astray`.
    pub(crate) fn applied(
        &mut self,
        program: &Program<T>,
        node: usize,
        entries: &[Entry],
        checkpoints: &[Checkpoint],
        astray: bool,
    ) -> bool {
        let mut seen = false;
        hold!(
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
                if !astray {
                    self.raise_difference(program, node, entry.id.index);
                }
                seen = true;
            }
        }
        seen
    }

    /// Applies an entry to the reference.
    fn apply(&mut self, entry: &Entry, takes_effect: bool) -> Effect {
        let index = entry.id.index;
        if !takes_effect {
            self.checkpoint = self.checkpoint.without_effect(index);
            return Effect { digest: self.checkpoint.digest, call: None };
        }
        let command = match (entry.kind, Command::decode(&entry.payload)) {
            (EntryKind::Command, Ok(command)) => command,
            _ => Violation::raise("only calls take effect", format!("{} is none, and did", entry.id)),
        };
        self.check_session(entry.id, &command);
        let context = ApplyContext::new(index, entry.id.term, entry.time);
        let mut buffer = Vec::new();
        let reference = &mut self.reference;
        let apply = || reference.apply(command.method, &command.arguments, &context, &mut buffer);
        let (reply, replied) = match catch_unwind(AssertUnwindSafe(apply)) {
            Ok(Ok(())) => (Reply::Value(Bytes::copy_from_slice(&buffer)), Replied::Value(buffer.clone())),
            Ok(Err(MethodError::Reply { .. })) => (Reply::Unencodable("".into()), Replied::Unencodable),
            Ok(Err(error)) => {
                Violation::raise("every method in the log is known", format!("{}: {error}", entry.id))
            }
            Err(_) => (Reply::Panicked("".into()), Replied::Panicked),
        };
        self.checkpoint = self.checkpoint.with_effect(index, command.method, &reply, &buffer);
        Effect { digest: self.checkpoint.digest, call: Some((command, replied)) }
    }

    /// A call takes effect once, after those that its session made before it, and not after its session's end.
    fn check_session(&mut self, id: EntryId, command: &Command) {
        let session = command.session;
        let boot = self.boots.entry(session.node).or_insert(session.boot);
        hold!(
            session.boot >= *boot,
            "no call of an earlier life of a node takes effect after one of a later life",
            "{id} is of boot {}, after boot {boot}",
            session.boot
        );
        *boot = session.boot;
        let last = self.last_numbers.entry(session).or_default();
        hold!(
            command.number > *last,
            "a call takes effect once, in its session's order",
            "{id} is call {} of n{}, after call {}",
            command.number.0,
            session.node.short(),
            last.0
        );
        *last = command.number;
    }

    /// A node says this to another. What it says must be on its disk; `log` may be ahead of that.
    pub(crate) fn told(
        &mut self,
        node: usize,
        id: NodeId,
        to: NodeId,
        message: &Message,
        log: &[Link],
        durable: &Durable,
    ) {
        if let Message::Founding(announcement) = message {
            let written = match announcement {
                Announcement::Waiting => true,
                Announcement::Proposed(_) => durable.proposed,
                Announcement::Formed(_) => durable.formed,
            };
            hold!(written, TOLD, "n{node} announces {announcement:?}; on its disk is {durable:?}");
        }
        let Message::Raft(term, message) = message else { return };
        let hard_state = durable.hard_state;
        let told = match message {
            // Questions: nothing is promised by them.
            RaftMessage::PreVote { .. } | RaftMessage::ReadIndex { .. } => return,
            // In a later term that is durable the vote can no longer be given to another.
            RaftMessage::Vote { .. } => {
                hard_state.term > *term || (hard_state.term == *term && hard_state.voted_for == Some(id))
            }
            RaftMessage::VoteReply { granted: true } => {
                let first = *self.votes.entry((*term, id)).or_insert(to);
                hold!(
                    first == to,
                    "a node votes once a term (§5.2)",
                    "n{node} votes in term {term} for {} and for {}",
                    first.short(),
                    to.short()
                );
                hard_state.term > *term || (hard_state.term == *term && hard_state.voted_for == Some(to))
            }
            // An older tail that is as long is not what is acknowledged. In a later term the log may have been cut since.
            RaftMessage::Appended { match_index } => {
                let follower = self.followers.entry((*term, id)).or_default();
                follower.told = follower.told.max(*match_index);
                let last = (match_index.0 as usize).checked_sub(1);
                let same = last.is_none_or(|last| durable.log.get(last) == log.get(last));
                let holds = durable.log.len() as u64 >= match_index.0;
                hard_state.term > *term || (hard_state.term == *term && holds && same)
            }
            _ => hard_state.term >= *term,
        };
        hold!(
            told,
            TOLD,
            "n{node} says {message:?} in term {term}; on its disk are {hard_state:?} and {} entries",
            durable.log.len()
        );
    }

    /// A node takes part in a cluster of these members.
    pub(crate) fn member_of(&mut self, node: usize, membership: &Membership) {
        match &self.membership {
            None => self.membership = Some(membership.clone()),
            Some(known) => hold!(
                known == membership,
                "there is one cluster",
                "n{node} has the members {membership:?}, another has {known:?}"
            ),
        }
    }

    /// At the end, when nothing takes effect any more: what took effect is what callers were told of, and no call of which
    /// one was told that it did not. Calls with equal arguments cannot be told apart, and are counted together.
    pub(crate) fn check_calls(&self, operations: &[Operation<T>]) {
        let mut counts: BTreeMap<(u32, &[u8]), [usize; 3]> = BTreeMap::new();
        for operation in operations {
            let What::Call { method, arguments, .. } = &operation.what else { continue };
            let [told, perhaps, _] = counts.entry((method.0, arguments)).or_default();
            match &operation.ended {
                Some((_, End::Returned { .. } | End::Applied { .. })) => *told += 1,
                Some((_, End::Unknown)) => *perhaps += 1,
                _ => {}
            }
        }
        for (command, _) in self.effects.iter().filter_map(|effect| effect.call.as_ref()) {
            let [.., effects] = counts.entry((command.method.0, &command.arguments)).or_default();
            *effects += 1;
        }
        for ((method, arguments), [told, perhaps, effects]) in counts {
            hold!(
                (told..=told + perhaps).contains(&effects),
                "a call takes effect once, or never where its caller was told so",
                "`{}` took effect {effects} times; {told} callers were told that theirs did, and {perhaps} know nothing",
                call_text::<T>(MethodId(method), arguments)
            );
        }
    }

    /// A caller was told that its call took effect.
    pub(crate) fn returned(&self, client: usize, what: &What<T>, end: &End, floor: Index) {
        let (What::Call { method, arguments, .. }, Some(index)) = (what, end.index()) else { return };
        hold!(
            index > floor,
            "a call takes effect after all that ended before it was made (linearizability)",
            "client {client}'s call is at {index}, {floor} was known when it was made"
        );
        let at = (index.0 as usize).checked_sub(1);
        let effect = at.and_then(|at| self.effects.get(at)).and_then(|effect| effect.call.as_ref());
        let Some((command, replied)) = effect else {
            Violation::raise(
                "an acknowledged call is in the log",
                format!("client {client} was told of index {index}, where no call took effect"),
            )
        };
        hold!(
            command.method == *method && command.arguments == *arguments,
            "an acknowledged call is in the log",
            "client {client} was told of index {index}, where another call is"
        );
        if let End::Returned { reply, .. } = end {
            hold!(
                *replied == Replied::Value(reply.to_vec()),
                "a caller gets its call's reply",
                "client {client} got {reply:?} for index {index}, which replied {replied:?}"
            );
        }
    }
}
