//! The applications that sessions were used with.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "session_applications")]
pub struct Model {
    pub tenant_id: Uuid,
    pub partner_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub session_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub application_id: Uuid,
    pub owner_id: Uuid,
    pub accessed_at: i64,
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
