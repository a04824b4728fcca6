//! Sessions as they are shown.

use crate::{id::ApplicationId, time::Timestamp};

use super::{DeviceKind, EndReason, Session};

/// A session with what a list shows beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionView {
    /// The session.
    pub session: Session,
    /// The user's e-mail address.
    pub user_email: String,
    /// How the user is addressed.
    pub user_display_name: Option<String>,
    /// How many applications it was used with.
    pub app_count: u32,
    /// Whether it was ended by somebody of whom the reader is shown no more than that it was an operator.
    pub ended_by_operator: bool,
}

/// An application that a session was used with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionApp {
    /// Which.
    pub application_id: ApplicationId,
    /// Its name.
    pub application_name: String,
    /// When it was last used in the session.
    pub accessed_at: Timestamp,
}

/// Figures about a tenant's sessions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SessionStats {
    /// Active sessions now.
    pub active_sessions: u64,
    /// Users with at least one of them.
    pub active_users: u64,
    /// Sessions begun in the last 24 hours.
    pub created_last_24h: u64,
    /// Sessions ended in the last 24 hours, by how.
    pub ended_last_24h: Vec<(EndReason, u64)>,
    /// Active sessions by device.
    pub by_device: Vec<(DeviceKind, u64)>,
    /// Active sessions by application.
    pub by_application: Vec<(ApplicationId, String, u64)>,
    /// Sessions begun in each of the last 168 hours, oldest first.
    pub logins: Vec<(Timestamp, u64)>,
    /// Sessions active at the end of each of these hours; the last one is now.
    pub active: Vec<(Timestamp, u64)>,
}
