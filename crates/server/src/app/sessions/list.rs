//! Seeing sessions.

use gatehouse_domain::{
    authz::{Denied, Grant, OWN, Permission, Reach, ReadSessions},
    id::{SessionId, UserId},
    page::{Direction, Page, PageRequest},
    session::{SessionApp, SessionStats, SessionView},
};

use crate::app::{Error, Result, sessions::Sessions};

pub use gatehouse_persistence::{SessionFilter, SessionSort};

impl Sessions<'_> {
    /// Lists sessions within the grant.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn list<P: Permission>(
        &self,
        grant: &Grant<P>,
        filter: SessionFilter,
        sort: SessionSort,
        direction: Direction,
        page: &PageRequest,
    ) -> Result<Page<SessionView>> {
        let scope = self.db.scope(grant);
        let mut filter = filter;
        if !filter.users.is_empty()
            && !matches!(grant.reach(), Reach::Own(..) | Reach::Tenant(_))
            && filter.tenants.is_empty()
        {
            // Users are indexed by tenant; a user that the caller cannot see has no sessions to show.
            for user in &filter.users {
                match scope.user(*user).await? {
                    Some(user) => filter.tenants.push(user.tenant_id),
                    None if filter.users.len() == 1 => return Ok(Page::empty()),
                    None => {}
                }
            }
        }
        Ok(scope.sessions(&filter, sort, direction, page, self.env.now()).await?)
    }

    /// Lists the sessions of a user in a tenant.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the tenant has no such user.
    pub async fn list_of_user(
        &self,
        grant: &Grant<ReadSessions>,
        user: UserId,
        filter: SessionFilter,
        sort: SessionSort,
        direction: Direction,
        page: &PageRequest,
    ) -> Result<Page<SessionView>> {
        if grant.own().is_none() && self.db.scope(grant).user(user).await?.is_none() {
            return Err(Error::NotFound);
        }
        self.list(grant, SessionFilter { users: vec![user], ..filter }, sort, direction, page).await
    }

    /// One session with its applications.
    ///
    /// # Errors
    /// [`Error::NotFound`], or [`Error::Denied`] for a session of somebody else where the caller reaches only the own.
    pub async fn get<P: Permission>(&self, grant: &Grant<P>, id: SessionId) -> Result<(SessionView, Vec<SessionApp>)> {
        self.db.scope(grant).session_view(id).await?.ok_or_else(|| missing(grant))
    }

    /// Figures about the sessions of the tenant that the grant is for.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn stats(&self, grant: &Grant<ReadSessions>) -> Result<SessionStats> {
        Ok(self.db.scope(grant).session_stats(self.env.now()).await?)
    }
}

/// What it means that a session is not there: to somebody who reaches the own sessions only, it is somebody else's,
/// and real and unknown ones must look the same.
pub(super) fn missing<P: Permission>(grant: &Grant<P>) -> Error {
    if grant.own().is_some() && P::NAME != OWN { Error::Denied(Denied::Forbidden(P::NAME)) } else { Error::NotFound }
}
