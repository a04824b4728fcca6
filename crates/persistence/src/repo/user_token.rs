//! Links that can be used once.

use gatehouse_domain::{
    authz::TenantRef,
    change::Changed,
    id::UserId,
    secret::TokenHash,
    text::Email,
    time::Timestamp,
    user::{Issued, Purpose, User},
};
use uuid::Uuid;

use crate::{
    error::Result,
    repo::{Row, sql::Sql, sweep::BATCH},
    scope::{
        WriteScope,
        system::{System, WriteSystem},
    },
};

/// A link that has been used up.
#[derive(Debug, Clone)]
pub struct SpentToken {
    /// Whose it was.
    pub user_id: UserId,
    /// The address it was mailed to; none if it was handed over.
    pub mailed_to: Option<Email>,
}

fn find(start: &str, tenant: TenantRef, purpose: Purpose, hash: TokenHash, now: Timestamp) -> Sql {
    let mut sql = Sql::new(start);
    sql.push(" FROM user_tokens WHERE token_hash = ").bind(hash.as_bytes().to_vec());
    sql.push(" AND purpose = ").bind(purpose.as_str()).push(" AND tenant_id = ").bind(tenant.id.uuid());
    sql.push(" AND expires_at > ").bind(now.micros());
    sql
}

impl WriteScope<'_> {
    /// Stores the digest of a user's link with the event; one of the same purpose stops working.
    ///
    /// # Errors
    /// [`crate::Error::ScopeViolation`] when the user lies outside the scope.
    pub async fn put_token(&self, changed: Changed<Issued>, hash: TokenHash) -> Result<Issued> {
        let (issued, event) = changed.into_parts();
        let Issued { user, purpose, mailed_to, expires_at } = &issued;
        self.guard(&user.home())?;
        let mut sql = Sql::new(
            "INSERT INTO user_tokens (token_hash, tenant_id, user_id, purpose, mailed_to, expires_at) VALUES (",
        );
        sql.bind(hash.as_bytes().to_vec()).push(", ").bind(user.tenant_id.uuid()).push(", ").bind(user.id.uuid());
        sql.push(", ").bind(purpose.as_str()).push(", ").bind(mailed_to.as_ref().map(Email::to_string));
        sql.push(", ").bind(expires_at.micros());
        // One statement: two links that are made at the same time take turns, and the later one stays.
        sql.push(
            ") ON CONFLICT (tenant_id, user_id, purpose) DO UPDATE SET token_hash = excluded.token_hash, \
             mailed_to = excluded.mailed_to, expires_at = excluded.expires_at",
        );
        sql.exec(self.tx.writing()).await?;
        self.tx.record(event).await?;
        Ok(issued)
    }

    /// Makes a user's link stop working, with the event; false, and nothing, if there is none.
    ///
    /// # Errors
    /// [`crate::Error::ScopeViolation`] when the user lies outside the scope.
    pub async fn drop_token(&self, changed: Changed<User>, purpose: Purpose) -> Result<bool> {
        let (user, event) = changed.into_parts();
        self.guard(&user.home())?;
        let mut sql = Sql::new("DELETE FROM user_tokens WHERE tenant_id = ");
        sql.bind(user.tenant_id.uuid()).push(" AND user_id = ").bind(user.id.uuid());
        sql.push(" AND purpose = ").bind(purpose.as_str());
        let rows = sql.exec(self.tx.writing()).await?;
        if rows == 0 {
            return Ok(false);
        }
        self.tx.record(event).await?;
        Ok(true)
    }
}

impl System<'_> {
    /// Whose link that is, if it could be used now.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn token_owner(
        &self,
        tenant: TenantRef,
        purpose: Purpose,
        hash: TokenHash,
        now: Timestamp,
    ) -> Result<Option<UserId>> {
        let sql = find("SELECT user_id", tenant, purpose, hash, now);
        let row = sql.one(self.exec).await?;
        row.map(|row| Ok(UserId::from_uuid(row.try_get::<Uuid>("", "user_id")?))).transpose()
    }
}

impl WriteSystem<'_> {
    /// Uses a link up; none if it is unknown, used, of another purpose or tenant, or too old.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn spend_token(
        &self,
        tenant: TenantRef,
        purpose: Purpose,
        hash: TokenHash,
    ) -> Result<Option<SpentToken>> {
        let mut sql = find("DELETE", tenant, purpose, hash, self.tx.now());
        sql.push(" RETURNING user_id, mailed_to");
        let row = sql.one(self.tx.writing()).await?;
        row.map(|row| {
            Ok(SpentToken {
                user_id: UserId::from_uuid(row.try_get("", "user_id")?),
                mailed_to: row.try_get::<Option<String>>("", "mailed_to")?.map(Email::from_stored),
            })
        })
        .transpose()
    }

    /// Removes links that can be used no more, at most [`BATCH`]; returns how many.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn purge_tokens(&self) -> Result<usize> {
        let mut sql = Sql::new(
            "DELETE FROM user_tokens WHERE token_hash IN (SELECT token_hash FROM user_tokens WHERE expires_at <= ",
        );
        sql.bind(self.tx.now().micros()).push(" LIMIT ").bind(BATCH as i64).push(")");
        Ok(usize::try_from(self.execute(sql).await?).unwrap_or(usize::MAX))
    }
}
