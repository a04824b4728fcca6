//! Of which ended sessions applications are still to be told.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "logout_deliveries")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub application_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub due_at: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub session_id: Uuid,
    pub sid: Uuid,
    pub tenant_id: Uuid,
    pub user_id: Uuid,
    pub attempts: i64,
    pub lease: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
