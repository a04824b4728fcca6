//! The permission catalogue.

use actix_web::{get, web::Data};
use gatehouse_domain::{
    authz::{CATALOGUE, PermissionInfo, ReadPermissions},
    page::Page,
};
use serde::Serialize;
use utoipa::{
    IntoParams, ToSchema,
    openapi::path::{Parameter, ParameterIn},
};

use crate::{
    app::App,
    http::{
        envelope::{ApiResult, PaginatedResponse},
        extract::{
            access::{Access, Directory},
            page::{Listing, Paged, Sort, Unfiltered},
        },
        mount::Mount,
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

/// The one order of the catalogue.
#[derive(Debug, Clone, Copy)]
pub struct ByName;

impl Sort for ByName {
    const FIELDS: &'static [(&'static str, Self)] = &[("name", Self)];
}

pub(super) fn mount(routes: &mut impl Mount) {
    routes.mount(list);
}

/// List the permissions there are
///
/// What roles can be made of.
#[utoipa::path(tag = "admin-permissions", operation_id = "admin.permissions.list", params(CataloguePaging), responses((status = 200, body = PermissionPage)))]
#[get("/admin/permissions")]
async fn list(
    _access: Access<ReadPermissions, Directory>,
    listing: Listing<Unfiltered, ByName>,
    app: Data<App>,
) -> ApiResult<PermissionPage> {
    let (offset, per_page) = (listing.request.offset(), listing.request.per_page.get());
    let at = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    let items: Vec<PermissionInfo> = CATALOGUE.iter().copied().skip(at(offset)).take(at(per_page)).collect();
    let page = Page { items, total: CATALOGUE.len() as u64, next: None };
    Ok(listing.respond(&app, page, |PermissionInfo { name, description }| PermissionResponse { name, description }))
}

/// The catalogue is short and fixed: it has pages, but neither cursor nor order.
#[derive(Debug)]
pub struct CataloguePaging;

impl IntoParams for CataloguePaging {
    fn into_params(place: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        Paged::<ByName>::into_params(place)
            .into_iter()
            .filter(|parameter| matches!(parameter.name.as_str(), "page" | "per_page"))
            .collect()
    }
}
