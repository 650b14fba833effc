//! Who is a member, and what a quorum of them is.

use super::types::{Incarnation, NodeId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What the others know of a member.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Member {
    /// The disk that counts: messages of any other do not.
    pub(crate) incarnation: Incarnation,
    /// `host:port` as the user spelled it; resolved anew at every connection.
    pub(crate) address: String,
}

/// The members, all of them voters. (Learners and joint quorums will be told apart here and nowhere else.)
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Membership {
    /// By id.
    pub(crate) members: BTreeMap<NodeId, Member>,
}
