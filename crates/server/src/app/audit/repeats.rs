//! Refusals that cost whoever causes them nothing: the first is recorded at once, and then once a minute how many more there
//! were. Otherwise one user who is refused at full speed fills the disk, and hides in the trail what it is there for.
//!
//! What was left out is counted here until the minute is over, in a bounded table; a process that is killed loses that
//! much of a count, never a first refusal.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{Mutex, PoisonError},
};

use futures_util::{StreamExt, stream};
use gatehouse_domain::{
    audit::{Refused, RefusedKey},
    authz::SystemReason,
    time::{MINUTE, Timestamp},
};
use gatehouse_persistence::{ChangeContext, WriteTx};

use crate::app::{
    Result,
    audit::Refusals,
    request::{buckets::network, client::RequestMeta},
};

/// How many kinds of refusal are counted at the same time. What is beyond is recorded one by one; how fast a user or tenant
/// may ask bounds that.
const MOST: usize = 16_384;
/// In how many parts the networks of strangers are told apart: so many events a minute for a kind of refusal, however many
/// addresses they have.
const PARTS: u64 = 16;
/// How many counts are written at the same time.
const AT_ONCE: usize = 16;

/// Refusals of one kind since the one that was recorded.
#[derive(Debug)]
struct Repeat {
    since: Timestamp,
    /// The last that was left out, and how many were before it.
    left_out: Option<(Refused, ChangeContext, u32)>,
}

/// What was refused in the last minute.
#[derive(Debug, Default)]
pub struct Repeats {
    kinds: Mutex<HashMap<RefusedKey, Repeat>>,
    /// Nobody outside knows which networks are in one part, and can fail from one to hide another.
    parts: RandomState,
}

impl Repeats {
    fn with<T>(&self, change: impl FnOnce(&mut HashMap<RefusedKey, Repeat>) -> T) -> T {
        change(&mut self.kinds.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What a refusal has in common with others, in a request.
    fn key_of(&self, refused: &Refused, ctx: &ChangeContext) -> RefusedKey {
        let part = |ip| u8::try_from(self.parts.hash_one(network(ip)) % PARTS).unwrap_or_default();
        refused.key().from(ctx.ip.map(part))
    }

    /// What is to be recorded of a refusal, if anything is by now.
    fn note(&self, refused: Refused, ctx: &ChangeContext) -> Option<Refused> {
        let (key, now) = (self.key_of(&refused, ctx), ctx.now);
        self.with(|repeats| {
            let is_full = repeats.len() >= MOST;
            let Some(repeat) = repeats.get_mut(&key) else {
                if !is_full {
                    repeats.insert(key, Repeat { since: now, left_out: None });
                }
                return Some(refused);
            };
            let before = repeat.left_out.take().map_or(0, |(_, _, before)| before.saturating_add(1));
            // A minute that begins later than the next one would is of a clock that was set back.
            if now.since(repeat.since) >= MINUTE || repeat.since.since(now) > MINUTE {
                repeat.since = now;
                return Some(refused.after(before));
            }
            repeat.left_out = Some((refused, ChangeContext { condition: None, ..ctx.clone() }, before));
            None
        })
    }

    /// Takes out what nobody has recorded since an instant.
    fn take(&self, since: Timestamp) -> Vec<(Refused, ChangeContext)> {
        let due = self.with(|repeats| repeats.extract_if(|_, repeat| repeat.since <= since).collect::<Vec<_>>());
        let left_out = due.into_iter().filter_map(|(_, repeat)| repeat.left_out);
        left_out.map(|(refused, ctx, before)| (refused.after(before), ctx)).collect()
    }

    fn forget(&self, key: &RefusedKey) {
        self.with(|repeats| repeats.remove(key));
    }
}

impl Refusals<'_> {
    /// Records a refusal that changes nothing, once a minute.
    ///
    /// # Errors
    /// [`crate::app::Error::Unavailable`] when the database does not answer.
    pub async fn record(&self, refused: Refused, meta: &RequestMeta) -> Result<()> {
        let key = self.repeats.key_of(&refused, &meta.ctx);
        let Some(refused) = self.repeats.note(refused, &meta.ctx) else { return Ok(()) };
        let recorded = self.write(refused, meta.ctx.clone()).await;
        if recorded.is_err() {
            self.repeats.forget(&key);
        }
        recorded
    }

    async fn write(&self, refused: Refused, ctx: ChangeContext) -> Result<()> {
        let work = async move |tx: &WriteTx<'_>| {
            Ok::<_, crate::app::Error>(tx.system(SystemReason::Authentication).refused(refused.clone()).await?)
        };
        self.db.write(ctx, work).await
    }

    /// Records what was left out since an instant, for each kind of refusal one event that says how many there were: for
    /// the end of the minute, and of the process. Returns how many events.
    ///
    /// # Errors
    /// [`crate::app::Error::Unavailable`] when the database does not answer; what was counted is lost then.
    pub async fn record_left_out(&self, since: Timestamp) -> Result<usize> {
        let due = self.repeats.take(since);
        let total = due.len();
        let writing = stream::iter(due).map(|(refused, ctx)| self.write(refused, ctx)).buffer_unordered(AT_ONCE);
        writing.collect::<Vec<_>>().await.into_iter().collect::<Result<()>>()?;
        Ok(total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    use gatehouse_domain::{
        authz::{By, TenantRef},
        id::{PartnerId, TenantId, UserId},
    };
    use uuid::Uuid;

    const NOW: Timestamp = Timestamp::from_micros(1_000_000_000_000);

    fn refusal(user: u128) -> Refused {
        let tenant = TenantRef { id: TenantId::from_uuid(Uuid::nil()), partner_id: PartnerId::from_uuid(Uuid::nil()) };
        Refused::access(
            tenant,
            By::oneself(UserId::from_uuid(Uuid::from_u128(user)), None),
            "users:delete",
            "DELETE /x",
        )
    }

    #[test]
    fn table_is_bounded_and_what_does_not_fit_is_recorded() {
        let repeats = Repeats::default();
        let ctx = ChangeContext::at(NOW);
        for user in 0..MOST as u128 * 2 {
            assert!(repeats.note(refusal(user), &ctx).is_some());
        }
        assert!(repeats.with(|repeats| repeats.len()) == MOST);
        assert!(repeats.note(refusal(1), &ctx).is_none());
        assert!(repeats.note(refusal(MOST as u128 + 1), &ctx).is_some());
        // Two were noted, and nothing of the others is left.
        assert_eq!(repeats.take(NOW).len(), 1);
        assert!(repeats.with(|repeats| repeats.is_empty()));
    }

    fn from(ip: impl Into<IpAddr>) -> ChangeContext {
        ChangeContext { ip: Some(ip.into()), ..ChangeContext::at(NOW) }
    }

    #[test]
    fn who_fails_from_one_network_does_not_hide_most_others_and_many_do_not_fill_the_trail() {
        let repeats = Repeats::default();
        let networks = || (0..10_000).map(Ipv4Addr::from).collect::<Vec<_>>();
        let recorded = networks().into_iter().filter(|ip| {
            let refused = Refused::login(None, None, "invalid_credentials");
            repeats.note(refused, &from(*ip)).is_some()
        });
        assert_eq!(recorded.count(), PARTS as usize);
        // Of somebody who is known it is one thing, from wherever.
        let recorded = networks().into_iter().filter(|ip| repeats.note(refusal(1), &from(*ip)).is_some());
        assert_eq!(recorded.count(), 1);
    }

    #[test]
    fn addresses_of_one_network_are_one() {
        let repeats = Repeats::default();
        for (last, is_recorded) in [(1, true), (2, false), (3, false)] {
            let ip = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last);
            let refused = Refused::login(None, None, "invalid_credentials");
            assert_eq!(repeats.note(refused, &from(ip)).is_some(), is_recorded);
        }
    }

    #[test]
    fn clock_that_is_set_back_hides_nothing() {
        let repeats = Repeats::default();
        assert!(repeats.note(refusal(1), &ChangeContext::at(NOW.plus(MINUTE * 9))).is_some());
        assert!(repeats.note(refusal(1), &ChangeContext::at(NOW)).is_some());
    }
}
