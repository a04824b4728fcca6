//! Whose doings a reader sees with who it was.

use super::{Grant, Permission, Reach};
use crate::id::PartnerId;

/// Who acted is shown for users of the tenant in which they acted, and beyond these as far as this says. Everybody else
/// came from above: to the reader, that is an operator without a name, an address or a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ActorsShown {
    /// Everybody.
    All,
    /// The users of these partners.
    OfPartners(Vec<PartnerId>),
}

impl<P: Permission> Grant<P> {
    /// Whom the reader is shown. Not the reach of the grant decides, which is often but one tenant, but where its actor
    /// holds the permission.
    #[must_use]
    pub fn actors_shown(&self) -> ActorsShown {
        match self.actor().directory(P::NAME) {
            Ok(Reach::Platform) => ActorsShown::All,
            Ok(Reach::Partners(partners)) => ActorsShown::OfPartners(partners),
            _ => ActorsShown::OfPartners(Vec::new()),
        }
    }
}
