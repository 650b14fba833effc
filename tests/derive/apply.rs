//! Tests of the generated `impl Object`: the table of methods, `apply` and `describe`.

use raftobj::serde::{Deserialize, Serialize};
use raftobj::{ApplyContext, MethodError, MethodId, Object, replicated};
use std::collections::BTreeMap;

/// An error that a method returns, which is data for raftobj.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(crate = "raftobj::serde")]
enum CasError {
    Other(Option<String>),
}

/// Does not implement `Debug`.
#[derive(Serialize, Deserialize)]
#[serde(crate = "raftobj::serde")]
struct NoDebug(u8);

#[replicated]
#[derive(Default)]
struct Store {
    data: BTreeMap<String, String>,
    bytes: Vec<u8>,
    sum: u64,
    seen: Vec<u64>,
}

#[replicated]
impl Store {
    const MORE: u64 = 1;

    #[replicated]
    fn set(&mut self, key: String, value: String) -> Option<String> {
        self.data.insert(key, value)
    }

    #[replicated]
    fn cas(&mut self, key: &str, old: Option<&str>, new: &str) -> Result<(), CasError> {
        let now = self.data.get(key).cloned();
        if now.as_deref() != old {
            return Err(CasError::Other(now));
        }
        // Inside a replicated method, another one is a plain method.
        self.set(key.to_owned(), new.to_owned());
        Ok(())
    }

    #[replicated(name = "put-bytes")]
    fn put_bytes(&mut self, bytes: &[u8], more: Option<&[u8]>) -> usize {
        self.bytes.extend_from_slice(bytes);
        self.bytes.extend_from_slice(more.unwrap_or_default());
        self.bytes.len()
    }

    #[replicated]
    fn by_reference(&mut self, no_debug: &NoDebug, numbers: &[u64], pair: &(u8, u8)) -> u64 {
        u64::from(no_debug.0) + numbers.iter().sum::<u64>() + u64::from(pair.0) + u64::from(pair.1)
    }

    #[replicated]
    fn patterns(&mut self, (a, b): (u8, u8), mut x: u32, _: u8, [c, d]: [u8; 2]) -> u32 {
        x += u32::from(a) + u32::from(b) + u32::from(c) + u32::from(d);
        x
    }

    #[replicated]
    fn context_first(&mut self, context: &ApplyContext, by: u64) {
        self.seen.push(context.index().0);
        self.sum += by;
    }

    #[replicated]
    fn context_amid(&mut self, by: u64, context: &raftobj::ApplyContext, more: u64) {
        self.seen.push(context.index().0);
        self.sum += by + more * Self::MORE;
    }

    #[replicated]
    fn context_only(&mut self, context: &ApplyContext) {
        self.seen.push(context.index().0);
    }

    #[replicated]
    fn no_debug(&mut self, before: u8, no_debug: NoDebug, after: &str) -> u8 {
        before + no_debug.0 + u8::try_from(after.len()).unwrap_or(0)
    }

    #[replicated]
    #[expect(clippy::needless_arbitrary_self_type, reason = "users may write it")]
    fn r#match(self: &mut Self) {}

    #[replicated]
    fn panics(&mut self) {
        self.sum += 1;
        panic!("as it should");
    }
}

fn encode(arguments: &impl Serialize) -> Vec<u8> {
    raftobj::__private::to_vec(arguments).expect("encodes")
}

fn apply(store: &mut Store, name: &str, arguments: &impl Serialize) -> Result<Vec<u8>, MethodError> {
    let mut reply = Vec::new();
    store.apply(MethodId::of(name), &encode(arguments), &ApplyContext::for_test(7, 2, 1_000), &mut reply)?;
    Ok(reply)
}

/// If it fails: existing logs cannot be applied any more.
#[test]
fn ids_are_the_hashes_of_names_and_never_change() {
    let ids: Vec<(&str, u32)> = Store::METHODS.iter().map(|method| (method.name, method.id.0)).collect();
    assert_eq!(ids[0], ("set", 0xc627_0703));
    assert_eq!(ids[1], ("cas", 0x0374_574e));
    assert_eq!(ids[2], ("put-bytes", 0x471f_6630));
    for (name, id) in ids {
        assert_eq!(MethodId::of(name).0, id, "{name}");
    }
}

/// If it fails: nodes that run the same code refuse each other, or warn.
#[test]
fn the_table_has_names_arities_and_types() {
    let table: Vec<(&str, u8, &str)> =
        Store::METHODS.iter().map(|method| (method.name, method.arity, method.types)).collect();
    assert_eq!(
        table,
        [
            ("set", 2, "String, String"),
            ("cas", 3, "&str, Option<&str>, &str"),
            ("put-bytes", 2, "&[u8], Option<&[u8]>"),
            ("by_reference", 3, "&NoDebug, &[u64], &(u8, u8)"),
            ("patterns", 4, "(u8, u8), u32, u8, [u8; 2]"),
            ("context_first", 1, "u64"),
            ("context_amid", 2, "u64, u64"),
            ("context_only", 0, ""),
            ("no_debug", 3, "u8, NoDebug, &str"),
            ("match", 0, ""),
            ("panics", 0, ""),
        ]
    );
    assert_eq!(Store::NAME, "Store");
}

/// If it fails: a call does something else than the method.
#[test]
fn a_call_is_decoded_and_applied_and_its_reply_encoded() {
    let mut store = Store::default();
    let reply = apply(&mut store, "set", &("a", "1")).expect("applies");
    assert_eq!(reply, encode(&None::<String>));
    let reply = apply(&mut store, "set", &("a", "2")).expect("applies");
    assert_eq!(reply, encode(&Some("1")));
    assert_eq!(store.data["a"], "2");
}

/// If it fails: raftobj treats a method's own error as an error of the call, or loses it.
#[test]
fn a_methods_result_is_data() {
    let mut store = Store::default();
    let reply = apply(&mut store, "cas", &("a", Some("0"), "1")).expect("applies");
    assert_eq!(reply, encode(&Err::<(), _>(CasError::Other(None))));
    let reply = apply(&mut store, "cas", &("a", None::<&str>, "1")).expect("applies");
    assert_eq!(reply, encode(&Ok::<_, CasError>(())));
    assert_eq!(store.data["a"], "1");
}

/// If it fails: the method gets other values than the caller passed by reference.
#[test]
fn borrowed_arguments_are_decoded() {
    let mut store = Store::default();
    let reply =
        apply(&mut store, "put-bytes", &([1_u8, 255].as_slice(), Some([3_u8].as_slice()))).expect("applies");
    assert_eq!((store.bytes.as_slice(), reply), ([1, 255, 3].as_slice(), encode(&3_usize)));
    let reply =
        apply(&mut store, "by_reference", &(NoDebug(4), vec![10_u64, 20], (1_u8, 2_u8))).expect("applies");
    assert_eq!(reply, encode(&37_u64));
}

/// If it fails: `apply` cannot decode a byte slice that the handle encoded.
#[test]
fn a_byte_slice_is_encoded_like_a_sequence() {
    for bytes in [vec![], vec![0_u8, 127, 128, 255], vec![7; 300]] {
        assert_eq!(encode(&raftobj::__private::ByteSlice(&bytes)), encode(&bytes));
        assert_eq!(encode(&Some(raftobj::__private::ByteSlice(&bytes))), encode(&Some(&bytes)));
    }
}

/// If it fails: a pattern in a signature changes the order of the arguments.
#[test]
fn patterns_take_the_arguments_in_order() {
    let reply = apply(&mut Store::default(), "patterns", &((1_u8, 2_u8), 30_u32, 9_u8, [4_u8, 5_u8]));
    assert_eq!(reply, Ok(encode(&42_u32)));
}

/// If it fails: the context counts as an argument, or is that of another call.
#[test]
fn the_context_is_given_in_any_position() {
    let mut store = Store::default();
    apply(&mut store, "context_first", &(1_u64,)).expect("applies");
    apply(&mut store, "context_amid", &(10_u64, 100_u64)).expect("applies");
    apply(&mut store, "context_only", &()).expect("applies");
    assert_eq!((store.sum, store.seen), (111, vec![7, 7, 7]));
}

/// If it fails: an entry that was written for another signature is applied.
#[test]
fn arguments_are_refused_unless_they_decode_to_the_last_byte() {
    let mut store = Store::default();
    let whole = encode(&("a", "1"));
    let mut reply = b"kept".to_vec();
    let context = ApplyContext::for_test(1, 1, 1);
    for length in 0..whole.len() {
        let refused = store.apply(MethodId::of("set"), &whole[..length], &context, &mut reply);
        assert!(
            matches!(refused, Err(MethodError::Arguments { method: "set", .. })),
            "{length} bytes: {refused:?}"
        );
        assert!(Store::describe(MethodId::of("set"), &whole[..length]).is_err());
    }
    let longer = [whole.as_slice(), &[0]].concat();
    let expected = MethodError::Arguments { method: "set", reason: "1 bytes are left over".to_owned() };
    assert_eq!(store.apply(MethodId::of("set"), &longer, &context, &mut reply), Err(expected.clone()));
    assert_eq!(Store::describe(MethodId::of("set"), &longer), Err(expected));
    assert_eq!(
        (store.data.len(), reply.as_slice()),
        (0, b"kept".as_slice()),
        "no method was called, and no reply was written"
    );

    let refused = store.apply(MethodId::of("context_only"), &[1], &context, &mut reply);
    assert!(matches!(refused, Err(MethodError::Arguments { method: "context_only", .. })), "{refused:?}");
}

/// If it fails: a node with older code applies something else.
#[test]
fn an_unknown_method_is_an_error() {
    let unknown = MethodId(1);
    let mut reply = Vec::new();
    let refused = Store::default().apply(unknown, &[], &ApplyContext::for_test(1, 1, 1), &mut reply);
    assert_eq!(refused, Err(MethodError::Unknown(unknown)));
    assert_eq!(Store::describe(unknown, &[]), Err(MethodError::Unknown(unknown)));
    // `name = "put-bytes"` replaces the method's own name.
    assert_eq!(
        Store::describe(MethodId::of("put_bytes"), &[]),
        Err(MethodError::Unknown(MethodId::of("put_bytes")))
    );
}

/// If it fails: a reply overwrites those of other calls in the same buffer.
#[test]
fn a_reply_is_appended() {
    let mut reply = b"before".to_vec();
    let context = ApplyContext::for_test(1, 1, 1);
    Store::default().apply(MethodId::of("no_debug"), &[1, 2, 0], &context, &mut reply).expect("applies");
    assert_eq!(reply, b"before\x03");
}

/// If it fails: people cannot read the log of a node.
#[test]
fn arguments_are_described_as_a_person_would_write_them() {
    let describe =
        |name: &str, arguments: &[u8]| Store::describe(MethodId::of(name), arguments).expect("decodes");
    assert_eq!(describe("cas", &encode(&("a", Some("1"), "2"))), r#""a", Some("1"), "2""#);
    assert_eq!(describe("put-bytes", &encode(&(vec![1_u8, 2], None::<Vec<u8>>))), "[1, 2], None");
    assert_eq!(describe("no_debug", &encode(&(1_u8, NoDebug(2), "x"))), r#"1, _, "x""#);
    assert_eq!(describe("context_amid", &encode(&(1_u64, 2_u64))), "1, 2");
    assert_eq!(describe("context_only", &[]), "");
}

/// If it fails: `apply` swallows a panic of a method, and its caller cannot record it.
#[test]
#[should_panic(expected = "as it should")]
fn a_panic_reaches_the_caller_of_apply() {
    let _ = apply(&mut Store::default(), "panics", &());
}
