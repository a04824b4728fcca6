//! How sessions end. Whatever ends them, and however many, [`WriteScope::sessions_ended`] is told which.

use gatehouse_domain::{
    application::Owner,
    audit::Event,
    authz::TenantRef,
    change::Changed,
    id::{PartnerId, SessionId, TenantId, UserId},
    oauth::TokenFamily,
    session::{self, EndReason, EndedSession, RevokeMany, RevokeTarget, Revoked, Session},
    time::Timestamp,
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, QueryFilter, QueryResult, QueryTrait, Statement,
    sea_query::{Expr, IntoTableRef, LockType, Query, SelectStatement, SimpleExpr},
};

use crate::{
    db::Change,
    entity::{
        partner,
        session::{Column, Entity},
        tenant,
    },
    error::{Error, Result},
    repo::{
        Row,
        caller::{push_user_lock, user_lock},
        session::{ACTIVE, ended},
        sql::{Sql, power_of_two},
        sweep::{BATCH, by_tenant},
        word,
    },
    scope::{WriteScope, system::WriteSystem},
};

/// Sessions that one statement ends at most, unless they are those of one user: what is kept in memory of those that a
/// tenant or a partner has.
const AT_ONCE: usize = 5_000;

/// A statement that ends sessions. Only [`WriteScope::end_all`] runs it.
pub(crate) struct Ending(Sql);

/// How sessions end.
pub(crate) struct End {
    at: Timestamp,
    reason: EndReason,
    by: Option<UserId>,
    /// Whether the end that was to be is set, too.
    is_due: bool,
}

impl End {
    /// Now, for a reason, by a user.
    pub(crate) const fn now(at: Timestamp, reason: EndReason, by: Option<UserId>) -> Self {
        Self { at, reason, by, is_due: false }
    }

    /// Sets the end that was to be, too.
    pub(crate) const fn due(self) -> Self {
        Self { is_due: true, ..self }
    }
}

/// What statements that end sessions return, for [`ended_session`].
const RETURNING: &str = " RETURNING id, tenant_id, partner_id, user_id, end_reason";

fn ended_session(row: &QueryResult) -> Result<EndedSession> {
    let tenant = TenantRef {
        id: TenantId::from_uuid(row.try_get("", "tenant_id")?),
        partner_id: PartnerId::from_uuid(row.try_get("", "partner_id")?),
    };
    Ok(EndedSession {
        id: SessionId::from_uuid(row.try_get("", "id")?),
        tenant,
        user: UserId::from_uuid(row.try_get("", "user_id")?),
        reason: word(&row.try_get::<String>("", "end_reason")?, "end reason")?,
    })
}

impl WriteScope<'_> {
    /// Ends what lies within and is found by a condition besides: all of it, or at most [`AT_ONCE`]. PostgreSQL locks a batch
    /// while it looks for it: what others end at the same time does not count, so that one with fewer is the last.
    pub(crate) fn ending(&self, end: End, is_batch: bool, which: impl FnOnce(&mut Sql)) -> Ending {
        // Text: a batch is locked where it is found, and returned. Plan: `sessions_that_end_are_found_by_an_index`.
        let mut sql = self.sql::<Entity>(|sql| {
            sql.push("UPDATE sessions SET ended_at = ").bind(end.at.micros());
            sql.push(", end_reason = ").bind(end.reason.as_str());
            sql.push(", ended_by = ").bind(end.by.map(UserId::uuid));
            if end.is_due {
                sql.push(", expires_at = ").bind(end.at.micros()).push(", ends_at = ").bind(end.at.micros());
            }
            sql.push(if is_batch {
                " WHERE ended_at IS NULL AND id IN (SELECT id FROM sessions WHERE"
            } else {
                " WHERE"
            });
        });
        which(&mut sql);
        if is_batch {
            sql.push(&format!(" LIMIT {AT_ONCE}"));
            let is_postgres = self.exec.get_database_backend() == DbBackend::Postgres;
            sql.push(if is_postgres { " FOR NO KEY UPDATE)" } else { ")" });
        }
        Ending(sql)
    }

    /// What follows from the end of sessions, in the transaction that ends them: events are recorded and caches are told.
    /// Of many sessions it is told a batch at a time, so whatever one ended session causes has its place here. Their
    /// counters are kept by triggers.
    async fn sessions_ended(&self, ended: &[EndedSession], events: Vec<Event>) -> Result<()> {
        #[cfg(feature = "testing")]
        self.tx.sessions_ended().extend(ended);
        match ended {
            [] => {}
            [one] => self.tx.changed(Change::Session(one.id)),
            _ => self.tx.changed(Change::Everything),
        }
        for event in events {
            self.tx.record(event).await?;
        }
        Ok(())
    }

    /// Ends what statements find, each of them as often as there is more, and records it once. The user of a session is
    /// locked before the session: see `repo/caller.rs`.
    pub(crate) async fn end_all(
        &self,
        endings: impl IntoIterator<Item = Ending>,
        event: impl FnOnce(u64) -> Event,
    ) -> Result<Revoked> {
        let (mut revoked, mut batch) = (Revoked::default(), Vec::new());
        for Ending(mut sql) in endings {
            sql.push(RETURNING);
            loop {
                self.sessions_ended(&batch, Vec::new()).await?;
                batch = self.end_batch(sql.clone()).await?;
                revoked.add(&batch);
                if batch.len() < AT_ONCE {
                    break;
                }
            }
        }
        let event = (revoked.count > 0).then(|| event(revoked.count));
        self.sessions_ended(&batch, event.into_iter().collect()).await?;
        Ok(revoked)
    }

    async fn end_batch(&self, sql: Sql) -> Result<Vec<EndedSession>> {
        sql.all(self.tx.writing()).await?.iter().map(ended_session).collect()
    }

    /// Stores the end of a session.
    ///
    /// # Errors
    /// [`Error::Stale`] when it has ended meanwhile.
    pub async fn end(&self, changed: Changed<Session>) -> Result<Session> {
        let (session, event) = changed.into_parts();
        self.guard(&session.home())?;
        if !self.tx.update(self.ending_one(&session), event).await? {
            return Err(Error::Stale);
        }
        self.sessions_ended(EndedSession::of(&session).as_slice(), Vec::new()).await?;
        Ok(session)
    }

    /// On PostgreSQL holds back the sessions that are about to begin where others end: an application may be getting one of
    /// its own out of one that ends here. A statement of its own, as the next one sees what was committed while this one
    /// waited.
    async fn hold_back(&self, target: &RevokeTarget) -> Result<()> {
        if self.exec.get_database_backend() != DbBackend::Postgres {
            return Ok(());
        }
        let lock = match target {
            RevokeTarget::User(_, user) => user_lock(*user),
            RevokeTarget::Tenant(tenant) => lock_of(tenant::Entity, tenant::Column::Id.eq(tenant.id.uuid())),
            RevokeTarget::Partner(partner) => lock_of(partner::Entity, partner::Column::Id.eq(partner.uuid())),
            // What is named is there; and codes are taken from an application before its sessions.
            RevokeTarget::Named(..) | RevokeTarget::OwnFor(..) | RevokeTarget::OwnOf(..) => return Ok(()),
        };
        self.exec.query_one(&lock).await.map(drop)?;
        Ok(())
    }

    fn ending_one(&self, session: &Session) -> Statement {
        self.update_where::<Entity>()
            .set(ended(session))
            .filter(Column::Id.eq(session.id.uuid()))
            .filter(Column::EndedAt.is_null())
            .filter(Expr::exists(user_lock(session.user_id)))
            .build(self.exec.get_database_backend())
    }

    /// Ends many sessions with one event: those of a user in one statement, others a batch at a time.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn revoke_many(&self, many: &RevokeMany) -> Result<Revoked> {
        self.hold_back(&many.target).await?;
        let (now, backend) = (self.tx.now(), self.exec.get_database_backend());
        let end = End::now(now, many.reason, many.by.user_id());
        let ending = match &many.target {
            RevokeTarget::User(_, user) | RevokeTarget::Named(_, user, _) | RevokeTarget::OwnFor(_, user, _) => self
                .ending(end, false, |sql| {
                    push_target(sql, many, now);
                    sql.push(" AND EXISTS (");
                    push_user_lock(sql, *user, backend);
                    sql.push(")");
                }),
            RevokeTarget::Tenant(_) | RevokeTarget::Partner(_) | RevokeTarget::OwnOf(..) => {
                self.ending(end, true, |sql| push_target(sql, many, now))
            }
        };
        self.end_all([ending], |ended| many.event(ended)).await
    }
}

impl WriteSystem<'_> {
    /// Stores the end of a session of an application's own. That is the end of its family too, which needs no statement of
    /// its own: it works for as long as its session.
    ///
    /// # Errors
    /// [`Error::Stale`] when it has ended meanwhile.
    pub async fn end_own(&self, session: Changed<Session>, family: Changed<TokenFamily>) -> Result<()> {
        let (session, event) = session.into_parts();
        let (_, of_family) = family.into_parts();
        self.guard(&session.home())?;
        if self.tx.writing().execute_raw(self.ending_one(&session)).await?.rows_affected() == 0 {
            return Err(Error::Stale);
        }
        self.tx.record_all([of_family, event]).await?;
        self.sessions_ended(EndedSession::of(&session).as_slice(), Vec::new()).await
    }

    /// Marks sessions that have reached their end, at most [`BATCH`]; returns how many.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn expire_due(&self) -> Result<usize> {
        // Text: passes over what others have locked. Plan: `what_is_swept_and_purged_is_found_by_an_index`.
        let mut sql = self.unscoped("UPDATE sessions SET ended_at = ends_at, end_reason = ");
        sql.bind(EndReason::Expired.as_str()).push(
            " WHERE id IN (SELECT id FROM sessions WHERE tenant_id IN (SELECT t.id FROM tenants t) AND ended_at IS NULL \
             AND ends_at <= ",
        );
        sql.bind(self.tx.now().micros()).push(" LIMIT ").bind(BATCH as i64);
        if self.exec.get_database_backend() == DbBackend::Postgres {
            sql.push(" FOR UPDATE SKIP LOCKED");
        }
        sql.push(")").push(RETURNING);
        let ended = self.end_batch(sql).await?;
        let event = |(tenant, count)| session::expired(tenant, self.by(), count);
        let events = by_tenant(ended.iter().map(|session| session.tenant)).map(event).collect();
        self.sessions_ended(&ended, events).await?;
        Ok(ended.len())
    }
}

/// Locks a row against everything but that children refer to it.
fn lock_of(table: impl IntoTableRef, which: SimpleExpr) -> SelectStatement {
    let mut lock = Query::select();
    lock.expr(Expr::val(1)).from(table).and_where(which).lock(LockType::NoKeyUpdate);
    lock
}

/// Which active sessions a bulk revocation ends.
pub(crate) fn push_target(sql: &mut Sql, many: &RevokeMany, now: Timestamp) {
    match &many.target {
        RevokeTarget::User(tenant, user) => {
            sql.push(" AND tenant_id = ").bind(tenant.id.uuid()).push(" AND user_id = ").bind(user.uuid());
        }
        RevokeTarget::Named(tenant, user, ids) => {
            sql.push(" AND tenant_id = ").bind(tenant.id.uuid()).push(" AND user_id = ").bind(user.uuid());
            let ids: Vec<_> = ids.iter().map(|id| id.uuid()).collect();
            sql.push(" AND id").one_of(power_of_two(&ids));
        }
        RevokeTarget::Tenant(tenant) => {
            sql.push(" AND tenant_id = ").bind(tenant.id.uuid());
        }
        RevokeTarget::Partner(partner) => {
            sql.push(" AND partner_id = ").bind(partner.uuid());
        }
        RevokeTarget::OwnFor(tenant, user, application) => {
            sql.push(" AND tenant_id = ").bind(tenant.id.uuid()).push(" AND user_id = ").bind(user.uuid());
            sql.push(" AND application_id = ").bind(application.uuid());
        }
        RevokeTarget::OwnOf(owner, application) => {
            sql.push(" AND application_id = ").bind(application.uuid());
            match owner {
                Owner::Platform => {}
                Owner::Partner(partner) => {
                    sql.push(" AND partner_id = ").bind(partner.uuid());
                }
                Owner::Tenant(tenant) => {
                    sql.push(" AND tenant_id = ").bind(tenant.id.uuid());
                }
            }
        }
    }
    if let Some(kept) = many.except {
        sql.push(" AND id <> ").bind(kept.uuid());
    }
    sql.push(" AND ").push(ACTIVE).bind(now.micros());
}
