//! Signing in with a password, and signing out.
//!
//! What a stranger learns of a failed attempt is the same whether the user exists, is suspended, locked, or in another
//! tenant: the same answer, after the same hash and the same statements.
//!
//! A sign-in costs one hash and four statements: credentials with roles, device and counters, and in one transaction the
//! admission with the counters again, the session and its audit event. To know a new device takes three more.

use gatehouse_domain::{
    audit::Refused,
    authz::{By, SystemReason},
    id::{DeviceId, SessionId},
    password::Password,
    role::HeldRole,
    secret::Secret,
    session::{AuthMethod, EndReason, NewSession, RevokeMany, RevokeTarget, Session},
    settings::{Policy, SessionLimitAction},
    text::LoginName,
    throttle::{Gate, KnownDevice},
    user::{User, UserStatus},
};
use gatehouse_persistence::{TenantFacts, WriteTx};
use serde::{Deserialize, Serialize};

use crate::{
    app::{
        App, Error, Result,
        request::client::Origin,
        sign_in::attempts::{Limited, Quota},
    },
    security::{
        opaque_token,
        password::{Check, Verified},
        token::{CLIENT_ID, Claims},
    },
};

const AUTH: SystemReason = SystemReason::Authentication;

/// What a client gets for signing in or refreshing.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TokenPair {
    /// The access token, a JWT.
    pub access_token: String,
    /// The refresh token, opaque and good for one use.
    pub refresh_token: String,
    /// Lifetime of the access token in seconds.
    pub expires_in: u64,
}

/// What signing in answers.
#[derive(Debug)]
pub struct SignedIn {
    /// The tokens of the session.
    pub pair: TokenPair,
    /// What makes the device known from now on, if it was asked for and the device was not known yet.
    pub device_token: Option<Secret<String>>,
}

impl App {
    /// Signs a user in. A device token takes the place of no password: it makes strangers' failures not count here. A
    /// client that keeps device tokens sends one, empty at first, and gets another whenever its own is not known.
    pub async fn login(
        &self,
        facts: &TenantFacts,
        name: &LoginName,
        password: Password,
        device: Option<&str>,
        origin: &Origin,
    ) -> Limited<SignedIn> {
        let mut quota = None;
        let mut result = self.try_login(facts, name, password.clone(), device, origin, &mut quota).await;
        if matches!(result, Err(Error::Stale)) {
            result = match self.moved(facts).await {
                Ok(facts) => self.try_login(&facts, name, password, device, origin, &mut quota).await,
                Err(error) => Err(error),
            };
        }
        Limited { quota, result }
    }

    /// The tenant as it is now, after a transaction found that it is not what it was: given to another partner.
    pub(crate) async fn moved(&self, facts: &TenantFacts) -> Result<std::sync::Arc<TenantFacts>> {
        self.session_cache.forget(gatehouse_persistence::Change::Everything);
        self.tenant_facts(facts.tenant.id).await?.ok_or(Error::NotFound)
    }

    async fn try_login(
        &self,
        facts: &TenantFacts,
        name: &LoginName,
        password: Password,
        device: Option<&str>,
        origin: &Origin,
        quota: &mut Option<Quota>,
    ) -> Result<SignedIn> {
        let tenant = facts.reference();
        if !facts.is_active() {
            let refused = Refused::login(tenant, None, "tenant_suspended");
            return Err(self.record_refusal(refused, Error::TenantSuspended, origin).await);
        }
        let (now, rules) = (origin.ctx.now, self.limits.attempts);
        let keys = self.attempt_keys(facts, self.name_key(facts, name), None, origin);
        let presented = device.map(|token| self.keyring.device_hash(token));
        let before = self.reading().attempt(tenant, name, presented, &keys, now).await?;
        let (found, keys) = (before.found.as_ref(), before.keys);
        *quota = Some(Quota::of_networks("login", rules.networks_of(&before.failures), &before.failures.networks, now));
        let gate = rules.gate(&before.failures, now);
        if let Gate::Wait(delay) = gate {
            return Err(Error::RateLimited(delay));
        }

        let stored = found.and_then(|found| found.hash.clone());
        let is_active = found.is_some_and(|found| found.user.status == UserStatus::Active);
        let lets_in = is_active && gate == Gate::Open;
        let check = Check { hash: stored.as_ref(), lets_in, dearest: before.dearest };
        let verified = self.hasher.verify(tenant.id, password, check).await?;
        let policy = self.policy(facts);
        let (Some(found), Some(hash), true) = (found, stored, verified.is_right()) else {
            let refused = Refused::login(tenant, found.map(|found| found.user.id), verified.refusal());
            return Err(self.not_proved(&verified, keys, refused, origin).await);
        };
        if !lets_in {
            let why = if is_active { "locked" } else { "not_active" };
            return Err(self.failed(keys, Refused::login(tenant, Some(found.user.id), why), origin).await);
        }
        if policy.require_verified_email && !found.user.email_verified {
            self.refusals().record(Refused::login(tenant, Some(found.user.id), "email_not_verified"), origin).await?;
            return Err(Error::EmailNotVerified);
        }
        self.admission.sign_in(found.user.id, now, quota)?;

        let id = self.env.id(SessionId::from_parts);
        let token = opaque_token::mint(&self.keyring, &self.env, id, 0);
        let new = NewSession {
            id,
            tenant_id: tenant.id,
            partner_id: tenant.partner_id,
            user_id: found.user.id,
            administers: !found.roles.is_empty(),
            client: self.clients.of(origin),
            auth_methods: vec![AuthMethod::Password],
            refresh_hash: token.hash,
        };
        let upgrade = match verified {
            Verified::Upgrade(new) => Some(new),
            _ => None,
        };
        let device =
            device.filter(|_| keys.known.is_none()).map(|_| opaque_token::mint_device(&self.keyring, &self.env));
        let known = device.as_ref().map(|token| (self.env.id(DeviceId::from_parts), token.hash));
        let (user, policy_then) = (found.user.clone(), policy.clone());
        let (roles, roles_given) = (found.roles.clone(), found.roles_given);
        let work = async move |tx: &WriteTx<'_>| {
            let (system, now) = (tx.system(AUTH), tx.now());
            let admission = system.admit(&user, &hash, &keys).await?.ok_or(Error::InvalidCredentials)?;
            match rules.gate(&admission.failures, now) {
                Gate::Open => {}
                Gate::Wait(delay) => return Err(Error::RateLimited(delay)),
                Gate::Locked => return Err(Error::InvalidCredentials),
            }
            let over = (admission.sessions + 1).saturating_sub(u64::from(policy_then.max_sessions_per_user));
            if over > 0 {
                make_room(tx, &user, &policy_then, over).await?;
            }
            if admission.failures.account.failures > 0 || admission.failures.own().failures > 0 {
                system.forgive(&keys).await?;
            }
            if let Some(better) = &upgrade {
                system.rehash_password(user.clone().rehash_password(better.clone()), &hash).await?;
            }
            let roles = if admission.roles_given == roles_given {
                roles.clone()
            } else {
                system.user_view(user.id, now).await?.map(|view| view.roles).unwrap_or_default()
            };
            let new = NewSession { administers: !roles.is_empty(), ..new.clone() };
            let session = system.insert(Session::start(new.clone(), &policy_then, now)).await?;
            if let Some((id, hash)) = known {
                system.know_device(KnownDevice::add(id, hash, &new, now)).await?;
            }
            Ok((session, roles))
        };
        let others_come = self.hasher.is_busy();
        let session = self.db.write_in_company(origin.ctx.clone(), others_come, work).await;
        if let Err(Error::LimitReached(_)) = &session {
            self.refusals().record(Refused::login(tenant, Some(found.user.id), "session_limit"), origin).await?;
        }
        let (session, roles) = session?;
        let access_token = self.access_token(facts, &session, &roles, &policy, origin)?;
        let pair = TokenPair {
            access_token,
            refresh_token: token.text.expose().clone(),
            expires_in: policy.access_token_lifetime.as_secs(),
        };
        Ok(SignedIn { pair, device_token: device.map(|token| token.text) })
    }

    /// Signs an access token for a session.
    pub(crate) fn access_token(
        &self,
        facts: &TenantFacts,
        session: &Session,
        roles: &[HeldRole],
        policy: &Policy,
        origin: &Origin,
    ) -> Result<String> {
        let key = facts.keys.first().ok_or_else(|| Error::Internal("the tenant has no signing key".into()))?;
        // The sign-in has waited for its hash.
        let now = Ord::max(origin.ctx.now, session.created_at);
        let issuer = origin.issuer(&facts.tenant.slug);
        let mut names: Vec<_> = roles.iter().map(|role| role.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let permissions = gatehouse_domain::authz::PermissionSet::union(roles.iter().map(|role| &role.permissions));
        let scope: Vec<_> = permissions.iter().map(gatehouse_domain::authz::PermissionPattern::as_str).collect();
        let claims = Claims {
            iss: &issuer,
            sub: session.user_id,
            aud: &issuer,
            exp: now.plus(policy.access_token_lifetime).unix_seconds(),
            iat: now.unix_seconds(),
            jti: uuid::Uuid::from_bytes(self.env.random()).simple().to_string(),
            sid: session.id,
            client_id: CLIENT_ID,
            tenant_id: session.tenant_id,
            partner_id: session.partner_id,
            roles: names,
            scope: scope.join(" "),
        };
        Ok(self.tokens.sign(key, &claims)?)
    }

    /// Signs out: ends the session of a refresh token, spent or not. Unknown tokens are no error, so that signing out
    /// twice is none.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer: never a success that did not happen.
    pub async fn logout(&self, facts: &TenantFacts, token: &str, origin: &Origin) -> Result<()> {
        let Some((id, _)) = opaque_token::read(&self.keyring, token) else { return Ok(()) };
        let tenant = facts.tenant.id;
        let work = async move |tx: &WriteTx<'_>| {
            let system = tx.system(AUTH);
            let Some(session) = system.session(id).await?.filter(|session| session.tenant_id == tenant) else {
                return Ok(());
            };
            let by = By::oneself(session.user_id, Some(session.id));
            match session.revoke(EndReason::Logout, &by, tx.now()) {
                Ok(ended) => match system.end(ended).await {
                    Ok(_) | Err(gatehouse_persistence::Error::Stale) => Ok(()),
                    Err(error) => Err(error.into()),
                },
                Err(_) => Ok(()),
            }
        };
        self.db.write::<_, Error, _>(origin.ctx.clone(), work).await
    }
}

/// Sees to it that one more session fits: ends the oldest, or refuses.
async fn make_room(tx: &WriteTx<'_>, user: &User, policy: &Policy, over: u64) -> Result<()> {
    let system = tx.system(AUTH);
    let max = u64::from(policy.max_sessions_per_user);
    // The counter includes sessions that have run out but were not swept; what counts is the active ones.
    let active = system.oldest_sessions(user.id, max + over, tx.now()).await?;
    let over = (active.len() as u64 + 1).saturating_sub(max);
    if over == 0 {
        return Ok(());
    }
    match policy.session_limit_action {
        SessionLimitAction::Refuse => Err(Error::LimitReached(
            format!("The user has {max} sessions, which is the most the tenant allows.").into(),
        )),
        SessionLimitAction::EndOldest => {
            let oldest = active.into_iter().take(usize::try_from(over).unwrap_or(usize::MAX)).collect();
            let many = RevokeMany {
                target: RevokeTarget::Named(user.tenant(), user.id, oldest),
                except: None,
                reason: EndReason::SessionLimit,
                by: By::system(AUTH),
            };
            system.revoke_many(&many).await?;
            Ok(())
        }
    }
}
