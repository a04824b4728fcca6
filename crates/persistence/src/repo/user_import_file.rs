//! Imports that are asked for over the network: who has taken one up, and the pieces of its file.

use gatehouse_domain::{
    authz::TenantRef,
    id::JobId,
    import::{Import, ImportState},
    time::Timestamp,
};
use sea_orm::{
    ColumnTrait, Condition, ExprTrait, IntoSimpleExpr, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Set,
    sea_query::Expr,
};

use crate::{
    entity::{
        job, user_import,
        user_import_piece::{Column, Entity, Model},
    },
    error::Result,
    repo::{
        Home,
        job::ClaimedJob,
        list::signed,
        removed,
        sweep::BATCH,
        user_import::{ACTIVE, domain},
    },
    scope::{
        WriteScope,
        system::{System, WriteSystem},
    },
};

/// Pieces that are removed at once: each is large.
const PIECES: u64 = 64;

impl WriteScope<'_> {
    /// Keeps a piece of the file of an import that is to come.
    ///
    /// # Errors
    /// [`crate::Error::ScopeViolation`] when the tenant lies outside the scope.
    pub async fn keep_piece(&self, tenant: TenantRef, import: JobId, number: u64, sealed: Vec<u8>) -> Result<()> {
        let row = Model {
            tenant_id: tenant.id.uuid(),
            import_id: import.uuid(),
            number: signed(number),
            sealed,
            created_at: self.tx.now().micros(),
        };
        self.table_of::<Entity>(&home(tenant))?.insert(row).exec_without_returning(&self.tx.writing()).await?;
        Ok(())
    }

    /// Removes the pieces of a file, unless there is the import that they were to be for.
    ///
    /// # Errors
    /// [`crate::Error::ScopeViolation`] when the tenant lies outside the scope.
    pub async fn drop_pieces(&self, tenant: TenantRef, import: JobId) -> Result<()> {
        let imports = self.select_even_deleted::<user_import::Entity>().select_only().expr(Expr::cust("1"));
        let imports = imports.filter(user_import::Column::Id.eq(import.uuid()));
        let pieces = self.table_of::<Entity>(&home(tenant))?.delete().filter(of_import(tenant, import));
        pieces.filter(Expr::exists(imports.into_query()).not()).exec(&self.tx.writing()).await?;
        Ok(())
    }
}

/// Whose a file is before there is its import.
const fn home(tenant: TenantRef) -> Home {
    Home { partner: tenant.partner_id, tenant: Some(tenant.id), user: None }
}

/// The pieces of the file of an import.
fn of_import(tenant: TenantRef, import: JobId) -> Condition {
    Condition::all().add(Column::TenantId.eq(tenant.id.uuid())).add(Column::ImportId.eq(import.uuid()))
}

impl System<'_> {
    /// A piece of the file of an import, from 0; none behind the last, and none when the import has ended.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn piece(&self, import: &Import, number: u64) -> Result<Option<Vec<u8>>> {
        let pieces = self.table::<Entity>().select().filter(of_import(import.tenant, import.id));
        let piece = pieces.filter(Column::Number.eq(signed(number))).one(&self.exec).await?;
        Ok(piece.map(|piece| piece.sealed))
    }
}

impl WriteSystem<'_> {
    /// Takes up an import, under the claim of its job: whoever had it before can do nothing more with it. None if it has
    /// ended, or somebody else has the job by now.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn take_up_import(&self, claim: &ClaimedJob) -> Result<Option<Import>> {
        let mut held = self.table::<job::Entity>().select().select_only().expr(Expr::cust("1"));
        held = held.filter(claim.still());
        let taken = self
            .update_where::<user_import::Entity>()
            .col_expr(user_import::Column::State, Expr::value(ImportState::Running.as_str()))
            .col_expr(user_import::Column::Version, user_import::Column::Version.into_simple_expr().add(1))
            .filter(user_import::Column::Id.eq(claim.job.id.uuid()))
            .filter(user_import::Column::TenantId.eq(claim.tenant.id.uuid()))
            .filter(user_import::Column::State.is_in(ACTIVE.map(|state| state.as_str())))
            .filter(Expr::exists(held.into_query()));
        let mut rows = taken.exec_with_returning(&self.tx.writing()).await?;
        rows.pop().map(domain).transpose()
    }

    /// Forgets lines that an import rejected whose time has come, at most [`BATCH`]; returns whether there was one.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn purge_rejected_lines(&self) -> Result<bool> {
        let due = self.select::<user_import::Entity>();
        let due = due.filter(user_import::Column::State.is_not_in(ACTIVE.map(|state| state.as_str())));
        let due = due.filter(user_import::Column::ForgetAt.lte(self.tx.now().micros()));
        let row = due.order_by_asc(user_import::Column::ForgetAt).one(&self.exec).await?;
        let Some(row) = row else { return Ok(false) };
        let import = domain(row)?;
        if self.forget_rejected_lines(&import).await? < BATCH {
            let row = user_import::ActiveModel { forget_at: Set(None), ..user_import::ActiveModel::default() };
            let done = self.update_where::<user_import::Entity>().set(row);
            done.filter(user_import::Column::Id.eq(import.id.uuid())).exec(&self.tx.writing()).await?;
        }
        Ok(true)
    }

    /// Removes pieces from before an instant that no import waits for, a few at a time; returns whether there were any.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn purge_pieces(&self, before: Timestamp) -> Result<bool> {
        let pieces = self.table::<Entity>().delete_some(|pieces| {
            let mut import = self.table::<user_import::Entity>().select().select_only().expr(Expr::cust("1"));
            import = import
                .filter(user_import::Column::TenantId.into_expr().eq(Column::TenantId.into_expr()))
                .filter(user_import::Column::Id.into_expr().eq(Column::ImportId.into_expr()));
            let orphans = pieces.filter(Expr::exists(import.into_query()).not());
            orphans.filter(Column::CreatedAt.lt(before.micros())).limit(PIECES)
        });
        Ok(removed(pieces.exec(&self.tx.writing()).await?) > 0)
    }
}
