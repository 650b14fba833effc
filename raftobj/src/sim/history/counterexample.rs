//! The minimal counterexample: the operations that show that a history is not linearizable, and no others.
//!
//! # Which operations may be left out
//! An operation cannot simply be removed: without its write a correct read looks wrong, and the rest would show a violation
//! that did not happen. So an operation is *made optional*: it may have any reply and take effect at any time after its
//! invocation, or never. This only loosens the history: an order that explains the history also explains the looser one.
//! So if the looser one has no order, the history has none either, and the violation is real. The parts of a
//! counterexample:
//!
//! - **Required** operations contradict each other wherever the operations made optional, and those of unknown outcome,
//!   took effect. The set is a local minimum: if any one of them is made optional, an order exists.
//! - **Optional** operations are those without which a reader would not believe that: without a `write 2` of unknown
//!   outcome, a `read -> 2` would look like the violation. They are a local minimum too: with them alone, making any
//!   required operation optional gives an order.
//! - Other operations are not shown. Leaving out optional operations only removes orders, so what is shown is a
//!   contradiction, too.
//!
//! # How it is found
//! First the shortest violating prefix: operations that return after its end have an unknown outcome, and those that are
//! invoked after it do not count (linearizability is closed under prefixes, so a binary search finds its length). Then
//! operations are made optional, in large groups, then in smaller ones, the oldest first, and reads before others: a write
//! that stays required needs no optional one, and the most readable result is two writes with one stale read. What could
//! not be made optional early cannot be later either, so one pass over single operations gives the minimum.

use super::model::Model;
use super::record::{History, OperationId, Outcome, Timestamp};
use super::search::{Budget, Item, LongestOrder, SearchResult, search};
use super::timeline;
use std::collections::BTreeSet;
use std::fmt;

/// Operations of one key that no order explains. `Display` draws them.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Counterexample {
    /// The key, formatted with `Debug`.
    pub key: String,
    /// The operations that contradict each other, by invocation. All returned. If any of them were optional (with any
    /// reply, at any time after its invocation, or never), there would be an order.
    pub required: Vec<OperationId>,
    /// Operations that may have taken effect or not, and without which a required one would look impossible by itself.
    pub optional: Vec<OperationId>,
    /// The longest order of these that the model explains.
    pub longest_order: Vec<OperationId>,
    /// How many calls the key has, without those that failed.
    pub calls_total: usize,
    /// False if the step limit was reached first: some operations may then be unnecessary.
    pub is_minimal: bool,
    /// A drawing with a row for each client, then the longest order and the replies that do not fit after it.
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
            (true, true) => writeln!(f, "; the others do not explain these, whenever they took effect")?,
            (true, false) => writeln!(f)?,
            (false, _) => writeln!(f, "; the step limit was reached: some of them may be unnecessary")?,
        }
        f.write_str(&self.timeline)
    }
}

/// Finds the counterexample in operations that are known to have no order.
pub(super) fn minimize<M: Model>(
    model: &M,
    history: &History<M::Call, M::Reply>,
    key: String,
    ids: &[OperationId],
    budget: &mut Budget<'_>,
) -> Counterexample {
    // One hard search must not use up the steps of many easy ones, but may take some times those of the violation.
    let trial_steps_max = (budget.steps_max / 10).max(budget.steps.saturating_mul(4));
    let mut shrinker = Shrinker { model, history, budget, trial_steps_max, all_decided: true };
    let (required, within) = shrinker.prefix(ids);
    let (mut reads, mut others): (Vec<_>, Vec<_>) =
        required.into_iter().partition(|id| is_read_only(model, history, *id));
    shrink(&mut reads, |rest| shrinker.has_no_order(&[rest, &others].concat(), &within));
    shrink(&mut others, |rest| shrinker.has_no_order(&[rest, &reads].concat(), &within));
    let mut required = [reads, others].concat();
    let mut optional: Vec<OperationId> = within.iter().filter(|id| !required.contains(id)).copied().collect();
    // These are all of them, unless a search ended undecided.
    let shown_needed: Vec<OperationId> =
        required.iter().filter(|id| shrinker.is_needed(**id, &required, &optional)).copied().collect();
    shrink(&mut optional, |rest| shown_needed.iter().all(|id| shrinker.is_needed(*id, &required, rest)));
    let by_invocation = |id: &OperationId| history.operation(*id).invoked_at;
    required.sort_by_key(by_invocation);
    optional.sort_by_key(by_invocation);
    let (order, state) = match shrinker.search(&required, &optional) {
        (ids, SearchResult::NoOrder(LongestOrder { order, state })) => {
            (order.into_iter().map(|item| ids[item]).collect(), Some(state))
        }
        (_, SearchResult::Order | SearchResult::Undecided) => (Vec::new(), None),
    };
    let is_minimal = shrinker.all_decided;
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
    /// No search ended undecided.
    all_decided: bool,
}

impl<M: Model> Shrinker<'_, '_, M> {
    /// The shortest prefix without an order: the operations that return in it, and all that are invoked in it.
    fn prefix(&mut self, ids: &[OperationId]) -> (Vec<OperationId>, Vec<OperationId>) {
        let mut returned: Vec<(Timestamp, OperationId)> =
            ids.iter().filter_map(|id| Some((returned_at(self.history, *id)?, *id))).collect();
        returned.sort_unstable();
        let history = self.history;
        let cut = |length: usize| {
            let (end, _) = returned[length - 1];
            let required: Vec<OperationId> = returned[..length].iter().map(|(_, id)| *id).collect();
            let invoked = ids.iter().filter(|id| history.operation(**id).invoked_at <= end);
            (required, invoked.copied().collect::<Vec<_>>())
        };
        // The prefix with `low` returns has an order (or is undecided), the one with `high` has none.
        let (mut low, mut high) = (0, returned.len());
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            let (required, within) = cut(middle);
            if self.has_no_order(&required, &within) {
                high = middle;
            } else {
                low = middle;
            }
        }
        cut(high)
    }

    /// Whether the required operations contradict each other, wherever the others in `within` took effect.
    fn has_no_order(&mut self, required: &[OperationId], within: &[OperationId]) -> bool {
        matches!(self.search(required, within), (_, SearchResult::NoOrder(_)))
    }

    /// Whether making this operation optional gives an order, with no other optional ones than these.
    fn is_needed(&mut self, id: OperationId, required: &[OperationId], optional: &[OperationId]) -> bool {
        let within: Vec<OperationId> = required.iter().chain(optional).copied().collect();
        let rest: Vec<OperationId> = required.iter().filter(|other| **other != id).copied().collect();
        matches!(self.search(&rest, &within), (_, SearchResult::Order))
    }

    fn search(
        &mut self,
        required: &[OperationId],
        within: &[OperationId],
    ) -> (Vec<OperationId>, SearchResult<M::State>) {
        let found = trial(self.model, self.history, required, within, self.budget, self.trial_steps_max);
        self.all_decided &= !matches!(found, (_, SearchResult::Undecided));
        found
    }
}

/// Searches with the operations in `required` required, and those only in `within` optional. Returns the ids of the items.
fn trial<M: Model>(
    model: &M,
    history: &History<M::Call, M::Reply>,
    required: &[OperationId],
    within: &[OperationId],
    budget: &mut Budget<'_>,
    steps_max: u64,
) -> (Vec<OperationId>, SearchResult<M::State>) {
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
    let mut trial = Budget { steps: 0, steps_max: steps_max.min(left), stop: &mut *budget.stop };
    let found = search(model, &items, &mut trial);
    budget.steps += trial.steps;
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

/// Removes from the list as much as possible while the rest `holds`, in groups that are halved down to single elements.
fn shrink(list: &mut Vec<OperationId>, mut holds: impl FnMut(&[OperationId]) -> bool) {
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
