//! Factors beside the password, and going on with a sign-in that needs one.
//!
//! Between its requests a sign-in is a challenge: sealed, for whoever has proved the password, good for five minutes in
//! its tenant and as long as the password stays. A wrong factor is counted where a wrong password is.
//!
//! A new factor is a variant of [`Factor`] with what it is asked, and a file.

#[cfg(test)]
mod code_word;

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use gatehouse_domain::{
    audit::Refused,
    id::{DeviceId, UserId},
    secret::Secret,
    session::AuthMethod,
    sign_in::{self, Proofs},
    time::{MINUTE, Timestamp},
    user::{User, UserStatus},
};
use gatehouse_persistence::{TenantFacts, ThrottleKey};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    app::{
        Error, Result,
        attempts::{Limited, RateLimit, pass},
        request::client::RequestMeta,
        sign_in::{
            SignIn,
            complete::{Opens, Progress, Step},
            password::Proved,
        },
    },
    security::keyring::token_hash,
};

/// How long a sign-in may take from its password to its end.
pub const CHALLENGE_LIFETIME: Duration = MINUTE.saturating_mul(5);
const PREFIX: &str = "ghc_";
/// The longest challenge that is looked at.
const MAX_LEN: usize = 4_096;

/// A factor that a user enrolled. There is none to enroll yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Factor {
    /// A word that only the user knows.
    #[cfg(test)]
    CodeWord(code_word::CodeWord),
}

/// What every factor is asked.
trait Prove {
    /// The word for its kind.
    fn kind(&self) -> &'static str;
    /// What it proves.
    fn method(&self) -> AuthMethod;
    /// Whether what somebody shows is right.
    fn is_proved_by(&self, shown: &str) -> bool;
}

/// How each kind is found with the user who enrolled it.
const KINDS: &[fn(&User) -> Option<Factor>] = &[
    #[cfg(test)]
    |user| code_word::CodeWord::of(user).map(Factor::CodeWord),
];

impl Factor {
    /// Those that a user enrolled.
    pub(super) fn enrolled(user: &User) -> Vec<Self> {
        KINDS.iter().filter_map(|kind| kind(user)).collect()
    }

    /// The word for its kind.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.asked().kind()
    }

    fn asked(&self) -> &dyn Prove {
        match *self {
            #[cfg(test)]
            Self::CodeWord(ref word) => word,
        }
    }
}

impl sign_in::Factor for Factor {
    fn method(&self) -> AuthMethod {
        self.asked().method()
    }
}

/// What a factor is proved with.
#[derive(Debug, Clone)]
pub struct Shown {
    /// The challenge that asked for it.
    pub challenge: Secret<String>,
    /// The kind of the factor.
    pub kind: String,
    /// What proves it: a code, or what a device signed.
    pub value: Secret<String>,
}

/// A sign-in that needs another factor.
#[derive(Debug)]
pub struct Challenged {
    /// What goes on with it.
    pub challenge: Secret<String>,
    /// One of these is asked for.
    pub factors: Vec<Factor>,
}

/// What is known of a sign-in between its requests.
#[derive(Debug, Serialize, Deserialize)]
struct Challenge {
    user: Uuid,
    /// A digest of the password's hash: whoever changes the password ends the sign-ins that began with the old one.
    password: [u8; 32],
    /// The device that the user is known from, where failures are counted.
    device: Option<Uuid>,
    keeps_device: bool,
    /// In microseconds since 1970.
    expires_at: i64,
}

impl SignIn<'_> {
    /// Makes the challenge with which a sign-in goes on.
    pub(super) fn challenge(
        &self,
        facts: &TenantFacts,
        progress: &Progress,
        factors: Vec<Factor>,
        now: Timestamp,
    ) -> Result<Challenged> {
        let Proved { found, hash, keys, .. } = &progress.proved;
        let device = match keys.known {
            Some(ThrottleKey::Device(id)) => Some(id.uuid()),
            _ => None,
        };
        let challenge = Challenge {
            user: found.user.id.uuid(),
            password: *token_hash(hash.as_str()).as_bytes(),
            device,
            keeps_device: progress.keeps_device,
            expires_at: now.plus(CHALLENGE_LIFETIME).micros(),
        };
        let plain = serde_json::to_vec(&challenge).map_err(|error| Error::Internal(Box::new(error)))?;
        let sealed = self.keyring.seal_challenge(facts.tenant.id, &plain);
        let challenge = Secret::new(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(sealed)));
        Ok(Challenged { challenge, factors })
    }

    /// Reads a challenge of ours that has not expired; none for anything else.
    fn read(&self, facts: &TenantFacts, challenge: &str, now: Timestamp) -> Option<Challenge> {
        let text = challenge.strip_prefix(PREFIX).filter(|text| text.len() <= MAX_LEN)?;
        let plain = self.keyring.open_challenge(facts.tenant.id, &URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let challenge: Challenge = serde_json::from_slice(&plain).ok()?;
        (challenge.expires_at > now.micros()).then_some(challenge)
    }

    /// Goes on with a sign-in that needs a factor. A wrong one counts like a wrong password; a challenge that is none, or
    /// none any more, looks like one.
    pub async fn factor(&self, facts: &TenantFacts, shown: &Shown, meta: &RequestMeta) -> Limited<Step> {
        let mut quota = None;
        let attempt = async |facts: &TenantFacts| self.try_factor(facts, shown, meta, &mut quota).await;
        let result = self.states.again_if_moved(facts, attempt).await;
        Limited { quota, result }
    }

    async fn try_factor(
        &self,
        facts: &TenantFacts,
        shown: &Shown,
        meta: &RequestMeta,
        quota: &mut Option<RateLimit>,
    ) -> Result<Step> {
        self.must_be_active(facts, meta).await?;
        let now = meta.ctx.now;
        let challenge = self.read(facts, shown.challenge.expose(), now).ok_or(Error::InvalidCredentials)?;
        let user_id = UserId::from_uuid(challenge.user);
        let device = challenge.device.map(|id| ThrottleKey::Device(DeviceId::from_uuid(id)));
        let before = self.attempts.of_user(facts, user_id, device, meta).await?;
        *quota = self.attempts.left(&before.failures, now);
        pass(self.attempts.gate(&before.failures, now))?;
        let found = before.found.ok_or(Error::InvalidCredentials)?;
        let hash = found.hash.clone().filter(|hash| *token_hash(hash.as_str()).as_bytes() == challenge.password);
        let hash = hash.ok_or(Error::InvalidCredentials)?;
        let is_proved =
            |factor: &Factor| factor.kind() == shown.kind && factor.asked().is_proved_by(shown.value.expose());
        let proved = Factor::enrolled(&found.user).into_iter().find(is_proved);
        let Some(proofs) = proved.map(|factor| Proofs::password().and(factor)) else {
            let refused = Refused::login(facts.reference(), Some(user_id), "factor_not_proved");
            return Err(self.attempts.failed(before.keys, refused, meta).await);
        };
        if found.user.status != UserStatus::Active {
            let refused = Refused::login(facts.reference(), Some(user_id), "not_active");
            return Err(self.attempts.failed(before.keys, refused, meta).await);
        }
        let progress = Progress {
            proved: Proved { found, hash, upgrade: None, keys: before.keys },
            proofs,
            keeps_device: challenge.keeps_device,
            opens: Opens::Tokens,
        };
        self.go_on(facts, progress, meta, quota).await
    }
}
