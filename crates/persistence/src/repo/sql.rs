//! Statements put together by hand, where the builder would hide what the index is for.

use std::sync::LazyLock;

use sea_orm::{EntityTrait, Iden, Iterable};

use crate::entity::{
    audit_event, authorization_code, device_request, session, signing_key, tenant, token_family, user,
};
pub(crate) use crate::scope::text::Sql;

/// The values, repeated to a power of two, so that a handful of prepared statements serve every length.
pub(crate) fn power_of_two<T: Copy>(values: &[T]) -> impl ExactSizeIterator<Item = T> {
    let padded = values.iter().chain(values.iter().cycle().take(values.len().next_power_of_two() - values.len()));
    padded.copied().collect::<Vec<_>>().into_iter()
}

/// The values in pieces whose lengths are powers of two: likewise.
pub(crate) fn powers_of_two<T>(mut values: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let (piece, rest) = values.split_at(1 << values.len().checked_ilog2()?);
        values = rest;
        Some(piece)
    })
}

/// `alias.column AS prefix_column, …` for every column of a table, as `FromQueryResult` with that prefix reads them.
fn columns<E: EntityTrait>(alias: &str, prefix: &str) -> String {
    let columns: Vec<_> = E::Column::iter()
        .map(|c| c.unquoted().to_owned())
        .map(|name| format!("{alias}.{name} AS {prefix}{name}"))
        .collect();
    columns.join(", ")
}

/// The columns of `sessions s`, prefixed `s_`.
pub(crate) static SESSION: LazyLock<String> = LazyLock::new(|| columns::<session::Entity>("s", "s_"));
/// The columns of `users u`, prefixed `u_`.
pub(crate) static USER: LazyLock<String> = LazyLock::new(|| columns::<user::Entity>("u", "u_"));
/// The columns of `tenants t`, prefixed `t_`.
pub(crate) static TENANT: LazyLock<String> = LazyLock::new(|| columns::<tenant::Entity>("t", "t_"));
/// The columns of `audit_events e`, prefixed `e_`.
pub(crate) static AUDIT_EVENT: LazyLock<String> = LazyLock::new(|| columns::<audit_event::Entity>("e", "e_"));
/// The columns of `signing_keys k`, prefixed `k_`.
pub(crate) static KEY: LazyLock<String> = LazyLock::new(|| columns::<signing_key::Entity>("k", "k_"));
/// The columns of `authorization_codes c`, prefixed `c_`.
pub(crate) static CODE: LazyLock<String> = LazyLock::new(|| columns::<authorization_code::Entity>("c", "c_"));
/// The columns of `device_requests d`, prefixed `d_`.
pub(crate) static DEVICE: LazyLock<String> = LazyLock::new(|| columns::<device_request::Entity>("d", "d_"));
/// The columns of `token_families f`, prefixed `f_`.
pub(crate) static FAMILY: LazyLock<String> = LazyLock::new(|| columns::<token_family::Entity>("f", "f_"));
