//! Links that can be used once.

use gatehouse_domain::{authz::TenantRef, id::UserId, secret::TokenHash, time::Timestamp, user::User};
use sea_orm::ConnectionTrait;
use uuid::Uuid;

use crate::{
    error::{Error, Result},
    repo::{Row, sql::Sql, sweep::BATCH},
    scope::{
        WriteScope,
        system::{System, WriteSystem},
    },
};

/// What a link is good for; for nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Setting the first password.
    Invitation,
}

impl Purpose {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Invitation => "invitation",
        }
    }
}

fn find(start: &str, tenant: TenantRef, purpose: Purpose, hash: TokenHash, now: Timestamp) -> Sql {
    let mut sql = Sql::new(start);
    sql.push(" FROM user_tokens WHERE token_hash = ").bind(hash.as_bytes().to_vec());
    sql.push(" AND purpose = ").bind(purpose.as_str()).push(" AND tenant_id = ").bind(tenant.id.uuid());
    sql.push(" AND expires_at > ").bind(now.micros());
    sql
}

impl WriteScope<'_> {
    /// Stores the digest of a user's link; one of the same purpose stops working.
    ///
    /// # Errors
    /// [`Error::ScopeViolation`] when the user lies outside the scope.
    pub async fn put_token(&self, user: &User, purpose: Purpose, hash: TokenHash, expires_at: Timestamp) -> Result<()> {
        self.drop_token(user, purpose).await?;
        let mut sql =
            Sql::new("INSERT INTO user_tokens (token_hash, tenant_id, user_id, purpose, expires_at) VALUES (");
        sql.bind(hash.as_bytes().to_vec()).push(", ").bind(user.tenant_id.uuid()).push(", ").bind(user.id.uuid());
        sql.push(", ").bind(purpose.as_str()).push(", ").bind(expires_at.micros()).push(")");
        let db = self.tx.writing();
        self.tx.check(db.execute_raw(sql.statement(db.get_database_backend())).await).map(drop)
    }

    /// Makes a user's link stop working; false if there is none.
    ///
    /// # Errors
    /// [`Error::ScopeViolation`] when the user lies outside the scope.
    pub async fn drop_token(&self, user: &User, purpose: Purpose) -> Result<bool> {
        self.guard(&user.home())?;
        let mut sql = Sql::new("DELETE FROM user_tokens WHERE tenant_id = ");
        sql.bind(user.tenant_id.uuid()).push(" AND user_id = ").bind(user.id.uuid());
        sql.push(" AND purpose = ").bind(purpose.as_str());
        let db = self.tx.writing();
        let result = self.tx.check(db.execute_raw(sql.statement(db.get_database_backend())).await)?;
        Ok(result.rows_affected() > 0)
    }
}

impl System<'_> {
    /// Whose link that is, if it could be used now.
    ///
    /// # Errors
    /// As any statement.
    pub async fn token_owner(
        &self,
        tenant: TenantRef,
        purpose: Purpose,
        hash: TokenHash,
        now: Timestamp,
    ) -> Result<Option<UserId>> {
        let db = self.exec;
        let sql = find("SELECT user_id", tenant, purpose, hash, now);
        let row = db.query_one_raw(sql.statement(db.get_database_backend())).await?;
        row.map(|row| Ok(UserId::from_uuid(row.try_get::<Uuid>("", "user_id")?))).transpose()
    }
}

impl WriteSystem<'_> {
    /// Uses a link up; none if it is unknown, used, of another purpose or tenant, or too old.
    ///
    /// # Errors
    /// As any statement.
    pub async fn spend_token(
        &self,
        tenant: TenantRef,
        purpose: Purpose,
        hash: TokenHash,
    ) -> Result<Option<UserId>, Error> {
        let db = self.tx.writing();
        let mut sql = find("DELETE", tenant, purpose, hash, self.tx.now());
        sql.push(" RETURNING user_id");
        let row = self.tx.check(db.query_one_raw(sql.statement(db.get_database_backend())).await)?;
        row.map(|row| Ok(UserId::from_uuid(row.try_get::<Uuid>("", "user_id")?))).transpose()
    }

    /// Removes links that can be used no more, at most [`BATCH`]; returns how many.
    ///
    /// # Errors
    /// As any statement.
    pub async fn purge_tokens(&self) -> Result<usize> {
        let mut sql = Sql::new(
            "DELETE FROM user_tokens WHERE token_hash IN (SELECT token_hash FROM user_tokens WHERE expires_at <= ",
        );
        sql.bind(self.tx.now().micros()).push(" LIMIT ").bind(BATCH as i64).push(")");
        Ok(usize::try_from(self.execute(sql).await?).unwrap_or(usize::MAX))
    }
}
