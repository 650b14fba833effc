//! The search for an order that explains every reply: Wing and Gong's, with Lowe's memory, and optional operations.
//!
//! Operations are taken one at a time. Next may come any whose invocation lies before the first return that is still
//! open, and whose reply, if one is required, is the one that the model gives. A configuration (operations placed, state)
//! that was seen before is not entered again. Four things are ours:
//!
//! - An operation of unknown outcome is *optional*: it has no return, so nothing waits for it, and the search ends when
//!   all required operations are placed, whatever is left of the optional ones. One that would not change the state is
//!   not tried; of equal ones that may come next only the first is.
//! - A read ([`Model::is_read_only`]) whose reply fits is placed at once and for good: in any order that has it later it can be
//!   moved here. NB: that this call does not change this state would not be enough: a second `write 1` does not, and may
//!   have to come after a `write 2`.
//! - A configuration is also left out where an earlier one had the same required operations and state with fewer
//!   optional ones spent ([`Visited`]). All successors are noted before the first is entered: otherwise a long chain of
//!   optional operations would be walked before the short ones that cover it.
//! - Why leaving out is right: if an order exists from some configuration that was entered, take one with the shortest.
//!   Its first step leads to one that was noted, or that a noted one covers; that one has a shorter order, and every noted
//!   one is entered before the search gives up.

use super::model::Model;
use super::record::{History, OperationId, Outcome, Timestamp};
use super::visited::{Bits, Visited};

/// An operation to be placed.
pub(super) struct Item<'a, M: Model> {
    pub(super) call: &'a M::Call,
    pub(super) invoked_at: Timestamp,
    /// The reply to explain and when it came; `None` where the operation is optional.
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

/// What the search found out.
pub(super) enum Found<S> {
    /// An order explains all.
    Order,
    /// None does.
    Stuck(Deepest<S>),
    /// The budget ended first.
    Undecided,
}

/// The longest order found, in required operations, and the state after it.
pub(super) struct Deepest<S> {
    pub(super) order: Vec<usize>,
    pub(super) state: S,
}

/// How much searching is allowed. A step is one call of the model.
pub(super) struct Budget<'a> {
    pub(super) steps: u64,
    pub(super) steps_max: u64,
    pub(super) stop: &'a mut dyn FnMut() -> bool,
}

/// The budget is spent.
struct Spent;

/// How many steps are done between two questions whether to stop: some tens of microseconds.
const STEPS_PER_QUESTION: u64 = 1_024;

impl Budget<'_> {
    fn step(&mut self) -> Result<(), Spent> {
        let is_asked = self.steps.is_multiple_of(STEPS_PER_QUESTION);
        if self.steps >= self.steps_max || (is_asked && (self.stop)()) {
            return Err(Spent);
        }
        self.steps += 1;
        Ok(())
    }
}

/// Looks for an order of the items, all required ones and any of the optional ones, that the model explains.
pub(super) fn search<M: Model>(model: &M, items: &[Item<'_, M>], budget: &mut Budget<'_>) -> Found<M::State> {
    Search::new(model, items).run(budget).unwrap_or(Found::Undecided)
}

/// The list's anchor: event 0 is before the first and after the last.
const ANCHOR: usize = 0;

#[derive(Clone, Copy)]
struct Event {
    item: usize,
    is_return: bool,
    previous: usize,
    next: usize,
}

/// Where an item stands in the list of events and in the sets.
struct Place {
    invocation: usize,
    /// `ANCHOR` where the item is optional.
    returning: usize,
    /// Its number among the required items, or among the optional ones.
    bit: usize,
    /// The first optional item with an equal call.
    class: usize,
}

struct Search<'a, M: Model> {
    model: &'a M,
    items: &'a [Item<'a, M>],
    places: Vec<Place>,
    events: Vec<Event>,
    required: Bits,
    optional: Bits,
    /// Required items not placed yet.
    open: usize,
    /// Items placed, in their order.
    trail: Vec<usize>,
    visited: Visited<M::State>,
    deepest: Option<(usize, Deepest<M::State>)>,
}

struct Node<S> {
    /// How long the trail was before the step that led here.
    trail: usize,
    successors: std::vec::IntoIter<(usize, S)>,
}

impl<'a, M: Model> Search<'a, M> {
    fn new(model: &'a M, items: &'a [Item<'a, M>]) -> Self {
        let mut order: Vec<(Timestamp, bool, usize)> = Vec::with_capacity(items.len() * 2);
        for (number, item) in items.iter().enumerate() {
            order.push((item.invoked_at, false, number));
            // At one point invocations come before returns: such operations are concurrent.
            order.extend(item.returned.map(|(_, at)| (at, true, number)));
        }
        order.sort_unstable();
        let end = order.len();
        let mut events = vec![Event { item: usize::MAX, is_return: false, previous: end, next: end.min(1) }];
        let mut places: Vec<Place> =
            items.iter().map(|_| Place { invocation: ANCHOR, returning: ANCHOR, bit: 0, class: 0 }).collect();
        let (mut required, mut optional) = (0, Vec::new());
        for (at, (_, is_return, item)) in order.into_iter().enumerate() {
            let at = at + 1;
            events.push(Event {
                item,
                is_return,
                previous: at - 1,
                next: if at == end { ANCHOR } else { at + 1 },
            });
            if is_return {
                places[item].returning = at;
                continue;
            }
            places[item].invocation = at;
            if items[item].returned.is_some() {
                places[item].bit = required;
                required += 1;
            } else {
                let equal = optional.iter().find(|other: &&usize| items[**other].call == items[item].call);
                places[item].class = *equal.unwrap_or(&item);
                places[item].bit = optional.len();
                optional.push(item);
            }
        }
        Self {
            model,
            items,
            places,
            events,
            required: Bits::with_room(required),
            optional: Bits::with_room(optional.len()),
            open: required,
            trail: Vec::new(),
            visited: Visited::new(),
            deepest: None,
        }
    }

    fn run(mut self, budget: &mut Budget<'_>) -> Result<Found<M::State>, Spent> {
        let mut nodes = vec![self.enter(0, self.model.initial(), budget)?];
        while self.open > 0 {
            let Some(node) = nodes.last_mut() else {
                let (_, deepest) = self.deepest.expect("the search ended in at least one dead end");
                return Ok(Found::Stuck(deepest));
            };
            if let Some((item, state)) = node.successors.next() {
                let trail = self.trail.len();
                self.place(item);
                let node = self.enter(trail, state, budget)?;
                nodes.push(node);
            } else {
                while self.trail.len() > node.trail {
                    self.take_back();
                }
                nodes.pop();
            }
        }
        Ok(Found::Order)
    }

    /// Places what can be placed for good, and finds what can come next.
    fn enter(
        &mut self,
        trail: usize,
        state: M::State,
        budget: &mut Budget<'_>,
    ) -> Result<Node<M::State>, Spent> {
        let mut required = Vec::new();
        let mut optional: Vec<(usize, M::State)> = Vec::new();
        let mut classes = Vec::new();
        let mut at = self.events[ANCHOR].next;
        while at != ANCHOR && !self.events[at].is_return {
            let number = self.events[at].item;
            let item = &self.items[number];
            let class = self.places[number].class;
            if item.returned.is_none() && classes.contains(&class) {
                at = self.events[at].next;
                continue;
            }
            budget.step()?;
            let mut after = state.clone();
            let reply = self.model.apply(&mut after, item.call);
            match item.returned {
                Some((seen, _)) if *seen != reply => {}
                Some((seen, _)) if self.model.is_read_only(item.call, seen) => {
                    assert!(after == state, "{:?}, a read, changed {state:?} to {after:?}", item.call);
                    let previous = self.events[at].previous;
                    self.place(number);
                    at = self.events[previous].next;
                    continue;
                }
                Some(_) => required.push((number, after)),
                None => {
                    classes.push(class);
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
            self.note_dead_end(state);
        }
        Ok(Node { trail, successors: required.into_iter() })
    }

    /// Whether placing the item, which makes this state, leads to where the search has not been.
    fn is_new(&mut self, item: usize, after: &M::State) -> bool {
        let Place { returning, bit, .. } = self.places[item];
        if returning == ANCHOR {
            self.optional.set(bit);
        } else {
            self.required.set(bit);
        }
        let is_new = self.visited.is_new(&self.required, &self.optional, after);
        if returning == ANCHOR {
            self.optional.clear(bit);
        } else {
            self.required.clear(bit);
        }
        is_new
    }

    fn note_dead_end(&mut self, state: M::State) {
        if self.open > 0 && self.deepest.as_ref().is_none_or(|(open, _)| self.open < *open) {
            self.deepest = Some((self.open, Deepest { order: self.trail.clone(), state }));
        }
    }

    fn place(&mut self, item: usize) {
        let Place { invocation, returning, bit, .. } = self.places[item];
        self.unlink(invocation);
        if returning == ANCHOR {
            self.optional.set(bit);
        } else {
            self.unlink(returning);
            self.required.set(bit);
            self.open -= 1;
        }
        self.trail.push(item);
    }

    /// Undoes the last `place`. The links come back in the opposite order, so each finds its neighbours as it left them.
    fn take_back(&mut self) {
        let Some(item) = self.trail.pop() else { return };
        let Place { invocation, returning, bit, .. } = self.places[item];
        if returning == ANCHOR {
            self.optional.clear(bit);
        } else {
            self.link(returning);
            self.required.clear(bit);
            self.open += 1;
        }
        self.link(invocation);
    }

    fn unlink(&mut self, at: usize) {
        let Event { previous, next, .. } = self.events[at];
        self.events[previous].next = next;
        self.events[next].previous = previous;
    }

    fn link(&mut self, at: usize) {
        let Event { previous, next, .. } = self.events[at];
        self.events[previous].next = at;
        self.events[next].previous = at;
    }
}
