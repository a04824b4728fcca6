//! Users of any tenant as files: in, by an import, and out.

use actix_web::{HttpResponse, get, post, web::Data};
use gatehouse_domain::{
    authz::{ReadUsers, WriteUsers},
    id::{JobId, TenantId},
};

use crate::{
    app::{App, client::Origin},
    http::{
        api::user_import::{
            self, ByLine, Located, OneUserImport, UserImportLines, UserImportPage, UserImportQuery,
            UserImportRejectPage, UserImportRejectResponse, UserImportResponse, UserImportTable, UserLines, UserTable,
        },
        download::FileQuery,
        envelope::{ApiResponse, ApiResult},
        extract::{
            access::{Access, Directory, PathId},
            file::UserFile,
            filtered::Filtered,
            page::{ByCreation, Listing, Paged, Unfiltered},
            valid::NoBody,
        },
        mount::Mount,
        once::Answered,
        request::Asked,
    },
};

pub(super) fn mount(routes: &mut impl Mount) {
    routes.mount(download).mount(list).mount(create).mount(get_one).mount(cancel).mount(list_rejects);
}

/// Export the users of any tenant
///
/// Everybody who was there at the instant of the request, oldest first, without passwords, sent while it is read; the
/// file can be imported. If something goes wrong on the way, or the right to see it ends, the connection is closed
/// before the body has ended. The audit trail says that it was asked for.
#[utoipa::path(tag = "admin-tenants-users", operation_id = "admin.tenants.users.download", params(("tenant_id" = inline(TenantId), Path, description = "The tenant."), FileQuery), responses((status = 200, content((UserLines = "application/x-ndjson"), (UserTable = "text/csv")))))]
#[get("/admin/tenants/{tenant_id}/users/export")]
async fn download(
    access: Access<ReadUsers, Directory>,
    tenant: PathId<TenantId>,
    how: Filtered<FileQuery>,
    asked: Asked,
    app: Data<App>,
) -> ApiResult<HttpResponse> {
    user_import::download(&access, tenant.0, &how.0, asked, app).await
}

/// List the imports of users into any tenant
///
/// Newest first; those of the command line are among them.
#[utoipa::path(tag = "admin-tenants-user-imports", operation_id = "admin.tenants.user_imports.list", params(("tenant_id" = inline(TenantId), Path, description = "The tenant."), Paged<ByCreation>), responses((status = 200, body = UserImportPage)))]
#[get("/admin/tenants/{tenant_id}/user-imports")]
async fn list(
    access: Access<ReadUsers, Directory>,
    tenant: PathId<TenantId>,
    listing: Listing<Unfiltered, ByCreation>,
    app: Data<App>,
) -> ApiResult<UserImportPage> {
    let page = app.list_imports(&access, tenant.0, listing.direction, &listing.request).await?;
    Ok(listing.respond(&app, page, UserImportResponse::from))
}

/// Import users into any tenant
///
/// The body is the file, of at most 16 MiB; each 256 KiB of it must come within 30 seconds. What is imported is nobody's
/// administrator and may bring the hash of a password that another system made. The answer comes before the import has
/// begun: `Location` says where to look how far it is. 500 lines at a time are in or not. It goes on only while whoever
/// asked for it may make users here, and a tenant has one import at a time. With `dry_run=true` nobody is made.
#[utoipa::path(tag = "admin-tenants-user-imports", operation_id = "admin.tenants.user_imports.create", params(("tenant_id" = inline(TenantId), Path, description = "The tenant."), UserImportQuery), request_body(content((UserImportLines = "application/x-ndjson"), (UserImportTable = "text/csv"))), responses((status = 202, body = OneUserImport)))]
#[post("/admin/tenants/{tenant_id}/user-imports")]
async fn create(
    access: Access<WriteUsers, Directory>,
    tenant: PathId<TenantId>,
    how: Filtered<UserImportQuery>,
    asked: Asked,
    file: UserFile,
    app: Data<App>,
) -> ApiResult<Located> {
    user_import::create(&access, tenant.0, &how.0, file, asked, &app).await
}

/// Get an import of users into any tenant
///
/// Where it stands, and what became of the lines so far.
#[utoipa::path(tag = "admin-tenants-user-imports", operation_id = "admin.tenants.user_imports.get", params(("tenant_id" = inline(TenantId), Path, description = "The tenant."), ("import_id" = inline(JobId), Path, description = "The import.")), responses((status = 200, body = OneUserImport)))]
#[get("/admin/tenants/{tenant_id}/user-imports/{import_id}")]
async fn get_one(
    access: Access<ReadUsers, Directory>,
    tenant: PathId<TenantId>,
    id: PathId<JobId>,
    app: Data<App>,
) -> ApiResult<ApiResponse<UserImportResponse>> {
    Ok(ApiResponse(app.import(&access, tenant.0, id.0).await?.into()))
}

/// Cancel an import of users into any tenant
///
/// Whom it has brought stays. One that has ended stays as it is.
#[utoipa::path(tag = "admin-tenants-user-imports", operation_id = "admin.tenants.user_imports.cancel", params(("tenant_id" = inline(TenantId), Path, description = "The tenant."), ("import_id" = inline(JobId), Path, description = "The import.")), responses((status = 200, body = OneUserImport)))]
#[post("/admin/tenants/{tenant_id}/user-imports/{import_id}/cancel")]
async fn cancel(
    access: Access<WriteUsers, Directory>,
    tenant: PathId<TenantId>,
    id: PathId<JobId>,
    _: NoBody,
    asked: Asked,
    app: Data<App>,
) -> ApiResult<Answered<ApiResponse<UserImportResponse>>> {
    let cancel = async |origin: &Origin| app.cancel_import(&access, tenant.0, id.0, origin).await;
    asked.once(&app, cancel, |import| ApiResponse(import.into())).await
}

/// List what an import into any tenant rejected
///
/// Each line with what is wrong with it, in the order of the file; until a week after the import has ended.
#[utoipa::path(tag = "admin-tenants-user-imports-rejects", operation_id = "admin.tenants.user_imports.rejects.list", params(("tenant_id" = inline(TenantId), Path, description = "The tenant."), ("import_id" = inline(JobId), Path, description = "The import."), Paged<ByLine>), responses((status = 200, body = UserImportRejectPage)))]
#[get("/admin/tenants/{tenant_id}/user-imports/{import_id}/rejects")]
async fn list_rejects(
    access: Access<ReadUsers, Directory>,
    tenant: PathId<TenantId>,
    id: PathId<JobId>,
    listing: Listing<Unfiltered, ByLine>,
    app: Data<App>,
) -> ApiResult<UserImportRejectPage> {
    let page = app.list_rejected_lines(&access, (tenant.0, id.0), listing.direction, &listing.request).await?;
    Ok(listing.respond(&app, page, UserImportRejectResponse::from))
}
