//! Attempts to prove who one is, with a password or another factor: where they are counted, whether they get an answer,
//! and what is made of a failure. Whatever else strangers may do only so often is counted here too.
//!
//! Attempts are counted when they get their answer, in the transaction that decides it, so racing attempts learn exactly
//! as much as sequential ones.

use std::time::Duration;

use gatehouse_domain::{
    audit::Refused,
    authz::{SystemReason, TenantRef},
    id::{SessionId, UserId},
    text::{Email, LoginName},
    throttle::{AttemptRules, Counter, Failures, Gate, LOCK_AFTER, NETWORKS, WindowRule, gate, take, tightest},
    time::Timestamp,
};
use gatehouse_persistence::{Attempt, AttemptKeys, Db, NetworkKeys, TenantFacts, ThrottleKey, WriteSystem, WriteTx};

use crate::{
    app::{App, Error, Result, request::client::RequestMeta},
    config::Limits,
    measure,
    security::{
        keyring::Keyring,
        password::{Overloaded, Verified},
    },
};

const AUTH: SystemReason = SystemReason::Authentication;

/// How much of a limit is left; for the `RateLimit` headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// The limit's name.
    pub policy: &'static str,
    /// The rule.
    pub rule: WindowRule,
    /// What is left of it.
    pub remaining: u32,
    /// When it starts anew.
    pub reset: Duration,
}

impl RateLimit {
    pub(crate) fn of(policy: &'static str, rule: WindowRule, counter: &Counter, now: Timestamp) -> Self {
        let (remaining, reset) = rule.remaining(counter, now);
        Self { policy, rule, remaining, reset }
    }
}

/// The result of something that is limited, with what is left of the limit where that is known.
#[derive(Debug)]
pub struct Limited<T> {
    /// What is left.
    pub quota: Option<RateLimit>,
    /// The result.
    pub result: Result<T>,
}

/// A limit by windows. It goes along into the transaction that counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit<const N: usize> {
    policy: &'static str,
    rules: [WindowRule; N],
    keys: [Option<ThrottleKey>; N],
}

/// What counting one more gives.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counted {
    /// Whether it gets through.
    pub(crate) gate: Gate,
    /// What is left of the window of which least is left.
    pub(crate) quota: Option<RateLimit>,
}

impl<const N: usize> Limit<N> {
    /// Counts one more, unless it has to wait.
    pub(crate) async fn count(self, system: &WriteSystem<'_>, now: Timestamp) -> Result<Counted> {
        let counted = system.update_throttles(self.keys, |counters| {
            let (after, gate) = take(self.rules, counters, now);
            (after, Counted { gate, quota: self.left(&after, now) })
        });
        Ok(counted.await?)
    }

    fn left(&self, counters: &[Counter; N], now: Timestamp) -> Option<RateLimit> {
        let (rule, counter) = tightest(self.rules, counters, now)?;
        Some(RateLimit::of(self.policy, rule, &counter, now))
    }
}

/// Lets an attempt go on, or says what it is answered with. A locked account looks like a wrong password.
pub(crate) const fn pass(gate: Gate) -> Result<()> {
    match gate {
        Gate::Open => Ok(()),
        Gate::Wait(delay) => Err(Error::RateLimited(delay)),
        Gate::Locked => Err(Error::InvalidCredentials),
    }
}

/// Counts attempts.
#[derive(Debug, Clone, Copy)]
pub struct Attempts<'a> {
    db: &'a Db,
    keyring: &'a Keyring,
    limits: &'a Limits,
}

impl App {
    /// Attempts, and what else is limited by windows.
    pub fn attempts(&self) -> Attempts<'_> {
        Attempts { db: &self.db, keyring: &self.keyring, limits: &self.limits }
    }
}

impl Attempts<'_> {
    /// The counter of a name that nobody has.
    fn name_key(&self, tenant: TenantRef, name: &LoginName) -> ThrottleKey {
        let value = [tenant.id.uuid().as_bytes(), name.key().as_bytes()].concat();
        self.keyring.throttle_key("name", &value)
    }

    /// The counter of a session, for what its user proves in it.
    pub(crate) fn session_key(&self, session: SessionId) -> ThrottleKey {
        self.keyring.throttle_key("session", session.uuid().as_bytes())
    }

    /// What is known before somebody who gives a name is let try a password. Who has signed in from a device before is
    /// counted there.
    pub(crate) async fn of_name(
        &self,
        tenant: TenantRef,
        name: &LoginName,
        device: Option<&str>,
        meta: &RequestMeta,
    ) -> Result<Attempt> {
        let keys = self.keys(tenant, self.name_key(tenant, name), None, meta);
        let device = device.map(|token| self.keyring.device_hash(token));
        Ok(self.db.system(AUTH).attempt(tenant, name, device, &keys, meta.ctx.now).await?)
    }

    /// The same for a user who is known already, in a session or from a device that `known` counts for.
    pub(crate) async fn of_user(
        &self,
        facts: &TenantFacts,
        id: UserId,
        known: Option<ThrottleKey>,
        meta: &RequestMeta,
    ) -> Result<Attempt> {
        let keys = self.keys(facts.reference(), ThrottleKey::User(id), known, meta);
        Ok(self.db.system(AUTH).attempt_of(facts.reference(), id, &keys, meta.ctx.now).await?)
    }

    /// Whether an attempt gets an answer, after what failed before.
    pub(crate) fn gate(&self, failures: &Failures, now: Timestamp) -> Gate {
        self.limits.attempts.gate(failures, now)
    }

    /// Looks again at what failed, now that a password was found to be right: while it was hashed, others may have failed,
    /// and so many that this one gets no answer either. A session that begins looks again in its own transaction.
    ///
    /// # Errors
    /// Those of [`pass`].
    pub(crate) async fn still_open(&self, keys: AttemptKeys, meta: &RequestMeta) -> Result<()> {
        let rules = self.limits.attempts;
        let work = async move |tx: &WriteTx<'_>| {
            let (system, now) = (tx.system(AUTH), tx.now());
            // Under the locks of the counters, so that it comes after whatever failed before.
            Ok::<_, Error>(rules.gate(&system.locked_failures(&keys).await?, now))
        };
        pass(self.db.write(meta.ctx.clone(), work).await?)
    }

    /// The rules by which attempts are judged.
    pub(crate) const fn rules(&self) -> AttemptRules {
        self.limits.attempts
    }

    /// How many attempts are left to the network of which least is left.
    pub(crate) fn left(&self, failures: &Failures, now: Timestamp) -> Option<RateLimit> {
        let rules = self.limits.attempts.networks_of(failures).rules();
        let (rule, counter) = tightest(rules, &failures.networks, now)?;
        Some(RateLimit::of("login", rule, &counter, now))
    }

    /// How often accounts may be opened.
    pub(crate) fn registrations(&self, meta: &RequestMeta) -> Limit<NETWORKS> {
        let rules = self.limits.registrations.rules();
        Limit { policy: "registration", rules, keys: self.networks("registrations", meta) }
    }

    /// How often something may be asked for by mail.
    pub(crate) fn mail_requests(&self, meta: &RequestMeta) -> Limit<NETWORKS> {
        let rules = self.limits.mail_requests.rules();
        Limit { policy: "mail", rules, keys: self.networks("mail requests", meta) }
    }

    /// How often strangers may have something mailed to an address of a tenant.
    pub(crate) fn mailbox(&self, facts: &TenantFacts, email: &Email) -> Limit<1> {
        let value = [facts.tenant.id.uuid().as_bytes(), email.key().as_bytes()].concat();
        let key = self.keyring.throttle_key("mailbox", &value);
        Limit { policy: "mailbox", rules: [self.limits.mailbox], keys: [Some(key)] }
    }

    /// Counts one more of what is limited, where nothing else is to be done in that transaction.
    pub(crate) async fn count<const N: usize>(&self, limit: Limit<N>, meta: &RequestMeta) -> Result<Counted> {
        let work = async move |tx: &WriteTx<'_>| limit.count(&tx.system(AUTH), tx.now()).await;
        self.db.write(meta.ctx.clone(), work).await
    }

    /// The counters of an address and the networks around it. A subscriber is given a /64 of IPv6 at least, so anything
    /// finer counts nothing.
    fn networks(&self, kind: &str, meta: &RequestMeta) -> NetworkKeys {
        let key = |network: &[u8]| Some(self.keyring.throttle_key(kind, network));
        match meta.ctx.ip {
            Some(std::net::IpAddr::V6(ip)) => {
                let ip = ip.octets();
                [key(&ip[..8]), key(&ip[..7]), key(&ip[..6])]
            }
            Some(std::net::IpAddr::V4(ip)) => [key(&ip.octets()), None, None],
            None => [key(&[]), None, None],
        }
    }

    fn keys(
        &self,
        tenant: TenantRef,
        account: ThrottleKey,
        known: Option<ThrottleKey>,
        meta: &RequestMeta,
    ) -> AttemptKeys {
        AttemptKeys {
            account,
            known,
            networks: self.networks("failures", meta),
            tenant: self.keyring.throttle_key("tenant", tenant.id.uuid().as_bytes()),
        }
    }

    /// Counts a failure and records it; the answer is the one that this attempt gets.
    pub(crate) async fn failed(&self, keys: AttemptKeys, refused: Refused, meta: &RequestMeta) -> Error {
        let (rules, account) = (self.limits.attempts, keys.account);
        let work = async move |tx: &WriteTx<'_>| {
            let (system, now) = (tx.system(AUTH), tx.now());
            let (before, after, gate) = system
                .update_failures(&keys, |before: &Failures| {
                    let (after, gate) = rules.failed(before, now);
                    (after, (*before, after, gate))
                })
                .await?;
            if let Gate::Wait(delay) = gate {
                return Ok((Error::RateLimited(delay), false));
            }
            let own = after.own();
            system.refused(refused.clone().counted(own.failures, own.blocked_until.since(now))).await?;
            let locks = before.account.failures < LOCK_AFTER && after.account.failures >= LOCK_AFTER;
            let locking = refused.locking().filter(|_| locks);
            let is_locked = locking.is_some();
            if let Some(locking) = locking {
                system.refused(locking).await?;
            }
            Ok::<_, Error>((Error::InvalidCredentials, is_locked))
        };
        match self.db.write(meta.ctx.clone(), work).await {
            Ok((answer, is_locked)) => {
                if is_locked {
                    measure::account_locked();
                    let request_id = meta.ctx.request_id.as_deref();
                    let user_id =
                        if let ThrottleKey::User(id) = account { Some(tracing::field::display(id)) } else { None };
                    tracing::warn!(request_id, user_id, "an account was locked: too many sign-ins failed");
                }
                answer
            }
            Err(error) => error,
        }
    }

    /// A password that was not found to be right. Where there was no time to find out, that counts as a failure, too:
    /// that it was none must not show for some accounts.
    pub(crate) async fn not_proved(
        &self,
        verified: &Verified,
        keys: AttemptKeys,
        refused: Refused,
        meta: &RequestMeta,
    ) -> Error {
        match self.failed(keys, refused, meta).await {
            Error::InvalidCredentials if *verified == Verified::Crowded => Overloaded.into(),
            error => error,
        }
    }

    /// Records a refusal that no account is behind, as often as passwords may be wrong at one address: strangers cannot
    /// fill the trail. It counts for nothing else, as nothing was guessed; the answer is the same, recorded or not.
    pub(crate) async fn record_refusal(&self, refused: Refused, answer: Error, meta: &RequestMeta) -> Error {
        let rules = self.limits.attempts.networks.rules();
        let limit = Limit { policy: "refusal", rules, keys: self.networks("turned_away", meta) };
        match self.db.system(AUTH).throttles(limit.keys).await {
            Ok(counters) if gate(rules, &counters, meta.ctx.now) == Gate::Open => {}
            Ok(_) => return answer,
            Err(error) => return error.into(),
        }
        let work = async move |tx: &WriteTx<'_>| {
            let system = tx.system(AUTH);
            if limit.count(&system, tx.now()).await?.gate == Gate::Open {
                system.refused(refused.clone()).await?;
            }
            Ok::<_, Error>(())
        };
        self.db.write(meta.ctx.clone(), work).await.map_or_else(|error| error, |()| answer)
    }
}
