//! The bypass: what Gatehouse does before anyone is known, and by itself. It asks for a reason, so that every use can
//! be found and the audit trail can name it.

use std::ops::Deref;

use gatehouse_domain::{
    audit,
    authz::{ActorsShown, By, Reach, SystemReason},
    id::{PartnerId, TenantId},
    role::BuiltinRole,
    secret::TokenHash,
    settings::Level,
    time::Timestamp,
};
use sea_orm::ConnectionTrait;

use crate::{
    db::{Db, WriteTx},
    error::Result,
    repo::{from_json, settings::above, sql::Sql},
    scope::{Scope, WriteScope},
};

/// Reading as Gatehouse.
#[derive(Debug)]
pub struct System<'c> {
    scope: Scope<'c>,
}

/// Reading and saving as Gatehouse.
#[derive(Debug)]
pub struct WriteSystem<'t> {
    scope: WriteScope<'t>,
    read: System<'t>,
}

/// The installation itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// When it was made.
    pub created_at: Timestamp,
    /// A digest that tells whether the master key is the one it was made with.
    pub key_check: Vec<u8>,
    /// When its first administrator was made.
    pub set_up_at: Option<Timestamp>,
}

impl<'c> Deref for System<'c> {
    type Target = Scope<'c>;

    fn deref(&self) -> &Self::Target {
        &self.scope
    }
}

impl<'t> Deref for WriteSystem<'t> {
    type Target = WriteScope<'t>;

    fn deref(&self) -> &Self::Target {
        &self.scope
    }
}

impl Db {
    /// Reads as Gatehouse.
    #[must_use]
    pub fn system(&self, _reason: SystemReason) -> System<'_> {
        System { scope: Scope { exec: self.reader(), reach: Reach::Platform, shown: ActorsShown::All } }
    }
}

impl<'t> WriteTx<'t> {
    /// Reads and saves as Gatehouse.
    #[must_use]
    pub fn system(&'t self, _reason: SystemReason) -> WriteSystem<'t> {
        let scope = || Scope { exec: self.exec(), reach: Reach::Platform, shown: ActorsShown::All };
        WriteSystem { scope: WriteScope { scope: scope(), tx: self }, read: System { scope: scope() } }
    }
}

impl System<'_> {
    /// The installation, once the first start has made it.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn installation(&self) -> Result<Option<Installation>> {
        let db = self.exec;
        let sql = Sql::new("SELECT created_at, key_check, set_up_at FROM installation WHERE id = 1");
        let Some(row) = db.query_one_raw(sql.statement(db.get_database_backend())).await? else { return Ok(None) };
        Ok(Some(Installation {
            created_at: Timestamp::from_micros(row.try_get("", "created_at")?),
            key_check: row.try_get("", "key_check")?,
            set_up_at: row.try_get::<Option<i64>>("", "set_up_at")?.map(Timestamp::from_micros),
        }))
    }

    /// Whether a setup token could be spent.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn has_setup_token(&self, hash: TokenHash, now: Timestamp) -> Result<bool> {
        let mut sql = Sql::new("SELECT 1 FROM setup_tokens WHERE token_hash = ");
        sql.bind(hash.as_bytes().to_vec()).push(" AND expires_at > ").bind(now.micros());
        let db = self.exec;
        Ok(db.query_one_raw(sql.statement(db.get_database_backend())).await?.is_some())
    }
}

impl<'t> WriteSystem<'t> {
    /// The reading half.
    #[must_use]
    pub const fn read(&self) -> &System<'t> {
        &self.read
    }

    pub(crate) async fn execute(&self, sql: Sql) -> Result<u64> {
        let db = self.tx.writing();
        Ok(self.tx.check(db.execute_raw(sql.statement(db.get_database_backend())).await)?.rows_affected())
    }

    /// Makes the one row about the installation.
    ///
    /// # Errors
    /// [`crate::Error::Conflict`] when it exists.
    pub async fn install(&self, key_check: &[u8]) -> Result<()> {
        let mut sql = Sql::new("INSERT INTO installation (id, created_at, key_check) VALUES (1, ");
        sql.bind(self.tx.now().micros()).push(", ").bind(key_check.to_vec()).push(")");
        self.execute(sql).await.map(drop)
    }

    /// Stores the digest of a new setup token and removes those that have expired.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn add_setup_token(&self, hash: TokenHash, expires_at: Timestamp) -> Result<()> {
        let mut sql = Sql::new("DELETE FROM setup_tokens WHERE expires_at <= ");
        sql.bind(self.tx.now().micros());
        self.execute(sql).await?;
        let mut sql = Sql::new("INSERT INTO setup_tokens (token_hash, expires_at) VALUES (");
        sql.bind(hash.as_bytes().to_vec()).push(", ").bind(expires_at.micros()).push(")");
        self.execute(sql).await?;
        self.tx.record(audit::setup_token_created(By::system(SystemReason::Setup))).await
    }

    /// Spends a setup token; false if it is unknown, expired or spent.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn spend_setup_token(&self, hash: TokenHash) -> Result<bool> {
        let mut sql = Sql::new("DELETE FROM setup_tokens WHERE token_hash = ");
        sql.bind(hash.as_bytes().to_vec()).push(" AND expires_at > ").bind(self.tx.now().micros());
        Ok(self.execute(sql).await? == 1)
    }

    /// How many users administer the platform for good and can sign in: active, with a password, and with a verified
    /// address where one is asked for. Counted as far as this transaction has come. Holds the
    /// answer until the transaction ends, so that two administrators cannot remove each other at the same time.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn owners(&self) -> Result<u64> {
        self.execute(Sql::new("UPDATE installation SET created_at = created_at WHERE id = 1")).await?;
        let mut sql = Sql::new(
            "SELECT DISTINCT u.id, u.email_verified, t.settings, t.partner_id, t.id AS tenant_id, p.settings AS partner_settings, i.settings AS platform_settings FROM role_assignments a JOIN users u ON u.tenant_id = a.tenant_id AND u.id = a.user_id \
             JOIN tenants t ON t.id = u.tenant_id JOIN partners p ON p.id = u.partner_id JOIN installation i ON i.id = 1 \
             WHERE a.deleted_at IS NULL AND a.expires_at IS NULL AND u.status = 'ACTIVE' AND u.password_hash IS NOT NULL AND t.status = 'ACTIVE' AND p.status = 'ACTIVE' \
             AND a.role_id = ",
        );
        sql.bind(BuiltinRole::SuperAdmin.id().uuid());
        let db = self.exec;
        let rows = self.tx.check(db.query_all_raw(sql.statement(db.get_database_backend())).await)?;
        let mut owners = 0;
        for row in rows {
            let verified: bool = row.try_get("", "email_verified")?;
            let settings: String = row.try_get("", "settings")?;
            let partner = PartnerId::from_uuid(row.try_get("", "partner_id")?);
            let tenant = TenantId::from_uuid(row.try_get("", "tenant_id")?);
            let layers = above(&row, partner)?.with(Level::Tenant(tenant), from_json(&settings, "tenant settings")?);
            owners += u64::from(verified || !layers.asks_for_verified_email());
        }
        Ok(owners)
    }

    /// Closes the setup for good; false if it was closed already.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn finish_setup(&self) -> Result<bool> {
        let mut sql = Sql::new("UPDATE installation SET set_up_at = ");
        sql.bind(self.tx.now().micros()).push(" WHERE id = 1 AND set_up_at IS NULL");
        let first = self.execute(sql).await? == 1;
        self.execute(Sql::new("DELETE FROM setup_tokens")).await?;
        Ok(first)
    }
}
