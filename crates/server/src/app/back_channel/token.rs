//! Logout tokens (OpenID Connect Back-Channel Logout 1.0, section 2.4).

use gatehouse_domain::{
    application::SigningAlgorithm,
    authz::TenantRef,
    id::{ApplicationId, SessionId, UserId},
    key::{Issuer, SigningKey},
    logout::TOKEN_LIFETIME,
};
use gatehouse_persistence::ClaimedDelivery;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    app::{
        Result,
        back_channel::{BackChannel, JOB},
        request::client::{ISSUER_PATH, PLATFORM_PATH},
    },
    security::token::{BadKey, LOGOUT},
};

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// What logout tokens of a tenant are signed with, and whom they name as their issuer.
pub(super) struct Signing {
    issuer: String,
    key: SigningKey,
}

/// The claims of a logout token. There is no `nonce`: nobody may take it for an ID token.
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: UserId,
    sid: SessionId,
    aud: ApplicationId,
    iat: i64,
    exp: i64,
    jti: String,
    events: Value,
}

impl BackChannel<'_> {
    /// What tokens of the platform's issuer are signed with.
    pub(super) async fn signing_of_platform(&self, algorithm: SigningAlgorithm) -> Result<Signing> {
        let facts = self.db.system(JOB).platform_facts(self.env.now()).await?;
        let key = self.keys.signer(Issuer::Platform, &facts.keys, algorithm).await?;
        Ok(Signing { issuer: format!("{}{PLATFORM_PATH}", self.base_url), key })
    }

    /// What tokens of a tenant are signed with. A deleted tenant signs with the key that it had: applications of its partner
    /// may have read that, and it is the last that they hear of it. None if it never had any.
    pub(super) async fn signing(&self, tenant: TenantRef, algorithm: SigningAlgorithm) -> Result<Option<Signing>> {
        let (system, now, issuer) = (self.db.system(JOB), self.env.now(), Issuer::Tenant(tenant));
        let (slug, key) = match system.tenant_facts(tenant.id, now).await? {
            Some(facts) => {
                let key = self.keys.signer(issuer, &facts.keys, algorithm).await?;
                (facts.tenant.slug, Some(key))
            }
            None => {
                let Some(gone) = system.tenant_even_deleted(tenant.id).await? else { return Ok(None) };
                let keys = system.keys(issuer).await?;
                let key = gone.deleted_at.and_then(|at| SigningKey::last_signer(&keys, algorithm, at));
                (gone.slug, key.cloned())
            }
        };
        Ok(key.map(|key| Signing { issuer: format!("{}{ISSUER_PATH}{slug}", self.base_url), key }))
    }

    /// A token for one attempt: applications refuse one that they have seen.
    ///
    /// # Errors
    /// [`BadKey`].
    pub(super) fn token(&self, signing: &Signing, claim: &ClaimedDelivery) -> Result<String, BadKey> {
        let (delivery, now) = (&claim.delivery, self.env.now());
        let claims = Claims {
            iss: &signing.issuer,
            sub: delivery.user,
            sid: delivery.sid,
            aud: delivery.application,
            iat: now.unix_seconds(),
            exp: now.plus(TOKEN_LIFETIME).unix_seconds(),
            jti: uuid::Uuid::from_bytes(self.env.random()).simple().to_string(),
            events: json!({ EVENT: {} }),
        };
        self.keys.sign_with(&signing.key, LOGOUT, &claims)
    }
}
