//! Names that a method of the handle cannot have.

/// The methods of `Replica`. A test compares them with its source.
pub(crate) const REPLICA_METHODS: &[&str] = &["linearizable", "node", "read", "ready"];

/// What already has this name, or `None` if a method of the handle may have it.
///
/// `Replica<T>` dereferences to the handle, so method lookup tries `Replica` first: its own methods, and those of traits
/// that it or every type implements. They would silently hide a method of the handle.
pub(super) fn reserved_by(name: &str) -> Option<&'static str> {
    match name {
        _ if REPLICA_METHODS.contains(&name) => Some("a method of `Replica` itself"),
        "clone" | "clone_from" => Some("a method of `Clone`, which `Replica` implements"),
        "deref" => Some("a method of `Deref`, which `Replica` implements"),
        "into" => Some("a method of `Into`, which every type implements"),
        "try_into" => Some("a method of `TryInto`, which every type implements"),
        "borrow" => Some("a method of `Borrow`, which every type implements"),
        "borrow_mut" => Some("a method of `BorrowMut`, which every type implements"),
        "type_id" => Some("a method of `Any`, which every type implements"),
        "to_owned" | "clone_into" => Some("a method of `ToOwned`, which every `Clone` type implements"),
        _ => None,
    }
}
