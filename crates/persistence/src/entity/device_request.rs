//! Devices that wait for somebody to sign them in, by digests of what they ask with.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "device_requests")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub digest: Vec<u8>,
    pub user_code: String,
    pub tenant_id: Option<Uuid>,
    pub partner_id: Option<Uuid>,
    pub application_id: Uuid,
    pub owner_id: Uuid,
    pub scope: String,
    pub audience: String,
    pub ip_address: Option<String>,
    pub interval_micros: i64,
    pub polled_at: Option<i64>,
    pub session_id: Option<Uuid>,
    pub is_approved: Option<bool>,
    pub spent_at: Option<i64>,
    pub created_at: i64,
    pub expires_at: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    #[sea_orm(
        belongs_to = "super::application::Entity",
        from = "(Column::OwnerId, Column::ApplicationId)",
        to = "(super::application::Column::OwnerId, super::application::Column::Id)"
    )]
    Application,
    #[sea_orm(
        belongs_to = "super::session::Entity",
        from = "(Column::TenantId, Column::SessionId)",
        to = "(super::session::Column::TenantId, super::session::Column::Id)"
    )]
    Session,
    #[sea_orm(
        belongs_to = "super::tenant::Entity",
        from = "(Column::PartnerId, Column::TenantId)",
        to = "(super::tenant::Column::PartnerId, super::tenant::Column::Id)"
    )]
    Tenant,
}

impl ActiveModelBehavior for ActiveModel {}
