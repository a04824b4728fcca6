//! Links that let their holder do one thing once. Their tokens are secrets of 256 random bits, kept as digests.

use std::time::Duration;

use super::User;
use crate::{
    text::Email,
    time::{DAY, HOUR, Timestamp},
    word::words,
};

/// How long an invitation can be accepted.
pub const INVITATION_LIFETIME: Duration = DAY.saturating_mul(7);
/// How long a password can be reset with a link (OWASP: an hour at most).
pub const RESET_LIFETIME: Duration = HOUR;
/// How long an e-mail address can be confirmed.
pub const VERIFICATION_LIFETIME: Duration = DAY;

words! {
    /// What a link is good for; for nothing else.
    Purpose {
        /// Setting the first password.
        Invitation = "invitation",
        /// Setting another password in the place of a forgotten one.
        PasswordReset = "password_reset",
        /// Showing that an address is one's own, and making it that of the account.
        Email = "email",
    }
}

/// A link that has been made for a user; an earlier one of the same purpose stops working.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// Whose it is.
    pub user: User,
    /// What it is good for.
    pub purpose: Purpose,
    /// The address it is mailed to; none if it is handed over in another way, which proves no mailbox.
    pub mailed_to: Option<Email>,
    /// When it stops working.
    pub expires_at: Timestamp,
}

/// The account is not in a state in which that link does anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Useless;
