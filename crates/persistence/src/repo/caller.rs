//! Who makes a change, looked at once more in its transaction: rights and standing are those of the rows as they are then.

use gatehouse_domain::{
    application::Application,
    authz::{Actor, ApplicationActor, Grant, Permission, Presence, Right, SystemReason, UserActor},
    id::UserId,
    key::Issuer,
    partner::Status,
    role::HeldRole,
    session::EndReason,
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, QueryResult,
    sea_query::{Expr, LockType, Query, SelectStatement},
};

use crate::{
    TenantFacts,
    db::WriteTx,
    entity::user::{Column, Entity},
    error::{Error, Result},
    repo::{sql::Sql, tuned::assignment::held, word},
};

/// Finds a user and, on PostgreSQL, locks it. Where a user and its sessions are both needed, the user comes first: as a
/// condition that knows no row of the statement, this is evaluated before the first row is looked for.
pub(crate) fn push_user_lock(sql: &mut Sql, user: UserId, backend: DbBackend) {
    sql.push("SELECT 1 FROM users WHERE id = ").bind(user.uuid());
    if backend == DbBackend::Postgres {
        sql.push(" FOR NO KEY UPDATE");
    }
}

/// The same for a statement that is built.
pub(crate) fn user_lock(user: UserId) -> SelectStatement {
    let mut lock = Query::select();
    lock.expr(Expr::val(1)).from(Entity).and_where(Column::Id.eq(user.uuid())).lock(LockType::NoKeyUpdate);
    lock
}

impl WriteTx<'_> {
    /// Makes sure that a grant still holds. On PostgreSQL the row of the user is locked until the transaction ends. Every
    /// ending of a session counts down `users.active_sessions`, and so takes that row: one that came first is seen, one
    /// that comes later waits. Roles and who holds them are locked too. On SQLite there is one writer, and that is this
    /// transaction.
    ///
    /// # Errors
    /// [`Error::CallerInactive`], [`Error::Denied`], [`Error::Stale`] when rights have ended that decisions may rest on.
    pub(crate) async fn confirm<P: Permission>(&self, grant: &Grant<P>) -> Result<()> {
        let id = match grant.actor() {
            Actor::User(user) => user.session_id.uuid(),
            Actor::Application(application) => application.application_id.uuid(),
            Actor::System(_) => return Ok(()),
        };
        let rights = match self.confirmed(id) {
            Some(rights) => rights,
            None => {
                let rights = self.rights_of(grant.actor()).await?;
                self.confirm_caller(id, rights.clone());
                rights
            }
        };
        if grant.is_confirmed(&rights).map_err(Error::Denied)? { Ok(()) } else { Err(Error::Stale) }
    }

    async fn rights_of(&self, actor: &Actor) -> Result<Vec<Right>> {
        match actor {
            Actor::User(user) => {
                let rights = self.rights_now(user).await?;
                Ok(user.scope.as_ref().map_or(rights.clone(), |scope| scope.narrow(rights)))
            }
            Actor::Application(application) => self.rights_of_application(application).await,
            Actor::System(_) => Ok(Vec::new()),
        }
    }

    /// What is left of what a token of an application opens, as it is registered now. On PostgreSQL its row is locked until
    /// the transaction ends.
    async fn rights_of_application(&self, actor: &ApplicationActor) -> Result<Vec<Right>> {
        let system = self.system(SystemReason::Authentication);
        let id = actor.application_id.uuid();
        let application = system.locked::<Application>(id, LockType::Share).await?;
        self.look_at_clock();
        let issuer = match actor.tenant {
            None => Issuer::Platform,
            Some(tenant) => {
                let facts = system.read().tenant_facts(tenant.id, self.now()).await?;
                Issuer::Tenant(facts.filter(TenantFacts::is_active).ok_or(Error::CallerInactive)?.reference())
            }
        };
        let application = application.filter(|it| it.status == Status::Active && it.owner.is_at(issuer));
        let permissions = application.ok_or(Error::CallerInactive)?.metadata.permissions();
        let left = |right: &Right| Right { permissions: right.permissions.and(&permissions), ..right.clone() };
        Ok(actor.rights.iter().map(left).collect())
    }

    async fn rights_now(&self, user: &UserActor) -> Result<Vec<Right>> {
        // A statement of its own: the next one sees what was committed while this one waited.
        if self.exec().get_database_backend() == DbBackend::Postgres {
            self.exec().query_one(&user_lock(user.user_id)).await?;
        }
        let rows = self.caller_rows(user).await?;
        // What happens from here on happened after whatever was waited for.
        self.look_at_clock();
        let first = rows.first().ok_or(Error::CallerInactive)?;
        if !self.stands(first, user.presence)? {
            return Err(Error::CallerInactive);
        }
        let right = |row| Ok(held(row, self.now())?.as_ref().map(HeldRole::right));
        rows.iter().filter_map(|row| right(row).transpose()).collect()
    }

    /// Whether the session allows what is done.
    fn stands(&self, row: &QueryResult, presence: Presence) -> Result<bool> {
        let is_there = row.try_get::<Option<uuid::Uuid>>("", "s_id")?.is_some();
        let has_ended = row.try_get::<Option<i64>>("", "ended_at")?.is_some();
        let reason: Option<String> = row.try_get("", "end_reason")?;
        let reason: Option<EndReason> = reason.map(|reason| word(&reason, "end reason")).transpose()?;
        let is_due = row.try_get::<Option<i64>>("", "ends_at")?.is_some_and(|end| end <= self.now().micros());
        Ok(match presence {
            Presence::SignedIn => is_there && !has_ended && !is_due,
            Presence::Absent => !has_ended || reason.is_some_and(EndReason::is_harmless),
        })
    }
}
