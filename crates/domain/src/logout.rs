//! Telling applications that sessions have ended (OpenID Connect Back-Channel Logout 1.0): what is owed to whom, which
//! answers are final, and when it is tried again or given up.

use std::time::Duration;

use crate::{
    audit::{Action, Event, Fields, Resource, ResourceKind},
    authz::{By, SystemReason, TenantRef},
    id::{ApplicationId, SessionId, UserId},
    job::{Failure, Next},
    time::{HOUR, MINUTE, Timestamp},
};

/// How long a logout token is good for.
pub const TOKEN_LIFETIME: Duration = MINUTE.saturating_mul(2);
/// How long whoever takes a delivery has it for itself: longer than any attempt takes. After that it was lost with the
/// process that had it, and another makes it.
pub const LEASE: Duration = Duration::from_secs(30);
/// How often a delivery is taken up at most, however few attempts came of it. One that ends the process of whoever makes
/// it, each time, would never come to its end otherwise.
pub const MOST_CLAIMS: i64 = 100;

/// How long it is waited after each attempt that failed; the one behind the last delay is the last.
const DELAYS: [Duration; 5] =
    [Duration::from_secs(5), Duration::from_secs(30), Duration::from_secs(2 * 60), Duration::from_secs(10 * 60), HOUR];
/// The longest that an application may ask to be left alone.
const MOST_PATIENCE: Duration = HOUR;

/// An application is to be told that a session has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivery {
    /// Which application.
    pub application: ApplicationId,
    /// The tenant of the session.
    pub tenant: TenantRef,
    /// The session that has ended.
    pub session: SessionId,
    /// What tokens call it by: the session that somebody signed in to, where an application had it of its own.
    pub sid: SessionId,
    /// Whose it was.
    pub user: UserId,
    /// How many attempts have failed.
    pub attempts: u32,
}

/// Why an attempt failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// In a word.
    pub failure: Failure,
    /// How long the application asks to be left alone.
    pub wait: Option<Duration>,
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self { failure, wait: None }
    }
}

/// What an answer means, by its status and the seconds of `Retry-After`.
///
/// # Errors
/// [`Refusal`] unless the application has been told.
pub fn judge(status: u16, retry_after: Option<u64>) -> Result<(), Refusal> {
    let failure = match status {
        200..=299 => return Ok(()),
        408 => Failure::again("timeout"),
        429 => {
            return Err(Refusal { failure: Failure::again("busy"), wait: retry_after.map(Duration::from_secs) });
        }
        500..=599 => Failure::again("server_error"),
        300..=399 => Failure::never("redirected"),
        _ => Failure::never("refused"),
    };
    Err(failure.into())
}

impl Delivery {
    /// What becomes of it after an attempt that failed.
    #[must_use]
    pub fn after(&self, refusal: Refusal, now: Timestamp) -> Next {
        let delay = DELAYS.get(usize::try_from(self.attempts).unwrap_or(usize::MAX));
        match delay {
            Some(delay) if !refusal.failure.is_final => {
                let asked = refusal.wait.map_or(Duration::ZERO, |wait| Ord::min(wait, MOST_PATIENCE));
                Next::At(now.plus(Ord::max(*delay, asked)))
            }
            _ => Next::Never,
        }
    }

    /// The event of one that is given up: the application may think that somebody is still signed in.
    #[must_use]
    pub fn given_up(&self, failure: Failure) -> Event {
        let (tenant, mut fields) = (self.tenant, Fields::default());
        fields.set("attempts", self.attempts).set("session_id", self.session).set("user_id", self.user);
        Event {
            action: Action::ApplicationLogoutGivenUp,
            resource: Resource::of(ResourceKind::Application, self.application.uuid())
                .in_tenant(tenant.partner_id, tenant.id),
            by: By::system(SystemReason::Job),
            failure: Some(failure.reason),
            reason: None,
            fields,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{PartnerId, TenantId};

    const NOW: Timestamp = Timestamp::from_micros(1_000_000_000_000);

    fn delivery(attempts: u32) -> Delivery {
        Delivery {
            application: ApplicationId::from_parts(1, [1; 10]),
            tenant: TenantRef { id: TenantId::from_parts(1, [2; 10]), partner_id: PartnerId::from_parts(1, [3; 10]) },
            session: SessionId::from_parts(1, [4; 10]),
            sid: SessionId::from_parts(1, [4; 10]),
            user: UserId::from_parts(1, [5; 10]),
            attempts,
        }
    }

    fn delay(attempts: u32, refusal: Refusal) -> Option<u64> {
        match delivery(attempts).after(refusal, NOW) {
            Next::At(at) => Some(at.since(NOW).as_secs()),
            Next::Never => None,
        }
    }

    #[test]
    fn five_delays_come_between_six_attempts() {
        let busy = Refusal::from(Failure::again("server_error"));
        let delays = [0, 1, 2, 3, 4, 5, u32::MAX].map(|attempts| delay(attempts, busy));
        assert_eq!(delays, [Some(5), Some(30), Some(120), Some(600), Some(3_600), None, None]);
    }

    #[test]
    fn final_answer_is_not_tried_again() {
        assert_eq!(delay(0, Failure::never("refused").into()), None);
    }

    #[test]
    fn application_that_asks_for_time_gets_an_hour_at_most_and_no_less_than_the_others() {
        let busy = |wait| judge(429, wait).unwrap_err();
        let delays = [Some(1), Some(60), Some(u64::MAX), None].map(|wait| delay(1, busy(wait)));
        assert_eq!(delays, [Some(30), Some(60), Some(3_600), Some(30)]);
        assert_eq!(delay(5, busy(Some(60))), None, "it is no attempt more");
    }

    #[test]
    fn only_success_is_one_and_only_what_may_be_mended_is_tried_again() {
        let means = |status| match judge(status, Some(7)) {
            Ok(()) => "done",
            Err(Refusal { failure: Failure { is_final: true, .. }, .. }) => "never",
            Err(Refusal { wait: Some(_), .. }) => "later",
            Err(_) => "again",
        };
        for (statuses, expected) in [
            (vec![200, 204, 299], "done"),
            (vec![408, 500, 501, 503, 599], "again"),
            (vec![429], "later"),
            (vec![301, 302, 304, 307, 308, 400, 401, 403, 404, 410, 451, 100, 199, 600], "never"),
        ] {
            for status in statuses {
                assert_eq!(means(status), expected, "{status}");
            }
        }
    }
}
