//! The Gatehouse server.
//!
//! - [`app`]: use cases. Mentions neither actix nor utoipa.
//! - [`http`]: routes, extractors, answers. Handlers have nothing to query with.
//! - [`mail`]: letters, and how they are sent.
//! - [`outbound`]: calls to addresses that others chose.
//! - [`security`]: passwords, tokens, keys.
//! - [`config`], [`env`], [`telemetry`]: what the process gets from and gives to its surroundings.
//! - [`transfer`]: users as files.
//! - [`cli`]: the command line.

pub mod app;
pub mod cli;
pub mod config;
pub mod env;
pub mod http;
pub mod input;
pub mod mail;
mod measure;
pub mod outbound;
pub mod security;
pub mod telemetry;
pub mod transfer;
