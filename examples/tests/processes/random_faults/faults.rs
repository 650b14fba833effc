//! What can go wrong with processes and the network between them, drawn at random.
//!
//! Pure: a [`Fault`] is drawn for a [`Condition`] and says what is to be done; the round does it. Begin with
//! [`Fault::draw`].

use raftobj::sim::Random;
use std::collections::BTreeSet;
use std::fmt;

/// What is wrong with a cluster at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Condition {
    pub(crate) size: usize,
    /// Killed, and not started again.
    pub(crate) dead: BTreeSet<usize>,
    /// SIGSTOP.
    pub(crate) stopped: BTreeSet<usize>,
    /// Who does not hear whom: (from, to).
    pub(crate) cuts: BTreeSet<(usize, usize)>,
    /// Whose cable is pulled.
    pub(crate) unplugged: BTreeSet<usize>,
}

/// Something that is done to a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// SIGKILL, all of them before any end is waited for.
    Kill(BTreeSet<usize>),
    /// Start again on the same files.
    Start(BTreeSet<usize>),
    /// SIGSTOP.
    Stop(usize),
    /// SIGCONT.
    Continue(usize),
    /// These links, from one to another, and no others.
    Cut(&'static str, BTreeSet<(usize, usize)>),
    /// Pull the cable.
    Unplug(usize),
    /// No cut, all cables in.
    Mend,
}

impl Condition {
    /// Nothing is wrong.
    pub(crate) fn sound(size: usize) -> Condition {
        Condition {
            size,
            dead: BTreeSet::new(),
            stopped: BTreeSet::new(),
            cuts: BTreeSet::new(),
            unplugged: BTreeSet::new(),
        }
    }

    /// What is wrong after this.
    pub(crate) fn after(mut self, fault: &Fault) -> Condition {
        match fault {
            Fault::Kill(nodes) => {
                self.dead.extend(nodes);
                self.stopped.retain(|node| !nodes.contains(node));
            }
            Fault::Start(nodes) => self.dead.retain(|node| !nodes.contains(node)),
            Fault::Stop(node) => drop(self.stopped.insert(*node)),
            Fault::Continue(node) => drop(self.stopped.remove(node)),
            Fault::Cut(_, cuts) => self.cuts.clone_from(cuts),
            Fault::Unplug(node) => drop(self.unplugged.insert(*node)),
            Fault::Mend => {
                self.cuts.clear();
                self.unplugged.clear();
            }
        }
        self
    }

    /// The largest majority whose nodes all run and all hear each other. While there is one, the cluster has to serve.
    pub(crate) fn whole_majority(&self) -> Option<Vec<usize>> {
        let runs = |node: &usize| !self.dead.contains(node) && !self.stopped.contains(node);
        let hears = |from: usize, to: usize| {
            from == to
                || !(self.cuts.contains(&(from, to))
                    || self.unplugged.contains(&from)
                    || self.unplugged.contains(&to))
        };
        let groups = (0_usize..1 << self.size)
            .map(|mask| -> Vec<usize> { (0..self.size).filter(|node| mask >> node & 1 == 1).collect() });
        let is_whole = |group: &Vec<usize>| {
            group.iter().all(|node| runs(node) && group.iter().all(|other| hears(*node, *other)))
        };
        let majorities = groups.filter(|group| group.len() > self.size / 2);
        majorities.filter(is_whole).max_by_key(Vec::len)
    }

    fn running(&self) -> Vec<usize> {
        (0..self.size).filter(|node| !self.dead.contains(node) && !self.stopped.contains(node)).collect()
    }

    fn is_cut(&self) -> bool {
        !self.cuts.is_empty() || !self.unplugged.is_empty()
    }
}

impl Fault {
    /// The next thing to do: something new goes wrong, or something is put right, more often so while no majority is
    /// whole. Half of what is done to one node is done to the leader, if it is known.
    pub(crate) fn draw(
        random: &mut Random,
        condition: &Condition,
        leader: Option<usize>,
        has_network: bool,
    ) -> Fault {
        let mut repairs = Vec::new();
        if let Some(first) = condition.dead.first() {
            let all = condition.dead.clone();
            repairs.push(Fault::Start(if random.one_in(2) { all } else { BTreeSet::from([*first]) }));
        }
        if let Some(node) = condition.stopped.first() {
            repairs.push(Fault::Continue(*node));
        }
        if condition.is_cut() {
            repairs.push(Fault::Mend);
        }
        let running = condition.running();
        let is_time = match condition.whole_majority() {
            Some(_) => random.one_in(4),
            None => !random.one_in(3),
        };
        if !repairs.is_empty() && (is_time || running.is_empty()) {
            return random.pick(&repairs).clone();
        }
        let target = match leader {
            Some(leader) if running.contains(&leader) && random.one_in(2) => leader,
            _ => *random.pick(&running),
        };
        match random.below(if has_network { 10 } else { 4 }) {
            0 if random.one_in(3) => {
                Fault::Kill((0..condition.size).filter(|node| !condition.dead.contains(node)).collect())
            }
            0 | 1 => Fault::Kill(BTreeSet::from([target])),
            2 | 3 => Fault::Stop(target),
            4 if !condition.unplugged.contains(&target) => Fault::Unplug(target),
            _ => Fault::cut(random, condition.size, target),
        }
    }

    /// One of the shapes that networks break into; `target` is who is meant, where a shape means one.
    fn cut(random: &mut Random, size: usize, target: usize) -> Fault {
        let mut order: Vec<usize> = (0..size).collect();
        for last in (1..size).rev() {
            order.swap(last, random.below(last as u64 + 1) as usize);
        }
        let place = |node: usize| order.iter().position(|other| *other == node).expect("all are in order");
        let border = random.between(1, size as u64 - 1) as usize;
        // Which links are left, from one node to another.
        let (name, is_left): (_, &dyn Fn(usize, usize) -> bool) =
            match random.below(if size > 3 { 6 } else { 5 }) {
                0 => ("split", &|from, to| (place(from) < border) == (place(to) < border)),
                1 => ("isolated", &|from, to| from != target && to != target),
                2 => ("deaf", &|_, to| to != target),
                3 => ("mute", &|from, _| from != target),
                4 => ("bridge", &|from, to| {
                    // The one in the middle hears both sides, which do not hear each other.
                    let side = |node| place(node).cmp(&(size / 2));
                    from == order[size / 2] || to == order[size / 2] || side(from) == side(to)
                }),
                // Three in a ring all hear each other.
                _ => ("ring", &|from, to| {
                    let distance = place(from).abs_diff(place(to));
                    distance == 1 || distance == size - 1
                }),
            };
        let links = (0..size).flat_map(|from| (0..size).map(move |to| (from, to)));
        let cuts = links.filter(|(from, to)| from != to && !is_left(*from, *to)).collect();
        Fault::Cut(name, cuts)
    }

    /// What it is called, without whom it meets.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Fault::Kill(nodes) if nodes.len() > 1 => "kill all",
            Fault::Kill(_) => "kill",
            Fault::Start(_) => "start",
            Fault::Stop(_) => "stop",
            Fault::Continue(_) => "continue",
            Fault::Cut(name, _) => name,
            Fault::Unplug(_) => "unplug",
            Fault::Mend => "mend",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind();
        match self {
            Fault::Kill(nodes) | Fault::Start(nodes) => write!(f, "{kind} {nodes:?}"),
            Fault::Stop(node) | Fault::Continue(node) | Fault::Unplug(node) => write!(f, "{kind} {node}"),
            Fault::Cut(_, cuts) => {
                write!(f, "{kind}: cut ")?;
                cuts.iter().try_for_each(|(from, to)| write!(f, " {from}>{to}"))
            }
            Fault::Mend => write!(f, "{kind}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// If it fails, a cluster that need not serve fails a round, or one that hangs passes it.
    #[test]
    fn a_majority_is_whole_if_all_of_it_run_and_hear_each_other() {
        let sound = Condition::sound(5);
        assert_eq!(sound.whole_majority(), Some(vec![0, 1, 2, 3, 4]));
        let stopped = sound.clone().after(&Fault::Stop(0)).after(&Fault::Kill(BTreeSet::from([1])));
        assert_eq!(stopped.whole_majority(), Some(vec![2, 3, 4]));
        let deaf = Fault::Cut("deaf", BTreeSet::from([(3, 2), (4, 2)]));
        let deaf = stopped.after(&deaf);
        assert_eq!(deaf.whole_majority(), None, "2 does not hear the others");
        let killed = deaf.after(&Fault::Kill(BTreeSet::from([0])));
        assert_eq!(killed.stopped, BTreeSet::new(), "who is dead is not stopped");
        let back = killed.after(&Fault::Start(BTreeSet::from([0, 1])));
        assert_eq!(back.whole_majority(), Some(vec![0, 1, 3, 4]));
        let unplugged = back.after(&Fault::Unplug(3)).after(&Fault::Unplug(4));
        assert_eq!(unplugged.whole_majority(), Some(vec![0, 1, 2]), "2 hears these");
        assert_eq!(unplugged.after(&Fault::Mend), sound);
    }

    /// If it fails, a kind of fault is drawn never, or makes no sense where it is drawn.
    #[test]
    fn every_kind_is_drawn_and_fits_its_condition() {
        for (size, has_network) in [(3, false), (3, true), (4, true), (5, true)] {
            let mut random = Random::new(1);
            let mut condition = Condition::sound(size);
            let mut kinds = BTreeSet::new();
            for _ in 0..2_000 {
                let leader = Some(random.below(size as u64) as usize);
                let fault = Fault::draw(&mut random, &condition, leader, has_network);
                let after = condition.clone().after(&fault);
                match &fault {
                    Fault::Cut(_, cuts) => assert!(!cuts.is_empty(), "{fault}"),
                    _ => assert!(after != condition, "{fault} changes nothing in {condition:?}"),
                }
                let is_at_rest = |node: usize| condition.dead.contains(&node);
                match &fault {
                    Fault::Stop(node) | Fault::Continue(node) => assert!(!is_at_rest(*node), "{fault}"),
                    Fault::Start(nodes) => assert!(nodes.iter().all(|node| is_at_rest(*node)), "{fault}"),
                    _ => {}
                }
                kinds.insert(fault.kind());
                condition = after;
            }
            let expected = match (has_network, size) {
                (false, _) => 5,
                (true, 3) => 12,
                (true, _) => 13,
            };
            assert_eq!(kinds.len(), expected, "{kinds:?}");
        }
    }

    /// If it fails, a shape is not what its name says.
    #[test]
    fn shapes_are_what_they_are_called() {
        let mut random = Random::new(2);
        for _ in 0..200 {
            let Fault::Cut(name, cuts) = Fault::cut(&mut random, 5, 4) else { panic!("it is a cut") };
            let from_4 = cuts.iter().filter(|(from, _)| *from == 4).count();
            let to_4 = cuts.iter().filter(|(_, to)| *to == 4).count();
            let heard: BTreeSet<usize> =
                (0..5).map(|node| cuts.iter().filter(|(_, to)| *to == node).count()).collect();
            match name {
                "isolated" => assert_eq!((from_4, to_4, cuts.len()), (4, 4, 8)),
                "deaf" => assert_eq!((from_4, to_4, cuts.len()), (0, 4, 4)),
                "mute" => assert_eq!((from_4, to_4, cuts.len()), (4, 0, 4)),
                "ring" => assert_eq!(heard, BTreeSet::from([2]), "each hears two neighbours"),
                "bridge" => assert_eq!(heard, BTreeSet::from([0, 2]), "one hears all, the others one side"),
                _ => assert!([8, 12].contains(&cuts.len()), "{name}: 1 and 4, or 2 and 3: {cuts:?}"),
            }
        }
    }
}
