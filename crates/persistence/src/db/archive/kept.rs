//! What was revoked in the database that is replaced stays revoked in the one that takes its place: for the time of the
//! transaction, what changed since the backup lies in tables beside.

use gatehouse_domain::{partner::Status, platform::Kept, time::Timestamp, user::UserStatus};
use sea_orm::{ConnectionTrait, DbBackend};

use crate::{db::WriteTx, error::Result};

/// Where somebody can lose something.
const TABLES: [&str; 6] = ["users", "tenants", "partners", "role_assignments", "roles", "applications"];

/// A password that became another one, or none, stops working. Who had none before has none to stop.
const PASSWORDS: &str = "UPDATE users SET password_hash = b.password_hash, password_hash_cost = b.password_hash_cost, \
     password_changed_at = b.password_changed_at, version = users.version + 1 FROM before_users b \
     WHERE b.id = users.id AND b.deleted_at IS NULL AND users.deleted_at IS NULL AND users.password_hash IS NOT NULL \
     AND (b.password_hash IS NULL OR b.password_hash <> users.password_hash) \
     AND b.password_changed_at > COALESCE(users.password_changed_at, 0)";
const EXPIRY: &str = "UPDATE role_assignments SET expires_at = b.expires_at, updated_at = b.updated_at, version = role_assignments.version + 1 \
     FROM before_role_assignments b WHERE b.id = role_assignments.id AND role_assignments.deleted_at IS NULL \
     AND b.expires_at < COALESCE(role_assignments.expires_at, b.expires_at + 1)";
const PERMISSIONS: &str = "UPDATE roles SET permissions = b.permissions, updated_at = b.updated_at, version = roles.version + 1 FROM before_roles b \
     WHERE b.id = roles.id AND b.deleted_at IS NULL AND roles.deleted_at IS NULL AND b.permissions <> roles.permissions";
/// A secret that was replaced, or ended with its application, stops working; one that was made since goes on.
const SECRETS: &str = "UPDATE applications SET secrets = b.secrets, updated_at = b.updated_at, version = applications.version + 1 \
     FROM before_applications b WHERE b.id = applications.id AND b.secrets <> applications.secrets";

impl WriteTx<'_> {
    /// Keeps what has changed since an instant.
    ///
    /// # Errors
    /// The database refuses a statement.
    pub async fn keep_changed_since(&self, since: Timestamp) -> Result<()> {
        let (db, since) = (self.writing(), since.micros());
        let is_over = if db.get_database_backend() == DbBackend::Sqlite { "" } else { " ON COMMIT DROP" };
        for table in TABLES {
            let password = if table == "users" { format!(" OR password_changed_at > {since}") } else { String::new() };
            let changed = format!("updated_at > {since} OR deleted_at > {since}{password}");
            let sql = format!("CREATE TEMP TABLE before_{table}{is_over} AS SELECT * FROM {table} WHERE {changed}");
            db.execute_unprepared(&sql).await?;
        }
        Ok(())
    }

    /// Revokes here what was revoked there.
    ///
    /// # Errors
    /// The database refuses a statement.
    pub async fn revoke_what_was_kept(&self) -> Result<Kept> {
        let now = self.now().micros();
        let suspended = |table: &str, word: &str| {
            format!(
                "UPDATE {table} SET status = '{word}', updated_at = {now}, version = version + 1 \
                 WHERE deleted_at IS NULL AND status <> '{word}' AND id IN \
                 (SELECT id FROM before_{table} WHERE status = '{word}' OR deleted_at IS NOT NULL)"
            )
        };
        let taken = format!(
            "UPDATE role_assignments SET deleted_at = {now}, updated_at = {now}, version = version + 1 \
             WHERE deleted_at IS NULL AND id IN (SELECT id FROM before_role_assignments WHERE deleted_at IS NOT NULL)"
        );
        let db = self.writing();
        let run = async |sql: &str| Ok::<_, crate::Error>(db.execute_unprepared(sql).await?.rows_affected());
        Ok(Kept {
            users: run(&suspended("users", UserStatus::Suspended.as_str())).await?,
            tenants: run(&suspended("tenants", Status::Suspended.as_str())).await?,
            partners: run(&suspended("partners", Status::Suspended.as_str())).await?,
            passwords: run(PASSWORDS).await?,
            assignments: run(&taken).await? + run(EXPIRY).await?,
            roles: run(PERMISSIONS).await?,
            applications: run(&suspended("applications", Status::Suspended.as_str())).await?,
            secrets: run(SECRETS).await?,
        })
    }
}
