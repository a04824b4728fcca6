//! Seeing and ending sessions: as oneself, as administrator of a tenant, as operator. One implementation; the grant
//! says how far it reaches.

use gatehouse_domain::{
    authz::{By, Denied, Grant, Oneself, Permission, Reach, ReadSessions, RevokeSessions},
    id::{SessionId, TenantId, UserId},
    page::{Direction, Page, PageRequest},
    session::{Effects, EndReason, RevokeMany, RevokeTarget, Revoked, Session, SessionApp, SessionStats, SessionView},
    time::Timestamp,
};
use gatehouse_persistence::{Error as Storage, WriteScope, WriteTx};

use crate::app::{App, Error, Result, effects::Mode, request::client::Origin};

pub use gatehouse_persistence::{SessionFilter, SessionSort};

/// Which sessions of a user are to end.
#[derive(Debug, Clone)]
pub enum Which {
    /// These; nothing happens unless all are the user's.
    Named(Vec<SessionId>),
    /// All, perhaps but the caller's own.
    All {
        /// Whether the caller's own session stays.
        except_current: bool,
    },
}

/// Whose sessions an operator ends.
#[derive(Debug, Clone, Copy)]
pub enum Everywhere {
    /// Those of a user.
    User(UserId),
    /// Those of a tenant.
    Tenant(TenantId),
}

impl App {
    /// Lists sessions within the grant.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn list_sessions<P: Permission>(
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
    pub async fn list_user_sessions(
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
        self.list_sessions(grant, SessionFilter { users: vec![user], ..filter }, sort, direction, page).await
    }

    /// One session with its applications.
    ///
    /// # Errors
    /// [`Error::NotFound`], or [`Error::Denied`] for a session of somebody else where the caller reaches only the own.
    pub async fn session<P: Permission>(
        &self,
        grant: &Grant<P>,
        id: SessionId,
    ) -> Result<(SessionView, Vec<SessionApp>)> {
        self.db.scope(grant).session_view(id).await?.ok_or_else(|| missing(grant))
    }

    /// Figures about the sessions of the tenant that the grant is for.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn session_stats(&self, grant: &Grant<ReadSessions>) -> Result<SessionStats> {
        Ok(self.db.scope(grant).session_stats(self.env.now()).await?)
    }

    /// Ends one session. Ending one that has ended already changes nothing; the answer says whether this ended it.
    ///
    /// # Errors
    /// As [`App::session`].
    pub async fn end_session<P: Permission>(&self, grant: &Grant<P>, id: SessionId, origin: &Origin) -> Result<bool> {
        let grant = grant.clone();
        let work = async move |tx: &WriteTx<'_>| {
            let scope = tx.scope(&grant).await?;
            let session = scope.session(id).await?.ok_or_else(|| missing(&grant))?;
            let reason = reason(&grant, &session);
            match session.revoke(reason, &grant.by(), tx.now()) {
                Ok(ended) => match scope.end(ended).await {
                    Ok(_) => Ok(true),
                    Err(Storage::Stale) => Ok(false),
                    Err(error) => Err(error.into()),
                },
                Err(_) => Ok(false),
            }
        };
        self.db.write(origin.ctx.clone(), work).await
    }

    /// Ends all of one's own sessions but the current one.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn end_own_sessions(&self, grant: &Grant<Oneself>, origin: &Origin) -> Result<Revoked> {
        let (Some(tenant), Some(user)) = (grant.tenant(), grant.own()) else { return Err(Error::NotFound) };
        let many = RevokeMany {
            target: RevokeTarget::User(tenant, user),
            except: grant.session_id(),
            reason: EndReason::RevokeAll,
            by: grant.by(),
        };
        self.end_many(grant, many, origin).await
    }

    /// Ends sessions of a user in a tenant.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the tenant has no such user, or a named session is not the user's; then none ends.
    pub async fn end_user_sessions(
        &self,
        grant: &Grant<RevokeSessions>,
        user: UserId,
        which: Which,
        origin: &Origin,
    ) -> Result<Revoked> {
        let tenant = grant.tenant().ok_or(Error::NotFound)?;
        let (by, own) = (grant.by(), grant.own().is_some());
        let grant = grant.clone();
        let work = async move |tx: &WriteTx<'_>| {
            let scope = tx.scope(&grant).await?;
            if !own && scope.user(user).await?.is_none() {
                return Err(Error::NotFound);
            }
            let by_user = if own { EndReason::User } else { EndReason::Admin };
            let (target, except, reason) = match &which {
                Which::Named(ids) => {
                    all_exist(&scope, user, ids).await?;
                    (RevokeTarget::Named(tenant, user, ids.clone()), None, by_user)
                }
                Which::All { except_current } => (
                    RevokeTarget::User(tenant, user),
                    grant.session_id().filter(|_| *except_current),
                    EndReason::RevokeAll,
                ),
            };
            Ok(scope.revoke_many(&RevokeMany { target, except, reason, by }).await?)
        };
        self.idempotency().write(origin, work).await
    }

    /// Ends all sessions of a tenant, the caller's own included, or says what that would end.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn end_tenant_sessions(
        &self,
        grant: &Grant<RevokeSessions>,
        mode: Mode,
        origin: &Origin,
    ) -> Result<(Revoked, Effects)> {
        let tenant = grant.tenant().ok_or(Error::NotFound)?;
        let grant = grant.clone();
        let work = async move |tx: &WriteTx<'_>| {
            end_all(&tx.scope(&grant).await?, RevokeTarget::Tenant(tenant), None, grant.by(), mode, tx.now()).await
        };
        self.db.at_length(self.idempotency().write(origin, work)).await
    }

    /// Ends all sessions of a user or a tenant, wherever within the grant they are, or says what that would end.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the grant shows no such user or tenant.
    pub async fn end_sessions_everywhere(
        &self,
        grant: &Grant<RevokeSessions>,
        whose: Everywhere,
        except_current: bool,
        mode: Mode,
        origin: &Origin,
    ) -> Result<(Revoked, Effects)> {
        let grant = grant.clone();
        let work = async move |tx: &WriteTx<'_>| {
            let scope = tx.scope(&grant).await?;
            let target = match whose {
                Everywhere::User(id) => {
                    let user = scope.user(id).await?.ok_or(Error::NotFound)?;
                    RevokeTarget::User(user.tenant(), id)
                }
                Everywhere::Tenant(id) => {
                    RevokeTarget::Tenant(scope.tenant(id).await?.ok_or(Error::NotFound)?.reference())
                }
            };
            let except = grant.session_id().filter(|_| except_current);
            end_all(&scope, target, except, grant.by(), mode, tx.now()).await
        };
        self.db.at_length(self.idempotency().write(origin, work)).await
    }

    async fn end_many<P: Permission>(&self, grant: &Grant<P>, many: RevokeMany, origin: &Origin) -> Result<Revoked> {
        let grant = grant.clone();
        let work = async move |tx: &WriteTx<'_>| Ok::<_, Error>(tx.scope(&grant).await?.revoke_many(&many).await?);
        self.idempotency().write(origin, work).await
    }
}

/// Ends all there are, or counts them; the sessions that a dry run does not end are not named either.
async fn end_all(
    scope: &WriteScope<'_>,
    target: RevokeTarget,
    except: Option<SessionId>,
    by: By,
    mode: Mode,
    now: Timestamp,
) -> Result<(Revoked, Effects)> {
    let many = RevokeMany { target, except, reason: EndReason::RevokeAll, by };
    let effects = scope.effects(&many, now).await?;
    let revoked = match mode {
        Mode::Real => scope.revoke_many(&many).await?,
        Mode::DryRun => Revoked::default(),
    };
    Ok((revoked, effects))
}

/// What it means that a session is not there: to somebody who reaches the own sessions only, it is somebody else's,
/// and real and unknown ones must look the same.
fn missing<P: Permission>(grant: &Grant<P>) -> Error {
    if grant.own().is_some() && P::NAME != Oneself::NAME {
        Error::Denied(Denied::Forbidden(P::NAME))
    } else {
        Error::NotFound
    }
}

fn reason<P: Permission>(grant: &Grant<P>, session: &Session) -> EndReason {
    if grant.session_id() == Some(session.id) {
        return EndReason::Logout;
    }
    match grant.by().user_id() {
        Some(user) if user == session.user_id => EndReason::User,
        _ => EndReason::Admin,
    }
}

async fn all_exist(scope: &WriteScope<'_>, user: UserId, ids: &[SessionId]) -> Result<()> {
    let mut distinct = ids.to_vec();
    distinct.sort();
    distinct.dedup();
    if scope.count_sessions(user, &distinct).await? == distinct.len() as u64 { Ok(()) } else { Err(Error::NotFound) }
}
