//! The bypass: what Gatehouse does before anyone is known, and by itself. It asks for a reason, so that every use can
//! be found and the audit trail can name it.

use std::ops::Deref;

use gatehouse_domain::{
    audit,
    authz::{ActorsShown, By, Reach, SystemReason},
    id::{PartnerId, TenantId},
    platform::{LastAdministrator, administrator_stays},
    secret::TokenHash,
    settings::Level,
    time::Timestamp,
};
use sea_orm::{ColumnTrait, Condition, IntoSimpleExpr, QueryFilter, QuerySelect, Set, sea_query::Expr};

use crate::{
    db::{Db, WriteTx},
    entity::{installation, setup_token},
    error::{Error, Result},
    repo::{exists, from_json, settings::above},
    scope::{Scope, WriteScope},
};

/// Reading as Gatehouse.
#[derive(Debug)]
pub struct System<'c> {
    scope: Scope<'c>,
    reason: SystemReason,
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
    pub fn system(&self, reason: SystemReason) -> System<'_> {
        System { scope: Scope { exec: self.reader(), reach: Reach::Platform, shown: ActorsShown::All }, reason }
    }
}

impl<'t> WriteTx<'t> {
    /// Reads and saves as Gatehouse.
    #[must_use]
    pub fn system(&'t self, reason: SystemReason) -> WriteSystem<'t> {
        let scope = || Scope { exec: self.exec(), reach: Reach::Platform, shown: ActorsShown::All };
        WriteSystem { scope: WriteScope { scope: scope(), tx: self }, read: System { scope: scope(), reason } }
    }
}

impl WriteTx<'_> {
    /// Makes sure that an administrator of the platform stays, after a change that may have taken the last one away. Holds
    /// the answer until the transaction ends, so that two administrators cannot remove each other at the same time.
    ///
    /// # Errors
    /// [`Error::LastAdministrator`].
    pub(crate) async fn administrator_stays(&self, is_endangered: bool) -> Result<()> {
        if !is_endangered {
            return Ok(());
        }
        let system = self.system(SystemReason::Authentication);
        let lock = system.table::<installation::Entity>().update();
        let lock = lock.col_expr(installation::Column::CreatedAt, installation::Column::CreatedAt.into_simple_expr());
        lock.exec(&self.writing()).await?;
        let left = system.administrators().await?;
        let is_set_up = left == 0 && system.read().installation().await?.is_some_and(|it| it.set_up_at.is_some());
        administrator_stays(left, is_set_up).map_err(|LastAdministrator| Error::LastAdministrator)
    }
}

impl System<'_> {
    /// Gatehouse, for this reason: who the events of what it does name.
    #[must_use]
    pub const fn by(&self) -> By {
        By::system(self.reason)
    }

    /// The installation, once the first start has made it.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn installation(&self) -> Result<Option<Installation>> {
        // No column that a database of an earlier release has not got.
        use installation::Column::{CreatedAt, KeyCheck, SetUpAt};
        let row = self.table::<installation::Entity>().select().select_only().columns([CreatedAt, KeyCheck, SetUpAt]);
        let row = row.into_tuple::<(i64, Vec<u8>, Option<i64>)>().one(&self.exec).await?;
        Ok(row.map(|(created_at, key_check, set_up_at)| Installation {
            created_at: Timestamp::from_micros(created_at),
            key_check,
            set_up_at: set_up_at.map(Timestamp::from_micros),
        }))
    }

    /// Where the server that ran last is found.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn public_url(&self) -> Result<Option<String>> {
        let url = self.table::<installation::Entity>().select().select_only();
        let url = url.column(installation::Column::PublicUrl).into_tuple::<Option<String>>().one(&self.exec).await?;
        Ok(url.flatten())
    }

    /// Whether a setup token could be spent.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn has_setup_token(&self, hash: TokenHash, now: Timestamp) -> Result<bool> {
        let tokens = self.table::<setup_token::Entity>().select().filter(unspent(hash, now));
        exists(tokens, self.exec).await
    }
}

/// A setup token that has not expired.
fn unspent(hash: TokenHash, now: Timestamp) -> Condition {
    use setup_token::Column;
    Condition::all().add(Column::TokenHash.eq(hash.as_bytes().to_vec())).add(Column::ExpiresAt.gt(now.micros()))
}

impl<'t> WriteSystem<'t> {
    /// Notes where the server is found.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn note_public_url(&self, url: &str) -> Result<()> {
        let noted = installation::ActiveModel { public_url: Set(Some(url.to_owned())), ..Default::default() };
        self.table::<installation::Entity>().update().set(noted).exec(&self.tx.writing()).await?;
        Ok(())
    }

    /// The reading half.
    #[must_use]
    pub const fn read(&self) -> &System<'t> {
        &self.read
    }

    /// Gatehouse, for this reason: who the events of what it does name.
    #[must_use]
    pub const fn by(&self) -> By {
        self.read.by()
    }

    /// Makes the one row about the installation.
    ///
    /// # Errors
    /// [`crate::Error::Conflict`] when it exists.
    pub async fn install(&self, key_check: &[u8]) -> Result<()> {
        let row = installation::ActiveModel {
            id: Set(1),
            created_at: Set(self.tx.now().micros()),
            key_check: Set(key_check.to_vec()),
            ..installation::ActiveModel::default()
        };
        self.table::<installation::Entity>().insert(row).exec_without_returning(&self.tx.writing()).await?;
        Ok(())
    }

    /// Stores the digest of a new setup token and removes those that have expired.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn add_setup_token(&self, hash: TokenHash, expires_at: Timestamp) -> Result<()> {
        let (tokens, db) = (|| self.table::<setup_token::Entity>(), self.tx.writing());
        tokens().delete().filter(setup_token::Column::ExpiresAt.lte(self.tx.now().micros())).exec(&db).await?;
        let row = setup_token::Model { token_hash: hash.as_bytes().to_vec(), expires_at: expires_at.micros() };
        tokens().insert(row).exec_without_returning(&db).await?;
        self.tx.record(audit::setup_token_created(self.by())).await
    }

    /// Spends a setup token; false if it is unknown, expired or spent.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn spend_setup_token(&self, hash: TokenHash) -> Result<bool> {
        let spent = self.table::<setup_token::Entity>().delete().filter(unspent(hash, self.tx.now()));
        Ok(spent.exec(&self.tx.writing()).await?.rows_affected == 1)
    }

    /// How many users administer the platform for good and can sign in: active, with a password, and with a verified
    /// address where one is asked for. Counted as far as this transaction has come.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn administrators(&self) -> Result<u64> {
        let rows = self.owner_rows().await?;
        let mut administrators = 0;
        for row in rows {
            let verified: bool = row.try_get("", "email_verified")?;
            let settings: String = row.try_get("", "settings")?;
            let partner = PartnerId::from_uuid(row.try_get("", "partner_id")?);
            let tenant = TenantId::from_uuid(row.try_get("", "tenant_id")?);
            let layers = above(&row, partner)?.with(Level::Tenant(tenant), from_json(&settings, "tenant settings")?);
            administrators += u64::from(verified || !layers.asks_for_verified_email());
        }
        Ok(administrators)
    }

    /// Closes the setup for good; false if it was closed already.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn finish_setup(&self) -> Result<bool> {
        let db = self.tx.writing();
        let open = self.table::<installation::Entity>().update().filter(installation::Column::SetUpAt.is_null());
        let closed = open.col_expr(installation::Column::SetUpAt, Expr::value(self.tx.now().micros()));
        let first = closed.exec(&db).await?.rows_affected == 1;
        self.table::<setup_token::Entity>().delete().exec(&db).await?;
        Ok(first)
    }
}
