//! Ending sessions.

use gatehouse_domain::{
    authz::{By, Grant, Oneself, Permission, RevokeSessions},
    id::{SessionId, TenantId, UserId},
    session::{Effects, EndReason, RevokeMany, RevokeTarget, Revoked, Session},
    settings::{Policy, SessionLimitAction},
    time::Timestamp,
    user::User,
};
use gatehouse_persistence::{Error as Storage, WriteScope, WriteSystem, WriteTx};

use crate::app::{
    Error, Result,
    effects::Mode,
    request::client::RequestMeta,
    sessions::{Sessions, list::missing},
};

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

impl Sessions<'_> {
    /// Ends one session. Ending one that has ended already changes nothing; the answer says whether this ended it.
    ///
    /// # Errors
    /// As [`Sessions::get`].
    pub async fn end<P: Permission>(&self, grant: &Grant<P>, id: SessionId, meta: &RequestMeta) -> Result<bool> {
        let grant = grant.clone();
        let work = async move |tx: &WriteTx<'_>| {
            let scope = tx.scope(&grant).await?;
            let session = scope.session(id).await?.ok_or_else(|| missing(&grant))?;
            let reason = reason(&grant, &session);
            end(&scope, session, reason, &grant.by(), tx.now()).await
        };
        self.db.write(meta.ctx.clone(), work).await
    }

    /// Ends all of one's own sessions but the current one.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn end_own(&self, grant: &Grant<Oneself>, meta: &RequestMeta) -> Result<Revoked> {
        let (Some(tenant), Some(user)) = (grant.tenant(), grant.own()) else { return Err(Error::NotFound) };
        let many = RevokeMany {
            target: RevokeTarget::User(tenant, user),
            except: grant.session_id(),
            reason: EndReason::RevokeAll,
            by: grant.by(),
        };
        let grant = grant.clone();
        let work = async move |tx: &WriteTx<'_>| Ok(tx.scope(&grant).await?.revoke_many(&many).await?);
        self.idempotency.write(meta, work).await
    }

    /// Ends sessions of a user in a tenant.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the tenant has no such user, or a named session is not the user's; then none ends.
    pub async fn end_of_user(
        &self,
        grant: &Grant<RevokeSessions>,
        user: UserId,
        which: Which,
        meta: &RequestMeta,
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
        self.idempotency.write(meta, work).await
    }

    /// Ends all sessions of a tenant, the caller's own included, or says what that would end.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn end_of_tenant(
        &self,
        grant: &Grant<RevokeSessions>,
        mode: Mode,
        meta: &RequestMeta,
    ) -> Result<(Revoked, Effects)> {
        let tenant = grant.tenant().ok_or(Error::NotFound)?;
        let grant = grant.clone();
        let work = async move |tx: &WriteTx<'_>| {
            end_all(&tx.scope(&grant).await?, RevokeTarget::Tenant(tenant), None, grant.by(), mode, tx.now()).await
        };
        self.db.at_length(self.idempotency.write(meta, work)).await
    }

    /// Ends all sessions of a user or a tenant, wherever within the grant they are, or says what that would end.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the grant shows no such user or tenant.
    pub async fn end_everywhere(
        &self,
        grant: &Grant<RevokeSessions>,
        whose: Everywhere,
        except_current: bool,
        mode: Mode,
        meta: &RequestMeta,
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
        self.db.at_length(self.idempotency.write(meta, work)).await
    }
}

/// Ends a session; false if it has ended already, or somebody else ends it at the same moment.
pub(in crate::app) async fn end(
    scope: &WriteScope<'_>,
    session: Session,
    reason: EndReason,
    by: &By,
    now: Timestamp,
) -> Result<bool> {
    let Ok(ended) = session.revoke(reason, by, now) else { return Ok(false) };
    match scope.end(ended).await {
        Ok(_) => Ok(true),
        Err(Storage::Stale) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Sees to it that a user who has so many sessions may have one more: ends the oldest, or refuses. The user is locked.
///
/// # Errors
/// [`Error::LimitReached`].
pub(in crate::app) async fn make_room(
    system: &WriteSystem<'_>,
    user: &User,
    sessions: u64,
    policy: &Policy,
    now: Timestamp,
) -> Result<()> {
    let max = u64::from(policy.max_sessions_per_user);
    let over = (sessions + 1).saturating_sub(max);
    if over == 0 {
        return Ok(());
    }
    // The counter includes sessions that have run out but were not swept; what counts is the active ones.
    let active = system.oldest_sessions(user.id, max + over, now).await?;
    let over = (active.len() as u64 + 1).saturating_sub(max);
    if over == 0 {
        return Ok(());
    }
    match policy.session_limit_action {
        SessionLimitAction::Refuse => Err(Error::LimitReached(
            format!("The user has {max} sessions, which is the most the tenant allows.").into(),
        )),
        SessionLimitAction::EndOldest => {
            let oldest = active.into_iter().take(usize::try_from(over).unwrap_or(usize::MAX)).collect();
            let target = RevokeTarget::Named(user.tenant(), user.id, oldest);
            let many = RevokeMany { target, except: None, reason: EndReason::SessionLimit, by: system.by() };
            system.revoke_many(&many).await?;
            Ok(())
        }
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
