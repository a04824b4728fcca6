//! Roles, who holds them, and where.

pub mod assignments;
pub mod roles;
pub mod scope;
