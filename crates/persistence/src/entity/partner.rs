//! Partners.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "partners")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub name: String,
    pub slug: String,
    pub status: String,
    pub contact_email: Option<String>,
    pub max_tenants: Option<i64>,
    pub max_users_per_tenant: Option<i64>,
    pub max_applications_per_tenant: Option<i64>,
    pub tenants: i64,
    pub created_at: i64,
    pub updated_at: i64,
    pub version: i64,
    pub deleted_at: Option<i64>,
    pub settings: String,
    pub name_key: String,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
