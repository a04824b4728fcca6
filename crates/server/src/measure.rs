//! Figures of what happens, for `/metrics`. Labels come from closed sets, and everything is there from the start, at zero:
//! an alert on a figure that has never been seen would be silent.

use gatehouse_domain::{job::JobKind, word::Word};
use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

/// A counter with one label: its name, what it counts, the label, and all of its values.
struct Counter(&'static str, &'static str, &'static str, &'static [&'static str]);

impl Counter {
    fn add(&self, value: &'static str) {
        counter!(self.0, self.2 => value).increment(1);
    }
}

const SIGN_INS: Counter = Counter(
    "gatehouse_sign_ins_total",
    "Sign-ins with a password: succeeded; challenged, if another factor is needed; refused, if the password is wrong or \
     nobody may sign in with it; throttled; or failed, if the server could not",
    "result",
    &["succeeded", "challenged", "refused", "throttled", "failed"],
);
const REFRESHES: Counter = Counter(
    "gatehouse_refreshes_total",
    "Refresh tokens presented: succeeded, refused, throttled, or failed",
    "result",
    &["succeeded", "refused", "throttled", "failed"],
);
const ALARMS: Counter = Counter(
    "gatehouse_alarms_total",
    "What looks like an attack: token_reuse (a refresh token was used twice, its session has ended) and account_locked",
    "alarm",
    &["token_reuse", "account_locked"],
);
const THROTTLED: Counter = Counter(
    "gatehouse_throttled_requests_total",
    "Requests that were answered 429, by the limit",
    "limit",
    &["login", "registration", "mail", "mailbox", "user", "tenant", "sign-in", "refresh", "other"],
);
const MAILS: Counter = Counter(
    "gatehouse_mails_total",
    "Attempts to send a mail, by their result",
    "result",
    &["sent", "postponed", "given_up"],
);
const LOGOUTS: Counter = Counter(
    "gatehouse_logout_deliveries_total",
    "Attempts to tell an application that a session has ended, by their result",
    "result",
    &["delivered", "postponed", "given_up"],
);
const DROPPED: Counter = Counter(
    "gatehouse_connections_dropped_total",
    "Connections refused (address: it has enough) or given up",
    "reason",
    &["address", "full", "unread", "head", "idle"],
);

/// Says what every figure means, and shows those that count at zero.
pub fn describe() {
    for Counter(name, help, label, values) in [SIGN_INS, REFRESHES, ALARMS, THROTTLED, MAILS, LOGOUTS, DROPPED] {
        describe_counter!(name, help);
        for value in values {
            counter!(name, label => *value).increment(0);
        }
    }
    describe_gauge!("gatehouse_active_sessions", "Sessions that have not ended");
    describe_gauge!("gatehouse_jobs_waiting", "Jobs that wait, by kind");
    describe_gauge!("gatehouse_jobs_oldest_seconds", Unit::Seconds, "How long the oldest job of a kind has waited");
    describe_gauge!(
        "gatehouse_logout_deliveries_waiting",
        "What applications are still to be told: one for each session that has ended and each application"
    );
    describe_gauge!("gatehouse_database_connections", "Connections to the database: in_use and most");
    for gauge in [
        "gatehouse_active_sessions",
        "gatehouse_audit_unsealed_events",
        "gatehouse_audit_unsealed_seconds",
        "gatehouse_logout_deliveries_waiting",
    ] {
        gauge!(gauge).set(0.0);
    }
    for (_, kind) in JobKind::ALL {
        job_queue(kind, 0.0, 0.0);
    }
}

/// How something ended that strangers try.
fn result<T>(result: &crate::app::Result<T>) -> &'static str {
    use crate::app::Error;
    match result {
        Ok(_) => "succeeded",
        Err(Error::RateLimited(_)) => "throttled",
        Err(Error::Internal(_) | Error::Unavailable(_) | Error::Overloaded) => "failed",
        Err(_) => "refused",
    }
}

/// Counts a sign-in.
pub fn sign_in<T>(attempt: &crate::app::Result<T>, is_challenged: bool) {
    SIGN_INS.add(if is_challenged { "challenged" } else { result(attempt) });
}

/// Counts a refresh token that was presented.
pub fn refresh<T>(attempt: &crate::app::Result<T>) {
    REFRESHES.add(result(attempt));
}

/// Counts a refresh token that was used twice.
pub fn token_reuse() {
    ALARMS.add("token_reuse");
}

/// Counts an account that was locked.
pub fn account_locked() {
    ALARMS.add("account_locked");
}

/// Counts a request that was answered 429.
pub fn throttled(limit: Option<&'static str>) {
    let known = THROTTLED.3.iter().find(|known| limit == Some(**known));
    THROTTLED.add(known.copied().unwrap_or("other"));
}

/// Counts an attempt to send a mail.
pub fn mail(result: &'static str) {
    MAILS.add(result);
}

/// Counts an attempt to tell an application that a session has ended.
pub fn logout_delivery(result: &'static str) {
    LOGOUTS.add(result);
}

/// How much applications are still to be told.
pub fn logout_deliveries_waiting(waiting: u64) {
    #[expect(clippy::cast_precision_loss, reason = "a gauge")]
    gauge!("gatehouse_logout_deliveries_waiting").set(waiting as f64);
}

/// Counts a connection that was refused or given up.
pub fn dropped(reason: &'static str) {
    DROPPED.add(reason);
}

/// How many sessions have not ended.
pub fn active_sessions(sessions: u64) {
    #[expect(clippy::cast_precision_loss, reason = "a gauge")]
    gauge!("gatehouse_active_sessions").set(sessions as f64);
}

/// How many jobs of a kind wait, and how many seconds the oldest has.
pub fn job_queue(kind: &'static str, waiting: f64, oldest: f64) {
    gauge!("gatehouse_jobs_waiting", "kind" => kind).set(waiting);
    gauge!("gatehouse_jobs_oldest_seconds", "kind" => kind).set(oldest);
}
