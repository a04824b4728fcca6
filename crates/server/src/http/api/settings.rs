//! The settings of the platform, of partners and of tenants: what each decides, and what holds.

mod levels;

use std::sync::Arc;

use gatehouse_domain::{
    id::{PartnerId, TenantId},
    settings::{
        AccessTokenMinutes, AuditRetentionDays, Bounded, Days30, Effective, Holding, IdleMinutes, Level,
        MetadataDocuments, OfflineDays, PasswordLength, RefreshReuse, Registration, Rule, SessionCount,
        SessionLimitAction, SessionRetentionDays, Settings, WindowSeconds,
    },
    word::Word,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    app::settings::{Decided, Merge, Outcome},
    http::{
        conditional::Versioned,
        envelope::{ApiResponse, WithChanges},
    },
    input::{Patch, input},
};

pub(super) use levels::mount;

/// What a level decides itself.
pub type OneSettings = ApiResponse<SettingsResponse>;
/// What holds at a level.
pub type OneEffectiveSettings = ApiResponse<EffectiveSettingsResponse>;

/// A row is a setting: its field in what a level decides, in what holds there, and in what changes.
/// `registration: Registration => &'static str, |word| word.as_str(), EffectiveWordResponse;` becomes
///
/// ```text
/// struct SettingsResponse { registration: Option<&'static str> }           // of settings.registration.map(|word| …)
/// struct EffectiveSettingsResponse { registration: EffectiveWordResponse } // of effective.registration.into()
/// struct SettingsPatch { registration: Patch<Registration> }               // into settings.registration
/// ```
macro_rules! settings {
    ($($(#[doc = $doc:literal])* $field:ident: $type:ty => $shown:ty, $show:expr, $effective:ty;)*) => {
        /// What a level decides itself; null inherits.
        #[derive(Debug, Serialize, ToSchema)]
        pub struct SettingsResponse {
            $($(#[doc = $doc])* #[schema(required = true)] pub $field: Option<$shown>,)*
        }

        /// What holds at a level.
        #[derive(Debug, Serialize, ToSchema)]
        pub struct EffectiveSettingsResponse {
            $($(#[doc = $doc])* pub $field: $effective,)*
        }

        impl From<Effective> for EffectiveSettingsResponse {
            fn from(effective: Effective) -> Self {
                let Effective { $($field,)* } = effective;
                Self { $($field: $field.into(),)* }
            }
        }

        input! {
            /// What changes of settings; what is absent stays, null inherits.
            pub struct SettingsPatch {
                $($(#[doc = $doc])* $field: Patch<$type>,)*
            }
        }

        impl From<Settings> for SettingsResponse {
            fn from(settings: Settings) -> Self {
                let Settings { $($field,)* } = settings;
                Self { $($field: $field.map($show),)* }
            }
        }

        impl SettingsPatch {
            /// Applies the changes.
            pub(in crate::http::api) fn apply(&self, settings: &mut Settings) {
                $(if let Some(value) = &self.$field.0 {
                    settings.$field = *value;
                })*
            }
        }
    };
}

settings! {
    /// Who may open an account: `closed` (default), `invite` or `open`.
    registration: Registration => &'static str, |word| word.as_str(), EffectiveWordResponse;
    /// Whether an account needs a verified e-mail address to sign in; default false.
    require_verified_email: bool => bool, |yes| yes, EffectiveFlagResponse;
    /// Lifetime of access tokens.
    access_token_minutes: AccessTokenMinutes => u32, |n| n.get(), EffectiveNumberResponse;
    /// Lifetime of a refresh token.
    refresh_token_days: Days30 => u32, |n| n.get(), EffectiveNumberResponse;
    /// Greatest lifetime of a session; default 30.
    session_max_days: Days30 => u32, |n| n.get(), EffectiveNumberResponse;
    /// Greatest lifetime of a session of an application's own, which outlives signing out of the browser; default 90.
    offline_max_days: OfflineDays => u32, |n| n.get(), EffectiveNumberResponse;
    /// Time without activity that ends a session; default none.
    session_idle_minutes: IdleMinutes => u32, |n| n.get(), EffectiveNumberResponse;
    /// Greatest number of active sessions of a user; default 100.
    max_sessions_per_user: SessionCount => u32, |n| n.get(), EffectiveNumberResponse;
    /// What happens beyond that number: `end_oldest` (default) or `refuse`.
    session_limit_action: SessionLimitAction => &'static str, |word| word.as_str(), EffectiveWordResponse;
    /// What the loser of a race for one refresh token gets: `reject` (default) or `replay`.
    refresh_reuse: RefreshReuse => &'static str, |word| word.as_str(), EffectiveWordResponse;
    /// How long after its first use a refresh token may lose a race without being taken for stolen; default 10.
    refresh_reuse_window_seconds: WindowSeconds => u32, |n| n.get(), EffectiveNumberResponse;
    /// Which programs may ask for tokens that are described by a document of their own, whose address is their `client_id`:
    /// `off` (default), `registered` for those that an administrator added, or `any`.
    client_id_metadata_documents: MetadataDocuments => &'static str, |word| word.as_str(), EffectiveWordResponse;
    /// Least length of a password; default 15.
    password_min_length: PasswordLength => u32, |n| n.get(), EffectiveNumberResponse;
    /// How long ended sessions stay visible; default 90. To shorten it needs `audit:write` too, and counts for
    /// sessions to come.
    session_retention_days: SessionRetentionDays => u32, |n| n.get(), EffectiveNumberResponse;
    /// How long audit events are kept; default 365. To shorten it needs `audit:write` too, and counts for events
    /// to come.
    audit_retention_days: AuditRetentionDays => u32, |n| n.get(), EffectiveNumberResponse;
}

impl SettingsPatch {
    /// The change as the use cases take it.
    pub(in crate::http::api) fn into_merge(self) -> Merge<Settings> {
        Arc::new(move |settings| self.apply(settings))
    }
}

impl From<Decided> for Versioned<OneSettings> {
    fn from(decided: Decided) -> Self {
        Self::one(decided, |decided| decided.settings.into())
    }
}

impl From<Outcome> for Versioned<WithChanges<SettingsResponse>> {
    fn from(Outcome { decided, changes, effects }: Outcome) -> Self {
        Self::of(decided, |decided| WithChanges(decided.settings.into(), changes, effects))
    }
}

/// Who decided a value.
#[derive(Debug, Serialize, ToSchema)]
pub struct SourceResponse {
    /// `platform`, `partner` or `tenant`; where nobody decided, `configuration` or `default`.
    #[schema(max_length = 32, example = "partner")]
    pub level: &'static str,
    /// The partner, at that level.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(inline, value_type = PartnerId, required = false)]
    pub partner_id: Option<PartnerId>,
    /// The tenant, at that level.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(inline, value_type = TenantId, required = false)]
    pub tenant_id: Option<TenantId>,
}

/// A number that holds.
#[derive(Debug, Serialize, ToSchema)]
pub struct EffectiveNumberResponse {
    /// The number; null is none.
    #[schema(required = true, minimum = 1, example = 30)]
    pub value: Option<u32>,
    /// Who decided it.
    pub source: SourceResponse,
    /// What the level may decide.
    pub bounds: NumberBoundsResponse,
}

/// What numbers a level may decide, given what is decided above.
#[derive(Debug, Serialize, ToSchema)]
pub struct NumberBoundsResponse {
    /// The least.
    #[schema(minimum = 1, example = 1)]
    pub minimum: u32,
    /// The greatest.
    #[schema(minimum = 1, example = 30)]
    pub maximum: u32,
}

/// A word that holds.
#[derive(Debug, Serialize, ToSchema)]
pub struct EffectiveWordResponse {
    /// The word.
    #[schema(max_length = 32, example = "invite")]
    pub value: &'static str,
    /// Who decided it.
    pub source: SourceResponse,
    /// What the level may decide.
    pub bounds: WordBoundsResponse,
}

/// What words a level may decide, given what is decided above.
#[derive(Debug, Serialize, ToSchema)]
pub struct WordBoundsResponse {
    /// The words.
    #[schema(max_items = 10, example = json!(["closed", "invite"]))]
    pub allowed: Vec<&'static str>,
}

/// A yes or no that holds.
#[derive(Debug, Serialize, ToSchema)]
pub struct EffectiveFlagResponse {
    /// Whether it holds.
    pub value: bool,
    /// Who decided it.
    pub source: SourceResponse,
    /// What the level may decide.
    pub bounds: FlagBoundsResponse,
}

/// Whether a level may decide yes or no, given what is decided above.
#[derive(Debug, Serialize, ToSchema)]
pub struct FlagBoundsResponse {
    /// Which of both.
    #[schema(max_items = 2, example = json!([true]))]
    pub allowed: Vec<bool>,
}

impl From<Level> for SourceResponse {
    fn from(level: Level) -> Self {
        let (partner_id, tenant_id) = match level {
            Level::Default | Level::Configuration | Level::Platform => (None, None),
            Level::Partner(id) => (Some(id), None),
            Level::Tenant(id) => (None, Some(id)),
        };
        Self { level: level.as_str(), partner_id, tenant_id }
    }
}

impl<const MIN: u32, const MAX: u32, V: Into<Option<Bounded<MIN, MAX>>>> From<Holding<Bounded<MIN, MAX>, V>>
    for EffectiveNumberResponse
{
    fn from(holding: Holding<Bounded<MIN, MAX>, V>) -> Self {
        let Holding { value, source, rule, above } = holding;
        let above = above.map(|(_, above)| above.get());
        let (minimum, maximum) = match rule {
            Rule::Least => (MIN, above.unwrap_or(MAX)),
            Rule::Greatest => (above.unwrap_or(MIN), MAX),
            Rule::Nearest => (MIN, MAX),
        };
        let value = value.into().map(Bounded::get);
        Self { value, source: source.into(), bounds: NumberBoundsResponse { minimum, maximum } }
    }
}

impl<T: Word + Ord> From<Holding<T, T>> for EffectiveWordResponse {
    fn from(holding: Holding<T, T>) -> Self {
        let word = |of: T| T::ALL.iter().find(|(value, _)| *value == of).map_or("", |(_, word)| word);
        let allowed = T::ALL.iter().filter(|(value, _)| holding.permits(value)).map(|(_, word)| *word).collect();
        Self { value: word(holding.value), source: holding.source.into(), bounds: WordBoundsResponse { allowed } }
    }
}

impl From<Holding<bool, bool>> for EffectiveFlagResponse {
    fn from(holding: Holding<bool, bool>) -> Self {
        let allowed = [false, true].into_iter().filter(|value| holding.permits(value)).collect();
        Self { value: holding.value, source: holding.source.into(), bounds: FlagBoundsResponse { allowed } }
    }
}
