//! Requests that applications push before a browser brings them (RFC 9126).

use std::time::Duration;

use crate::{
    oauth::{Params, Thumbprint},
    time::HOUR,
};

/// What names a pushed request begins with.
const PREFIX: &str = "urn:ietf:params:oauth:request_uri:";
/// How long a browser has to bring it.
pub const PUSHED_LIFETIME: Duration = Duration::from_secs(90);
/// How long it is remembered after that: a page that was shown for it may wait for its user.
pub const PUSHED_REMEMBERED: Duration = HOUR;
/// The most requests of one application that wait.
pub const PUSHED_WAITING: u64 = 10_000;

/// The `request_uri` of a pushed request.
#[must_use]
pub fn pushed_uri(token: &str) -> String {
    format!("{PREFIX}{token}")
}

impl Params {
    /// What names the pushed request that a request brings, if it brings one.
    #[must_use]
    pub fn pushed(&self) -> Option<&str> {
        self.get("request_uri")?.strip_prefix(PREFIX)
    }

    /// What an application pushed, without what it proved itself with. Whose it is is known besides.
    #[must_use]
    pub fn to_push(&self, client_id: &str) -> Self {
        let proofs = ["client_id", "client_secret", "client_assertion", "client_assertion_type"];
        let mut pairs: Vec<_> =
            self.pairs().iter().filter(|(name, _)| !proofs.contains(&name.as_str())).cloned().collect();
        pairs.push(("client_id".to_owned(), client_id.to_owned()));
        Self::new(pairs)
    }

    /// The same, naming a key besides.
    #[must_use]
    pub fn bound_to(&self, key: &Thumbprint) -> Self {
        let others = self.pairs().iter().filter(|(name, _)| name != "dpop_jkt").cloned();
        Self::new(others.chain([("dpop_jkt".to_owned(), key.as_str().to_owned())]).collect())
    }

    /// What was pushed, brought under this name.
    #[must_use]
    pub fn brought_by(pairs: Vec<(String, String)>, token: &str) -> Self {
        Self::new(pairs.into_iter().chain([("request_uri".to_owned(), pushed_uri(token))]).collect())
    }
}
