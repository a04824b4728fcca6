//! How settings come down from the platform through a partner to a tenant. One table has every setting with its rule and
//! with what holds where nobody decides; everything else is made of it.
//!
//! What a level decides binds all levels below it, which may only be stricter. A default binds nobody.

use serde::{Deserialize, Serialize};

use super::{
    AccessTokenMinutes, AuditRetentionDays, Bounded, Days30, Defaults, IdleMinutes, MetadataDocuments, OfflineDays,
    PasswordLength, Policy, RefreshReuse, Registration, SessionCount, SessionLimitAction, SessionRetentionDays,
    WindowSeconds,
};
use crate::{
    audit::{FieldChange, Fields},
    id::{PartnerId, TenantId},
    issue::{Fault, Issue, Loc},
};

/// Which of several decisions holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// The least: to decide less is stricter.
    Least,
    /// The greatest: to decide more is stricter.
    Greatest,
    /// The nearest: none is stricter than another.
    Nearest,
}

impl Rule {
    /// Whether a decision may stand below another one.
    pub fn permits<T: Ord>(self, below: &T, above: &T) -> bool {
        match self {
            Self::Least => below <= above,
            Self::Greatest => below >= above,
            Self::Nearest => true,
        }
    }
}

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Nobody decided; the value is that of every installation.
    Default,
    /// Nobody decided; the value is that of the configuration.
    Configuration,
    /// The platform.
    Platform,
    /// A partner.
    Partner(PartnerId),
    /// A tenant.
    Tenant(TenantId),
}

impl Level {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Configuration => "configuration",
            Self::Platform => "platform",
            Self::Partner(_) => "partner",
            Self::Tenant(_) => "tenant",
        }
    }
}

/// What holds of one setting at a level: `T` is what can be decided, `V` what can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holding<T, V> {
    /// The value.
    pub value: V,
    /// Who decided it.
    pub source: Level,
    /// Which decisions hold.
    pub rule: Rule,
    /// What is decided above, and by whom.
    pub above: Option<(Level, T)>,
}

impl<T: Ord, V> Holding<T, V> {
    /// Whether the level may decide so.
    pub fn permits(&self, value: &T) -> bool {
        self.above.as_ref().is_none_or(|(_, above)| self.rule.permits(value, above))
    }
}

/// What holds where nobody decides.
trait Otherwise<T> {
    fn otherwise(self, decided: Option<T>) -> Self;
}

impl<T> Otherwise<T> for T {
    fn otherwise(self, decided: Option<T>) -> Self {
        decided.unwrap_or(self)
    }
}

impl<T> Otherwise<T> for Option<T> {
    fn otherwise(self, decided: Self) -> Self {
        decided.or(self)
    }
}

/// What is decided by the levels from the uppermost down. A decision holds unless one below it is stricter.
fn decide<T: Ord + Copy>(rule: Rule, levels: impl Iterator<Item = (Level, Option<T>)>) -> Option<(Level, T)> {
    levels.filter_map(|(level, value)| Some((level, value?))).reduce(|above, below| {
        if rule.permits(&below.1, &above.1) && (rule == Rule::Nearest || below.1 != above.1) { below } else { above }
    })
}

macro_rules! settings {
    ($($(#[doc = $doc:literal])* $field:ident: $type:ty => $value:ty, $rule:ident, $origin:ident $default:expr;)*) => {
        /// What one level decides; `None` inherits.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
        #[serde(default)]
        pub struct Settings {
            $($(#[doc = $doc])* #[serde(skip_serializing_if = "Option::is_none")] pub $field: Option<$type>,)*
        }

        /// What holds.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct Values {
            $($(#[doc = $doc])* pub $field: $value,)*
        }

        /// What holds at a level, and why.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct Effective {
            $($(#[doc = $doc])* pub $field: Holding<$type, $value>,)*
        }

        impl Layers {
            /// What holds at the lowest level, and why.
            #[must_use]
            pub fn effective(&self, defaults: &Defaults) -> Effective {
                let upper = self.0.len().saturating_sub(1);
                Effective {$($field: {
                    let decided = |n: usize| decide(Rule::$rule, self.0.iter().take(n).map(|(level, it)| (*level, it.$field)));
                    let held = decided(self.0.len());
                    let default: fn(&Defaults) -> $value = $default;
                    Holding {
                        value: default(defaults).otherwise(held.map(|(_, value)| value)),
                        source: held.map_or(Level::$origin, |(level, _)| level),
                        rule: Rule::$rule,
                        above: decided(upper).filter(|_| Rule::$rule != Rule::Nearest),
                    }
                },)*}
            }

            /// What the lowest level decides anew, and may not: it would be looser than what is decided above. What it had
            /// decided before that was, stays and does not count.
            #[must_use]
            pub fn loosened(&self, before: &Settings, place: &[Loc], defaults: &Defaults) -> Vec<Issue> {
                let (effective, mut issues) = (self.effective(defaults), Vec::new());
                $(if let (Some(value), Some((level, above))) = (self.own().$field, effective.$field.above)
                    && before.$field != Some(value)
                    && !effective.$field.permits(&value)
                {
                    let msg = format!("must not be looser than {above}, which the {} decides", level.as_str());
                    let loc = place.iter().cloned().chain([stringify!($field).into()]).collect();
                    issues.push(Fault::new("looser_than_inherited", msg).at(loc));
                })*
                issues
            }
        }

        impl From<Effective> for Values {
            fn from(effective: Effective) -> Self {
                Self { $($field: effective.$field.value,)* }
            }
        }

        impl Values {
            /// What differs, by field.
            #[must_use]
            pub fn changes(&self, next: &Self) -> Vec<FieldChange> {
                let mut fields = Fields::default();
                $(fields.change(stringify!($field), self.$field, next.$field);)*
                fields.changes()
            }
        }
    };
}

settings! {
    /// Who may open an account.
    registration: Registration => Registration, Least, Default |_| Registration::Closed;
    /// Whether an account needs a verified e-mail address to sign in.
    require_verified_email: bool => bool, Greatest, Default |_| false;
    /// Lifetime of access tokens.
    access_token_minutes: AccessTokenMinutes => AccessTokenMinutes, Least, Configuration |it| it.access_token_minutes;
    /// Lifetime of a refresh token.
    refresh_token_days: Days30 => Days30, Least, Configuration |it| it.refresh_token_days;
    /// Greatest lifetime of a session.
    session_max_days: Days30 => Days30, Least, Default |_| Bounded(30);
    /// Greatest lifetime of a session of an application's own, which outlives signing out of the browser.
    offline_max_days: OfflineDays => OfflineDays, Least, Default |_| Bounded(90);
    /// Time without activity that ends a session.
    session_idle_minutes: IdleMinutes => Option<IdleMinutes>, Least, Default |_| None;
    /// Greatest number of active sessions of a user.
    max_sessions_per_user: SessionCount => SessionCount, Least, Default |_| Bounded(100);
    /// What happens beyond that number.
    session_limit_action: SessionLimitAction => SessionLimitAction, Nearest, Default |_| SessionLimitAction::EndOldest;
    /// What the loser of a refresh race gets.
    refresh_reuse: RefreshReuse => RefreshReuse, Least, Default |_| RefreshReuse::Reject;
    /// How long after its first use a refresh token may lose a race without being taken for stolen.
    refresh_reuse_window_seconds: WindowSeconds => WindowSeconds, Least, Default |_| Bounded(10);
    /// Which programs may ask for tokens that are described by a document of their own.
    client_id_metadata_documents: MetadataDocuments => MetadataDocuments, Least, Default |_| MetadataDocuments::Off;
    /// Least length of a password in characters.
    password_min_length: PasswordLength => PasswordLength, Greatest, Default |_| Bounded(15);
    /// How long ended sessions stay visible.
    session_retention_days: SessionRetentionDays => SessionRetentionDays, Nearest, Default |_| Bounded(90);
    /// How long audit events are kept.
    audit_retention_days: AuditRetentionDays => AuditRetentionDays, Greatest, Default |_| Bounded(365);
}

/// What the levels above and including one decide, the uppermost first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layers(Vec<(Level, Settings)>);

impl Layers {
    /// The platform alone.
    #[must_use]
    pub fn of_platform(settings: Settings) -> Self {
        Self(vec![(Level::Platform, settings)])
    }

    /// One level more, below the others.
    #[must_use]
    pub fn with(mut self, level: Level, settings: Settings) -> Self {
        self.0.push((level, settings));
        self
    }

    /// What the lowest level decides itself.
    #[must_use]
    pub fn own(&self) -> Settings {
        self.0.last().map(|(_, settings)| *settings).unwrap_or_default()
    }

    /// The same levels, of which the lowest decides something else.
    #[must_use]
    pub fn replaced(&self, settings: Settings) -> Self {
        let mut next = self.clone();
        if let Some((_, own)) = next.0.last_mut() {
            *own = settings;
        }
        next
    }

    /// What holds.
    #[must_use]
    pub fn values(&self, defaults: &Defaults) -> Values {
        self.effective(defaults).into()
    }

    /// Whether an account needs a verified e-mail address; no default does.
    #[must_use]
    pub fn asks_for_verified_email(&self) -> bool {
        self.0.iter().any(|(_, settings)| settings.require_verified_email == Some(true))
    }

    /// What holds, as rules ask for it.
    #[must_use]
    pub fn policy(&self, defaults: &Defaults) -> Policy {
        self.values(defaults).into()
    }
}

impl Settings {
    /// Whether an account needs a verified e-mail address by these, and did not by those before.
    pub(crate) fn begins_to_ask_for_verified_email(&self, before: &Self) -> bool {
        self.require_verified_email == Some(true) && before.require_verified_email != Some(true)
    }

    /// What holds where only these are decided.
    #[must_use]
    pub fn policy(self, defaults: &Defaults) -> Policy {
        Layers::of_platform(self).policy(defaults)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULTS: Defaults = Defaults { access_token_minutes: Bounded(15), refresh_token_days: Bounded(7) };

    fn partner() -> Level {
        Level::Partner(PartnerId::from_parts(1, [1; 10]))
    }

    fn tenant() -> Level {
        Level::Tenant(TenantId::from_parts(1, [1; 10]))
    }

    /// What each level decides of the same setting.
    fn layers(levels: [Settings; 3]) -> Layers {
        let [platform, by_partner, by_tenant] = levels;
        Layers::of_platform(platform).with(partner(), by_partner).with(tenant(), by_tenant)
    }

    #[test]
    fn stricter_decision_holds_and_says_where_it_comes_from() {
        let days = |n: Option<u32>| Settings { session_max_days: n.map(Bounded), ..Settings::default() };
        for (decided, expected, source) in [
            ([None, None, None], 30, Level::Default),
            ([None, None, Some(20)], 20, tenant()),
            ([None, Some(10), Some(20)], 10, partner()),
            ([Some(5), Some(10), Some(20)], 5, Level::Platform),
            ([Some(20), Some(10), Some(5)], 5, tenant()),
            ([Some(7), None, Some(7)], 7, Level::Platform),
        ] {
            let holding = layers(decided.map(days)).effective(&DEFAULTS).session_max_days;
            assert_eq!((holding.value, holding.source), (Bounded(expected), source), "{decided:?}");
        }
    }

    #[test]
    fn default_binds_nobody() {
        let long = Settings {
            refresh_token_days: Some(Bounded(30)),
            audit_retention_days: Some(Bounded(90)),
            registration: Some(Registration::Open),
            ..Settings::default()
        };
        let layers = layers([Settings::default(), Settings::default(), long]);
        let values = layers.values(&DEFAULTS);
        assert_eq!((values.refresh_token_days, values.audit_retention_days), (Bounded(30), Bounded(90)));
        assert_eq!(values.registration, Registration::Open);
        assert_eq!(layers.loosened(&Settings::default(), &[], &DEFAULTS), []);
    }

    #[test]
    fn each_setting_has_the_rule_that_makes_it_safer() {
        let effective = layers([Settings::default(); 3]).effective(&DEFAULTS);
        let least = [
            effective.registration.rule,
            effective.access_token_minutes.rule,
            effective.refresh_token_days.rule,
            effective.session_max_days.rule,
            effective.session_idle_minutes.rule,
            effective.max_sessions_per_user.rule,
            effective.refresh_reuse.rule,
            effective.refresh_reuse_window_seconds.rule,
        ];
        assert_eq!(least, [Rule::Least; 8]);
        assert_eq!([effective.offline_max_days.rule, effective.client_id_metadata_documents.rule], [Rule::Least; 2]);
        let greatest = [effective.require_verified_email.rule, effective.password_min_length.rule];
        assert_eq!((greatest, effective.audit_retention_days.rule), ([Rule::Greatest; 2], Rule::Greatest));
        assert_eq!([effective.session_limit_action.rule, effective.session_retention_days.rule], [Rule::Nearest; 2]);
        assert!(Registration::Closed < Registration::Invite && Registration::Invite < Registration::Open);
        assert!(RefreshReuse::Reject < RefreshReuse::Replay);
    }

    #[test]
    fn nearest_decision_holds_where_none_is_stricter() {
        let keep = |n: Option<u32>| Settings { session_retention_days: n.map(Bounded), ..Settings::default() };
        for (decided, expected) in [([Some(10), None, Some(20)], 20), ([Some(10), Some(30), None], 30)] {
            assert_eq!(layers(decided.map(keep)).values(&DEFAULTS).session_retention_days, Bounded(expected));
        }
    }

    #[test]
    fn looser_decision_is_refused_when_it_is_made_and_not_when_it_stood_before() {
        let strict = Settings {
            session_idle_minutes: Some(Bounded(30)),
            password_min_length: Some(Bounded(20)),
            ..Settings::default()
        };
        let loose = Settings {
            session_idle_minutes: Some(Bounded(60)),
            password_min_length: Some(Bounded(16)),
            ..Settings::default()
        };
        let layers = layers([strict, Settings::default(), loose]);
        let issues = layers.loosened(&Settings::default(), &["body".into()], &DEFAULTS);
        let said: Vec<_> = issues.iter().map(|issue| (issue.loc.clone(), issue.msg.as_ref())).collect();
        assert_eq!(
            said,
            [
                (
                    vec!["body".into(), "session_idle_minutes".into()],
                    "must not be looser than 30, which the platform decides"
                ),
                (
                    vec!["body".into(), "password_min_length".into()],
                    "must not be looser than 20, which the platform decides"
                ),
            ]
        );
        assert_eq!(layers.loosened(&loose, &["body".into()], &DEFAULTS), []);
        let values = layers.values(&DEFAULTS);
        assert_eq!((values.session_idle_minutes, values.password_min_length), (Some(Bounded(30)), Bounded(20)));
    }
}
