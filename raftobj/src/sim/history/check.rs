//! The checker: divides a history by keys, searches an order for each, and returns a verdict.

use super::counterexample::{Counterexample, minimize};
use super::model::Model;
use super::record::{History, OperationId, Outcome};
use super::search::{Budget, Item, SearchResult, search};
use std::collections::BTreeMap;

/// Whether a history is linearizable.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use]
pub enum Verdict {
    /// There is a point between the invocation and the return of each operation such that the model, executing the
    /// operations in the order of these points, gives the observed replies.
    Linearizable,
    /// There are no such points.
    NotLinearizable(Counterexample),
    /// The step limit was reached at this key; no violation was found at any other.
    Undecided {
        /// The first undecided key, formatted with `Debug`.
        key: String,
        /// Steps (calls of [`Model::apply`]) for all keys together.
        steps: u64,
    },
}

impl Verdict {
    /// Whether the history was shown to be linearizable.
    pub fn is_linearizable(&self) -> bool {
        matches!(self, Self::Linearizable)
    }

    /// Asserts, as the last line of a test, that the history is linearizable.
    ///
    /// # Panics
    /// If it is not, with the counterexample; if the checker could not decide, with the key.
    #[track_caller]
    pub fn expect_linearizable(&self) {
        match self {
            Self::Linearizable => {}
            Self::NotLinearizable(counterexample) => panic!("{counterexample}"),
            Self::Undecided { key, steps } => panic!("key {key} is undecided after {steps} steps"),
        }
    }
}

/// Compares histories with a model. The same history gives the same verdict after the same number of steps on every
/// machine, unless [`stop_when`](Checker::stop_when) depends on something else.
pub struct Checker<'a, M> {
    model: &'a M,
    steps_max: u64,
    stop: Box<dyn FnMut() -> bool + 'a>,
}

impl<'a, M: Model> Checker<'a, M> {
    /// A checker that gives up on a key after 1,000,000 steps: at most about a second and, with small states, some 150 MB.
    pub fn new(model: &'a M) -> Self {
        Self { model, steps_max: 1_000_000, stop: Box::new(|| false) }
    }

    /// Limits the steps (calls of [`Model::apply`]) for each key. The limit is per key: a hard one does not use up the
    /// steps of the others.
    pub fn steps_max(mut self, steps_max: u64) -> Self {
        self.steps_max = steps_max;
        self
    }

    /// Calls `stop` at each key and every 1,024 steps; when it returns true, the search ends. The checker reads no clock:
    /// a caller that has one checks its deadline here.
    pub fn stop_when(mut self, stop: impl FnMut() -> bool + 'a) -> Self {
        self.stop = Box::new(stop);
        self
    }

    /// Checks key by key, in the order of the keys, up to the first violation. Making its counterexample small may take up
    /// to ten times the steps of one key.
    pub fn check(&mut self, history: &History<M::Call, M::Reply>) -> Verdict {
        let mut keys: BTreeMap<M::Key, Vec<OperationId>> = BTreeMap::new();
        for (id, operation) in
            history.iter().filter(|(_, operation)| !matches!(operation.outcome, Outcome::Failed))
        {
            keys.entry(self.model.key(&operation.call)).or_default().push(id);
        }
        let mut steps = 0;
        let mut undecided = None;
        for (key, ids) in keys {
            let items: Vec<Item<'_, M>> = ids.iter().map(|id| Item::of(history, *id)).collect();
            let mut budget = Budget { steps: 0, steps_max: self.steps_max, stop: &mut *self.stop };
            let found = search(self.model, &items, &mut budget);
            steps += budget.steps;
            match found {
                SearchResult::Order => {}
                SearchResult::NoOrder(_) => {
                    budget.steps_max = budget.steps.saturating_add(self.steps_max.saturating_mul(10));
                    let key = format!("{key:?}");
                    let found = minimize(self.model, history, key, &ids, &mut budget);
                    return Verdict::NotLinearizable(found);
                }
                SearchResult::Undecided => undecided = undecided.or_else(|| Some(format!("{key:?}"))),
            }
        }
        undecided.map_or(Verdict::Linearizable, |key| Verdict::Undecided { key, steps })
    }
}

/// Checks with the default limit ([`Checker::new`]).
pub fn check<M: Model>(model: &M, history: &History<M::Call, M::Reply>) -> Verdict {
    Checker::new(model).check(history)
}
