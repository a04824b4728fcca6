//! Attempts to prove a password, whoever asks for it: where they are counted, whether they get an answer, and what is
//! made of a failure. Whatever else is limited by windows is counted here too.
//!
//! Attempts are counted when they get their answer, in the transaction that decides it, so racing attempts learn exactly
//! as much as sequential ones.

use std::time::Duration;

use gatehouse_domain::{
    audit::Refused,
    authz::SystemReason,
    text::LoginName,
    throttle::{Counter, Failures, Gate, LOCK_AFTER, NETWORKS, NetworkRule, WindowRule, take},
    time::Timestamp,
};
use gatehouse_persistence::{AttemptKeys, NetworkKeys, TenantFacts, ThrottleKey, WriteSystem, WriteTx};

use crate::app::{App, Error, Result, request::client::Origin};

const AUTH: SystemReason = SystemReason::Authentication;

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

    /// Of the network of which least is left.
    pub(crate) fn of_networks(
        policy: &'static str,
        rule: NetworkRule,
        counters: &[Counter; NETWORKS],
        now: Timestamp,
    ) -> Self {
        let (rule, counter) = rule.tightest(counters, now);
        Self::of(policy, rule, &counter, now)
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

/// Counts one more of what is limited, unless it has to wait.
pub(crate) async fn count<const N: usize>(
    system: &WriteSystem<'_>,
    rules: [WindowRule; N],
    keys: [Option<ThrottleKey>; N],
    now: Timestamp,
) -> Result<(Gate, [Counter; N])> {
    let counted = system.update_throttles(keys, |counters| {
        let (after, gate) = take(rules, counters, now);
        (after, (gate, after))
    });
    Ok(counted.await?)
}

impl App {
    /// The counter of a name that nobody has.
    pub(crate) fn name_key(&self, facts: &TenantFacts, name: &LoginName) -> ThrottleKey {
        let value = [facts.tenant.id.uuid().as_bytes(), name.key().as_bytes()].concat();
        self.keyring.throttle_key("name", &value)
    }

    /// The counters of an address and the networks around it. A subscriber is given a /64 of IPv6 at least, so anything
    /// finer counts nothing.
    pub(crate) fn network_keys(&self, kind: &str, origin: &Origin) -> NetworkKeys {
        let key = |network: &[u8]| Some(self.keyring.throttle_key(kind, network));
        match origin.ctx.ip {
            Some(std::net::IpAddr::V6(ip)) => {
                let ip = ip.octets();
                [key(&ip[..8]), key(&ip[..7]), key(&ip[..6])]
            }
            Some(std::net::IpAddr::V4(ip)) => [key(&ip.octets()), None, None],
            None => [key(&[]), None, None],
        }
    }

    /// Where an attempt is counted.
    pub(crate) fn attempt_keys(
        &self,
        facts: &TenantFacts,
        account: ThrottleKey,
        known: Option<ThrottleKey>,
        origin: &Origin,
    ) -> AttemptKeys {
        AttemptKeys {
            account,
            known,
            networks: self.network_keys("failures", origin),
            tenant: self.keyring.throttle_key("tenant", facts.tenant.id.uuid().as_bytes()),
        }
    }

    /// Counts a failure and records it; the answer is the one that this attempt gets.
    pub(crate) async fn failed(&self, keys: AttemptKeys, refused: Refused, origin: &Origin) -> Error {
        let rules = self.limits.attempts;
        let work = async move |tx: &WriteTx<'_>| {
            let (system, now) = (tx.system(AUTH), tx.now());
            let (before, after, gate) = system
                .update_failures(&keys, |before: &Failures| {
                    let (after, gate) = rules.failed(before, now);
                    (after, (*before, after, gate))
                })
                .await?;
            if let Gate::Wait(delay) = gate {
                return Ok(Error::RateLimited(delay));
            }
            let own = after.own();
            system.refused(refused.clone().counted(own.failures, own.blocked_until.since(now))).await?;
            if before.account.failures < LOCK_AFTER
                && after.account.failures >= LOCK_AFTER
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
    pub(crate) async fn record_refusal(&self, refused: Refused, answer: Error, origin: &Origin) -> Error {
        let (rules, now) = (self.limits.attempts.networks.rules(), origin.ctx.now);
        let keys = self.network_keys("turned_away", origin);
        match self.reading().throttles(keys).await {
            Ok(counters) if take(rules, counters, now).1 == Gate::Open => {}
            Ok(_) => return answer,
            Err(error) => return error.into(),
        }
        let work = async move |tx: &WriteTx<'_>| {
            let (system, now) = (tx.system(AUTH), tx.now());
            if count(&system, rules, keys, now).await?.0 == Gate::Open {
                system.refused(refused.clone()).await?;
            }
            Ok::<_, Error>(())
        };
        self.db.write(origin.ctx.clone(), work).await.map_or_else(|error| error, |()| answer)
    }
}
