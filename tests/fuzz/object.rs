//! Targets for a user's object: the arguments of its calls, and its replies.

use raftobj::__fuzz::{MemoryBound, Target, machine, machine_seed, reply};
use raftobj::{ApplyContext, replicated};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// For a sequence that claims to be long, serde reserves up to 1 MiB, and postcard at most as many elements as there
/// are bytes left. Nested sequences do so at each level.
const MEMORY: MemoryBound = MemoryBound { bytes_fixed: 4 << 20, bytes_per_byte: 1024 };

pub(crate) fn targets() -> Vec<Target> {
    vec![
        Target { name: "object", decode: machine::<Shelf>, seeds: object_seeds, memory: MEMORY },
        Target { name: "reply", decode: reply::<Reply>, seeds: reply_seeds, memory: MEMORY },
    ]
}

/// Its methods take arguments of each shape.
#[replicated]
#[derive(Default)]
struct Shelf {
    items: BTreeMap<String, Item>,
    taken: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Item {
    Empty,
    Number(i64),
    Bytes(Vec<u8>),
    Pair { name: String, weight: Option<u32> },
    Nested(Vec<Item>),
}

type Reply = Result<(Vec<Item>, BTreeMap<u16, String>), Option<char>>;

#[replicated]
impl Shelf {
    #[replicated]
    fn put(&mut self, key: &str, item: Item) -> Option<Item> {
        self.items.insert(key.to_owned(), item)
    }

    #[replicated]
    fn put_all(&mut self, items: Vec<(String, Item)>, limits: BTreeMap<u16, [u64; 3]>, flag: bool) -> usize {
        if flag && limits.is_empty() {
            self.items.clear();
        }
        self.items.extend(items);
        self.items.len()
    }

    #[replicated]
    fn take(&mut self, keys: &[String], fallback: &[u8], context: &ApplyContext) -> (u64, Vec<Item>) {
        self.taken = self.taken.wrapping_add(context.random_u64());
        let taken = keys.iter().filter_map(|key| self.items.remove(key));
        (self.taken, taken.chain([Item::Bytes(fallback.to_vec())]).collect())
    }

    #[replicated]
    fn rename(&mut self, from: Option<&str>, to: char, by: i128) -> Result<(), String> {
        let item = from.and_then(|from| self.items.remove(from)).ok_or("there is none")?;
        self.items.insert(format!("{to}{by}"), item);
        Ok(())
    }

    /// A panic is an outcome of the call.
    #[replicated]
    fn weigh(&mut self, key: &str) -> u32 {
        match &self.items[key] {
            Item::Pair { weight, .. } => weight.expect("it was weighed"),
            _ => 0,
        }
    }
}

fn encoded<T: Serialize>(value: T) -> Vec<u8> {
    postcard::to_stdvec(&value).expect("a value of our own")
}

fn sample_item() -> Item {
    let pair = Item::Pair { name: "lamp".into(), weight: Some(300) };
    Item::Nested(vec![Item::Empty, Item::Number(-5), Item::Bytes(vec![1, 2, 3]), pair])
}

fn object_seeds() -> Vec<(&'static str, Vec<u8>)> {
    let put = ("put", encoded(("a", sample_item())));
    let limits = BTreeMap::from([(1_u16, [1_u64, 2, 3])]);
    let put_all = ("put_all", encoded((vec![("b", sample_item())], limits, true)));
    let take = ("take", encoded((["a", "c"].as_slice(), [9_u8].as_slice())));
    let rename = ("rename", encoded((Some("b"), 'z', i128::MIN)));
    let weigh = ("weigh", encoded("nothing"));
    vec![
        ("every_method", machine_seed(&[put.clone(), put_all, take, rename, weigh])),
        ("put", machine_seed(&[put])),
    ]
}

fn reply_seeds() -> Vec<(&'static str, Vec<u8>)> {
    let value: Reply = Ok((vec![sample_item(), Item::Empty], BTreeMap::from([(7, "seven".into())])));
    let error: Reply = Err(Some('é'));
    vec![("value", encoded(value)), ("error", encoded(error))]
}
