//! Faults of processes and of the network between them, drawn at random.
//!
//! Pure: a [`Fault`] that fits a [`Condition`] is drawn here, and the round injects it. Begin with [`Fault::draw`].

use raftobj::sim::Random;
use std::collections::BTreeSet;
use std::fmt;

/// The faults that are present in a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Condition {
    pub(crate) size: usize,
    /// Killed, and not restarted.
    pub(crate) dead: BTreeSet<usize>,
    /// Stopped by SIGSTOP.
    pub(crate) stopped: BTreeSet<usize>,
    /// The cut links: (from, to).
    pub(crate) cuts: BTreeSet<(usize, usize)>,
    /// The nodes whose network link is down.
    pub(crate) unplugged: BTreeSet<usize>,
}

/// A fault, or a repair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// SIGKILL: all signals are sent before waiting for any process to end.
    Kill(BTreeSet<usize>),
    /// Restart on the same files.
    Start(BTreeSet<usize>),
    /// SIGSTOP.
    Stop(usize),
    /// SIGCONT.
    Continue(usize),
    /// Cut exactly these links (from, to). The name is that of the shape.
    Cut(&'static str, BTreeSet<(usize, usize)>),
    /// Take the network link of a node down.
    Unplug(usize),
    /// Restore all links.
    Heal,
}

impl Condition {
    /// No faults.
    pub(crate) fn healthy(size: usize) -> Condition {
        Condition {
            size,
            dead: BTreeSet::new(),
            stopped: BTreeSet::new(),
            cuts: BTreeSet::new(),
            unplugged: BTreeSet::new(),
        }
    }

    /// The condition after this fault or repair.
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
            Fault::Heal => {
                self.cuts.clear();
                self.unplugged.clear();
            }
        }
        self
    }

    /// The largest majority that runs and in which every link works. While there is one, the cluster must serve.
    pub(crate) fn connected_majority(&self) -> Option<Vec<usize>> {
        let is_running = |node: &usize| !self.dead.contains(node) && !self.stopped.contains(node);
        let reaches = |from: usize, to: usize| {
            from == to
                || !(self.cuts.contains(&(from, to))
                    || self.unplugged.contains(&from)
                    || self.unplugged.contains(&to))
        };
        let groups = (0_usize..1 << self.size)
            .map(|mask| -> Vec<usize> { (0..self.size).filter(|node| mask >> node & 1 == 1).collect() });
        let is_connected = |group: &Vec<usize>| {
            group.iter().all(|node| is_running(node) && group.iter().all(|other| reaches(*node, *other)))
        };
        let majorities = groups.filter(|group| group.len() > self.size / 2);
        majorities.filter(is_connected).max_by_key(Vec::len)
    }

    fn running(&self) -> Vec<usize> {
        (0..self.size).filter(|node| !self.dead.contains(node) && !self.stopped.contains(node)).collect()
    }

    fn is_cut(&self) -> bool {
        !self.cuts.is_empty() || !self.unplugged.is_empty()
    }
}

impl Fault {
    /// Draws the next fault, or a repair, which is more likely while there is no connected majority. Of the faults of a
    /// single node half hit the leader, if it is known.
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
            repairs.push(Fault::Heal);
        }
        let running = condition.running();
        let repair_now = match condition.connected_majority() {
            Some(_) => random.one_in(4),
            None => !random.one_in(3),
        };
        if !repairs.is_empty() && (repair_now || running.is_empty()) {
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

    /// A cut of a random shape. `target` is the node at the centre of a shape that has one.
    fn cut(random: &mut Random, size: usize, target: usize) -> Fault {
        let mut order: Vec<usize> = (0..size).collect();
        for last in (1..size).rev() {
            order.swap(last, random.below(last as u64 + 1) as usize);
        }
        let place = |node: usize| order.iter().position(|other| *other == node).expect("all are in order");
        let border = random.between(1, size as u64 - 1) as usize;
        // Which links are left, from one node to another.
        let (name, works): (_, &dyn Fn(usize, usize) -> bool) =
            match random.below(if size > 3 { 6 } else { 5 }) {
                0 => ("split", &|from, to| (place(from) < border) == (place(to) < border)),
                1 => ("isolated", &|from, to| from != target && to != target),
                2 => ("send only", &|_, to| to != target),
                3 => ("receive only", &|from, _| from != target),
                4 => ("bridge", &|from, to| {
                    // The middle node is connected to both sides, which are not connected to each other.
                    let side = |node| place(node).cmp(&(size / 2));
                    from == order[size / 2] || to == order[size / 2] || side(from) == side(to)
                }),
                // A ring of three is fully connected.
                _ => ("ring", &|from, to| {
                    let distance = place(from).abs_diff(place(to));
                    distance == 1 || distance == size - 1
                }),
            };
        let links = (0..size).flat_map(|from| (0..size).map(move |to| (from, to)));
        let cuts = links.filter(|(from, to)| from != to && !works(*from, *to)).collect();
        Fault::Cut(name, cuts)
    }

    /// Its name, without the nodes.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Fault::Kill(nodes) if nodes.len() > 1 => "kill all",
            Fault::Kill(_) => "kill",
            Fault::Start(_) => "start",
            Fault::Stop(_) => "stop",
            Fault::Continue(_) => "continue",
            Fault::Cut(name, _) => name,
            Fault::Unplug(_) => "unplug",
            Fault::Heal => "heal",
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
            Fault::Heal => write!(f, "{kind}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// If it fails, a round fails although the cluster need not serve, or passes although it hangs.
    #[test]
    fn a_connected_majority_runs_and_has_every_link() {
        let healthy = Condition::healthy(5);
        assert_eq!(healthy.connected_majority(), Some(vec![0, 1, 2, 3, 4]));
        let stopped = healthy.clone().after(&Fault::Stop(0)).after(&Fault::Kill(BTreeSet::from([1])));
        assert_eq!(stopped.connected_majority(), Some(vec![2, 3, 4]));
        let cut = Fault::Cut("send only", BTreeSet::from([(3, 2), (4, 2)]));
        let cut = stopped.after(&cut);
        assert_eq!(cut.connected_majority(), None, "2 receives nothing");
        let killed = cut.after(&Fault::Kill(BTreeSet::from([0])));
        assert_eq!(killed.stopped, BTreeSet::new(), "a dead node is not stopped");
        let back = killed.after(&Fault::Start(BTreeSet::from([0, 1])));
        assert_eq!(back.connected_majority(), Some(vec![0, 1, 3, 4]));
        let unplugged = back.after(&Fault::Unplug(3)).after(&Fault::Unplug(4));
        assert_eq!(unplugged.connected_majority(), Some(vec![0, 1, 2]), "2 receives from these");
        assert_eq!(unplugged.after(&Fault::Heal), healthy);
    }

    /// If it fails, a kind of fault is never drawn, or is drawn where it makes no sense.
    #[test]
    fn every_kind_is_drawn_and_fits_its_condition() {
        for (size, has_network) in [(3, false), (3, true), (4, true), (5, true)] {
            let mut random = Random::new(1);
            let mut condition = Condition::healthy(size);
            let mut kinds = BTreeSet::new();
            for _ in 0..2_000 {
                let leader = Some(random.below(size as u64) as usize);
                let fault = Fault::draw(&mut random, &condition, leader, has_network);
                let after = condition.clone().after(&fault);
                match &fault {
                    Fault::Cut(_, cuts) => assert!(!cuts.is_empty(), "{fault}"),
                    _ => assert!(after != condition, "{fault} changes nothing in {condition:?}"),
                }
                let is_dead = |node: usize| condition.dead.contains(&node);
                match &fault {
                    Fault::Stop(node) | Fault::Continue(node) => assert!(!is_dead(*node), "{fault}"),
                    Fault::Start(nodes) => assert!(nodes.iter().all(|node| is_dead(*node)), "{fault}"),
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

    /// If it fails, a cut does not have the shape of its name.
    #[test]
    fn cuts_have_the_shape_of_their_name() {
        let mut random = Random::new(2);
        for _ in 0..200 {
            let Fault::Cut(name, cuts) = Fault::cut(&mut random, 5, 4) else { panic!("it is not a cut") };
            let from_4 = cuts.iter().filter(|(from, _)| *from == 4).count();
            let to_4 = cuts.iter().filter(|(_, to)| *to == 4).count();
            let cuts_to: BTreeSet<usize> =
                (0..5).map(|node| cuts.iter().filter(|(_, to)| *to == node).count()).collect();
            match name {
                "isolated" => assert_eq!((from_4, to_4, cuts.len()), (4, 4, 8)),
                "send only" => assert_eq!((from_4, to_4, cuts.len()), (0, 4, 4)),
                "receive only" => assert_eq!((from_4, to_4, cuts.len()), (4, 0, 4)),
                "ring" => assert_eq!(cuts_to, BTreeSet::from([2]), "each receives from two neighbours"),
                "bridge" => assert_eq!(cuts_to, BTreeSet::from([0, 2]), "the bridge receives from all"),
                _ => assert!([8, 12].contains(&cuts.len()), "{name}: 1 and 4, or 2 and 3: {cuts:?}"),
            }
        }
    }
}
