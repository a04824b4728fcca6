//! Peppers: secrets that go into password hashes and are kept outside the database, so that who has only the database
//! cannot even begin to guess passwords (NIST SP 800-63B-4, 3.1.1.2). A hash names its pepper (`keyid` of the PHC string).

use std::sync::Arc;

use argon2::{Algorithm, Argon2, KeyId, Params, ParamsBuilder, Version};
use aws_lc_rs::hmac;
use gatehouse_domain::secret::Secret;

use crate::security::{master_key::secret_of, password::Cost};

/// How many peppers there are at most.
const MOST: usize = 8;
const ID_LEN: usize = 6;

/// A pepper and what hashes call it.
#[derive(Debug)]
struct Pepper {
    id: [u8; ID_LEN],
    secret: Secret<[u8; 32]>,
}

/// The peppers of an installation.
#[derive(Debug, Clone, Default)]
pub struct Peppers {
    known: Arc<[Pepper]>,
    /// Whether the first of them goes into new hashes.
    is_used: bool,
}

impl Peppers {
    /// Reads secrets of 32 bytes, written as base64url or hexadecimal and separated by commas. The first one goes into
    /// new hashes, or none where there is nothing before the first comma; the others check the hashes that have them.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let texts: Vec<_> = text.split(',').map(str::trim).collect();
        let is_used = texts.first().is_some_and(|first| !first.is_empty());
        let pepper = |text: &str| {
            let secret = secret_of(text)?;
            let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.expose()), b"gatehouse pepper");
            Some(Pepper { id: tag.as_ref()[..ID_LEN].try_into().ok()?, secret })
        };
        let known: Arc<[_]> =
            texts.iter().skip(usize::from(!is_used)).map(|text| pepper(text)).collect::<Option<_>>()?;
        (1..=MOST).contains(&known.len()).then_some(Self { known, is_used })
    }

    fn current(&self) -> Option<&Pepper> {
        self.known.first().filter(|_| self.is_used)
    }

    /// Whether a hash that names this pepper is as new ones are.
    pub(super) fn is_current(&self, id: &[u8]) -> bool {
        self.current().map_or(&[] as &[u8], |pepper| &pepper.id) == id
    }

    /// What a new hash of ours says of how it is made.
    pub(super) fn params(&self, cost: Cost) -> Option<Params> {
        let mut params = ParamsBuilder::new();
        params.m_cost(cost.memory_kib).t_cost(cost.passes).p_cost(1).output_len(32);
        if let Some(pepper) = self.current() {
            params.keyid(KeyId::new(&pepper.id).ok()?);
        }
        params.build().ok()
    }

    /// The function that makes a hash, and whether its pepper is known. Without it the function makes another hash, in the
    /// same time: no password fits.
    pub(super) fn argon2(&self, algorithm: Algorithm, version: Version, params: Params) -> (Argon2<'_>, bool) {
        static SAID: std::sync::Once = std::sync::Once::new();
        let plain = Argon2::new(algorithm, version, params.clone());
        if params.keyid().is_empty() {
            return (plain, true);
        }
        let Some(pepper) = self.known.iter().find(|pepper| pepper.id == params.keyid()) else {
            let text = "password hashes have a pepper that this server has not got: their passwords fit nothing";
            SAID.call_once(|| tracing::error!("{text}"));
            return (plain, false);
        };
        match Argon2::new_with_secret(pepper.secret.expose(), algorithm, version, params) {
            Ok(peppered) => (peppered, true),
            Err(_) => (plain, false),
        }
    }
}
