//! What may enter the log from a peer.
//!
//! An entry that cannot be applied stops every replica, over restarts too. So a leader looks at a forwarded command
//! before it proposes it; what it lets in can only fail in its arguments, which are the method's own to judge.

use crate::codec::command::{Command, ObjectId};
use crate::codec::method::MethodId;
use crate::raft::types::{Incarnation, NodeId};

/// Why a peer's command is not proposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AdmissionError {
    /// It is of a session of another node than the one that sent it.
    #[error("it is a call of node {}, forwarded by another", .0.short())]
    ForeignSession(NodeId),
    /// There is no such object here.
    #[error("it is for object {}, and this node has none of that id", .0.0)]
    Object(ObjectId),
    /// There is no such method here.
    #[error("there is no method with id {:08x} here", .0.0)]
    Method(MethodId),
}

/// Whether a command that `node` has forwarded may be proposed. `knows` says whether there is such a method.
pub(crate) fn admit(
    command: &Command,
    node: NodeId,
    incarnation: Incarnation,
    knows: impl Fn(MethodId) -> bool,
) -> Result<(), AdmissionError> {
    if (command.session.node, command.session.incarnation) != (node, incarnation) {
        return Err(AdmissionError::ForeignSession(command.session.node));
    }
    if command.object != ObjectId::default() {
        return Err(AdmissionError::Object(command.object));
    }
    if !knows(command.method) {
        return Err(AdmissionError::Method(command.method));
    }
    Ok(())
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
        let knows = |id| Tally::METHODS.iter().any(|method| method.id == id);
        let ask = |command: &Command| admit(command, node, incarnation, knows);
        assert_eq!(ask(&good), Ok(()));
        let stranger = Command { session: session(2, 1), ..good.clone() };
        assert_eq!(ask(&stranger), Err(AdmissionError::ForeignSession(NodeId(2))));
        let wiped = admit(&good, node, Incarnation(0), knows);
        assert_eq!(wiped, Err(AdmissionError::ForeignSession(node)));
        let object = Command { object: ObjectId(1), ..good.clone() };
        assert_eq!(ask(&object), Err(AdmissionError::Object(ObjectId(1))));
        let method = Command { method: MethodId(1), ..good };
        assert_eq!(ask(&method), Err(AdmissionError::Method(MethodId(1))));
    }
}
