//! ID tokens of ours that come back as a hint (OpenID Connect Core 1.0, section 3.1.2.1).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use gatehouse_domain::{
    application::SigningAlgorithm,
    id::{KeyId, SessionId, UserId},
    issue::Parse,
    key::SigningKey,
};
use jsonwebtoken::{Algorithm, Validation};
use serde::Deserialize;

use super::{ID, StrictHeader, Tokens};

/// The longest ID token that is looked at: one may have all that is known of a user.
const ID_MAX: usize = 64 * 1024;

/// What an ID token of ours says that comes back (OpenID Connect Core 1.0, section 3.1.2.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    /// Its issuer.
    pub iss: String,
    /// The user.
    pub user_id: UserId,
    /// The application that it was issued to.
    pub client_id: String,
    /// The session that the user was signed in with.
    pub session_id: SessionId,
}

impl Tokens {
    /// Verifies the signature of an ID token, however old it is. `key` is the one that the token names.
    #[must_use]
    pub fn hint(&self, token: &str, key: &SigningKey) -> Option<Hint> {
        #[derive(Deserialize)]
        struct HintClaims {
            iss: String,
            sub: String,
            aud: String,
            sid: String,
        }
        let mut validation = Validation::new(match key.algorithm {
            SigningAlgorithm::Es256 => Algorithm::ES256,
            SigningAlgorithm::Rs256 => Algorithm::RS256,
            SigningAlgorithm::EdDsa => Algorithm::EdDSA,
        });
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        let claims = jsonwebtoken::decode::<HintClaims>(token, &*self.decoder(key).ok()?, &validation).ok()?.claims;
        Some(Hint {
            user_id: UserId::parse(&claims.sub).ok()?,
            client_id: claims.aud,
            session_id: SessionId::parse(&claims.sid).ok()?,
            iss: claims.iss,
        })
    }
}

/// The key that an ID token names; none for what is none of ours.
#[must_use]
pub fn key_of_id_token(token: &str) -> Option<KeyId> {
    let (header, rest) = token.split_once('.').filter(|_| token.len() <= ID_MAX)?;
    let header: StrictHeader = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
    (header.typ == ID && rest.split('.').count() == 2).then(|| KeyId::parse(&header.kid).ok()).flatten()
}
