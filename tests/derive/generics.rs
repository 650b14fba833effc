//! Tests of structs with type and constant parameters, and of methods under `#[cfg]`.

use raftobj::{ApplyContext, Call, MethodId, Object, Replica, replicated};
use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::fmt::Debug;

/// Some bounds are on the struct, the others on the block, as users write them.
#[replicated]
#[derive(Default)]
struct Map<K, V>
where
    K: Ord,
{
    entries: BTreeMap<K, V>,
}

#[replicated]
impl<K: Ord, V> Map<K, V>
where
    K: Clone + Debug,
    V: PartialEq,
{
    #[replicated]
    fn put(&mut self, key: K, value: V) -> Option<V> {
        self.entries.insert(key, value)
    }

    #[replicated]
    fn put_all(&mut self, pairs: &[(K, V)], other: &V, _: Option<&str>) -> usize
where {
        self.entries.retain(|_, value| value != other);
        self.entries.len() + pairs.len()
    }

    #[replicated]
    fn merge(&mut self, other: Self) {
        self.entries.extend(other.entries);
    }

    fn has<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.entries.contains_key(key)
    }

    fn count(&self, is_counted: impl Fn(&K, &V) -> bool) -> usize {
        self.entries.iter().filter(|(key, value)| is_counted(key, value)).count()
    }
}

/// Without a bound on the struct: the derived impls are bounded by the field's type, which requires `K: Ord`.
#[replicated]
#[derive(Default)]
struct Unbounded<K> {
    keys: std::collections::BTreeSet<K>,
}

#[replicated]
impl<K: Ord> Unbounded<K> {
    #[replicated]
    fn add(&mut self, key: K) -> bool {
        self.keys.insert(key)
    }
}

/// A struct that contains itself keeps serde's own bounds.
#[replicated]
struct Tree<T> {
    item: T,
    children: Vec<Tree<T>>,
}

#[replicated]
impl<T> Tree<T> {
    #[replicated]
    fn grow(&mut self, item: T) -> usize {
        self.children.push(Tree { item, children: Vec::new() });
        self.children.len()
    }

    fn is_leaf_of(&self, item: &T) -> bool
    where
        T: PartialEq,
    {
        self.children.is_empty() && self.item == *item
    }
}

#[replicated]
#[derive(Default)]
struct Ring<const N: usize> {
    items: Vec<u64>,
}

#[replicated]
impl<const N: usize> Ring<N> {
    #[replicated]
    fn push(&mut self, item: u64) -> usize {
        self.items.push(item);
        self.items.truncate(N);
        self.items.len()
    }
}

/// Only one of the two `which` is compiled.
#[replicated]
#[derive(Default)]
struct Twins {
    which: u8,
}

#[replicated]
impl Twins {
    #[cfg(not(test))]
    #[replicated]
    fn which(&mut self) {
        self.which = no_such_thing();
    }

    #[cfg(test)]
    #[replicated]
    fn which(&mut self) {
        self.which = 2;
    }
}

fn signatures(
    map: &Replica<Map<String, u64>>,
    ring: &Replica<Ring<3>>,
    tree: &Replica<Tree<u8>>,
    unbounded: &Replica<Unbounded<u8>>,
) {
    let _: Call<Option<u64>> = map.put("a".to_owned(), 1);
    let _: Call<usize> = map.put_all(&[], &1, Some(""));
    let _: Call<()> = map.merge(Map::default());
    let _: (bool, usize) = (map.has("a"), map.count(|_, value| *value > 1));
    let _: Call<usize> = ring.push(1);
    let _: (Call<usize>, bool) = (tree.grow(1), tree.is_leaf_of(&1));
    let _: Call<bool> = unbounded.add(1);
}

fn apply<T: Object>(object: &mut T, name: &str, arguments: &[u8]) -> Vec<u8> {
    let mut reply = Vec::new();
    object
        .apply(MethodId::of(name), arguments, &ApplyContext::for_test(1, 1, 1), &mut reply)
        .expect("applies");
    reply
}

/// If it fails: a method of a generic object decodes the wrong types.
#[test]
fn calls_of_a_generic_object_are_applied() {
    let _ = signatures;
    let mut map = Map::<u8, String>::default();
    assert_eq!(apply(&mut map, "put", b"\x07\x01x"), b"\x00");
    assert_eq!(apply(&mut map, "put", b"\x07\x01y"), b"\x01\x01x");
    assert_eq!(apply(&mut map, "merge", b"\x01\x08\x01z"), b"");
    assert_eq!(map.entries.len(), 2);
    assert_eq!(Map::<u8, String>::describe(MethodId::of("put"), b"\x07\x01y").as_deref(), Ok("7, _"));
    assert_eq!(
        (Map::<u8, u8>::NAME, Map::<u8, u8>::METHODS[1].types),
        ("Map", "&[(K, V)], &V, Option<&str>")
    );

    assert_eq!(apply(&mut Unbounded::<u8>::default(), "add", b"\x07"), b"\x01");
    assert_eq!(apply(&mut Tree { item: 1_u8, children: vec![] }, "grow", b"\x07"), b"\x01");
    assert_eq!(apply(&mut Ring::<0>::default(), "push", b"\x07"), b"\x00");
    assert_eq!(apply(&mut Ring::<1>::default(), "push", b"\x07"), b"\x01");
}

/// If it fails: the table contains a method that is not compiled, or lacks one that is.
#[test]
fn the_table_contains_only_methods_that_cfg_enables() {
    assert_eq!(Twins::METHODS.len(), 1);
    let mut twins = Twins::default();
    apply(&mut twins, "which", &[]);
    assert_eq!(twins.which, 2);
}
