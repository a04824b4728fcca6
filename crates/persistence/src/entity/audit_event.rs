//! The audit trail.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_events")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub occurred_at: i64,
    pub tenant_id: Uuid,
    pub partner_id: Uuid,
    pub actor_type: String,
    pub actor_id: Option<Uuid>,
    pub actor_session_id: Option<Uuid>,
    pub acting_as: String,
    pub action: String,
    pub resource_type: String,
    pub resource_id: Option<Uuid>,
    pub result: String,
    pub failure: Option<String>,
    pub reason: Option<String>,
    pub changes: Option<String>,
    pub ip_address: Option<String>,
    pub user_agent: Option<String>,
    pub request_id: Option<String>,
    /// Authenticates the event; events from before there were tags have none.
    pub tag: Option<Vec<u8>>,
    /// What stands for address and user agent in the tag, once these are gone.
    pub origin_digest: Option<Vec<u8>>,
    /// What stands for the changes in the tag, once their values are gone.
    pub changes_digest: Option<Vec<u8>>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
