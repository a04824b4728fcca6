//! Rows to domain values and back, one file per aggregate; the queries of each.

pub(crate) mod application;
mod application_document;
mod application_origin;
pub(crate) mod application_use;
mod assertion_id;
pub(crate) mod assignment;
pub(crate) mod audit;
pub(crate) mod audit_accept;
pub(crate) mod audit_begin;
pub(crate) mod audit_chain;
pub(crate) mod audit_list;
pub(crate) mod audit_purge;
pub(crate) mod audit_queue;
pub(crate) mod audit_redact;
pub(crate) mod audit_root;
pub(crate) mod audit_seal;
pub(crate) mod audit_surplus;
pub(crate) mod audit_tag;
pub(crate) mod audit_verify;
pub(crate) mod authorization_code;
pub(crate) mod caller;
pub(crate) mod consent;
pub(crate) mod deletion;
pub(crate) mod device_request;
pub(crate) mod idempotency;
pub(crate) mod job;
pub(crate) mod key;
pub(crate) mod known_device;
pub(crate) mod list;
pub(crate) mod logout_delivery;
pub(crate) mod partner;
pub(crate) mod pushed_request;
pub(crate) mod quota;
pub(crate) mod renewal;
mod restore;
mod retention;
pub(crate) mod revoked_token;
pub(crate) mod role;
pub(crate) mod session;
pub(crate) mod settings;
pub(crate) mod sql;
pub(crate) mod sweep;
pub(crate) mod tenant;
pub(crate) mod term;
pub(crate) mod throttle;
pub(crate) mod token_family;
pub(crate) mod tuned;
pub(crate) mod user;
pub(crate) mod user_import;
pub(crate) mod user_import_file;
pub(crate) mod user_token;
pub(crate) mod user_transfer;

use gatehouse_domain::{
    authz::TenantRef,
    id::{PartnerId, TenantId, UserId},
    word::Word,
};
use sea_orm::{ActiveModelTrait, DeleteResult, EntityTrait, QuerySelect, Select, sea_query::Expr};
use uuid::Uuid;

use crate::{
    db::{Change, Exec},
    error::{Error, Result},
    repo::term::Terms,
    scope::Owned,
};

/// Whom a value belongs to.
#[derive(Debug, Clone, Copy)]
pub struct Home {
    pub(crate) partner: PartnerId,
    pub(crate) tenant: Option<TenantId>,
    pub(crate) user: Option<UserId>,
}

impl From<TenantRef> for Home {
    fn from(tenant: TenantRef) -> Self {
        Self { partner: tenant.partner_id, tenant: Some(tenant.id), user: None }
    }
}

/// A domain value that is stored as one row.
pub trait Row: Sized + Send {
    /// The table.
    type Entity: Owned + EntityTrait<ActiveModel = Self::Active>;
    /// A row to be written.
    type Active: ActiveModelTrait<Entity = Self::Entity> + Send;
    /// What a new row invalidates; nothing, unless it gives rights to those who are signed in or is known with its tenant.
    const INSERT_CHANGES: Option<Change> = None;
    /// What it is found by and where that is kept, if it can be searched for. Everything that is stored says so: what
    /// forgot to would be stored and not found.
    fn terms(&self) -> Option<Terms>;
    /// Whom it belongs to.
    fn home(&self) -> Home;
    /// Its id.
    fn uuid(&self) -> Uuid;
    /// Every column.
    ///
    /// # Errors
    /// When a value cannot be written as JSON.
    fn insertable(&self) -> Result<Self::Active>;
}

/// A row that is updated by compare-and-set on its version.
pub trait Versioned: Row {
    /// How often it was changed.
    fn version(&mut self) -> &mut i64;
    /// The columns that may change.
    ///
    /// # Errors
    /// When a value cannot be written as JSON.
    fn updatable(&self) -> Result<Self::Active>;
}

/// Whether there is any such row.
pub(crate) async fn exists<E: EntityTrait>(rows: Select<E>, db: Exec<'_>) -> Result<bool> {
    Ok(rows.select_only().expr(Expr::cust("1")).into_tuple::<i32>().one(&db).await?.is_some())
}

/// How many rows were deleted.
pub(crate) fn removed(result: DeleteResult) -> usize {
    usize::try_from(result.rows_affected).unwrap_or(usize::MAX)
}

/// The value of a stored word.
pub(crate) fn word<T: Word>(text: &str, what: &'static str) -> Result<T> {
    T::from_word(text).map_err(|_| Error::Corrupt(what))
}

pub(crate) fn from_json<T: serde::de::DeserializeOwned>(text: &str, what: &'static str) -> Result<T> {
    serde_json::from_str(text).map_err(|_| Error::Corrupt(what))
}

pub(crate) fn to_json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|_| Error::Corrupt("value"))
}
