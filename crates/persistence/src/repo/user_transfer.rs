//! Users with their passwords, by the hundred: as they come from another system, and as they go to one.

use gatehouse_domain::{
    authz::By,
    authz::TenantRef,
    id::{TenantId, UserId},
    secret::PasswordHash,
    time::Timestamp,
    user::{User, UserCredentials, exported},
};
use sea_orm::{ColumnTrait, FromQueryResult, QueryFilter, Set};
use uuid::Uuid;

use crate::{
    entity::user::{ActiveModel, Column, Entity, Model},
    error::Result,
    repo::{
        Home, Row, Versioned,
        list::signed,
        sql::{Sql, USER, power_of_two},
        term::Terms,
        user::{domain, password_hash},
    },
    scope::{Scope, WriteScope},
};

/// A user name or an address that somebody has, as they are compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// `username` or `email`.
    pub field: &'static str,
    /// Which.
    pub key: String,
    /// Whose it is.
    pub id: UserId,
}

fn portable(mut row: Model) -> Result<UserCredentials> {
    Ok(UserCredentials { hash: password_hash(&mut row), user: domain(row)? })
}

fn with_hash(value: &UserCredentials, row: ActiveModel) -> ActiveModel {
    ActiveModel {
        password_hash: Set(value.hash.as_ref().map(|hash| hash.as_str().to_owned())),
        password_hash_cost: Set(value.hash.as_ref().and_then(PasswordHash::cost).map(i64::from)),
        ..row
    }
}

impl Row for UserCredentials {
    type Entity = Entity;
    type Active = ActiveModel;

    fn home(&self) -> Home {
        self.user.home()
    }

    fn terms(&self) -> Option<Terms> {
        Row::terms(&self.user)
    }

    fn uuid(&self) -> Uuid {
        self.user.uuid()
    }

    fn insertable(&self) -> Result<ActiveModel> {
        let changed = self.hash.as_ref().map(|_| self.user.updated_at.micros());
        Ok(ActiveModel { password_changed_at: Set(changed), ..with_hash(self, self.user.insertable()?) })
    }
}

impl Versioned for UserCredentials {
    fn version(&mut self) -> &mut i64 {
        &mut self.user.version
    }

    fn updatable(&self) -> Result<ActiveModel> {
        Ok(with_hash(self, self.user.updatable()?))
    }
}

impl Scope<'_> {
    /// Which of these user names and addresses are taken, and by whom.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn taken(&self, tenant: TenantId, usernames: &[String], emails: &[String]) -> Result<Vec<Taken>> {
        if usernames.is_empty() || emails.is_empty() {
            return Ok(Vec::new());
        }
        let mut sql = Sql::default();
        // Name by name: PostgreSQL read the whole tenant for a list of names. Until it has statistics of a table that is
        // just growing, it still takes another index.
        for (field, keys, glue) in [("username", usernames, ""), ("email", emails, " UNION ALL ")] {
            sql.push(glue)
                .push("SELECT * FROM (SELECT '")
                .push(field)
                .push("' AS field, k.column1 AS name, (SELECT id FROM users WHERE ");
            self.push_condition(&mut sql);
            sql.push(" AND deleted_at IS NULL AND tenant_id = ").bind(tenant.uuid()).push(" AND ").push(field);
            sql.push("_key = k.column1) AS id FROM (VALUES ");
            let keys: Vec<_> = keys.iter().map(String::as_str).collect();
            for (at, key) in power_of_two(&keys).enumerate() {
                sql.push(if at == 0 { "(" } else { ", (" }).bind(key).push(")");
            }
            sql.push(") k) ").push(field).push(" WHERE id IS NOT NULL");
        }
        let rows = sql.all(self.exec).await?;
        let taken = |row: &sea_orm::QueryResult| {
            let field = if row.try_get::<String>("", "field")? == "email" { "email" } else { "username" };
            Ok(Taken { field, key: row.try_get("", "name")?, id: UserId::from_uuid(row.try_get::<Uuid>("", "id")?) })
        };
        rows.iter().map(taken).collect()
    }

    /// One user with the password.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn portable_user(&self, id: UserId) -> Result<Option<UserCredentials>> {
        self.select::<Entity>().filter(Column::Id.eq(id.uuid())).one(&self.exec).await?.map(portable).transpose()
    }

    /// The users of a tenant with their passwords, in the order in which they came, behind one, up to an instant.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn user_feed(
        &self,
        tenant: TenantRef,
        after: Option<&User>,
        until: Timestamp,
        limit: u64,
    ) -> Result<Vec<UserCredentials>> {
        let mut sql = Sql::new("SELECT ");
        sql.push(&USER).push(" FROM users u WHERE ");
        self.push_condition(&mut sql);
        sql.push(" AND u.deleted_at IS NULL AND u.tenant_id = ").bind(tenant.id.uuid());
        sql.push(" AND u.created_at <= ").bind(until.micros());
        if let Some(user) = after {
            sql.push(" AND (u.created_at, u.id) > (").bind(user.created_at.micros());
            sql.push(", ").bind(user.id.uuid()).push(")");
        }
        sql.push(" ORDER BY u.created_at, u.id LIMIT ").bind(signed(limit));
        let rows = sql.all(self.exec).await?;
        rows.iter().map(|row| portable(Model::from_query_result(row, "u_")?)).collect()
    }
}

impl WriteScope<'_> {
    /// Stores the event of the users of a tenant being read out.
    ///
    /// # Errors
    /// [`crate::Error::ScopeViolation`] when the tenant lies outside the scope.
    pub async fn note_export(&self, tenant: TenantRef, with_password_hashes: bool, by: By) -> Result<()> {
        self.guard(&Home { partner: tenant.partner_id, tenant: Some(tenant.id), user: None })?;
        self.tx.record(exported(tenant, with_password_hashes, by)).await
    }
}
