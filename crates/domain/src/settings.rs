//! What the platform, a partner and a tenant decide, and what holds where nobody decides.

mod inherit;
mod retention;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    issue::Fault,
    time::{DAY, HOUR},
    word::words,
};

pub use inherit::{Effective, Holding, Layers, Level, Rule, Settings, Values};
pub use retention::{Evidence, Promise, retention_shortened};

/// A whole number from `MIN` to `MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Bounded<const MIN: u32, const MAX: u32>(u32);

impl<const MIN: u32, const MAX: u32> Bounded<MIN, MAX> {
    /// The least number.
    pub const LEAST: u32 = MIN;

    /// The number, if it is within the bounds.
    ///
    /// # Errors
    /// `out_of_range` names the bounds.
    pub fn new(n: u64) -> Result<Self, Fault> {
        match u32::try_from(n) {
            Ok(n) if (MIN..=MAX).contains(&n) => Ok(Self(n)),
            _ => Err(Fault::new("out_of_range", format!("must be a whole number from {MIN} to {MAX}"))),
        }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// What was stored when the bounds were wider counts as the nearest number within them.
impl<'de, const MIN: u32, const MAX: u32> Deserialize<'de> for Bounded<MIN, MAX> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u32::deserialize(deserializer).map(|n| Self(n.clamp(MIN, MAX)))
    }
}

impl<const MIN: u32, const MAX: u32> std::fmt::Display for Bounded<MIN, MAX> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(feature = "openapi")]
impl<const MIN: u32, const MAX: u32> utoipa::PartialSchema for Bounded<MIN, MAX> {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        use utoipa::openapi::{KnownFormat, ObjectBuilder, SchemaFormat, schema::Type};
        ObjectBuilder::new()
            .schema_type(Type::Integer)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int32)))
            .minimum(Some(MIN))
            .maximum(Some(MAX))
            .into()
    }
}

#[cfg(feature = "openapi")]
impl<const MIN: u32, const MAX: u32> utoipa::ToSchema for Bounded<MIN, MAX> {}

words! {
    /// Who may open an account.
    Registration {
        /// Nobody.
        Closed = "closed",
        /// Whoever was invited.
        Invite = "invite",
        /// Everybody.
        Open = "open",
    }

    /// Which programs may ask for tokens that are described by a document of their own.
    MetadataDocuments {
        /// None.
        Off = "off",
        /// Those that an administrator added.
        Registered = "registered",
        /// All.
        Any = "any",
    }

    /// What happens to a sign-in beyond the greatest number of sessions.
    SessionLimitAction {
        /// The oldest session ends.
        EndOldest = "end_oldest",
        /// The sign-in is refused.
        Refuse = "refuse",
    }

    /// What happens to the loser of a race for one refresh token.
    RefreshReuse {
        /// It is refused.
        Reject = "reject",
        /// It gets the winner's answer.
        Replay = "replay",
    }
}

/// 1 to 15 minutes (OWASP ASVS 5.0, 10.4.3).
pub type AccessTokenMinutes = Bounded<1, 15>;
/// 1 to 30 days: the greatest lifetime of a remembered session (NIST SP 800-63B-4, 2.1.3).
pub type Days30 = Bounded<1, 30>;
/// 1 to 365 days.
pub type OfflineDays = Bounded<1, 365>;
/// One minute to 30 days.
pub type IdleMinutes = Bounded<1, 43_200>;
/// 1 to 10,000 sessions.
pub type SessionCount = Bounded<1, 10_000>;
/// 1 to 60 seconds.
pub type WindowSeconds = Bounded<1, 60>;
/// 15 to 128 characters: 15 is the least for a password that stands alone (NIST SP 800-63B-4, 3.1.1.2).
pub type PasswordLength = Bounded<15, 128>;
/// 90 to 3,650 days: what is found out about an attack is found out late (NIST SP 800-53, AU-11).
pub type AuditRetentionDays = Bounded<90, 3_650>;
/// 7 to 3,650 days: an ended session is evidence of who was there.
pub type SessionRetentionDays = Bounded<7, 3_650>;

/// What the configuration says for where nobody decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Defaults {
    /// Lifetime of access tokens.
    pub access_token_minutes: AccessTokenMinutes,
    /// Lifetime of a refresh token.
    pub refresh_token_days: Days30,
}

/// What holds in a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Who may open an account.
    pub registration: Registration,
    /// Whether an account needs a verified e-mail address to sign in.
    pub require_verified_email: bool,
    /// Lifetime of access tokens.
    pub access_token_lifetime: Duration,
    /// Lifetime of a refresh token.
    pub refresh_token_lifetime: Duration,
    /// Greatest lifetime of a session.
    pub session_lifetime: Duration,
    /// Greatest lifetime of a session of an application's own.
    pub offline_lifetime: Duration,
    /// Time without activity that ends a session.
    pub session_idle: Option<Duration>,
    /// Greatest number of active sessions of a user.
    pub max_sessions_per_user: u32,
    /// What happens beyond that number.
    pub session_limit_action: SessionLimitAction,
    /// What the loser of a refresh race gets.
    pub refresh_reuse: RefreshReuse,
    /// How long a loser is not taken for a thief.
    pub refresh_reuse_window: Duration,
    /// Which programs may ask for tokens that are described by a document of their own.
    pub client_id_metadata_documents: MetadataDocuments,
    /// Least length of a password in characters.
    pub password_min_length: usize,
    /// How long ended sessions stay visible.
    pub session_retention: Duration,
    /// How long audit events are kept.
    pub audit_retention: Duration,
}

/// Greatest lifetime of a session that may administer (OWASP ASVS 5.0, 7.3.2).
pub const ADMIN_SESSION_LIFETIME: Duration = DAY;
/// Time without activity that ends a session that may administer (OWASP ASVS 5.0, 7.3.1).
pub const ADMIN_SESSION_IDLE: Duration = HOUR;

impl From<Values> for Policy {
    fn from(values: Values) -> Self {
        let minutes = |n: u32| Duration::from_secs(u64::from(n) * 60);
        let days = |n: u32| DAY * n;
        Self {
            registration: values.registration,
            require_verified_email: values.require_verified_email,
            access_token_lifetime: minutes(values.access_token_minutes.get()),
            refresh_token_lifetime: days(values.refresh_token_days.get()),
            session_lifetime: days(values.session_max_days.get()),
            offline_lifetime: days(values.offline_max_days.get()),
            session_idle: values.session_idle_minutes.map(|n| minutes(n.get())),
            max_sessions_per_user: values.max_sessions_per_user.get(),
            session_limit_action: values.session_limit_action,
            refresh_reuse: values.refresh_reuse,
            refresh_reuse_window: Duration::from_secs(values.refresh_reuse_window_seconds.get().into()),
            client_id_metadata_documents: values.client_id_metadata_documents,
            password_min_length: values.password_min_length.get() as usize,
            session_retention: days(values.session_retention_days.get()),
            audit_retention: days(values.audit_retention_days.get()),
        }
    }
}

impl Policy {
    /// The time without activity that ends a session, for a user with or without rights to administer.
    #[must_use]
    pub fn idle_for(&self, administers: bool) -> Option<Duration> {
        if administers {
            return Some(self.session_idle.map_or(ADMIN_SESSION_IDLE, |idle| Ord::min(idle, ADMIN_SESSION_IDLE)));
        }
        self.session_idle
    }

    /// The greatest lifetime of a session, for a user with or without rights to administer.
    #[must_use]
    pub fn lifetime_for(&self, administers: bool) -> Duration {
        if administers { Ord::min(self.session_lifetime, ADMIN_SESSION_LIFETIME) } else { self.session_lifetime }
    }

    /// The greatest lifetime of a session of an application's own, likewise.
    #[must_use]
    pub fn offline_lifetime_for(&self, administers: bool) -> Duration {
        if administers { Ord::min(self.offline_lifetime, ADMIN_SESSION_LIFETIME) } else { self.offline_lifetime }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULTS: Defaults = Defaults { access_token_minutes: Bounded(15), refresh_token_days: Bounded(7) };

    #[test]
    fn unset_settings_have_the_documented_defaults() {
        let policy = Settings::default().policy(&DEFAULTS);
        assert_eq!(policy.registration, Registration::Closed);
        assert_eq!(policy.access_token_lifetime, Duration::from_secs(900));
        assert_eq!(policy.refresh_token_lifetime, DAY * 7);
        assert_eq!((policy.session_lifetime, policy.session_idle), (DAY * 30, None));
        assert_eq!(policy.offline_lifetime, DAY * 90);
        assert_eq!((policy.max_sessions_per_user, policy.session_limit_action), (100, SessionLimitAction::EndOldest));
        assert_eq!(
            (policy.refresh_reuse, policy.refresh_reuse_window),
            (RefreshReuse::Reject, Duration::from_secs(10))
        );
        assert_eq!((policy.password_min_length, policy.require_verified_email), (15, false));
        assert_eq!(policy.client_id_metadata_documents, MetadataDocuments::Off);
        let least = [MetadataDocuments::Off, MetadataDocuments::Registered, MetadataDocuments::Any];
        assert!(least.is_sorted(), "the strictest is the least");
        assert_eq!((policy.session_retention, policy.audit_retention), (DAY * 90, DAY * 365));
    }

    #[test]
    fn sessions_that_may_administer_are_bounded_whatever_the_tenant_decides() {
        let policy = Settings::default().policy(&DEFAULTS);
        assert_eq!((policy.idle_for(true), policy.lifetime_for(true)), (Some(HOUR), DAY));
        assert_eq!((policy.idle_for(false), policy.lifetime_for(false)), (None, DAY * 30));
        assert_eq!((policy.offline_lifetime_for(true), policy.offline_lifetime_for(false)), (DAY, DAY * 90));
        let strict = Settings { session_idle_minutes: Some(Bounded(5)), ..Settings::default() }.policy(&DEFAULTS);
        assert_eq!(strict.idle_for(true), Some(Duration::from_secs(300)));
    }

    #[test]
    fn settings_outside_their_bounds_cannot_be_built() {
        assert!(AccessTokenMinutes::new(16).is_err() && AccessTokenMinutes::new(0).is_err());
        assert!(Days30::new(31).is_err() && PasswordLength::new(14).is_err());
        assert!(IdleMinutes::new(u64::MAX).is_err());
    }

    #[test]
    fn stored_settings_read_back() {
        let settings = Settings {
            registration: Some(Registration::Open),
            session_idle_minutes: Some(Bounded(30)),
            ..Settings::default()
        };
        let stored = serde_json::to_string(&settings).unwrap();
        assert_eq!(stored, r#"{"registration":"open","session_idle_minutes":30}"#);
        assert_eq!(serde_json::from_str::<Settings>(&stored).unwrap(), settings);
    }

    #[test]
    fn stored_numbers_outside_the_bounds_count_as_the_nearest_within() {
        let stored = r#"{"session_retention_days":1,"audit_retention_days":1,"password_min_length":500}"#;
        let settings: Settings = serde_json::from_str(stored).unwrap();
        assert_eq!(settings.audit_retention_days, Some(Bounded(90)));
        assert_eq!(
            (settings.session_retention_days, settings.password_min_length),
            (Some(Bounded(7)), Some(Bounded(128)))
        );
    }
}
