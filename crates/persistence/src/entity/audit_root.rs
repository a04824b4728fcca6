//! The root of the audit trail: one row.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_root")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i32,
    pub version: i64,
    pub adopts_until: i64,
    pub sum: Vec<u8>,
    pub mac: Vec<u8>,
    pub made_at: i64,
    pub cut_version: i64,
    pub cut_mac: Vec<u8>,
    pub least_kept: i64,
    pub before_mac: Vec<u8>,
    pub accepted_mac: Vec<u8>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
