//! Signing in with a password, and signing out.
//!
//! What a stranger learns of a failed attempt is the same whether the user exists, is suspended, locked, or in another
//! tenant: the same answer, after the same hash and the same statements. Attempts are counted when they get their
//! answer, in the same transaction that decides it, so racing attempts learn exactly as much as sequential ones.
//!
//! A sign-in costs one hash and four statements: credentials with roles and counters, and in one transaction the
//! admission with the counters again, the session and its audit event.

use std::time::Duration;

use gatehouse_domain::{
    audit::Refused,
    authz::{By, SystemReason},
    id::SessionId,
    password::Password,
    role::HeldRole,
    session::{AuthMethod, EndReason, NewSession, RevokeMany, RevokeTarget, Session},
    settings::{Policy, SessionLimitAction},
    text::LoginName,
    throttle::{Counter, Gate, WindowRule},
    time::Timestamp,
    user::{User, UserStatus},
};
use gatehouse_persistence::{Admission, Attempt, TenantFacts, ThrottleKey, WriteSystem, WriteTx};
use serde::{Deserialize, Serialize};

use crate::{
    app::{App, Error, Result, client::Origin},
    security::{
        password::{Check, Verified},
        refresh,
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

/// How much of a limit is left; for the `RateLimit` headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// The limit's name.
    pub policy: &'static str,
    /// The rule.
    pub rule: WindowRule,
    /// What is left of it.
    pub remaining: u32,
    /// When it starts anew.
    pub reset: Duration,
}

impl Quota {
    pub(crate) fn of(policy: &'static str, rule: WindowRule, counter: &Counter, now: Timestamp) -> Self {
        let (remaining, reset) = rule.remaining(counter, now);
        Self { policy, rule, remaining, reset }
    }
}

/// The result of something that is limited, with what is left of the limit where that is known.
#[derive(Debug)]
pub struct Limited<T> {
    /// What is left.
    pub quota: Option<Quota>,
    /// The result.
    pub result: Result<T>,
}

/// The two counters of an attempt to prove a password.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counters {
    /// Of the user, by id: the user name and the e-mail address are one account. Or of a name that nobody has.
    pub(crate) account: ThrottleKey,
    pub(crate) address: ThrottleKey,
}

impl App {
    /// The counter of a name that nobody has.
    pub(crate) fn name_key(&self, facts: &TenantFacts, name: &LoginName) -> ThrottleKey {
        let value = [facts.tenant.id.uuid().as_bytes(), name.key().as_bytes()].concat();
        self.keyring.throttle_key("name", &value)
    }

    pub(crate) fn address_key(&self, kind: &str, origin: &Origin) -> ThrottleKey {
        // A subscriber is given a /64 of IPv6 at least, so anything finer counts nothing.
        let address = match origin.ctx.ip {
            Some(std::net::IpAddr::V6(ip)) => ip.segments()[..4].iter().flat_map(|s| s.to_be_bytes()).collect(),
            Some(std::net::IpAddr::V4(ip)) => ip.octets().to_vec(),
            None => Vec::new(),
        };
        self.keyring.throttle_key(kind, &address)
    }

    /// Whether an attempt gets an answer now.
    pub(crate) fn gate(&self, Attempt { account, address, .. }: &Attempt, now: Timestamp) -> Gate {
        match (self.limits.account.gate(account, now), self.limits.address.gate(address, now)) {
            (Gate::Wait(a), Gate::Wait(b)) => Gate::Wait(Ord::max(a, b)),
            (_, Gate::Wait(b)) => Gate::Wait(b),
            (gate, _) => gate,
        }
    }

    /// Counts a failure and records it; the answer is the one that this attempt gets.
    pub(crate) async fn failed(&self, counters: Counters, refused: Refused, origin: &Origin) -> Error {
        let limits = self.limits;
        let work = async move |tx: &WriteTx<'_>| {
            let (system, now) = (tx.system(AUTH), tx.now());
            let account = system
                .update_throttle(counters.account, |counter| match limits.account.gate(counter, now) {
                    Gate::Open => {
                        let failed = limits.account.failed(counter, now);
                        (failed, (Gate::Open, failed))
                    }
                    closed => (*counter, (closed, *counter)),
                })
                .await?;
            let (gate, counter) = account;
            if let Gate::Wait(delay) = gate {
                return Ok(Error::RateLimited(delay));
            }
            if let Gate::Wait(delay) = count(&system, limits.address, counters.address, now).await? {
                return Ok(Error::RateLimited(delay));
            }
            let delay = counter.blocked_until.since(now);
            system.refused(refused.clone().counted(counter.failures, delay)).await?;
            if gate == Gate::Open
                && limits.account.gate(&counter, now) == Gate::Locked
                && let Some(locking) = refused.locking()
            {
                system.refused(locking).await?;
            }
            Ok::<_, Error>(Error::InvalidCredentials)
        };
        self.db.write(origin.ctx.clone(), work).await.unwrap_or_else(|error| error)
    }

    /// Records a refusal that no account is behind, as often as passwords may be wrong at one address: strangers cannot
    /// fill the trail. It counts for nothing else, as nothing was guessed; the answer is the same, recorded or not.
    pub(crate) async fn turned_away(&self, refused: Refused, answer: Error, origin: &Origin) -> Error {
        let (rule, key, now) = (self.limits.address, self.address_key("turned_away", origin), origin.ctx.now);
        match self.reading().throttle(key).await {
            Ok(counter) if rule.gate(&counter, now) == Gate::Open => {}
            Ok(_) => return answer,
            Err(error) => return error.into(),
        }
        let work = async move |tx: &WriteTx<'_>| {
            let (system, now) = (tx.system(AUTH), tx.now());
            if count(&system, rule, key, now).await? == Gate::Open {
                system.refused(refused.clone()).await?;
            }
            Ok::<_, Error>(())
        };
        self.db.write(origin.ctx.clone(), work).await.map_or_else(|error| error, |()| answer)
    }

    /// Signs a user in.
    pub async fn login(
        &self,
        facts: &TenantFacts,
        name: &LoginName,
        password: Password,
        origin: &Origin,
    ) -> Limited<TokenPair> {
        let mut quota = None;
        let mut result = self.try_login(facts, name, password.clone(), origin, &mut quota).await;
        if matches!(result, Err(Error::Stale)) {
            result = match self.moved(facts).await {
                Ok(facts) => self.try_login(&facts, name, password, origin, &mut quota).await,
                Err(error) => Err(error),
            };
        }
        Limited { quota, result }
    }

    /// The tenant as it is now, after a transaction found that it is not what it was: given to another partner.
    pub(crate) async fn moved(&self, facts: &TenantFacts) -> Result<std::sync::Arc<TenantFacts>> {
        self.standings.forget(gatehouse_persistence::Change::Everything);
        self.tenant_facts(facts.tenant.id).await?.ok_or(Error::NotFound)
    }

    async fn try_login(
        &self,
        facts: &TenantFacts,
        name: &LoginName,
        password: Password,
        origin: &Origin,
        quota: &mut Option<Quota>,
    ) -> Result<TokenPair> {
        let tenant = facts.reference();
        if !facts.is_active() {
            let refused = Refused::login(tenant, None, "tenant_suspended");
            return Err(self.turned_away(refused, Error::TenantSuspended, origin).await);
        }
        let now = origin.ctx.now;
        let (unknown, address) = (self.name_key(facts, name), self.address_key("failures", origin));
        let before = self.reading().attempt(tenant, name, [unknown, address], now).await?;
        let found = before.found.as_ref();
        let counters = Counters { account: found.map_or(unknown, |it| ThrottleKey::User(it.user.id)), address };
        *quota = Some(Quota::of("login", self.limits.address, &before.address, now));
        if let Gate::Wait(delay) = self.gate(&before, now) {
            return Err(Error::RateLimited(delay));
        }

        let stored = found.and_then(|found| found.hash.clone());
        let is_active = found.is_some_and(|found| found.user.status == UserStatus::Active);
        let lets_in = is_active && self.gate(&before, now) == Gate::Open;
        let check = Check { hash: stored.as_ref(), lets_in, dearest: before.dearest };
        let verified = self.hasher.verify(tenant.id, password, check).await?;
        let policy = self.policy(facts);
        let (Some(found), Some(hash), true) = (found, stored, verified.is_right()) else {
            let refused = Refused::login(tenant, found.map(|found| found.user.id), verified.refusal());
            return Err(self.not_proved(&verified, counters, refused, origin).await);
        };
        if !lets_in {
            let why = if is_active { "locked" } else { "not_active" };
            return Err(self.failed(counters, Refused::login(tenant, Some(found.user.id), why), origin).await);
        }
        if policy.require_verified_email && !found.user.email_verified {
            self.refused(Refused::login(tenant, Some(found.user.id), "email_not_verified"), origin).await?;
            return Err(Error::EmailNotVerified);
        }
        self.admit_sign_in(found.user.id, now, quota)?;

        let id = self.env.id(SessionId::from_parts);
        let token = refresh::mint(&self.keyring, &self.env, id, 0);
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
        let (user, limits, policy_then) = (found.user.clone(), self.limits, policy.clone());
        let work = async move |tx: &WriteTx<'_>| {
            let (system, now) = (tx.system(AUTH), tx.now());
            let admission = system.admit(&user, &hash, counters.address).await?.ok_or(Error::InvalidCredentials)?;
            let Admission { account, address, .. } = &admission;
            match (limits.account.gate(account, now), limits.address.gate(address, now)) {
                (_, Gate::Wait(delay)) | (Gate::Wait(delay), _) => return Err(Error::RateLimited(delay)),
                (Gate::Locked, _) => return Err(Error::InvalidCredentials),
                _ => {}
            }
            let over = (admission.sessions + 1).saturating_sub(u64::from(policy_then.max_sessions_per_user));
            if over > 0 {
                make_room(tx, &user, &policy_then, over).await?;
            }
            if admission.account.failures > 0 {
                system.clear_throttle(counters.account).await?;
            }
            if let Some(better) = &upgrade {
                system.rehash_password(user.clone().rehash_password(better.clone()), &hash).await?;
            }
            Ok(system.insert(Session::start(new.clone(), &policy_then, now)).await?)
        };
        let others_come = self.hasher.is_busy();
        let session = self.db.write_in_company(origin.ctx.clone(), others_come, work).await;
        if let Err(Error::LimitReached(_)) = &session {
            self.refused(Refused::login(tenant, Some(found.user.id), "session_limit"), origin).await?;
        }
        let session = session?;
        let access_token = self.access_token(facts, &session, &found.roles, &policy, origin)?;
        Ok(TokenPair {
            access_token,
            refresh_token: token.text.expose().clone(),
            expires_in: policy.access_token_lifetime.as_secs(),
        })
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
        let Some((id, _)) = refresh::read(&self.keyring, token) else { return Ok(()) };
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

/// Counts an attempt for its address, unless it has to wait.
async fn count(system: &WriteSystem<'_>, rule: WindowRule, address: ThrottleKey, now: Timestamp) -> Result<Gate> {
    let counted = system.update_throttle(address, |counter| match rule.gate(counter, now) {
        Gate::Open => (rule.counted(counter, now), Gate::Open),
        closed => (*counter, closed),
    });
    Ok(counted.await?)
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
