//! The credential of the operator of the installation. This module knows nothing else of the command line, so that HTTP
//! can accept the credential without knowing how to make one.

use std::sync::Arc;

use gatehouse_domain::authz::{Actor, SystemReason};

/// The proof that somebody acts at the command line of this machine. Nothing outside the command line can make one, and
/// nothing that comes over a network becomes one.
#[derive(Debug, Clone)]
pub struct Operator(Arc<Actor>);

impl Operator {
    /// The operator, who has given a command.
    pub(in crate::cli) fn at_command_line() -> Self {
        Self(Arc::new(Actor::System(SystemReason::Cli)))
    }

    /// Who acts.
    pub(crate) const fn actor(&self) -> &Arc<Actor> {
        &self.0
    }
}
