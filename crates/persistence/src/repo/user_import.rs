//! Imports of users: how far they have come, and which lines they rejected.

use gatehouse_domain::{
    authz::{PermissionSet, TenantRef},
    id::{ApplicationId, JobId, PartnerId, SessionId, TenantId, UserId},
    import::{Asker, Counts, Import, ImportState},
    page::{Direction, Key, KeyValue, Page, PageRequest},
    time::Timestamp,
    word::Word,
};
use sea_orm::{
    ColumnTrait, Condition, ExprTrait, IntoSimpleExpr, Iterable, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
    Select, Set,
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
        removed,
        role::permissions,
        sweep::BATCH,
        term::Terms,
        word,
    },
    scope::{Owned, Scope, WriteScope},
};

fn rejected(row: user_import_reject::Model) -> RejectedLine {
    RejectedLine { line: unsigned(row.line), faults: row.faults }
}

/// The states of an import that has not come to its end.
pub(super) const ACTIVE: [ImportState; 2] = [ImportState::Queued, ImportState::Running];

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
    let narrowed = row.asked_permissions.as_deref().map(permissions);
    let narrowed = row.asked_application.map(|id| (ApplicationId::from_uuid(id), narrowed.unwrap_or_default()));
    let asker = match (row.asked_session, narrowed) {
        (Some(session), narrowed) => Some(Asker::User { user_id, session_id: SessionId::from_uuid(session), narrowed }),
        (None, Some((id, permissions))) => Some(Asker::Application(id, permissions)),
        (None, None) => None,
    };
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
        let (user, session, application, narrowed) = match &self.asker {
            Some(Asker::User { user_id, session_id, narrowed }) => {
                let (id, permissions) = narrowed.as_ref().map(|(id, permissions)| (id.uuid(), permissions)).unzip();
                (user_id.map(UserId::uuid), Some(session_id.uuid()), id, permissions)
            }
            Some(Asker::Application(id, permissions)) => (None, None, Some(id.uuid()), Some(permissions)),
            None => (None, None, None, None),
        };
        Ok(ActiveModel {
            id: Set(self.id.uuid()),
            tenant_id: Set(self.tenant.id.uuid()),
            partner_id: Set(self.tenant.partner_id.uuid()),
            on_conflict: Set(self.on_conflict.to_string()),
            format: Set(self.format.map(|format| format.to_string())),
            dry_run: Set(self.dry_run),
            asked_by: Set(user),
            asked_session: Set(session),
            asked_application: Set(application),
            asked_permissions: Set(narrowed.map(PermissionSet::to_string)),
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
        let states = ACTIVE.map(|state| Expr::cust(format!("'{state}'")));
        let active = select.filter(Column::State.into_expr().is_in(states));
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
        use user_import_reject::Column;
        let (rejects, db) = (self.rejects(import)?, self.exec);
        let total = rejects.clone().count(&db).await?;
        let (rejects, beyond): (_, fn(&Column, i64) -> Expr) = match direction {
            Direction::Ascending => (rejects.order_by_asc(Column::Line), Column::gt),
            Direction::Descending => (rejects.order_by_desc(Column::Line), Column::lt),
        };
        let last = match page.after() {
            Some(Key { value: KeyValue::Number(last), .. }) => Some(beyond(&Column::Line, signed(*last))),
            _ => None,
        };
        let rejects = rejects.filter(Condition::all().add_option(last));
        let per_page = page.per_page.get();
        let mut rows = rejects.limit(per_page + 1).offset(page.offset()).all(&db).await?;
        let more = rows.len() as u64 > per_page;
        rows.truncate(usize::try_from(per_page).unwrap_or(usize::MAX));
        let items: Vec<_> = rows.into_iter().map(rejected).collect();
        let key = |last: &RejectedLine| Key { value: KeyValue::Number(last.line), id: import.id.uuid() };
        Ok(Page { next: items.last().filter(|_| more).map(key), total, items })
    }

    fn rejects(&self, import: &Import) -> Result<Select<user_import_reject::Entity>> {
        Ok(self.table_of::<user_import_reject::Entity>(&import.home())?.select().filter(of_import(import)))
    }

    /// Lines that an import rejected behind one, in their order, at most [`BATCH`].
    ///
    /// # Errors
    /// [`crate::Error::ScopeViolation`] when the import lies outside the scope.
    pub async fn rejected_lines(&self, import: &Import, after: u64) -> Result<Vec<RejectedLine>> {
        let line = user_import_reject::Column::Line;
        let behind = self.rejects(import)?.filter(line.gt(signed(after))).order_by_asc(line).limit(BATCH as u64);
        Ok(behind.all(&self.exec).await?.into_iter().map(rejected).collect())
    }
}

/// What an import rejected.
fn of_import(import: &Import) -> Condition {
    use user_import_reject::Column;
    Condition::all().add(Column::TenantId.eq(import.tenant.id.uuid())).add(Column::ImportId.eq(import.id.uuid()))
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
        let first = self.table_of::<user_import_reject::Entity>(&import.home())?.delete_some(|rows| {
            rows.filter(of_import(import)).order_by_asc(user_import_reject::Column::Line).limit(BATCH as u64)
        });
        Ok(removed(first.exec(&self.tx.writing()).await?))
    }
}
