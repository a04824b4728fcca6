//! Imports of users: how far they have come, and which lines they rejected.

use gatehouse_domain::{
    authz::TenantRef,
    id::{JobId, PartnerId, SessionId, TenantId, UserId},
    import::{Asker, Counts, Import, ImportState},
    page::{Direction, Key, KeyValue, Page, PageRequest},
    settings::Word,
    time::Timestamp,
};
use sea_orm::{
    ColumnTrait, IntoSimpleExpr, Iterable, QueryFilter, QuerySelect, Select, Set,
    sea_query::{CaseStatement, Expr},
};

use crate::{
    entity::{
        user_import::{ActiveModel, Column, Entity, Model},
        user_import_reject,
    },
    error::{Error, Result},
    repo::{
        Home, Row, Versioned, list,
        list::{signed, unsigned},
        sql::Sql,
        sweep::BATCH,
        term::Terms,
        word,
    },
    scope::{Owned, Scope, WriteScope},
};

fn rejected(row: &sea_orm::QueryResult) -> Result<RejectedLine> {
    Ok(RejectedLine { line: unsigned(row.try_get("", "line")?), faults: row.try_get("", "faults")? })
}

/// A line that was rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedLine {
    /// Its number in the file.
    pub line: u64,
    /// What was wrong with it, as JSON.
    pub faults: String,
}

fn optional<T: Word>(text: Option<String>, what: &'static str) -> Result<Option<T>> {
    text.map(|text| word(&text, what)).transpose()
}

pub(crate) fn domain(row: Model) -> Result<Import> {
    let user_id = row.asked_by.map(UserId::from_uuid);
    let asker = row.asked_session.map(|session| Asker { user_id, session_id: SessionId::from_uuid(session) });
    Ok(Import {
        id: JobId::from_uuid(row.id),
        tenant: TenantRef { id: TenantId::from_uuid(row.tenant_id), partner_id: PartnerId::from_uuid(row.partner_id) },
        on_conflict: word(&row.on_conflict, "way with conflicts")?,
        format: optional(row.format, "form of a file")?,
        dry_run: row.dry_run,
        asker,
        state: word(&row.state, "import state")?,
        failure: optional(row.failure, "import failure")?,
        forget_at: row.forget_at.map(Timestamp::from_micros),
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
            format: Set(self.format.map(|format| format.to_string())),
            dry_run: Set(self.dry_run),
            asked_by: Set(self.asker.and_then(|asker| asker.user_id).map(UserId::uuid)),
            asked_session: Set(self.asker.map(|asker| asker.session_id.uuid())),
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
            failure: Set(self.failure.map(|failure| failure.to_string())),
            forget_at: Set(self.forget_at.map(Timestamp::micros)),
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
    /// Imports, without the user who asked for them where the reader is not shown that. The session stays: an import
    /// that nobody asked for is one of the command line, and may do more.
    fn select_imports(&self) -> Select<Entity> {
        let select = self.select::<Entity>();
        if self.shows_everybody() {
            return select;
        }
        let shown = Expr::exists(self.shown(Column::AskedBy, Column::TenantId));
        let asked_by = CaseStatement::new().case(shown, Column::AskedBy.into_simple_expr());
        let others = Column::iter().filter(|column| !matches!(column, Column::AskedBy));
        select.select_only().columns(others).expr_as(asked_by, "asked_by")
    }

    /// The import of a tenant that has not come to its end; there is at most one.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn active_import(&self, tenant: TenantId) -> Result<Option<Import>> {
        let select = self.select_imports().filter(Column::TenantId.eq(tenant.uuid()));
        // As literals, or no planner would know that the index of such rows applies.
        let active = select.filter(Expr::cust("state IN ('queued', 'running')"));
        active.one(&self.exec).await?.map(domain).transpose()
    }

    /// An import.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn import(&self, id: JobId) -> Result<Option<Import>> {
        self.select_imports().filter(Column::Id.eq(id.uuid())).one(&self.exec).await?.map(domain).transpose()
    }

    /// The imports of a tenant, by when they were asked for.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn imports(&self, tenant: TenantId, direction: Direction, page: &PageRequest) -> Result<Page<Import>> {
        let select = self.select_imports().filter(Column::TenantId.eq(tenant.uuid()));
        list::convert(list::page(self.exec, select, Column::CreatedAt, direction, page).await?, domain)
    }

    /// What an import rejected, by line.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn rejected_page(
        &self,
        import: &Import,
        direction: Direction,
        page: &PageRequest,
    ) -> Result<Page<RejectedLine>> {
        let db = self.exec;
        let mut count = Sql::new("SELECT COUNT(*) FROM user_import_rejects WHERE ");
        self.push_rejects(&mut count, import);
        let total = count.count(db).await?;
        let (beyond, order) = match direction {
            Direction::Ascending => (" > ", ""),
            Direction::Descending => (" < ", " DESC"),
        };
        let mut sql = Sql::new("SELECT line, faults FROM user_import_rejects WHERE ");
        self.push_rejects(&mut sql, import);
        if let Some(Key { value: KeyValue::Number(last), .. }) = page.after() {
            sql.push(" AND line").push(beyond).bind(signed(*last));
        }
        let per_page = page.per_page.get();
        sql.push(" ORDER BY line").push(order).push(" LIMIT ").bind(signed(per_page + 1));
        sql.push(" OFFSET ").bind(signed(page.offset()));
        let rows = sql.all(db).await?;
        let more = rows.len() as u64 > per_page;
        let shown = rows.iter().take(usize::try_from(per_page).unwrap_or(usize::MAX));
        let items = shown.map(rejected).collect::<Result<Vec<_>>>()?;
        let key = |last: &RejectedLine| Key { value: KeyValue::Number(last.line), id: import.id.uuid() };
        Ok(Page { next: items.last().filter(|_| more).map(key), total, items })
    }

    fn push_rejects(&self, sql: &mut Sql, import: &Import) {
        self.push_condition(sql);
        sql.push(" AND tenant_id = ").bind(import.tenant.id.uuid()).push(" AND import_id = ").bind(import.id.uuid());
    }

    /// Lines that an import rejected behind one, in their order, at most [`BATCH`].
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn rejected_lines(&self, import: &Import, after: u64) -> Result<Vec<RejectedLine>> {
        let mut sql = Sql::new("SELECT line, faults FROM user_import_rejects WHERE ");
        self.push_rejects(&mut sql, import);
        sql.push(" AND line > ").bind(signed(after)).push(" ORDER BY line LIMIT ").bind(signed(BATCH as u64));
        let rows = sql.all(self.exec).await?;
        rows.iter().map(rejected).collect()
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
        if update.exec(&self.tx.writing()).await?.rows_affected != 1 {
            return Err(Error::Stale);
        }
        if rejected.is_empty() {
            return Ok(import);
        }
        let rows = rejected.iter().map(|RejectedLine { line, faults }| user_import_reject::Model {
            tenant_id: import.tenant.id.uuid(),
            import_id: import.id.uuid(),
            line: signed(*line),
            faults: faults.clone(),
        });
        let rejects = self.table_of::<user_import_reject::Entity>(&import.home())?;
        rejects.insert_many(rows).exec_without_returning(&self.tx.writing()).await?;
        Ok(import)
    }

    /// Forgets the first lines that an import rejected, at most [`BATCH`]; returns how many.
    ///
    /// # Errors
    /// [`Error::ScopeViolation`] when it lies outside the scope.
    pub async fn forget_rejected_lines(&self, import: &Import) -> Result<usize> {
        self.guard(&import.home())?;
        let (tenant, id) = (import.tenant.id.uuid(), import.id.uuid());
        let mut sql = Sql::new("DELETE FROM user_import_rejects WHERE tenant_id = ");
        sql.bind(tenant).push(" AND import_id = ").bind(id);
        sql.push(" AND line IN (SELECT line FROM user_import_rejects WHERE tenant_id = ").bind(tenant);
        sql.push(" AND import_id = ").bind(id).push(" ORDER BY line LIMIT ").bind(signed(BATCH as u64)).push(")");
        let rows = sql.exec(self.tx.writing()).await?;
        Ok(usize::try_from(rows).unwrap_or(usize::MAX))
    }
}
