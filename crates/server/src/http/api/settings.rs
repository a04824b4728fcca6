//! The settings of the platform, of partners and of tenants: what each decides, and what holds.

use std::{
    future::{Ready, ready},
    marker::PhantomData,
    sync::Arc,
};

use actix_web::{FromRequest, HttpRequest, dev::Payload, web::Data};
use gatehouse_domain::{
    authz::{ReadSettings, WriteSettings},
    id::{PartnerId, TenantId},
    settings::{
        AccessTokenMinutes, AuditRetentionDays, Bounded, Days30, Effective, Holding, IdleMinutes, Level,
        PasswordLength, RefreshReuse, Registration, Rule, SessionCount, SessionLimitAction, SessionRetentionDays,
        Settings, WindowSeconds, Word,
    },
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    app::{
        App,
        settings::{Decided, Outcome, Place},
        tenants::Merge,
    },
    http::{
        conditional::Versioned,
        envelope::{ApiResponse, ApiResult, WithChanges},
        extract::{
            access::{Access, Anywhere, AtPartner, AtPlatform, Directory, InTenant, path},
            valid::ValidOrDry,
        },
        input::{Patch, body},
        operation::{Describe, Operations},
        problem::Failure,
        request::Asked,
    },
};

/// What a level decides itself.
pub type OneSettings = ApiResponse<SettingsResponse>;
/// What holds at a level.
pub type OneEffectiveSettings = ApiResponse<EffectiveSettingsResponse>;

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

        body! {
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

/// Where settings are found, as a place that decides some.
pub trait Decides: Anywhere {
    /// Who decides.
    ///
    /// # Errors
    /// When the path names nobody.
    fn place(request: &HttpRequest) -> Result<Place, Failure>;
}

impl Decides for AtPlatform {
    fn place(_: &HttpRequest) -> Result<Place, Failure> {
        Ok(Place::Platform)
    }
}

impl Decides for AtPartner {
    fn place(request: &HttpRequest) -> Result<Place, Failure> {
        path(request, "partner_id").map(Place::Partner)
    }
}

impl Decides for Directory {
    fn place(request: &HttpRequest) -> Result<Place, Failure> {
        path(request, "tenant_id").map(Place::Tenant)
    }
}

impl Decides for InTenant {
    fn place(request: &HttpRequest) -> Result<Place, Failure> {
        path(request, "tenant_id").map(Place::Tenant)
    }
}

/// Who decides the settings of a request.
#[derive(Debug)]
pub struct Decider<L> {
    place: Place,
    of: PhantomData<L>,
}

impl<L: Decides> FromRequest for Decider<L> {
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(L::place(request).map(|place| Self { place, of: PhantomData }))
    }
}

impl<L> Describe for Decider<L> {}

pub(super) fn mount(operations: &mut Operations) {
    operations
        .get("/admin/settings", "admin.settings.get", get_one::<AtPlatform>)
        .says("Get the settings of the platform", "What the platform decides itself; null is inherited.");
    operations.get("/admin/settings/effective", "admin.settings.effective.get", get_effective::<AtPlatform>).says(
        "Get what holds at the platform",
        "Every setting with its value, who decided it, and what the platform may decide.",
    );
    operations.patch("/admin/settings", "admin.settings.update", update::<AtPlatform>).says(
        "Change the settings of the platform",
        "What is absent stays, null inherits. Looser than what is decided above is refused. Sessions that are there \
         have no more than what is allowed then, and end if they have had it; nothing makes them longer. \
         `meta.changes` says what holds now at this level and did not before, `meta.effects` what ended. With \
         `dry_run=true` nothing changes, and the answer says what would.",
    );
    operations
        .get("/admin/partners/{partner_id}/settings", "admin.partners.settings.get", get_one::<AtPartner>)
        .says("Get the settings of a partner", "What the partner decides itself; null is inherited.");
    operations
        .get(
            "/admin/partners/{partner_id}/settings/effective",
            "admin.partners.settings.effective.get",
            get_effective::<AtPartner>,
        )
        .says(
            "Get what holds at a partner",
            "Every setting with its value, who decided it, and what the partner may decide.",
        );
    operations
        .patch("/admin/partners/{partner_id}/settings", "admin.partners.settings.update", update::<AtPartner>)
        .says(
            "Change the settings of a partner",
            "What is absent stays, null inherits. Looser than what is decided above is refused. Sessions that are \
             there have no more than what is allowed then, and end if they have had it; nothing makes them longer. \
             `meta.changes` says what holds now at this level and did not before, `meta.effects` what ended. With \
             `dry_run=true` nothing changes, and the answer says what would.",
        );
    operations
        .get("/admin/tenants/{tenant_id}/settings", "admin.tenants.settings.get", get_one::<Directory>)
        .says("Get the settings of any tenant", "What the tenant decides itself; null is inherited.");
    operations
        .get(
            "/admin/tenants/{tenant_id}/settings/effective",
            "admin.tenants.settings.effective.get",
            get_effective::<Directory>,
        )
        .says(
            "Get what holds at any tenant",
            "Every setting with its value, who decided it, and what the tenant may decide.",
        );
    operations.patch("/admin/tenants/{tenant_id}/settings", "admin.tenants.settings.update", update::<Directory>).says(
        "Change the settings of any tenant",
        "What is absent stays, null inherits. Looser than what is decided above is refused. Sessions that are there \
         have no more than what is allowed then, and end if they have had it; nothing makes them longer. \
         `meta.changes` says what holds now at this level and did not before, `meta.effects` what ended. With \
         `dry_run=true` nothing changes, and the answer says what would.",
    );
    operations
        .get("/tenants/{tenant_id}/settings", "tenants.settings.get", get_one::<InTenant>)
        .says("Get the settings of a tenant", "What the tenant decides itself; null is inherited.");
    operations
        .get("/tenants/{tenant_id}/settings/effective", "tenants.settings.effective.get", get_effective::<InTenant>)
        .says(
            "Get what holds at a tenant",
            "Every setting with its value, who decided it, and what the tenant may decide.",
        );
    operations.patch("/tenants/{tenant_id}/settings", "tenants.settings.update", update::<InTenant>).says(
        "Change the settings of a tenant",
        "What is absent stays, null inherits. Looser than what is decided above is refused. Sessions that are there \
         have no more than what is allowed then, and end if they have had it; nothing makes them longer. \
         `meta.changes` says what holds now at this level and did not before, `meta.effects` what ended. With \
         `dry_run=true` nothing changes, and the answer says what would.",
    );
}

async fn get_one<L: Decides>(
    access: Access<ReadSettings, L>,
    decider: Decider<L>,
    app: Data<App>,
) -> ApiResult<Versioned<OneSettings>> {
    Ok(app.settings(&access, decider.place).await?.into())
}

async fn get_effective<L: Decides>(
    access: Access<ReadSettings, L>,
    decider: Decider<L>,
    app: Data<App>,
) -> ApiResult<OneEffectiveSettings> {
    Ok(ApiResponse(app.effective_settings(&access, decider.place).await?.into()))
}

async fn update<L: Decides>(
    access: Access<WriteSettings, L>,
    decider: Decider<L>,
    patch: ValidOrDry<SettingsPatch>,
    asked: Asked,
    app: Data<App>,
) -> ApiResult<Versioned<WithChanges<SettingsResponse>>> {
    let (merge, mode) = (patch.0.into_merge(), patch.1);
    Ok(app.update_settings(&access, decider.place, merge, mode, &asked.origin).await?.into())
}
