//! The permission catalogue.

use actix_web::web::Data;
use gatehouse_domain::{
    authz::{CATALOGUE, PermissionInfo, ReadPermissions},
    page::{self, Direction},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    app::App,
    http::{
        envelope::{ApiResult, PaginatedResponse},
        extract::{
            access::{Access, Directory},
            page::{Listing, Sort},
        },
        operation::Operations,
    },
};

/// A page of permissions.
pub type PermissionPage = PaginatedResponse<PermissionResponse>;

/// A permission.
#[derive(Debug, Serialize, ToSchema)]
pub struct PermissionResponse {
    /// `resource:action`.
    #[schema(max_length = 100, example = "sessions:read")]
    pub name: &'static str,
    /// What it allows.
    #[schema(max_length = 400, example = "See sessions and their statistics.")]
    pub description: &'static str,
}

/// The order of the catalogue.
#[derive(Debug, Clone, Copy)]
pub struct ByName;

impl Sort for ByName {
    const FIELDS: &'static [(&'static str, Self)] = &[("name", Self)];
    const DIRECTION: Direction = Direction::Ascending;
}

pub(super) fn mount(operations: &mut Operations) {
    operations
        .get("/admin/permissions", "admin.permissions.list", list)
        .says("List the permissions there are", "What roles can be made of, by name.");
}

async fn list(
    _access: Access<ReadPermissions, Directory>,
    listing: Listing<(), ByName>,
    app: Data<App>,
) -> ApiResult<PermissionPage> {
    let page = page::of(CATALOGUE.iter().copied(), listing.direction, &listing.request, |info| info.name);
    Ok(listing.respond(&app, page, |PermissionInfo { name, description }| PermissionResponse { name, description }))
}
