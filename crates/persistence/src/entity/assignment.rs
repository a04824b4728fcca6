//! Who holds which role where.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "role_assignments")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub partner_id: Uuid,
    pub user_id: Uuid,
    pub role_id: Uuid,
    pub role_tenant_id: Option<Uuid>,
    pub anchor_level: String,
    pub anchor_partner_id: Option<Uuid>,
    pub anchor_tenant_id: Option<Uuid>,
    pub anchor_key: String,
    pub expires_at: Option<i64>,
    pub created_at: i64,
    pub updated_at: i64,
    pub deleted_at: Option<i64>,
    pub version: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    #[sea_orm(belongs_to = "super::tenant::Entity", from = "Column::AnchorTenantId", to = "super::tenant::Column::Id")]
    AnchorTenant,
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
    #[sea_orm(
        belongs_to = "super::partner::Entity",
        from = "Column::AnchorPartnerId",
        to = "super::partner::Column::Id"
    )]
    AnchorPartner,
    #[sea_orm(
        belongs_to = "super::role::Entity",
        from = "(Column::RoleTenantId, Column::RoleId)",
        to = "(super::role::Column::TenantId, super::role::Column::Id)"
    )]
    Role,
}

impl ActiveModelBehavior for ActiveModel {}
