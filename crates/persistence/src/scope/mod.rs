//! The only files that may reach for a table: here every statement gets the predicate of its grant.

mod above;
mod shown;
pub(crate) mod system;
mod table;
pub(crate) mod text;

use std::ops::Deref;

pub(crate) use above::PLATFORM;
use gatehouse_domain::{
    audit::{Event, Refused},
    authz::{ActorsShown, Grant, Permission, Reach},
    change::Changed,
    id::PartnerId,
};
use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, Condition, ConnectionTrait, DbBackend, EntityTrait, ExprTrait,
    Iterable, QueryFilter, QueryTrait, Select, Statement, UpdateMany,
    sea_query::{Expr, Query},
};

use uuid::Uuid;

use crate::{
    db::{Change, Db, Exec, WriteTx},
    entity::tenant,
    error::{Error, Result},
    repo::{Home, Row, Versioned},
};

/// A table whose rows belong to a partner, a tenant, perhaps a user.
pub trait Owned: EntityTrait<Model: Send + Sync> {
    /// The id column.
    fn id() -> Self::Column;
    /// The column of the owning partner.
    fn partner() -> Self::Column;
    /// The column of the owning tenant; `None` for what partners own directly.
    fn tenant() -> Option<Self::Column>;
    /// The column of the owning user; `None` for what tenants own directly.
    fn user() -> Option<Self::Column>;
    /// The column that says when a row was deleted; `None` where rows are removed.
    fn deleted() -> Option<Self::Column>;
    /// Whether a row keeps the partner that it had when its tenant goes to another one.
    const IS_HISTORY: bool;
}

/// Declares the owner columns of an entity.
macro_rules! owned {
    ($($entity:ident: $partner:ident, $($tenant:ident)?, $($user:ident)?, $($deleted:ident)? $(=> $history:literal)?;)*) => {$(
        impl Owned for crate::entity::$entity::Entity {
            fn id() -> Self::Column {
                crate::entity::$entity::Column::Id
            }

            fn partner() -> Self::Column {
                crate::entity::$entity::Column::$partner
            }

            fn tenant() -> Option<Self::Column> {
                [$(crate::entity::$entity::Column::$tenant)?].into_iter().next()
            }

            fn user() -> Option<Self::Column> {
                [$(crate::entity::$entity::Column::$user)?].into_iter().next()
            }

            fn deleted() -> Option<Self::Column> {
                [$(crate::entity::$entity::Column::$deleted)?].into_iter().next()
            }

            const IS_HISTORY: bool = false $(|| $history)?;
        }
    )*};
}

owned! {
    application: PartnerId, TenantId, , DeletedAt;
    partner: Id, , , DeletedAt;
    tenant: PartnerId, Id, , DeletedAt;
    user: PartnerId, TenantId, Id, DeletedAt;
    role: PartnerId, TenantId, , DeletedAt;
    assignment: PartnerId, TenantId, UserId, DeletedAt;
    session: PartnerId, TenantId, UserId, ;
    signing_key: PartnerId, TenantId, , ;
    token_family: PartnerId, TenantId, , ;
    audit_event: PartnerId, TenantId, , => true;
    user_import: PartnerId, TenantId, , ;
}

/// Reading within the reach of a grant.
pub struct Scope<'c> {
    pub(crate) exec: Exec<'c>,
    pub(crate) reach: Reach,
    pub(crate) shown: ActorsShown,
}

/// Reading and saving within the reach of a grant.
pub struct WriteScope<'t> {
    scope: Scope<'t>,
    pub(crate) tx: &'t WriteTx<'t>,
}

impl std::fmt::Debug for Scope<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Scope({:?})", self.reach)
    }
}

impl std::fmt::Debug for WriteScope<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.scope.fmt(f)
    }
}

impl<'t> Deref for WriteScope<'t> {
    type Target = Scope<'t>;

    fn deref(&self) -> &Self::Target {
        &self.scope
    }
}

impl Db {
    /// Reads within the reach of a grant.
    #[must_use]
    pub fn scope<P: Permission>(&self, grant: &Grant<P>) -> Scope<'_> {
        Scope::of(self.reader(), grant)
    }
}

impl<'t> WriteTx<'t> {
    /// Reads and saves within the reach of a grant, if it holds of the caller as the rows are now: a grant is from before
    /// the transaction, and may have waited. Costs a statement, once for a transaction, and none for Gatehouse itself.
    ///
    /// # Errors
    /// [`Error::CallerInactive`], [`Error::Denied`], [`Error::Stale`] when rights have ended that decisions may rest on.
    pub async fn scope<P: Permission>(&'t self, grant: &Grant<P>) -> Result<WriteScope<'t>> {
        self.confirm(grant).await?;
        Ok(WriteScope { scope: Scope::of(self.exec(), grant), tx: self })
    }
}

impl<'c> Scope<'c> {
    fn of<P: Permission>(exec: Exec<'c>, grant: &Grant<P>) -> Self {
        Self { exec, reach: grant.reach().clone(), shown: grant.actors_shown() }
    }
}

impl Scope<'_> {
    fn condition<E: Owned>(&self) -> Condition {
        let nothing = || Condition::all().add(Expr::val(1).eq(0));
        match (&self.reach, E::tenant(), E::user()) {
            (Reach::Platform, ..) => Condition::all(),
            (Reach::Partners(ids), tenant, _) => {
                let of_partners = E::partner().is_in(ids.iter().map(|id| PartnerId::uuid(*id)));
                let still = tenant.filter(|_| E::IS_HISTORY).map(|tenant| still_there::<E>(tenant, ids));
                Condition::all().add(of_partners).add_option(still)
            }
            (Reach::Tenant(within), Some(tenant), _) => Condition::all().add(tenant.eq(within.id.uuid())),
            (Reach::Own(within, user_id), Some(tenant), Some(user)) => {
                Condition::all().add(tenant.eq(within.id.uuid())).add(user.eq(user_id.uuid()))
            }
            (Reach::Tenant(_) | Reach::Own(..), ..) => nothing(),
        }
    }

    /// Whether something of this owner lies within.
    fn includes(&self, home: &Home) -> bool {
        match &self.reach {
            Reach::Platform => true,
            Reach::Partners(ids) => ids.contains(&home.partner),
            Reach::Tenant(tenant) => home.tenant == Some(tenant.id),
            Reach::Own(tenant, user) => home.tenant == Some(tenant.id) && home.user == Some(*user),
        }
    }

    /// Refuses what belongs to an owner outside.
    pub(crate) fn guard(&self, home: &Home) -> Result<()> {
        if self.includes(home) {
            return Ok(());
        }
        tracing::error!(reach = ?self.reach, ?home, "a value outside the scope was to be reached");
        Err(Error::ScopeViolation)
    }

    /// What lies within and is not deleted.
    pub(crate) fn select<E: Owned>(&self) -> Select<E> {
        let select = self.select_even_deleted();
        match E::deleted() {
            Some(column) => select.filter(column.is_null()),
            None => select,
        }
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that adds the scope's predicate")]
    pub(crate) fn select_even_deleted<E: Owned>(&self) -> Select<E> {
        E::find().filter(self.condition::<E>())
    }
}

impl WriteScope<'_> {
    #[expect(clippy::disallowed_methods, reason = "the one place that adds the scope's predicate")]
    pub(crate) fn update_where<E: Owned>(&self) -> UpdateMany<E> {
        E::update_many().filter(self.scope.condition::<E>())
    }

    /// Stores a new value with its event.
    ///
    /// # Errors
    /// [`Error::Conflict`] when it is not unique, [`Error::ScopeViolation`] when it lies outside the scope.
    pub async fn insert<T: Row>(&self, changed: Changed<T>) -> Result<T> {
        let (value, event) = changed.into_parts();
        self.guard(&value.home())?;
        self.tx.insert(insertion(self.tx, &value)?, event).await?;
        self.tx.index(std::slice::from_ref(&value), false).await?;
        if let Some(change) = T::INSERT_CHANGES {
            self.tx.changed(change);
        }
        Ok(value)
    }

    /// Stores new values with their events, all of them by one statement each.
    ///
    /// # Errors
    /// As [`WriteScope::insert`].
    pub async fn insert_many<T: Row>(&self, changed: Vec<Changed<T>>) -> Result<Vec<T>> {
        if changed.is_empty() {
            return Ok(Vec::new());
        }
        let (values, events): (Vec<_>, Vec<_>) = changed.into_iter().map(Changed::into_parts).unzip();
        let mut rows = Vec::with_capacity(values.len());
        for value in &values {
            self.guard(&value.home())?;
            rows.push(value.insertable()?);
        }
        self.tx.insert_many(insertions::<T>(self.tx, rows), events).await?;
        self.tx.index(&values, false).await?;
        if let Some(change) = T::INSERT_CHANGES {
            self.tx.changed(change);
        }
        Ok(values)
    }

    /// Stores a changed value with its event, if it is still what it was. A change to what is there already stores
    /// nothing.
    ///
    /// # Errors
    /// [`Error::Stale`] when it is not, [`Error::LastAdministrator`]; otherwise as [`WriteScope::insert`].
    pub async fn update<T: Versioned>(&self, changed: Changed<T>) -> Result<T> {
        let (endangers_platform, elsewhere) = (changed.endangers_platform(), changed.elsewhere());
        let (mut value, event) = changed.into_parts();
        self.guard(&value.home())?;
        let expected = *value.version();
        self.tx.meets_condition(value.uuid(), expected)?;
        if event.is_idle() {
            return Ok(value);
        }
        *value.version() += 1;
        let update = self
            .update_where::<T::Entity>()
            .set(value.updatable()?)
            .filter(<T::Entity as Owned>::id().eq(value.uuid()))
            .filter(Expr::col("version").eq(expected))
            .build(self.exec.get_database_backend());
        if !self.tx.update(update, event).await? {
            return Err(self.tx.stale());
        }
        self.tx.changed(Change::Everything);
        self.tx.index(std::slice::from_ref(&value), true).await?;
        if let Some(event) = elsewhere {
            self.tx.record(*event).await?;
        }
        self.tx.administrator_stays(endangers_platform).await?;
        Ok(value)
    }

    pub(crate) async fn record(&self, event: Event) -> Result<()> {
        self.tx.changed(Change::Everything);
        self.tx.record(event).await
    }

    /// Stores the event of a refusal.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn refused(&self, refused: Refused) -> Result<()> {
        self.tx.record(refused.into_event()).await
    }
}

/// What partners themselves have, and what is of tenants that have the same partner now as then: what happened in a tenant
/// is no business of the partner that it has left.
fn still_there<E: Owned>(tenant: E::Column, partners: &[PartnerId]) -> Condition {
    let mut tenants = Query::select();
    tenants.columns([tenant::Column::Id, tenant::Column::PartnerId]).from(tenant::Entity);
    tenants.and_where(tenant::Column::PartnerId.is_in(partners.iter().map(|id| PartnerId::uuid(*id))));
    let then = Expr::tuple([Expr::col((E::default(), tenant)), Expr::col((E::default(), E::partner()))]);
    Condition::any().add(tenant.eq(Uuid::nil())).add(then.in_subquery(tenants))
}

/// The statement that inserts a row; the caller has checked that it may.
#[expect(clippy::disallowed_methods, reason = "the one place that inserts")]
pub(crate) fn insertion<T: Row>(tx: &WriteTx<'_>, value: &T) -> Result<Statement> {
    Ok(T::Entity::insert(value.insertable()?).build(tx.exec().get_database_backend()))
}

/// The same on SQLite, if the statement before it changed one row.
pub(crate) fn insertion_after_change<T: Row>(value: &T) -> Result<Statement> {
    let (row, mut columns, mut values) = (value.insertable()?, Vec::new(), Query::select());
    for column in <T::Entity as EntityTrait>::Column::iter() {
        if let ActiveValue::Set(value) = row.get(column) {
            columns.push(column);
            values.expr(Expr::val(value));
        }
    }
    values.and_where(Expr::cust("changes() = 1"));
    let mut insert = Query::insert();
    insert.into_table(T::Entity::default()).columns(columns).select_from(values).map_err(|_| Error::Corrupt("row"))?;
    Ok(DbBackend::Sqlite.build(&insert))
}

/// The statement that inserts several rows.
#[expect(clippy::disallowed_methods, reason = "the one place that inserts")]
fn insertions<T: Row>(tx: &WriteTx<'_>, rows: Vec<T::Active>) -> Statement {
    T::Entity::insert_many(rows).build(tx.exec().get_database_backend())
}
