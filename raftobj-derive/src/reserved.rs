//! Names that are not free for methods of a handle.

/// Why a method of a handle cannot have a name, or `None` where it can.
///
/// `Replica<T>` reaches the handle by `Deref`, so whatever it finds on itself first wins without a word. Those are
/// its own methods, and those of traits that it or every type implements.
pub(crate) fn why_reserved(name: &str) -> Option<&'static str> {
    match name {
        "read" | "local" | "at_least" | "bounded" | "lease" | "linearizable" | "ready" | "node" => {
            Some("is a method of `Replica` itself")
        }
        "clone" | "clone_from" => Some("is a method of `Clone`, which `Replica` has itself"),
        "into" | "try_into" => Some("is a conversion that every type has, `Replica` too"),
        "borrow" | "borrow_mut" => Some("is a method of `Borrow`, which every type has, `Replica` too"),
        "to_owned" | "clone_into" => Some("is a method of `ToOwned`, which `Replica` has too"),
        "type_id" => Some("is a method of `Any`, which `Replica` has too"),
        "deref" => Some("is a method of `Deref`, which `Replica` has itself"),
        _ => None,
    }
}
