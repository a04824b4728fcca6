//! Statements that are text: made by a scope, with its predicate in them, or by Gatehouse, which said why it acts.

use gatehouse_domain::{
    authz::{Reach, TenantRef},
    id::{PartnerId, UserId},
};
use sea_orm::{
    ActiveModelTrait, ActiveValue, ConnectionTrait, DbBackend, EntityTrait, IdenStatic, Iterable, QueryResult,
    Statement, Value,
};
use uuid::Uuid;

use crate::{
    db::Exec,
    error::{Error, Result},
    repo::{Home, list::unsigned},
    scope::{
        Owned, Scope,
        system::{System, WriteSystem},
    },
};

/// A statement in the making. Values never become part of the text. Only a scope or Gatehouse begins one.
#[derive(Debug, Clone)]
pub(crate) struct Sql {
    /// What stands before each value.
    before: Vec<String>,
    /// What comes behind the last.
    text: String,
    values: Vec<Value>,
}

impl Sql {
    fn new(text: &str) -> Self {
        Self { before: Vec::new(), text: text.to_owned(), values: Vec::new() }
    }

    pub(crate) fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// Appends a placeholder for a value, as the builder writes it for the database.
    pub(crate) fn bind(&mut self, value: impl Into<Value>) -> &mut Self {
        self.before.push(std::mem::take(&mut self.text));
        self.values.push(value.into());
        self
    }

    /// Appends a word itself, where a partial index holds only what it names: no planner looks for it among values.
    pub(crate) fn literal(&mut self, word: &'static str) -> &mut Self {
        self.push("'").push(word).push("'")
    }

    /// Appends ` = $n`, or ` IN ($n, …)` for several.
    pub(crate) fn one_of<V: Into<Value>>(&mut self, values: impl ExactSizeIterator<Item = V>) -> &mut Self {
        if values.len() == 1 {
            self.push(" = ");
            for value in values {
                self.bind(value);
            }
            return self;
        }
        self.push(" IN (");
        for (i, value) in values.enumerate() {
            if i > 0 {
                self.push(", ");
            }
            self.bind(value);
        }
        self.push(")")
    }

    /// Appends `column = $n, …` for what a row sets.
    pub(crate) fn assign<A: ActiveModelTrait>(&mut self, row: &A) -> &mut Self {
        let mut separator = "";
        for column in <A::Entity as EntityTrait>::Column::iter() {
            if let ActiveValue::Set(value) = row.get(column) {
                self.push(separator).push(column.as_str()).push(" = ").bind(value);
                separator = ", ";
            }
        }
        self
    }

    pub(crate) fn statement(self, backend: DbBackend) -> Statement {
        let mut text = String::new();
        for (at, before) in self.before.iter().enumerate() {
            text.push_str(before);
            match backend {
                DbBackend::Sqlite => text.push('?'),
                _ => text.push_str(&format!("${}", at + 1)),
            }
        }
        Statement::from_sql_and_values(backend, text + &self.text, self.values)
    }

    /// Every row that it finds.
    pub(crate) async fn all(self, db: Exec<'_>) -> Result<Vec<QueryResult>> {
        Ok(db.query_all_raw(self.statement(db.get_database_backend())).await?)
    }

    /// The first row that it finds.
    pub(crate) async fn one(self, db: Exec<'_>) -> Result<Option<QueryResult>> {
        Ok(db.query_one_raw(self.statement(db.get_database_backend())).await?)
    }

    /// Runs it; returns how many rows it changed.
    pub(crate) async fn exec(self, db: Exec<'_>) -> Result<u64> {
        Ok(db.execute_raw(self.statement(db.get_database_backend())).await?.rows_affected())
    }

    /// The number in its only column.
    pub(crate) async fn count(self, db: Exec<'_>) -> Result<u64> {
        let row = self.one(db).await?.ok_or(Error::Corrupt("count"))?;
        row.try_get_by_index::<i64>(0).map(unsigned).map_err(|_| Error::Corrupt("count"))
    }
}

impl Scope<'_> {
    /// A statement on a table whose rows belong to somebody. `start` is what comes before the predicate of the scope: it ends
    /// with `WHERE` or `AND` and names the table without an alias.
    pub(crate) fn sql<E: Owned>(&self, start: impl FnOnce(&mut Sql)) -> Sql {
        let mut sql = Sql::new("");
        start(&mut sql);
        self.push_condition::<E>(&mut sql);
        sql
    }

    /// A statement on tables that know no owner but the tenant. `start` ends with the column of the tenant.
    ///
    /// # Errors
    /// [`crate::Error::ScopeViolation`] when the tenant lies outside.
    pub(crate) fn sql_of_tenant(&self, tenant: TenantRef, start: impl FnOnce(&mut Sql)) -> Result<Sql> {
        self.sql_of(&tenant.into(), start)
    }

    /// The same of a tenant or of what lies in it.
    ///
    /// # Errors
    /// [`crate::Error::ScopeViolation`] when it lies outside.
    pub(crate) fn sql_of(&self, home: &Home, start: impl FnOnce(&mut Sql)) -> Result<Sql> {
        self.guard(home)?;
        let mut sql = Sql::new("");
        start(&mut sql);
        sql.push(" = ").bind(home.tenant.ok_or(Error::ScopeViolation)?.uuid());
        Ok(sql)
    }

    /// The predicate once more, for another part of the same statement.
    pub(crate) fn push_condition<E: Owned>(&self, sql: &mut Sql) {
        let (partner, tenant, user) = (E::partner(), E::tenant(), E::user());
        match (&self.reach, tenant, user) {
            (Reach::Platform, ..) => sql.push(" 1 = 1"),
            (Reach::Partners(ids), tenant, _) => {
                let ids = || ids.iter().map(|id| PartnerId::uuid(*id));
                sql.push(" ").push(partner.as_str()).one_of(ids());
                if let Some(tenant) = tenant.filter(|_| E::IS_HISTORY) {
                    // As in the condition that is built.
                    let (tenant, partner) = (tenant.as_str(), partner.as_str());
                    sql.push(" AND (").push(tenant).push(" = ").bind(Uuid::nil());
                    sql.push(" OR (").push(tenant).push(", ").push(partner);
                    sql.push(") IN (SELECT id, partner_id FROM tenants WHERE partner_id").one_of(ids()).push("))");
                }
                sql
            }
            (Reach::Tenant(within), Some(tenant), _) => {
                sql.push(" ").push(tenant.as_str()).push(" = ").bind(within.id.uuid())
            }
            (Reach::Own(within, own), Some(tenant), Some(user)) => {
                sql.push(" ").push(tenant.as_str()).push(" = ").bind(within.id.uuid()).push(" AND ");
                sql.push(user.as_str()).push(" = ").bind(UserId::uuid(*own))
            }
            (Reach::Tenant(_) | Reach::Own(..), ..) => sql.push(" 1 = 0"),
        };
    }
}

impl System<'_> {
    /// A statement without a predicate.
    pub(crate) fn unscoped(&self, start: &str) -> Sql {
        Sql::new(start)
    }
}

impl WriteSystem<'_> {
    /// A statement without a predicate.
    pub(crate) fn unscoped(&self, start: &str) -> Sql {
        Sql::new(start)
    }
}
