//! One's own account: made, changed, found again.

pub mod mailbox;
pub mod profile;
pub mod recovery;
