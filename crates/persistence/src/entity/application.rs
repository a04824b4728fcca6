//! Applications of the platform, of partners and of tenants.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "applications")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub owner_id: Uuid,
    pub partner_id: Uuid,
    pub tenant_id: Option<Uuid>,
    pub name: String,
    pub registration: String,
    pub document_url: Option<String>,
    pub application_type: String,
    pub status: String,
    pub metadata: String,
    pub backchannel_logout_uri: Option<String>,
    pub secrets: String,
    #[sea_orm(column_name = "last_used_at")]
    pub noted_at: Option<i64>,
    #[sea_orm(column_name = "used_at")]
    pub last_used_at: Option<i64>,
    pub tokens_revoked_at: Option<i64>,
    pub created_at: i64,
    pub updated_at: i64,
    pub deleted_at: Option<i64>,
    pub version: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    #[sea_orm(
        belongs_to = "super::tenant::Entity",
        from = "(Column::PartnerId, Column::TenantId)",
        to = "(super::tenant::Column::PartnerId, super::tenant::Column::Id)"
    )]
    Tenant,
}

impl ActiveModelBehavior for ActiveModel {}
