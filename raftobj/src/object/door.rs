//! What may enter the log from a peer.
//!
//! An entry that cannot be applied stops every replica, over restarts too. So a leader looks at a forwarded command
//! before it proposes it; what it lets in can only fail in its arguments, which are the method's own to judge.

use super::{Method, MethodId};
use crate::codec::DecodeError;
use crate::codec::command::{Command, ObjectId};
use crate::raft::types::{Incarnation, NodeId};
use bytes::Bytes;

/// Why a peer's command is not proposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DoorError {
    /// Its bytes are no command.
    #[error("it is not a command: {0}")]
    Command(#[from] DecodeError),
    /// It is of a session of another node than the one that sent it.
    #[error("it is a call of node {}, forwarded by another", .0.short())]
    Stranger(NodeId),
    /// There is no such object here.
    #[error("it is for object {}, and this node has none of that id", .0.0)]
    Object(ObjectId),
    /// There is no such method here.
    #[error("there is no method with id {:08x} here", .0.0)]
    Method(MethodId),
}

/// Whether a command that `node` has forwarded may be proposed; the command as decoded.
pub(crate) fn admit(
    payload: &Bytes,
    node: NodeId,
    incarnation: Incarnation,
    methods: &[Method],
) -> Result<Command, DoorError> {
    let command = Command::decode(payload)?;
    if (command.session.node, command.session.incarnation) != (node, incarnation) {
        return Err(DoorError::Stranger(command.session.node));
    }
    if command.object != ObjectId::default() {
        return Err(DoorError::Object(command.object));
    }
    if !methods.iter().any(|method| method.id == command.method) {
        return Err(DoorError::Method(command.method));
    }
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::Object;
    use crate::object::fixture::{ADD, Tally, command, session};

    // Breaks: one forged frame stops every replica for ever.
    #[test]
    fn what_no_replica_could_apply_does_not_enter_the_log() {
        let good = command(session(1, 1), 1, 1, ADD, 5);
        let (node, incarnation) = (good.session.node, good.session.incarnation);
        let ask = |payload: &Bytes| admit(payload, node, incarnation, Tally::METHODS);
        assert_eq!(ask(&good.encode()), Ok(good.clone()));
        assert!(matches!(ask(&Bytes::from_static(b"garbage")), Err(DoorError::Command(_))));
        let stranger = Command { session: session(2, 1), ..good.clone() };
        assert_eq!(ask(&stranger.encode()), Err(DoorError::Stranger(NodeId(2))));
        let wiped = admit(&good.encode(), node, Incarnation(0), Tally::METHODS);
        assert_eq!(wiped, Err(DoorError::Stranger(node)));
        let object = Command { object: ObjectId(1), ..good.clone() };
        assert_eq!(ask(&object.encode()), Err(DoorError::Object(ObjectId(1))));
        let method = Command { method: MethodId(1), ..good };
        assert_eq!(ask(&method.encode()), Err(DoorError::Method(MethodId(1))));
    }
}
