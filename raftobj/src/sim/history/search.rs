//! The search for an order that explains every reply: Wing and Gong's, with Lowe's cache of configurations, and with
//! optional operations.
//!
//! Operations are placed one at a time. The next may be any that was invoked before the first return of the operations
//! not yet placed, and whose reply, if it is required, is the one that the model computes. A configuration (the operations
//! placed, and the state) that was visited before is not entered again. Our additions:
//!
//! - An operation of unknown outcome is *optional*: it has no return, so no other operation has to come after it, and the
//!   search ends when all required operations are placed, with or without the optional ones. An optional operation that
//!   would not change the state is not tried; of equal ones that may come next, only the first is.
//! - A read ([`Model::is_read_only`]) whose reply fits is placed at once and never moved: in any order that has it later
//!   it can be moved to this position. NB: it is not enough that the call does not change the current state: a second
//!   `write 1` does not, and may have to come after a `write 2`.
//! - A configuration is also skipped if an earlier one covers it: the same required operations and state, and only a
//!   subset of the optional ones ([`Visited`]). All successors are recorded before the first is entered: otherwise a long
//!   chain of optional operations would be searched before the short ones that cover it.
//!
//! Skipping is sound: suppose that orders exist from configurations that were entered, and take the one with the shortest.
//! Its first step leads to a configuration that was recorded, or that a recorded one covers. That one has a shorter order,
//! and every recorded one is entered before the search gives up.

use super::model::Model;
use super::record::{History, OperationId, Outcome, Timestamp};
use super::visited::{BitSet, Visited};

/// An operation to be placed.
pub(super) struct Item<'a, M: Model> {
    pub(super) call: &'a M::Call,
    pub(super) invoked_at: Timestamp,
    /// The reply to explain and when it was received; `None` if the operation is optional.
    pub(super) returned: Option<(&'a M::Reply, Timestamp)>,
}

impl<'a, M: Model> Item<'a, M> {
    /// The operation as its client saw it: required if it returned.
    pub(super) fn of(history: &'a History<M::Call, M::Reply>, id: OperationId) -> Self {
        let operation = history.operation(id);
        let returned = match &operation.outcome {
            Outcome::Returned { reply, at } => Some((reply, *at)),
            Outcome::Pending | Outcome::Unknown | Outcome::Failed => None,
        };
        Item { call: &operation.call, invoked_at: operation.invoked_at, returned }
    }
}

/// The result of a search.
pub(super) enum SearchResult<S> {
    /// There is an order.
    Order,
    /// There is none.
    NoOrder(LongestOrder<S>),
    /// The budget was spent first.
    Undecided,
}

/// The order found that has the most required operations, and the state after it.
pub(super) struct LongestOrder<S> {
    pub(super) order: Vec<usize>,
    pub(super) state: S,
}

/// Limits a search. A step is one call of [`Model::apply`].
pub(super) struct Budget<'a> {
    pub(super) steps: u64,
    pub(super) steps_max: u64,
    pub(super) stop: &'a mut dyn FnMut() -> bool,
}

/// The budget is spent.
struct BudgetSpent;

/// How many steps lie between two calls of [`Budget::stop`]: some tens of microseconds.
const STEPS_PER_STOP_CHECK: u64 = 1_024;

impl Budget<'_> {
    fn step(&mut self) -> Result<(), BudgetSpent> {
        let checks_stop = self.steps.is_multiple_of(STEPS_PER_STOP_CHECK);
        if self.steps >= self.steps_max || (checks_stop && (self.stop)()) {
            return Err(BudgetSpent);
        }
        self.steps += 1;
        Ok(())
    }
}

/// Searches for an order of all required items and any of the optional ones in which the model gives the replies.
pub(super) fn search<M: Model>(
    model: &M,
    items: &[Item<'_, M>],
    budget: &mut Budget<'_>,
) -> SearchResult<M::State> {
    Search::new(model, items).run(budget).unwrap_or(SearchResult::Undecided)
}

/// The list is circular: event 0 is before the first and after the last.
const SENTINEL: usize = 0;

/// An invocation or a return, in a doubly linked list of the events of the items not yet placed.
#[derive(Clone, Copy)]
struct ListEvent {
    item: usize,
    is_return: bool,
    previous: usize,
    next: usize,
}

/// The positions of an item in the list of events and in the sets.
struct ItemPosition {
    invocation: usize,
    /// `SENTINEL` if the item is optional.
    return_event: usize,
    /// Its bit in the set of required items, or of optional ones.
    bit: usize,
    /// The first optional item with an equal call.
    first_equal: usize,
}

struct Search<'a, M: Model> {
    model: &'a M,
    items: &'a [Item<'a, M>],
    positions: Vec<ItemPosition>,
    events: Vec<ListEvent>,
    required: BitSet,
    optional: BitSet,
    /// How many required items are not placed.
    unplaced: usize,
    /// The items placed, in order.
    placed: Vec<usize>,
    visited: Visited<M::State>,
    longest: Option<(usize, LongestOrder<M::State>)>,
}

/// A configuration that was entered, with the successors not yet entered.
struct Branch<S> {
    /// How many items were placed before the step that led here.
    placed_before: usize,
    successors: std::vec::IntoIter<(usize, S)>,
}

impl<'a, M: Model> Search<'a, M> {
    fn new(model: &'a M, items: &'a [Item<'a, M>]) -> Self {
        let mut order: Vec<(Timestamp, bool, usize)> = Vec::with_capacity(items.len() * 2);
        for (number, item) in items.iter().enumerate() {
            order.push((item.invoked_at, false, number));
            // Invocations sort before returns with the same timestamp: such operations are concurrent.
            order.extend(item.returned.map(|(_, at)| (at, true, number)));
        }
        order.sort_unstable();
        let end = order.len();
        let mut events =
            vec![ListEvent { item: usize::MAX, is_return: false, previous: end, next: end.min(1) }];
        let mut positions: Vec<ItemPosition> = items
            .iter()
            .map(|_| ItemPosition { invocation: SENTINEL, return_event: SENTINEL, bit: 0, first_equal: 0 })
            .collect();
        let (mut required, mut optional) = (0, Vec::new());
        for (at, (_, is_return, item)) in order.into_iter().enumerate() {
            let at = at + 1;
            events.push(ListEvent {
                item,
                is_return,
                previous: at - 1,
                next: if at == end { SENTINEL } else { at + 1 },
            });
            if is_return {
                positions[item].return_event = at;
                continue;
            }
            positions[item].invocation = at;
            if items[item].returned.is_some() {
                positions[item].bit = required;
                required += 1;
            } else {
                let equal = optional.iter().find(|other: &&usize| items[**other].call == items[item].call);
                positions[item].first_equal = *equal.unwrap_or(&item);
                positions[item].bit = optional.len();
                optional.push(item);
            }
        }
        Self {
            model,
            items,
            positions,
            events,
            required: BitSet::with_capacity(required),
            optional: BitSet::with_capacity(optional.len()),
            unplaced: required,
            placed: Vec::new(),
            visited: Visited::new(),
            longest: None,
        }
    }

    fn run(mut self, budget: &mut Budget<'_>) -> Result<SearchResult<M::State>, BudgetSpent> {
        let mut branches = vec![self.enter(0, self.model.initial(), budget)?];
        while self.unplaced > 0 {
            let Some(branch) = branches.last_mut() else {
                let (_, longest) = self.longest.expect("the search ended in at least one dead end");
                return Ok(SearchResult::NoOrder(longest));
            };
            if let Some((item, state)) = branch.successors.next() {
                let placed_before = self.placed.len();
                self.place(item);
                let branch = self.enter(placed_before, state, budget)?;
                branches.push(branch);
            } else {
                while self.placed.len() > branch.placed_before {
                    self.unplace_last();
                }
                branches.pop();
            }
        }
        Ok(SearchResult::Order)
    }

    /// Places the reads that fit, and finds the items that can come next.
    fn enter(
        &mut self,
        placed_before: usize,
        state: M::State,
        budget: &mut Budget<'_>,
    ) -> Result<Branch<M::State>, BudgetSpent> {
        let mut required = Vec::new();
        let mut optional: Vec<(usize, M::State)> = Vec::new();
        let mut tried = Vec::new();
        let mut at = self.events[SENTINEL].next;
        while at != SENTINEL && !self.events[at].is_return {
            let number = self.events[at].item;
            let item = &self.items[number];
            let first_equal = self.positions[number].first_equal;
            if item.returned.is_none() && tried.contains(&first_equal) {
                at = self.events[at].next;
                continue;
            }
            budget.step()?;
            let mut after = state.clone();
            let reply = self.model.apply(&mut after, item.call);
            match item.returned {
                Some((observed, _)) if *observed != reply => {}
                Some((observed, _)) if self.model.is_read_only(item.call, observed) => {
                    assert!(after == state, "the read {:?} changed {state:?} to {after:?}", item.call);
                    let previous = self.events[at].previous;
                    self.place(number);
                    at = self.events[previous].next;
                    continue;
                }
                Some(_) => required.push((number, after)),
                None => {
                    tried.push(first_equal);
                    if after != state {
                        optional.push((number, after));
                    }
                }
            }
            at = self.events[at].next;
        }
        required.append(&mut optional);
        required.retain(|(number, after)| self.is_new(*number, after));
        if required.is_empty() {
            self.record_dead_end(state);
        }
        Ok(Branch { placed_before, successors: required.into_iter() })
    }

    /// Whether placing the item, with this state after it, leads to a configuration that the search must enter.
    fn is_new(&mut self, item: usize, after: &M::State) -> bool {
        let ItemPosition { return_event, bit, .. } = self.positions[item];
        if return_event == SENTINEL {
            self.optional.set(bit);
        } else {
            self.required.set(bit);
        }
        let is_new = self.visited.is_new(&self.required, &self.optional, after);
        if return_event == SENTINEL {
            self.optional.clear(bit);
        } else {
            self.required.clear(bit);
        }
        is_new
    }

    fn record_dead_end(&mut self, state: M::State) {
        if self.unplaced > 0 && self.longest.as_ref().is_none_or(|(unplaced, _)| self.unplaced < *unplaced) {
            self.longest = Some((self.unplaced, LongestOrder { order: self.placed.clone(), state }));
        }
    }

    fn place(&mut self, item: usize) {
        let ItemPosition { invocation, return_event, bit, .. } = self.positions[item];
        self.unlink(invocation);
        if return_event == SENTINEL {
            self.optional.set(bit);
        } else {
            self.unlink(return_event);
            self.required.set(bit);
            self.unplaced -= 1;
        }
        self.placed.push(item);
    }

    /// Undoes the last `place`. Events are linked in the reverse order of unlinking, so that their neighbours are right.
    fn unplace_last(&mut self) {
        let Some(item) = self.placed.pop() else { return };
        let ItemPosition { invocation, return_event, bit, .. } = self.positions[item];
        if return_event == SENTINEL {
            self.optional.clear(bit);
        } else {
            self.link(return_event);
            self.required.clear(bit);
            self.unplaced += 1;
        }
        self.link(invocation);
    }

    fn unlink(&mut self, at: usize) {
        let ListEvent { previous, next, .. } = self.events[at];
        self.events[previous].next = next;
        self.events[next].previous = previous;
    }

    fn link(&mut self, at: usize) {
        let ListEvent { previous, next, .. } = self.events[at];
        self.events[previous].next = at;
        self.events[next].previous = at;
    }
}
