//! Which names and addresses of a file of users are taken.

use gatehouse_domain::id::{TenantId, UserId};
use sea_orm::QueryResult;
use uuid::Uuid;

use crate::{
    entity::user::Entity,
    error::Result,
    repo::sql::{Sql, power_of_two},
    scope::Scope,
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

impl Scope<'_> {
    /// Which of these user names and addresses are taken, and by whom.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn taken(&self, tenant: TenantId, usernames: &[String], emails: &[String]) -> Result<Vec<Taken>> {
        if usernames.is_empty() || emails.is_empty() {
            return Ok(Vec::new());
        }
        let begin = |sql: &mut Sql, field: &str| {
            sql.push("SELECT * FROM (SELECT '")
                .push(field)
                .push("' AS field, k.column1 AS name, (SELECT id FROM users WHERE");
        };
        let end = |sql: &mut Sql, field: &str, keys: &[String]| {
            sql.push(" AND deleted_at IS NULL AND tenant_id = ").bind(tenant.uuid()).push(" AND ").push(field);
            sql.push("_key = k.column1) AS id FROM (VALUES ");
            let keys: Vec<_> = keys.iter().map(String::as_str).collect();
            for (at, key) in power_of_two(&keys).enumerate() {
                sql.push(if at == 0 { "(" } else { ", (" }).bind(key).push(")");
            }
            sql.push(") k) ").push(field).push(" WHERE id IS NOT NULL");
        };
        // Text: looks name by name, as PostgreSQL read the whole tenant for a list of names. Until it has statistics of a
        // table that is just growing, it still takes another index. Plan: `users_of_a_file_are_found_by_an_index`.
        let mut sql = self.sql::<Entity>(|sql| begin(sql, "username"));
        end(&mut sql, "username", usernames);
        begin(sql.push(" UNION ALL "), "email");
        self.push_condition::<Entity>(&mut sql);
        end(&mut sql, "email", emails);
        let rows = sql.all(self.exec).await?;
        let taken = |row: &QueryResult| {
            let field = if row.try_get::<String>("", "field")? == "email" { "email" } else { "username" };
            Ok(Taken { field, key: row.try_get("", "name")?, id: UserId::from_uuid(row.try_get::<Uuid>("", "id")?) })
        };
        rows.iter().map(taken).collect()
    }
}
