//! Opaque tokens: refresh tokens, authorization codes, setup tokens, those of invitations and other links, secrets of
//! applications, cookies of sessions.
//!
//! A refresh token is `ghr_`, that of an application `ghg_`, and base64url of: the id of its session or family (16 bytes),
//! generation (4), 256 random bits, and an authentication code (16) over these. The code lets a token that was spent long ago be recognised as ours without
//! keeping it; the current one must match the stored digest besides. Exactly one text stands for each token: anything
//! shorter, longer or re-encoded is refused before the database is asked.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use gatehouse_domain::{
    id::{FamilyId, SessionId},
    refresh::Presented,
    secret::{Secret, TokenHash},
};

use crate::{
    env::Env,
    security::keyring::{Keyring, TAG_LEN, equal, token_hash},
};

const PREFIX: &str = "ghr_";
const FAMILY_PREFIX: &str = "ghg_";
const CODE_PREFIX: &str = "gha_";
const SETUP_PREFIX: &str = "ghs_";
const INVITATION_PREFIX: &str = "ghi_";
const RESET_PREFIX: &str = "ghw_";
const VERIFICATION_PREFIX: &str = "ghv_";
const DEVICE_PREFIX: &str = "ghd_";
const DEVICE_CODE_PREFIX: &str = "ghc_";
const CLIENT_SECRET_PREFIX: &str = "ghk_";
const BODY_LEN: usize = 16 + 4 + 32;
const CODE_LEN: usize = 32;

/// A fresh refresh token.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// What the client gets.
    pub text: Secret<String>,
    /// What is stored.
    pub hash: TokenHash,
}

fn issue(prefix: &str, bytes: &[u8]) -> NewToken {
    let text = format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes));
    let hash = token_hash(&text);
    NewToken { text: Secret::new(text), hash }
}

/// The authentication code of a body. It is over the prefix too, so that no token can be taken for one of another kind;
/// refresh tokens of sessions are older than that.
fn tag(keyring: &Keyring, prefix: &str, body: &[u8]) -> [u8; TAG_LEN] {
    match prefix {
        PREFIX => keyring.refresh_tag(body),
        _ => keyring.refresh_tag(&[prefix.as_bytes(), body].concat()),
    }
}

fn authenticated(keyring: &Keyring, prefix: &str, mut body: Vec<u8>) -> NewToken {
    let tag = tag(keyring, prefix, &body);
    body.extend_from_slice(&tag);
    issue(prefix, &body)
}

/// The body of a token of ours.
fn body(keyring: &Keyring, prefix: &str, length: usize, text: &str) -> Option<Vec<u8>> {
    let mut bytes = URL_SAFE_NO_PAD.decode(text.strip_prefix(prefix)?).ok()?;
    if bytes.len() != length + TAG_LEN {
        return None;
    }
    let shown = bytes.split_off(length);
    equal(&shown, &tag(keyring, prefix, &bytes)).then_some(bytes)
}

fn mint_of_chain(keyring: &Keyring, env: &Env, prefix: &str, owner: uuid::Uuid, generation: u32) -> NewToken {
    let mut bytes = Vec::with_capacity(BODY_LEN + TAG_LEN);
    bytes.extend_from_slice(owner.as_bytes());
    bytes.extend_from_slice(&generation.to_be_bytes());
    bytes.extend_from_slice(&env.random::<32>());
    authenticated(keyring, prefix, bytes)
}

fn read_of_chain(keyring: &Keyring, prefix: &str, text: &str) -> Option<(uuid::Uuid, Presented)> {
    let bytes = body(keyring, prefix, BODY_LEN, text)?;
    let generation = u32::from_be_bytes(bytes[16..20].try_into().ok()?);
    Some((uuid::Uuid::from_slice(&bytes[..16]).ok()?, Presented { generation, hash: token_hash(text) }))
}

/// Makes the refresh token of a generation of a session.
#[must_use]
pub fn mint(keyring: &Keyring, env: &Env, session: SessionId, generation: u32) -> NewToken {
    mint_of_chain(keyring, env, PREFIX, session.uuid(), generation)
}

/// Reads a refresh token of a session; `None` for anything else.
#[must_use]
pub fn read(keyring: &Keyring, text: &str) -> Option<(SessionId, Presented)> {
    read_of_chain(keyring, PREFIX, text).map(|(id, presented)| (SessionId::from_uuid(id), presented))
}

/// Makes the refresh token of a generation of a family.
#[must_use]
pub fn mint_of_family(keyring: &Keyring, env: &Env, family: FamilyId, generation: u32) -> NewToken {
    mint_of_chain(keyring, env, FAMILY_PREFIX, family.uuid(), generation)
}

/// Reads a refresh token of a family; `None` for anything else.
#[must_use]
pub fn read_of_family(keyring: &Keyring, text: &str) -> Option<(FamilyId, Presented)> {
    read_of_chain(keyring, FAMILY_PREFIX, text).map(|(id, presented)| (FamilyId::from_uuid(id), presented))
}

/// Makes an authorization code: `gha_`, 256 random bits and an authentication code, so that what is none of ours costs no
/// statement.
#[must_use]
pub fn mint_code(keyring: &Keyring, env: &Env) -> NewToken {
    authenticated(keyring, CODE_PREFIX, env.random::<CODE_LEN>().to_vec())
}

/// Makes what a device asks with that waits: `ghc_`, 256 random bits and an authentication code.
#[must_use]
pub fn mint_device_code(keyring: &Keyring, env: &Env) -> NewToken {
    authenticated(keyring, DEVICE_CODE_PREFIX, env.random::<CODE_LEN>().to_vec())
}

/// The digest of what a device asks with; `None` for anything else.
#[must_use]
pub fn read_device_code(keyring: &Keyring, text: &str) -> Option<TokenHash> {
    body(keyring, DEVICE_CODE_PREFIX, CODE_LEN, text).map(|_| token_hash(text))
}

/// Makes what names a pushed request: 256 random bits.
#[must_use]
pub fn mint_request(env: &Env) -> NewToken {
    issue("", &env.random::<32>())
}

/// The digest of an authorization code; `None` for anything else.
#[must_use]
pub fn read_code(keyring: &Keyring, text: &str) -> Option<TokenHash> {
    body(keyring, CODE_PREFIX, CODE_LEN, text).map(|_| token_hash(text))
}

/// Makes the cookie of a session: 256 random bits.
#[must_use]
pub fn mint_cookie(env: &Env) -> NewToken {
    issue("", &env.random::<32>())
}

/// Makes a setup token: `ghs_` and 256 random bits.
#[must_use]
pub fn mint_setup(env: &Env) -> NewToken {
    issue(SETUP_PREFIX, &env.random::<32>())
}

/// Makes the token of an invitation: `ghi_` and 256 random bits.
#[must_use]
pub fn mint_invitation(env: &Env) -> NewToken {
    issue(INVITATION_PREFIX, &env.random::<32>())
}

/// Makes the token of a link that resets a password: `ghw_` and 256 random bits.
#[must_use]
pub fn mint_reset(env: &Env) -> NewToken {
    issue(RESET_PREFIX, &env.random::<32>())
}

/// Makes the token of a link that confirms an address: `ghv_` and 256 random bits.
#[must_use]
pub fn mint_verification(env: &Env) -> NewToken {
    issue(VERIFICATION_PREFIX, &env.random::<32>())
}

/// Makes the secret of an application: `ghk_` and 256 random bits.
#[must_use]
pub fn mint_client_secret(env: &Env) -> NewToken {
    issue(CLIENT_SECRET_PREFIX, &env.random::<32>())
}

/// Makes the token of a device: `ghd_` and 256 random bits. Its digest is keyed.
#[must_use]
pub fn mint_device(keyring: &Keyring, env: &Env) -> NewToken {
    let NewToken { text, .. } = issue(DEVICE_PREFIX, &env.random::<32>());
    let hash = keyring.device_hash(text.expose());
    NewToken { text, hash }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::master_key::MasterKey;

    fn fixture() -> (Keyring, SessionId, String) {
        let (keyring, env) = (Keyring::new(&MasterKey::new([1; 32])), Env::system());
        let session = env.id(SessionId::from_parts);
        let token = mint(&keyring, &env, session, 7).text.expose().clone();
        (keyring, session, token)
    }

    #[test]
    fn token_names_its_session_and_generation() {
        let (keyring, session, token) = fixture();
        let (id, presented) = read(&keyring, &token).unwrap();
        assert_eq!((id, presented.generation, presented.hash), (session, 7, token_hash(&token)));
    }

    #[test]
    fn truncated_extended_and_altered_tokens_are_not_ours() {
        let (keyring, _, token) = fixture();
        for end in 0..token.len() {
            assert!(read(&keyring, &token[..end]).is_none());
        }
        for more in ["A", "=", "==", "\n", " ", "AAAA"] {
            assert!(read(&keyring, &format!("{token}{more}")).is_none());
            assert!(read(&keyring, &format!("{more}{token}")).is_none());
        }
        for i in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[i] ^= if bytes[i].is_ascii_alphabetic() { 32 } else { 1 };
            assert!(read(&keyring, &String::from_utf8(bytes).unwrap()).is_none(), "position {i}");
        }
    }

    #[test]
    fn token_of_another_installation_is_not_ours() {
        let (_, _, token) = fixture();
        assert!(read(&Keyring::new(&MasterKey::new([2; 32])), &token).is_none());
    }
}
