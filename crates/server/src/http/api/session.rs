//! Sessions as the API shows them.

use gatehouse_domain::{
    audit::AuditEvent,
    id::{ApplicationId, SessionId, UserId},
    session::{Client, Device, EndReason, Ended, Revoked, Session, SessionApp, SessionStats, SessionView},
    time::Timestamp,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    app::sessions::list::SessionSort,
    http::{
        envelope::{ApiResponse, PaginatedResponse},
        extract::page::Sort,
    },
    input::{Flag, input},
};

/// A page of sessions.
pub type SessionPage = PaginatedResponse<SessionListItem>;
/// One session.
pub type OneSession = ApiResponse<SessionResponse>;
/// What ended.
pub type OneRevocation = ApiResponse<SessionRevokeResponse>;
/// Statistics.
pub type OneStats = ApiResponse<SessionStatsResponse>;

impl Sort for SessionSort {
    const FIELDS: &'static [(&'static str, Self)] =
        &[("created_at", Self::CreatedAt), ("last_activity_at", Self::LastActivityAt)];
}

/// A session in a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionListItem {
    /// Its id.
    #[schema(inline)]
    pub id: SessionId,
    /// What opens it: today `api` (a refresh token of the API), `browser` (the cookie of a browser, for as many
    /// applications as are signed in to with it), `offline` or `device` (a refresh token of one application, which stays
    /// signed in without a browser or never had one); there may be more.
    #[schema(max_length = 32, example = "browser")]
    pub kind: &'static str,
    /// The application whose own it is, with `offline` and `device`.
    #[schema(required = true, inline)]
    pub application_id: Option<ApplicationId>,
    /// Whose it is.
    #[schema(inline)]
    pub user_id: UserId,
    /// The user's e-mail address.
    #[schema(required = true, max_length = 254, example = "ada@example.com")]
    pub user_email: Option<String>,
    /// The address it began from.
    #[schema(required = true, max_length = 45, example = "203.0.113.10")]
    pub ip_address: Option<String>,
    /// The User-Agent it began with.
    #[schema(
        required = true,
        max_length = 2048,
        example = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
    )]
    pub user_agent: Option<String>,
    /// What kind of device: today `desktop`, `mobile`, `tablet`, `app`, `bot` or `unknown`; there may be more.
    #[schema(required = true, max_length = 32, example = "desktop")]
    pub device_type: Option<String>,
    /// The device, for people.
    #[schema(required = true, max_length = 200, example = "Firefox on Linux")]
    pub device_name: Option<String>,
    /// Whether it is the session of this very request.
    pub is_current: bool,
    /// Where it stands: `active`, `expired` or `revoked`.
    #[schema(max_length = 32, example = "active")]
    pub status: &'static str,
    /// When it began.
    #[schema(inline)]
    pub created_at: Timestamp,
    /// When it was last used; lags by up to 10 seconds.
    #[schema(required = true, inline)]
    pub last_activity_at: Option<Timestamp>,
    /// When it expires unless it is refreshed; an idle timeout may end it earlier.
    #[schema(inline)]
    pub expires_at: Timestamp,
    /// When it was ended.
    #[schema(required = true, inline)]
    pub revoked_at: Option<Timestamp>,
    /// How it was ended: `logout`, `user`, `admin`, `revoke_all`, `password_change`, `reuse_detected`, `suspended`,
    /// `deleted` or `session_limit`.
    #[schema(required = true, max_length = 32)]
    pub revoke_reason: Option<&'static str>,
    /// How many applications it was used with.
    #[schema(minimum = 0, example = 0)]
    pub app_count: u32,
}

/// A session in full.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionResponse {
    /// What a list shows of it.
    #[serde(flatten)]
    pub item: SessionListItem,
    /// How the user is addressed.
    #[schema(required = true, max_length = 400, example = "Ada Lovelace")]
    pub user_display_name: Option<String>,
    /// Where the address is, approximately; null unless the operator has provided a file of places.
    #[schema(required = true, max_length = 400)]
    pub location: Option<String>,
    /// The applications it was used with, latest first.
    #[schema(max_items = 200)]
    pub sso_apps: Vec<SessionAppInfo>,
    /// How the user signed in (RFC 8176).
    #[schema(max_items = 10, example = json!(["pwd"]))]
    pub auth_methods: Vec<&'static str>,
    /// Who ended it: a user id, `system`, or `operator` for somebody from above whom the reader does not administer.
    #[schema(required = true, max_length = 64)]
    pub revoked_by: Option<String>,
}

/// An application that a session was used with.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionAppInfo {
    /// Which.
    #[schema(inline)]
    pub application_id: ApplicationId,
    /// Its name.
    #[schema(max_length = 400, example = "Wiki")]
    pub application_name: String,
    /// When it was last used in the session.
    #[schema(inline)]
    pub accessed_at: Timestamp,
}

/// What ended.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionRevokeResponse {
    /// How many sessions this request ended.
    #[schema(minimum = 0, example = 1)]
    pub revoked_count: u64,
    /// Which; at most 1,000 are named.
    #[schema(max_items = 1000, inline)]
    pub session_ids: Vec<SessionId>,
}

/// Figures about a tenant's sessions.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SessionStats)]
pub struct SessionStatsResponse {
    /// Active sessions now.
    #[schema(minimum = 0, example = 37)]
    pub active_sessions: u64,
    /// Users with at least one active session.
    #[schema(minimum = 0, example = 12)]
    pub active_users: u64,
    /// Sessions begun in the last 24 hours.
    #[schema(minimum = 0, example = 20)]
    pub created_last_24h: u64,
    /// Sessions ended in the last 24 hours, by how; sessions that ran out count as `expired`.
    #[schema(max_items = 20)]
    pub ended_last_24h: Vec<EndedCount>,
    /// Active sessions by kind of device.
    #[schema(max_items = 20)]
    pub by_device_type: Vec<DeviceCount>,
    /// Active sessions by application.
    #[schema(max_items = 100)]
    pub by_application: Vec<ApplicationCount>,
    /// The last 7 days by the hour.
    pub series: SessionSeries,
}

/// Sessions that ended in a certain way.
#[derive(Debug, Serialize, ToSchema)]
pub struct EndedCount {
    /// How.
    #[schema(max_length = 32, example = "logout")]
    pub reason: &'static str,
    /// How many.
    #[schema(minimum = 0, example = 3)]
    pub count: u64,
}

/// Sessions on a kind of device.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeviceCount {
    /// Which kind.
    #[schema(max_length = 32, example = "mobile")]
    pub device_type: &'static str,
    /// How many.
    #[schema(minimum = 0, example = 9)]
    pub count: u64,
}

/// Sessions with an application.
#[derive(Debug, Serialize, ToSchema)]
pub struct ApplicationCount {
    /// Which.
    #[schema(inline)]
    pub application_id: ApplicationId,
    /// Its name.
    #[schema(max_length = 400, example = "Wiki")]
    pub application_name: String,
    /// How many.
    #[schema(minimum = 0, example = 5)]
    pub count: u64,
}

/// Series of 168 hours, oldest first, empty hours included.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionSeries {
    /// Sessions begun in each hour.
    #[schema(min_items = 168, max_items = 168)]
    pub logins: Vec<HourCount>,
    /// Sessions active at the end of each hour; the last one is now.
    #[schema(min_items = 168, max_items = 168)]
    pub active_sessions: Vec<HourCount>,
}

/// A figure of one hour.
#[derive(Debug, Serialize, ToSchema)]
pub struct HourCount {
    /// When the hour begins.
    #[schema(inline)]
    pub hour: Timestamp,
    /// How many.
    #[schema(minimum = 0, example = 4)]
    pub count: u64,
}

input! {
    /// Which sessions of a user are to end: a list of them, or all.
    pub struct SessionRevokeRequest {
        /// These sessions, at most 200; one that is not the user's makes the whole request fail.
        session_ids: Option<crate::input::Many<SessionId, 200>>,
        /// All sessions of the user.
        revoke_all: Flag<false>,
        /// With `revoke_all`: all but the session of this very request.
        except_current: Flag<true>,
    }

    /// Whose sessions are to end: exactly one of a user and a tenant.
    pub struct AdminRevokeRequest {
        /// All sessions of this user.
        user_id: Option<UserId>,
        /// All sessions of this tenant.
        tenant_id: Option<gatehouse_domain::id::TenantId>,
        /// All but the session of this very request.
        except_current: Flag<true>,
    }
}

input! {
    /// Filters of one's own sessions.
    pub struct OwnSessionQuery {
        /// Only sessions that can be used; false adds those that have ended, as long as they are kept.
        active_only: Flag<true>,
    }
}

impl SessionListItem {
    /// Shows a session. `current` is the session of the request, if it has one, `now` its instant.
    #[must_use]
    pub fn new(view: &SessionView, current: Option<SessionId>, now: Timestamp) -> Self {
        let Session {
            id,
            tenant_id: _,
            partner_id: _,
            user_id,
            kind: opened_by,
            application_id,
            cookie: _,
            ref client,
            auth_methods: _,
            authenticated_at: _,
            created_at,
            last_activity_at,
            expires_at,
            max_expires_at: _,
            idle: _,
            ended,
            refresh: _,
            chain: _,
            refreshes: _,
        } = view.session;
        let Client { ip, user_agent, device: Device { kind, name }, location: _ } = client;
        // A session that ran out was not revoked by anybody.
        let revoked = ended.filter(|ended| ended.reason != EndReason::Expired);
        Self {
            id,
            kind: opened_by.as_str(),
            application_id,
            user_id,
            user_email: Some(view.user_email.clone()),
            ip_address: ip.map(|ip| ip.to_string()),
            user_agent: user_agent.clone(),
            device_type: Some(kind.to_string()),
            device_name: name.clone(),
            is_current: Some(id) == current,
            status: view.session.status(now).as_str(),
            created_at,
            last_activity_at: Some(last_activity_at),
            expires_at,
            revoked_at: revoked.map(|ended| ended.at),
            revoke_reason: revoked.map(|ended| ended.reason.as_str()),
            app_count: view.app_count,
        }
    }
}

impl SessionResponse {
    /// Shows a session in full.
    #[must_use]
    pub fn new(view: &SessionView, apps: Vec<SessionApp>, current: Option<SessionId>, now: Timestamp) -> Self {
        let nobody = if view.ended_by_operator { AuditEvent::OPERATOR } else { "system" };
        let by = |Ended { at: _, reason, by }: Ended| {
            (reason != EndReason::Expired).then(|| by.map_or_else(|| nobody.to_owned(), |user| user.to_string()))
        };
        Self {
            item: SessionListItem::new(view, current, now),
            user_display_name: view.user_display_name.clone(),
            location: view.session.client.location.clone(),
            sso_apps: apps
                .into_iter()
                .map(|SessionApp { application_id, application_name, accessed_at }| SessionAppInfo {
                    application_id,
                    application_name,
                    accessed_at,
                })
                .collect(),
            auth_methods: view.session.auth_methods.iter().map(|method| method.as_str()).collect(),
            revoked_by: view.session.ended.and_then(by),
        }
    }
}

impl From<Revoked> for SessionRevokeResponse {
    fn from(Revoked { count, ids }: Revoked) -> Self {
        Self { revoked_count: count, session_ids: ids }
    }
}

impl From<SessionStats> for SessionStatsResponse {
    fn from(stats: SessionStats) -> Self {
        let SessionStats {
            active_sessions,
            active_users,
            created_last_24h,
            ended_last_24h,
            by_device,
            by_application,
            logins,
            active,
        } = stats;
        let hours =
            |series: Vec<(Timestamp, u64)>| series.into_iter().map(|(hour, count)| HourCount { hour, count }).collect();
        Self {
            active_sessions,
            active_users,
            created_last_24h,
            ended_last_24h: ended_last_24h
                .into_iter()
                .map(|(reason, count)| EndedCount { reason: reason.as_str(), count })
                .collect(),
            by_device_type: by_device
                .into_iter()
                .map(|(kind, count)| DeviceCount { device_type: kind.as_str(), count })
                .collect(),
            by_application: by_application
                .into_iter()
                .map(|(application_id, application_name, count)| ApplicationCount {
                    application_id,
                    application_name,
                    count,
                })
                .collect(),
            series: SessionSeries { logins: hours(logins), active_sessions: hours(active) },
        }
    }
}
