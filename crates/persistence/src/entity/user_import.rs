//! Imports of users.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "user_imports")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub partner_id: Uuid,
    pub on_conflict: String,
    pub state: String,
    pub digest: Vec<u8>,
    pub created: i64,
    pub updated: i64,
    pub skipped: i64,
    pub rejected: i64,
    pub created_at: i64,
    pub updated_at: i64,
    pub version: i64,
    pub format: Option<String>,
    pub dry_run: bool,
    pub asked_by: Option<Uuid>,
    pub asked_session: Option<Uuid>,
    pub failure: Option<String>,
    pub forget_at: Option<i64>,
    pub asked_application: Option<Uuid>,
    pub asked_permissions: Option<String>,
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
