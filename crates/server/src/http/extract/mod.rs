//! Extractors: what handlers take.

pub mod access;
pub mod file;
pub mod filtered;
pub mod form;
pub mod page;
pub mod valid;
