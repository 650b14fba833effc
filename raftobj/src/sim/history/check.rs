//! The checker: a history by keys, each searched, and what came of it.

use super::counterexample::{Counterexample, minimize};
use super::model::Model;
use super::record::{History, OperationId, Outcome};
use super::search::{Budget, Found, Item, search};
use std::collections::BTreeMap;

/// Whether a history is linearizable.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use]
pub enum Verdict {
    /// Each operation can be given a moment between its invocation and its return so that the model, doing them in
    /// the order of these moments, gives the replies that were seen.
    Linearizable,
    /// No such moments exist.
    NotLinearizable(Counterexample),
    /// The bound was reached first, at this key (in `Debug`'s spelling); no violation was found in any other.
    Undecided {
        /// The first key that was not decided.
        key: String,
        /// Calls of the model that were made for all keys.
        steps: u64,
    },
}

impl Verdict {
    /// Whether the history was shown to be linearizable.
    pub fn is_linearizable(&self) -> bool {
        matches!(self, Self::Linearizable)
    }

    /// Nothing where the history is linearizable.
    ///
    /// # Panics
    /// With the counterexample, or the key that was not decided, in words: for the last line of a test.
    #[track_caller]
    pub fn expect_linearizable(&self) {
        match self {
            Self::Linearizable => {}
            Self::NotLinearizable(counterexample) => panic!("{counterexample}"),
            Self::Undecided { key, steps } => panic!("key {key} undecided after {steps} steps"),
        }
    }
}

/// Compares histories with a model. The same history gives the same verdict and the same steps on every machine, as long as
/// [`stop_when`](Checker::stop_when) does.
pub struct Checker<'a, M> {
    model: &'a M,
    steps_max: u64,
    stop: Box<dyn FnMut() -> bool + 'a>,
}

impl<'a, M: Model> Checker<'a, M> {
    /// A checker that gives up at a key after 1,000,000 calls of the model: at most about a second and, with small states,
    /// some 150 MB.
    pub fn new(model: &'a M) -> Self {
        Self { model, steps_max: 1_000_000, stop: Box::new(|| false) }
    }

    /// How often the model may be called for one key. A hard key so takes nothing from the others.
    pub fn steps_max(mut self, steps_max: u64) -> Self {
        self.steps_max = steps_max;
        self
    }

    /// Asked at each key and every 1,024 steps; once it says yes, nothing more is searched. A caller with a clock puts
    /// its deadline here: the checker itself reads none.
    pub fn stop_when(mut self, stop: impl FnMut() -> bool + 'a) -> Self {
        self.stop = Box::new(stop);
        self
    }

    /// Checks key by key, in the order of the keys, up to the first that is violated; its counterexample is then
    /// made small, which may take up to ten times the steps of one key.
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
                Found::Order => {}
                Found::Stuck(_) => {
                    budget.steps_max = budget.steps.saturating_add(self.steps_max.saturating_mul(10));
                    let key = format!("{key:?}");
                    let found = minimize(self.model, history, key, &ids, &mut budget);
                    return Verdict::NotLinearizable(found);
                }
                Found::Undecided => undecided = undecided.or_else(|| Some(format!("{key:?}"))),
            }
        }
        undecided.map_or(Verdict::Linearizable, |key| Verdict::Undecided { key, steps })
    }
}

/// Checks with the usual bound ([`Checker::new`]).
pub fn check<M: Model>(model: &M, history: &History<M::Call, M::Reply>) -> Verdict {
    Checker::new(model).check(history)
}
