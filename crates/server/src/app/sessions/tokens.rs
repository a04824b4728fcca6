//! What a client gets for signing in and for each refresh: an access token and the next refresh token.

use gatehouse_domain::{
    application::SigningAlgorithm,
    authz::{PermissionPattern, PermissionSet},
    key::SigningKey,
    role::HeldRole,
    secret::Secret,
    session::Session,
    settings::Policy,
};
use gatehouse_persistence::TenantFacts;
use serde::{Deserialize, Serialize};

use crate::{
    app::{Error, Result, request::client::RequestMeta},
    env::Env,
    security::token::{ACCESS, CLIENT_ID, Claims, Tokens},
};

/// The longest access token that is issued, in bytes: proxies take a head of 8 KiB, in which there is more than a token.
const LONGEST: usize = 3 * 1024;

/// What a client gets for signing in or refreshing.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TokenPair {
    /// The access token, a JWT.
    pub access_token: String,
    /// The refresh token, opaque and good for one use.
    pub refresh_token: String,
    /// Lifetime of the access token in seconds.
    pub expires_in: u64,
    /// Lifetime of the refresh token in seconds. A pair that an earlier release stored has none.
    #[serde(default)]
    pub refresh_expires_in: u64,
}

/// Signs access tokens.
#[derive(Debug, Clone, Copy)]
pub struct AccessTokens<'a> {
    pub(super) env: &'a Env,
    pub(super) tokens: &'a Tokens,
}

impl AccessTokens<'_> {
    /// The tokens of a session: a new access token, and this refresh token.
    pub(crate) fn pair(
        &self,
        facts: &TenantFacts,
        session: &Session,
        roles: &[HeldRole],
        policy: &Policy,
        refresh_token: &Secret<String>,
        meta: &RequestMeta,
    ) -> Result<TokenPair> {
        let now = Ord::max(meta.ctx.now, session.created_at);
        Ok(TokenPair {
            access_token: self.sign(facts, session, roles, policy, meta)?,
            refresh_token: refresh_token.expose().clone(),
            expires_in: policy.access_token_lifetime.as_secs(),
            refresh_expires_in: session.expires_at.since(now).as_secs(),
        })
    }

    fn sign(
        &self,
        facts: &TenantFacts,
        session: &Session,
        roles: &[HeldRole],
        policy: &Policy,
        meta: &RequestMeta,
    ) -> Result<String> {
        // The sign-in has waited for its hash.
        let now = Ord::max(meta.ctx.now, session.created_at);
        let key = SigningKey::signer(&facts.keys, SigningAlgorithm::Es256, now);
        let key = key.ok_or_else(|| Error::Internal("the tenant has no signing key".into()))?;
        let issuer = meta.issuer(&facts.tenant.slug);
        let mut names: Vec<_> = roles.iter().map(|role| role.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let permissions = PermissionSet::union(roles.iter().map(|role| &role.permissions));
        let scope: Vec<_> = permissions.iter().map(PermissionPattern::as_str).collect();
        let mut claims = Claims {
            iss: &issuer,
            sub: session.user_id.to_string(),
            aud: &issuer,
            exp: now.plus(policy.access_token_lifetime).unix_seconds(),
            iat: now.unix_seconds(),
            jti: uuid::Uuid::from_bytes(self.env.random()).simple().to_string(),
            sid: Some(session.id),
            client_id: CLIENT_ID,
            tenant_id: Some(session.tenant_id),
            partner_id: Some(session.partner_id),
            roles: Some(names),
            scope: Some(scope.join(" ")),
            cnf: None,
            of_application: None,
        };
        // What a token allows is looked up with its session, so it is as good without these.
        let mut token = self.tokens.sign(key, ACCESS, &claims)?;
        if token.len() > LONGEST {
            claims.roles = None;
            token = self.tokens.sign(key, ACCESS, &claims)?;
        }
        if token.len() > LONGEST {
            claims.scope = None;
            token = self.tokens.sign(key, ACCESS, &claims)?;
        }
        Ok(token)
    }
}
