//! What binds a form to the browser that got it, so that nobody else can have it sent (OWASP: HMAC-based token pattern).

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

use crate::security::keyring::{Keyring, equal};

/// Makes and checks the tokens of forms.
#[derive(Debug, Clone, Copy)]
pub struct FormTokens<'a>(&'a Keyring);

impl<'a> FormTokens<'a> {
    pub(super) const fn new(keyring: &'a Keyring) -> Self {
        Self(keyring)
    }

    /// The token of a form that `browser` sends to `path`.
    #[must_use]
    pub fn write(&self, browser: &str, path: &str) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(self.0.form_tag(&[browser.as_bytes(), &[0], path.as_bytes()].concat()))
    }

    /// Whether a token is that one.
    #[must_use]
    pub fn holds(&self, browser: &str, path: &str, token: &str) -> bool {
        equal(self.write(browser, path).as_bytes(), token.as_bytes())
    }
}
