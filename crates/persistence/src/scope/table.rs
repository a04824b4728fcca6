//! Plain statements on tables whose rows carry nothing that a grant could be compared with.

use std::marker::PhantomData;

use gatehouse_domain::authz::Reach;
use sea_orm::{
    DeleteMany, EntityTrait, ExprTrait, Insert, InsertMany, IntoActiveModel, Iterable, PrimaryKeyToColumn, QueryFilter,
    QuerySelect, QueryTrait, Select, UpdateMany, sea_query::Expr,
};

use crate::{
    db::WriteTx,
    error::{Error, Result},
    repo::Home,
    scope::{
        Scope,
        system::{System, WriteSystem},
    },
};

/// A table without a predicate. Gatehouse itself has one of any table, and so has a transaction, for what it keeps beside
/// a change: events and answers. A scope has one for what belongs to an owner that lies within.
pub(crate) struct Table<E>(PhantomData<E>);

impl System<'_> {
    pub(crate) const fn table<E: EntityTrait>(&self) -> Table<E> {
        Table(PhantomData)
    }
}

impl WriteSystem<'_> {
    pub(crate) const fn table<E: EntityTrait>(&self) -> Table<E> {
        Table(PhantomData)
    }
}

impl WriteTx<'_> {
    pub(crate) const fn table<E: EntityTrait>(&self) -> Table<E> {
        Table(PhantomData)
    }
}

impl Scope<'_> {
    /// A table of what belongs to the platform itself.
    ///
    /// # Errors
    /// [`crate::Error::ScopeViolation`] for who does not reach the platform.
    pub(crate) fn platform_table<E: EntityTrait>(&self) -> Result<Table<E>> {
        if self.reach == Reach::Platform {
            return Ok(Table(PhantomData));
        }
        tracing::error!(reach = ?self.reach, "the platform was to be reached from outside");
        Err(Error::ScopeViolation)
    }

    /// A table of what belongs to an owner.
    ///
    /// # Errors
    /// [`crate::Error::ScopeViolation`] when the owner lies outside the scope.
    pub(crate) fn table_of<E: EntityTrait>(&self, home: &Home) -> Result<Table<E>> {
        self.guard(home)?;
        Ok(Table(PhantomData))
    }
}

#[expect(clippy::disallowed_methods, reason = "whoever has a table was allowed to")]
impl<E: EntityTrait> Table<E> {
    pub(crate) fn select(self) -> Select<E> {
        E::find()
    }

    pub(crate) fn insert<A: IntoActiveModel<E::ActiveModel>>(self, row: A) -> Insert<E::ActiveModel> {
        E::insert(row.into_active_model())
    }

    pub(crate) fn insert_many<A: IntoActiveModel<E::ActiveModel>>(
        self,
        rows: impl IntoIterator<Item = A>,
    ) -> InsertMany<E::ActiveModel> {
        E::insert_many(rows.into_iter().map(IntoActiveModel::into_active_model))
    }

    pub(crate) fn update(self) -> UpdateMany<E> {
        E::update_many()
    }

    pub(crate) fn delete(self) -> DeleteMany<E> {
        E::delete_many()
    }

    /// Deletes the first of some rows, as many as the selection is limited to.
    pub(crate) fn delete_some(self, rows: impl FnOnce(Select<E>) -> Select<E>) -> DeleteMany<E> {
        let key = || E::PrimaryKey::iter().map(|key| key.into_column());
        let rows = rows(E::find()).select_only().columns(key()).into_query();
        let key = key().map(|column| Expr::col((E::default(), column)));
        E::delete_many().filter(Expr::tuple(key).in_subquery(rows))
    }
}
