//! The minimal counterexample: which operations show that a history is not linearizable, and no more.
//!
//! # What may be left out
//! An operation cannot simply be removed: without its write a rightful read looks wrong, and what remained would show
//! something that did not happen. So an operation is *let go*, not removed: it becomes optional, with any reply, at any time
//! after its invocation, or never. That only loosens: an order that explains the history explains the looser one as well.
//! So if the looser one has no order, neither has the history, and the violation is a true one. The parts of a
//! counterexample:
//!
//! - **Needed** operations are those that are still required in the end. They are a contradiction wherever the ones let go,
//!   and those of unknown outcome, took effect. The set is a local minimum: let any one of them go, and an order exists.
//! - **Helpers** are optional operations that the reader must see to believe the minimum: without a `write 2` of unknown
//!   outcome, a `read -> 2` would look like the violation itself. They are again as few as possible: with these alone,
//!   letting any required operation go gives an order.
//! - The rest is not shown. Leaving optional operations out only forbids orders, so what is shown is a contradiction too.
//!
//! # How it is found
//! First the shortest violating prefix: operations that return after its end count as of unknown outcome, those that are
//! invoked after it do not count (linearizability is closed under prefixes, so its length is found by halving). Then
//! operations are let go, in large groups, then in smaller ones, the oldest first, and reads
//! before others: a write that stays needs no helper, and two writes with one stale read are what one hopes to see. Letting
//! go is monotone: what could not be let go early cannot be later, so one pass over single operations gives the minimum.

use super::model::Model;
use super::record::{History, OperationId, Outcome, Timestamp};
use super::search::{Budget, Deepest, Found, Item, search};
use super::timeline;
use std::collections::BTreeSet;
use std::fmt;

/// Operations of one key that no order explains. `Display` draws them.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Counterexample {
    /// The key, in `Debug`'s spelling.
    pub key: String,
    /// The operations that contradict each other, by invocation. All returned. If any of them were let go (any reply, at
    /// any time after its invocation, or never), there would be an order.
    pub required: Vec<OperationId>,
    /// Operations that may have taken effect or not, and without which a required one would look impossible by itself.
    pub optional: Vec<OperationId>,
    /// The longest order that could be found for these, and after which nothing fits.
    pub longest_order: Vec<OperationId>,
    /// How many calls of this key there were, those that failed left out.
    pub calls_total: usize,
    /// Whether the minimum was reached; otherwise the bound was, and there may be operations here that are not required.
    pub is_minimal: bool,
    /// One row a client, then the order and where it gets stuck.
    pub timeline: String,
}

impl fmt::Display for Counterexample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not linearizable")?;
        if self.key != "()" {
            write!(f, " at key {}", self.key)?;
        }
        let shown = self.required.len() + self.optional.len();
        write!(f, ": {shown} of {} calls", self.calls_total)?;
        match (self.is_minimal, shown < self.calls_total) {
            (true, true) => writeln!(f, "; the others do not explain them, whenever they took effect")?,
            (true, false) => writeln!(f)?,
            (false, _) => {
                writeln!(f, "; the bound was reached before all that is not required was left out")?
            }
        }
        f.write_str(&self.timeline)
    }
}

/// The counterexample within operations that are known to have no order.
pub(super) fn minimize<M: Model>(
    model: &M,
    history: &History<M::Call, M::Reply>,
    key: String,
    ids: &[OperationId],
    budget: &mut Budget<'_>,
) -> Counterexample {
    // One hard question must not eat what many easy ones need; but what the violation itself took is fair.
    let trial_steps_max = (budget.steps_max / 10).max(budget.steps.saturating_mul(4));
    let mut shrinker = Shrinker { model, history, budget, trial_steps_max, is_sure: true };
    let (required, within) = shrinker.prefix(ids);
    let (mut reads, mut others): (Vec<_>, Vec<_>) =
        required.into_iter().partition(|id| is_read_only(model, history, *id));
    thin(&mut reads, |rest| shrinker.is_stuck(&[rest, &others].concat(), &within));
    thin(&mut others, |rest| shrinker.is_stuck(&[rest, &reads].concat(), &within));
    let mut required = [reads, others].concat();
    let mut optional: Vec<OperationId> = within.iter().filter(|id| !required.contains(id)).copied().collect();
    // All of them, unless something was left undecided.
    let shown_to_be: Vec<OperationId> =
        required.iter().filter(|id| shrinker.is_needed(**id, &required, &optional)).copied().collect();
    thin(&mut optional, |rest| shown_to_be.iter().all(|id| shrinker.is_needed(*id, &required, rest)));
    let by_invocation = |id: &OperationId| history.operation(*id).invoked_at;
    required.sort_by_key(by_invocation);
    optional.sort_by_key(by_invocation);
    let (order, state) = match shrinker.search(&required, &optional) {
        (ids, Found::Stuck(Deepest { order, state })) => {
            (order.into_iter().map(|item| ids[item]).collect(), Some(state))
        }
        (_, Found::Order | Found::Undecided) => (Vec::new(), None),
    };
    let is_minimal = shrinker.is_sure;
    let timeline = timeline::draw(model, history, &required, &optional, &order, state);
    Counterexample {
        key,
        required,
        optional,
        longest_order: order,
        calls_total: ids.len(),
        is_minimal,
        timeline,
    }
}

struct Shrinker<'a, 'b, M: Model> {
    model: &'a M,
    history: &'a History<M::Call, M::Reply>,
    budget: &'a mut Budget<'b>,
    trial_steps_max: u64,
    /// No question was left undecided.
    is_sure: bool,
}

impl<M: Model> Shrinker<'_, '_, M> {
    /// The shortest prefix without an order: the operations that return in it, and all that begin in it.
    fn prefix(&mut self, ids: &[OperationId]) -> (Vec<OperationId>, Vec<OperationId>) {
        let mut returned: Vec<(Timestamp, OperationId)> =
            ids.iter().filter_map(|id| Some((returned_at(self.history, *id)?, *id))).collect();
        returned.sort_unstable();
        let history = self.history;
        let cut = |length: usize| {
            let (end, _) = returned[length - 1];
            let required: Vec<OperationId> = returned[..length].iter().map(|(_, id)| *id).collect();
            let begun = ids.iter().filter(|id| history.operation(**id).invoked_at <= end);
            (required, begun.copied().collect::<Vec<_>>())
        };
        // Prefixes of `low` returns have an order (or were not decided), those of `high` have none.
        let (mut low, mut high) = (0, returned.len());
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            let (required, within) = cut(middle);
            if self.is_stuck(&required, &within) {
                high = middle;
            } else {
                low = middle;
            }
        }
        cut(high)
    }

    /// Whether the required operations contradict each other wherever the others took effect.
    fn is_stuck(&mut self, required: &[OperationId], within: &[OperationId]) -> bool {
        matches!(self.search(required, within), (_, Found::Stuck(_)))
    }

    /// Whether letting this operation go gives an order, with the help of these alone.
    fn is_needed(&mut self, id: OperationId, required: &[OperationId], optional: &[OperationId]) -> bool {
        let within: Vec<OperationId> = required.iter().chain(optional).copied().collect();
        let rest: Vec<OperationId> = required.iter().filter(|other| **other != id).copied().collect();
        matches!(self.search(&rest, &within), (_, Found::Order))
    }

    fn search(
        &mut self,
        required: &[OperationId],
        within: &[OperationId],
    ) -> (Vec<OperationId>, Found<M::State>) {
        let found = trial(self.model, self.history, required, within, self.budget, self.trial_steps_max);
        self.is_sure &= !matches!(found, (_, Found::Undecided));
        found
    }
}

/// Searches with these operations required, and those that are only in `within` optional. The ids are those of the items.
fn trial<M: Model>(
    model: &M,
    history: &History<M::Call, M::Reply>,
    required: &[OperationId],
    within: &[OperationId],
    budget: &mut Budget<'_>,
    steps_max: u64,
) -> (Vec<OperationId>, Found<M::State>) {
    let ids: BTreeSet<OperationId> = required.iter().chain(within).copied().collect();
    let is_required: BTreeSet<OperationId> = required.iter().copied().collect();
    let items: Vec<Item<'_, M>> = ids
        .iter()
        .map(|id| {
            let item = Item::of(history, *id);
            if is_required.contains(id) { item } else { Item { returned: None, ..item } }
        })
        .collect();
    let left = budget.steps_max.saturating_sub(budget.steps);
    let mut one = Budget { steps: 0, steps_max: steps_max.min(left), stop: &mut *budget.stop };
    let found = search(model, &items, &mut one);
    budget.steps += one.steps;
    (ids.into_iter().collect(), found)
}

fn is_read_only<M: Model>(model: &M, history: &History<M::Call, M::Reply>, id: OperationId) -> bool {
    let operation = history.operation(id);
    matches!(&operation.outcome, Outcome::Returned { reply, .. } if model.is_read_only(&operation.call, reply))
}

fn returned_at<C, R>(history: &History<C, R>, id: OperationId) -> Option<Timestamp> {
    match history.operation(id).outcome {
        Outcome::Returned { at, .. } => Some(at),
        Outcome::Pending | Outcome::Unknown | Outcome::Failed => None,
    }
}

/// Takes out of the list what can go so that the rest still `holds`, in groups that halve down to single ones.
fn thin(list: &mut Vec<OperationId>, mut holds: impl FnMut(&[OperationId]) -> bool) {
    let mut group = list.len();
    while group > 0 {
        let mut at = 0;
        while at < list.len() {
            let end = list.len().min(at + group);
            let rest: Vec<OperationId> = list[..at].iter().chain(&list[end..]).copied().collect();
            if holds(&rest) {
                *list = rest;
            } else {
                at = end;
            }
        }
        group /= 2;
    }
}
