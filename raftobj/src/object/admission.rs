//! The leader's check of commands that peers forward.
//!
//! An entry that cannot be applied stops every replica, and stops it again after each restart. The leader therefore
//! checks a forwarded command before it proposes it. A command that passes can only fail to decode its arguments,
//! which the method alone can judge.

use crate::codec::command::{Command, ObjectId};
use crate::codec::method::MethodId;
use crate::raft::types::{Incarnation, NodeId};

/// Why a forwarded command is not proposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AdmissionError {
    /// Its session is not that of the node that forwarded it.
    #[error("it is a call of node {}, which did not forward it itself", .0.short())]
    ForeignSession(NodeId),
    /// This node has no such object.
    #[error("it is for object {}, which this node does not have", .0.0)]
    Object(ObjectId),
    /// The object has no such method.
    #[error("this node has no method with id {:08x}", .0.0)]
    Method(MethodId),
}

/// Whether a command may be proposed that `node`, with the disk `incarnation`, has forwarded.
pub(crate) fn admit(
    command: &Command,
    node: NodeId,
    incarnation: Incarnation,
    has_method: impl Fn(MethodId) -> bool,
) -> Result<(), AdmissionError> {
    if (command.session.node, command.session.incarnation) != (node, incarnation) {
        return Err(AdmissionError::ForeignSession(command.session.node));
    }
    if command.object != ObjectId::default() {
        return Err(AdmissionError::Object(command.object));
    }
    if !has_method(command.method) {
        return Err(AdmissionError::Method(command.method));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::Object;
    use crate::object::fixture::{ADD, Tally, command, session};

    // Breaks: one forged frame stops all replicas for ever.
    #[test]
    fn a_command_that_no_replica_can_apply_is_not_admitted() {
        let good = command(session(1, 1), 1, 1, ADD, 5);
        let (node, incarnation) = (good.session.node, good.session.incarnation);
        let has_method = |id| Tally::METHODS.iter().any(|method| method.id == id);
        let check = |command: &Command| admit(command, node, incarnation, has_method);
        assert_eq!(check(&good), Ok(()));
        let foreign = Command { session: session(2, 1), ..good.clone() };
        assert_eq!(check(&foreign), Err(AdmissionError::ForeignSession(NodeId(2))));
        let wiped = admit(&good, node, Incarnation(0), has_method);
        assert_eq!(wiped, Err(AdmissionError::ForeignSession(node)));
        let object = Command { object: ObjectId(1), ..good.clone() };
        assert_eq!(check(&object), Err(AdmissionError::Object(ObjectId(1))));
        let method = Command { method: MethodId(1), ..good };
        assert_eq!(check(&method), Err(AdmissionError::Method(MethodId(1))));
    }
}
