//! How many requests somebody who is signed in may send: a bucket for each user and one for each tenant, in this process.
//!
//! A bucket is one instant, and one that is full again need not be kept: so a table of them is small, and bounded. Each
//! replica counts for itself; what has to be counted together, such as wrong passwords, is counted in the database.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use aws_lc_rs::digest::{SHA256, digest};
use gatehouse_domain::{
    authz::Actor,
    bucket::{BucketRule, Left},
    id::{ApplicationId, TenantId, UserId},
    secret::TokenHash,
    throttle::WindowRule,
    time::{MINUTE, Timestamp},
};
use uuid::Uuid;

use crate::{
    app::{
        Error, Result,
        attempts::{Limited, RateLimit},
        request::{
            proofs::SeenProofs,
            waiting::{Counts, Waiting},
            windows::Windows,
        },
    },
    config::Limits,
};

/// Requests wait for each other only where their buckets are in the same part, and then for a look-up.
const PARTS: usize = 64;
/// How many documents of strangers are fetched for a tenant.
const DOCUMENTS: WindowRule = WindowRule { limit: 30, window: MINUTE };
/// How many buckets a part has at most.
const MOST: usize = 4_096;

/// Buckets of one rule by what they are for.
#[derive(Debug)]
struct Buckets {
    policy: &'static str,
    rule: Option<BucketRule>,
    /// When each is full again.
    parts: Box<[Mutex<HashMap<Uuid, Timestamp>>]>,
}

impl Buckets {
    fn new(policy: &'static str, rule: Option<BucketRule>) -> Self {
        Self { policy, rule, parts: (0..PARTS).map(|_| Mutex::default()).collect() }
    }

    /// Takes a token; what is left, if there is a limit at all.
    fn take(&self, id: Uuid, now: Timestamp) -> Limited<()> {
        let Some(rule) = self.rule else { return Limited { quota: None, result: Ok(()) } };
        // The end of an id is random.
        let part = &self.parts[usize::from(id.as_bytes()[15]) % PARTS];
        let mut part = part.lock().unwrap_or_else(PoisonError::into_inner);
        make_room(&mut part, now);
        let full_at = part.entry(id).or_default();
        let taken = rule.take(*full_at, now);
        if let Ok(left) = taken {
            *full_at = left.full_at;
        }
        drop(part);
        let quota = |remaining, reset| RateLimit { policy: self.policy, rule: rule.window(), remaining, reset };
        match taken {
            Ok(Left { tokens, full_at }) => Limited { quota: Some(quota(tokens, full_at.since(now))), result: Ok(()) },
            Err(wait) => Limited { quota: Some(quota(0, wait)), result: Err(Error::RateLimited(wait)) },
        }
    }
}

/// Half as much in the same time.
fn half(rule: WindowRule) -> WindowRule {
    WindowRule { limit: rule.limit.div_ceil(2), ..rule }
}

/// What stands for text in a table.
fn id_of(text: &[u8]) -> Uuid {
    let digest = digest(&SHA256, text);
    let mut id = [0; 16];
    id.copy_from_slice(digest.as_ref().split_at(16).0);
    Uuid::from_bytes(id)
}

/// What stands for the network of an address: whoever has one address of IPv6 has all of a /64 (RFC 6177).
pub(in crate::app) fn network(ip: IpAddr) -> Uuid {
    let bits = match ip.to_canonical() {
        IpAddr::V4(ip) => u128::from(u32::from(ip)),
        IpAddr::V6(ip) => u128::from(ip) >> 64 << 64,
    };
    id_of(&bits.to_be_bytes())
}

/// Drops full buckets when there are many; where most are in use all start anew, as nobody may be shut out for want of
/// space.
fn make_room(part: &mut HashMap<Uuid, Timestamp>, now: Timestamp) {
    if part.len() >= MOST {
        part.retain(|_, full_at| *full_at > now);
        if part.len() > MOST / 2 {
            part.clear();
        }
    }
}

/// The buckets of an instance.
#[derive(Debug)]
pub struct Admission {
    users: Buckets,
    tenants: Buckets,
    sign_ins: Buckets,
    starts: Buckets,
    codes_of_address: Windows,
    documents: Windows,
    codes_of_browser: Windows,
    waiting: Counts,
    proofs: SeenProofs,
}

/// An attempt to name a device, at an address and in a browser.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TriedCode {
    browser: Uuid,
    network: Option<Uuid>,
}

impl Admission {
    /// Full buckets.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        Self {
            users: Buckets::new("user", limits.user_requests),
            tenants: Buckets::new("tenant", limits.tenant_requests),
            sign_ins: Buckets::new("sign-in", limits.sign_ins),
            starts: Buckets::new("oauth-start", limits.oauth_starts),
            codes_of_address: Windows::new(limits.user_codes),
            documents: Windows::new(Some(DOCUMENTS)),
            codes_of_browser: Windows::new(limits.user_codes.map(half)),
            waiting: Counts::default(),
            proofs: SeenProofs::default(),
        }
    }

    /// Counts a request of somebody who is signed in, or of an application, for these and for the tenant that they belong
    /// to. A user who has to wait does not use up what the others of the tenant have.
    pub fn admit(&self, actor: &Actor, now: Timestamp) -> Limited<()> {
        let Some((id, home)) = actor.id() else { return Limited { quota: None, result: Ok(()) } };
        let one = self.users.take(id.uuid(), now);
        if one.result.is_err() {
            return one;
        }
        // Those that belong to no tenant count for themselves alone.
        let Some(home) = home else { return one };
        let all = self.tenants.take(home.id.uuid(), now);
        if all.result.is_err() || one.quota.is_none() { all } else { one }
    }

    /// Counts a request that costs us more than whoever sends it without having proved who they are, by the network that it
    /// comes from. What comes from no network is not counted.
    pub(crate) fn start(&self, ip: Option<IpAddr>, now: Timestamp) -> Result<()> {
        ip.map_or(Ok(()), |ip| self.starts.take(network(ip), now).result)
    }

    /// Counts that an application pushes a request: what is known of those that wait, and how many came before in a second.
    pub(crate) fn push(&self, application: ApplicationId) -> (Arc<Waiting>, u64) {
        self.waiting.push(application)
    }

    /// Uses a DPoP proof of a user or an application up at this instance; whether nobody had before.
    pub(crate) fn prove(&self, proof: TokenHash, of: Uuid, now: Timestamp) -> Result<bool> {
        self.proofs.take(proof, of, now)
    }

    /// Counts that a document is fetched which a stranger named to a tenant.
    pub(crate) fn fetch_document(&self, tenant: TenantId, now: Timestamp) -> Result<()> {
        self.documents.take(tenant.uuid(), now)
    }

    /// Counts an attempt to name a device that waits, which does not count if it was right.
    pub(crate) fn try_user_code(&self, ip: Option<IpAddr>, browser: &str, now: Timestamp) -> Result<TriedCode> {
        let (browser, network) = (id_of(browser.as_bytes()), ip.map(network));
        self.codes_of_browser.take(browser, now)?;
        if let Some(network) = network
            && let Err(error) = self.codes_of_address.take(network, now)
        {
            self.codes_of_browser.give_back(browser);
            return Err(error);
        }
        Ok(TriedCode { browser, network })
    }

    /// Takes back that an attempt was counted.
    pub(crate) fn was_right(&self, TriedCode { browser, network }: TriedCode) {
        self.codes_of_browser.give_back(browser);
        if let Some(network) = network {
            self.codes_of_address.give_back(network);
        }
    }

    /// Counts a sign-in of a user whose password was right.
    pub(crate) fn sign_in(&self, user: UserId, now: Timestamp, quota: &mut Option<RateLimit>) -> Result<()> {
        let limited = self.sign_ins.take(user.uuid(), now);
        if limited.result.is_err() {
            *quota = limited.quota;
        }
        limited.result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const NOW: Timestamp = Timestamp::from_micros(1_000_000_000_000);
    const RULE: BucketRule = BucketRule { burst: 2, period: Duration::from_secs(1) };

    fn id(n: usize) -> Uuid {
        // All in one part.
        Uuid::from_u128((n as u128) << 8)
    }

    #[test]
    fn buckets_of_others_are_not_touched() {
        let buckets = Buckets::new("user", Some(RULE));
        for _ in 0..2 {
            assert!(buckets.take(id(1), NOW).result.is_ok());
        }
        let refused = buckets.take(id(1), NOW);
        assert!(matches!(refused.result, Err(Error::RateLimited(wait)) if wait == RULE.period));
        assert!(buckets.take(id(2), NOW).result.is_ok());
    }

    #[test]
    fn there_are_never_more_buckets_than_fit() {
        let buckets = Buckets::new("user", Some(RULE));
        for n in 0..MOST * 3 {
            assert!(buckets.take(id(n), NOW).result.is_ok());
            assert!(buckets.parts[0].lock().unwrap().len() <= MOST);
        }
        // Full ones make room for others first.
        let later = NOW.plus(RULE.period * 9);
        for n in 0..MOST {
            assert!(buckets.take(id(MOST * 9 + n), later).result.is_ok());
        }
        assert!(buckets.parts[0].lock().unwrap().values().all(|full_at| *full_at > later));
    }

    #[test]
    fn no_rule_limits_nobody() {
        let buckets = Buckets::new("user", None);
        assert!((0..1_000).all(|_| buckets.take(id(1), NOW).result.is_ok()));
        assert!(buckets.parts.iter().all(|part| part.lock().unwrap().is_empty()));
    }
}
