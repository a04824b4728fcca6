//! Requests that were answered, by the digests of their idempotency keys.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "idempotency_keys")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub key_hash: Vec<u8>,
    pub tenant_id: Uuid,
    pub user_id: Option<Uuid>,
    pub fingerprint: Vec<u8>,
    pub answer: Vec<u8>,
    pub kept_at: i64,
    pub application_id: Option<Uuid>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    #[sea_orm(
        belongs_to = "super::application::Entity",
        from = "Column::ApplicationId",
        to = "super::application::Column::Id"
    )]
    Application,
    #[sea_orm(
        belongs_to = "super::user::Entity",
        from = "(Column::TenantId, Column::UserId)",
        to = "(super::user::Column::TenantId, super::user::Column::Id)"
    )]
    User,
}

impl ActiveModelBehavior for ActiveModel {}
