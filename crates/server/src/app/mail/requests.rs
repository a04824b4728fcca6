//! What people who cannot sign in ask for. It waits as it came: who it concerns is looked up when mail is sent.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// What somebody who cannot sign in may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wish {
    /// A link with which another password can be set.
    PasswordReset,
    /// A link with which the address can be shown to be one's own.
    Verification,
}

/// What was asked for, by whom, as far as that is known.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) wish: Wish,
    pub(crate) email: String,
    pub(crate) ip: Option<IpAddr>,
    pub(crate) user_agent: Option<String>,
    pub(crate) request_id: Option<String>,
}
