//! Imports of users: how far they have come, and which lines they rejected.

use gatehouse_domain::{
    authz::TenantRef,
    id::{JobId, PartnerId, TenantId},
    import::{Counts, Import, ImportState},
    time::Timestamp,
};
use sea_orm::{ColumnTrait, ConnectionTrait, QueryFilter, Set, sea_query::Expr};

use crate::{
    entity::user_import::{ActiveModel, Column, Entity, Model},
    error::{Error, Result},
    repo::{
        Home, Row, Versioned,
        list::{signed, unsigned},
        sql::Sql,
        sweep::BATCH,
        term::Terms,
        word,
    },
    scope::{Owned, Scope, WriteScope},
};

/// A line that was rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedLine {
    /// Its number in the file.
    pub line: u64,
    /// What was wrong with it, as JSON.
    pub faults: String,
}

fn domain(row: Model) -> Result<Import> {
    Ok(Import {
        id: JobId::from_uuid(row.id),
        tenant: TenantRef { id: TenantId::from_uuid(row.tenant_id), partner_id: PartnerId::from_uuid(row.partner_id) },
        on_conflict: word(&row.on_conflict, "way with conflicts")?,
        state: word(&row.state, "import state")?,
        digest: row.digest,
        counts: Counts {
            created: unsigned(row.created),
            updated: unsigned(row.updated),
            skipped: unsigned(row.skipped),
            rejected: unsigned(row.rejected),
        },
        created_at: Timestamp::from_micros(row.created_at),
        updated_at: Timestamp::from_micros(row.updated_at),
        version: row.version,
    })
}

impl Row for Import {
    type Entity = Entity;
    type Active = ActiveModel;

    fn home(&self) -> Home {
        Home { partner: self.tenant.partner_id, tenant: Some(self.tenant.id), user: None }
    }

    fn terms(&self) -> Option<Terms> {
        None
    }

    fn uuid(&self) -> uuid::Uuid {
        self.id.uuid()
    }

    fn insertable(&self) -> Result<ActiveModel> {
        Ok(ActiveModel {
            id: Set(self.id.uuid()),
            tenant_id: Set(self.tenant.id.uuid()),
            partner_id: Set(self.tenant.partner_id.uuid()),
            on_conflict: Set(self.on_conflict.to_string()),
            created_at: Set(self.created_at.micros()),
            ..self.updatable()?
        })
    }
}

impl Versioned for Import {
    fn version(&mut self) -> &mut i64 {
        &mut self.version
    }

    fn updatable(&self) -> Result<ActiveModel> {
        let Counts { created, updated, skipped, rejected } = self.counts;
        Ok(ActiveModel {
            state: Set(self.state.to_string()),
            digest: Set(self.digest.clone()),
            created: Set(signed(created)),
            updated: Set(signed(updated)),
            skipped: Set(signed(skipped)),
            rejected: Set(signed(rejected)),
            updated_at: Set(self.updated_at.micros()),
            version: Set(self.version),
            ..ActiveModel::default()
        })
    }
}

impl Scope<'_> {
    /// The import of a tenant that has not come to its end; there is at most one.
    ///
    /// # Errors
    /// As any statement.
    pub async fn running_import(&self, tenant: TenantId) -> Result<Option<Import>> {
        let select = self.select::<Entity>().filter(Column::TenantId.eq(tenant.uuid()));
        // As a literal, or no planner would know that the index of such rows applies.
        let running = select.filter(Expr::cust("state = 'running'"));
        running.one(&self.exec).await?.map(domain).transpose()
    }

    /// Lines that an import rejected behind one, in their order, at most [`BATCH`].
    ///
    /// # Errors
    /// As any statement.
    pub async fn rejected_lines(&self, import: &Import, after: u64) -> Result<Vec<RejectedLine>> {
        let mut sql = Sql::new("SELECT line, faults FROM user_import_rejects WHERE ");
        self.push_condition(&mut sql);
        sql.push(" AND tenant_id = ").bind(import.tenant.id.uuid()).push(" AND import_id = ").bind(import.id.uuid());
        sql.push(" AND line > ").bind(signed(after)).push(" ORDER BY line LIMIT ").bind(signed(BATCH as u64));
        let db = self.exec;
        let rows = db.query_all_raw(sql.statement(db.get_database_backend())).await?;
        let line = |row: &sea_orm::QueryResult| {
            Ok(RejectedLine { line: unsigned(row.try_get("", "line")?), faults: row.try_get("", "faults")? })
        };
        rows.iter().map(line).collect()
    }
}

impl WriteScope<'_> {
    /// Notes how far an import has come and which lines it rejected, if nobody else went on with it. That the users
    /// came is in the trail already, each with its own event.
    ///
    /// # Errors
    /// [`Error::Stale`] when somebody did, or it was given up.
    pub async fn advance(&self, mut import: Import, rejected: &[RejectedLine]) -> Result<Import> {
        self.guard(&import.home())?;
        let expected = import.version;
        import.version += 1;
        import.updated_at = self.tx.now();
        let update = self
            .update_where::<Entity>()
            .set(import.updatable()?)
            .filter(<Entity as Owned>::id().eq(import.id.uuid()))
            .filter(Column::Version.eq(expected))
            .filter(Column::State.eq(ImportState::Running.as_str()));
        if self.tx.check(update.exec(&self.tx.writing()).await)?.rows_affected != 1 {
            return Err(Error::Stale);
        }
        if rejected.is_empty() {
            return Ok(import);
        }
        let mut sql = Sql::new("INSERT INTO user_import_rejects (tenant_id, import_id, line, faults) VALUES ");
        for (i, RejectedLine { line, faults }) in rejected.iter().enumerate() {
            sql.push(if i == 0 { "(" } else { ", (" }).bind(import.tenant.id.uuid()).push(", ");
            sql.bind(import.id.uuid()).push(", ").bind(signed(*line)).push(", ").bind(faults.as_str()).push(")");
        }
        let db = self.tx.writing();
        self.tx.check(db.execute_raw(sql.statement(db.get_database_backend())).await)?;
        Ok(import)
    }

    /// Forgets what imports of a tenant rejected that have come to their end, at most [`BATCH`] lines; returns how many.
    ///
    /// # Errors
    /// [`Error::ScopeViolation`] when the tenant lies outside the scope.
    pub async fn forget_rejected_lines(&self, tenant: TenantRef) -> Result<usize> {
        self.guard(&Home { partner: tenant.partner_id, tenant: Some(tenant.id), user: None })?;
        let mut sql = Sql::new("DELETE FROM user_import_rejects WHERE tenant_id = ");
        sql.bind(tenant.id.uuid())
            .push(" AND (import_id, line) IN (SELECT r.import_id, r.line FROM user_import_rejects r ");
        sql.push("JOIN user_imports i ON i.id = r.import_id WHERE r.tenant_id = ").bind(tenant.id.uuid());
        sql.push(" AND i.state <> 'running' LIMIT ").bind(signed(BATCH as u64)).push(")");
        let db = self.tx.writing();
        let result = self.tx.check(db.execute_raw(sql.statement(db.get_database_backend())).await)?;
        Ok(usize::try_from(result.rows_affected()).unwrap_or(usize::MAX))
    }
}
