//! Plain statements on tables whose rows carry nothing that a grant could be compared with.

use std::marker::PhantomData;

use sea_orm::{DeleteMany, EntityTrait, Insert, InsertMany, IntoActiveModel, Select, UpdateMany};

use crate::{
    error::Result,
    repo::Home,
    scope::{
        Scope,
        system::{System, WriteSystem},
    },
};

/// A table without a predicate. Only Gatehouse itself has one of any table, and a scope has one for what belongs to an
/// owner that lies within.
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

impl Scope<'_> {
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
}
