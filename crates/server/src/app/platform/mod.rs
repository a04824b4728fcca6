//! The installation itself: its first start, its keys, its periodic tasks.

pub mod demo;
pub mod keys;
pub mod periodic;
pub mod setup;
