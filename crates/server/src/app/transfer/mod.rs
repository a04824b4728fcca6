//! Users as files: imports and exports.

pub mod exports;
pub mod import_jobs;
pub mod imports;
pub mod uploads;
