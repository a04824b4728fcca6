//! Sessions.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sessions")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub partner_id: Uuid,
    pub user_id: Uuid,
    pub ip_address: Option<String>,
    pub user_agent: Option<String>,
    pub device_type: String,
    pub device_name: Option<String>,
    pub location: Option<String>,
    pub auth_methods: String,
    pub created_at: i64,
    pub last_activity_at: i64,
    pub expires_at: i64,
    pub max_expires_at: i64,
    pub idle_micros: Option<i64>,
    pub ends_at: i64,
    pub ended_at: Option<i64>,
    pub end_reason: Option<String>,
    pub ended_by: Option<Uuid>,
    pub refresh_generation: i64,
    pub refresh_hash: Vec<u8>,
    pub refreshed_at: i64,
    pub refresh_replay: Option<Vec<u8>>,
    pub refresh_micros: Option<i64>,
    pub refreshes_since: i64,
    pub refreshes: i64,
    pub kind: String,
    pub cookie_digest: Option<Vec<u8>>,
    pub authenticated_at: Option<i64>,
    pub application_id: Option<Uuid>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    #[sea_orm(
        belongs_to = "super::tenant::Entity",
        from = "(Column::PartnerId, Column::TenantId)",
        to = "(super::tenant::Column::PartnerId, super::tenant::Column::Id)"
    )]
    Tenant,
    #[sea_orm(
        belongs_to = "super::user::Entity",
        from = "(Column::TenantId, Column::UserId)",
        to = "(super::user::Column::TenantId, super::user::Column::Id)"
    )]
    User,
}

impl ActiveModelBehavior for ActiveModel {}
