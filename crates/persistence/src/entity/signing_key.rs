//! Signing keys.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "signing_keys")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub owner_id: Uuid,
    pub tenant_id: Option<Uuid>,
    pub partner_id: Uuid,
    pub algorithm: String,
    pub public_jwk: String,
    pub private_sealed: Vec<u8>,
    pub state: String,
    pub created_at: i64,
    pub retired_at: Option<i64>,
    pub withdrawn_at: Option<i64>,
    pub version: i64,
    pub activated_at: Option<i64>,
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
