//! Users of any tenant as files: in, by an import, and out.

use actix_web::web::Data;
use gatehouse_domain::{
    authz::{ReadUsers, WriteUsers},
    id::{JobId, TenantId},
};

use crate::{
    app::{App, request::client::RequestMeta},
    http::{
        api::user_import::{
            self, ByLine, Located, UserImportPage, UserImportQuery, UserImportRejectPage, UserImportRejectResponse,
            UserImportResponse, UserLines, UserTable,
        },
        download::{File, FileQuery},
        envelope::{ApiResponse, ApiResult},
        extract::{
            access::{Access, Anywhere, Directory, InTenant, PathId},
            file::UserFile,
            filtered::Filtered,
            page::{ByCreation, Listing},
            valid::NoBody,
        },
        idempotency::Idempotent,
        operation::Operations,
        request::ChangeRequest,
    },
};

pub(super) fn mount(operations: &mut Operations) {
    operations
        .get("/admin/tenants/{tenant_id}/users/export", "admin.tenants.users.download", download::<Directory>)
        .says(
            "Export the users of any tenant",
            "Everybody who was there at the instant of the request, oldest first, without passwords, sent while it is \
         read; the file can be imported. If something goes wrong on the way, or the right to see it ends, the \
         connection is closed before the body has ended. The audit trail says that it was asked for.",
        );
    operations
        .get("/admin/tenants/{tenant_id}/user-imports", "admin.tenants.user_imports.list", list::<Directory>)
        .says("List the imports of users into any tenant", "Newest first; those of the command line are among them.");
    operations.post("/admin/tenants/{tenant_id}/user-imports", "admin.tenants.user_imports.create", create::<Directory>).says(
        "Import users into any tenant",
        "The body is the file, of at most 16 MiB; each 256 KiB of it must come within 30 seconds. What is imported is \
         nobody's administrator and may bring the hash of a password that another system made. The answer comes \
         before the import has begun: `Location` says where to look how far it is. 500 lines at a time are in or not. \
         It goes on only while whoever asked for it may make users here, and a tenant has one import at a time. With \
         `dry_run=true` nobody is made.",
    );
    operations
        .get(
            "/admin/tenants/{tenant_id}/user-imports/{import_id}",
            "admin.tenants.user_imports.get",
            get_one::<Directory>,
        )
        .says("Get an import of users into any tenant", "Where it stands, and what became of the lines so far.");
    operations
        .post(
            "/admin/tenants/{tenant_id}/user-imports/{import_id}/cancel",
            "admin.tenants.user_imports.cancel",
            cancel::<Directory>,
        )
        .says(
            "Cancel an import of users into any tenant",
            "Whom it has brought stays. One that has ended stays as it is.",
        );
    operations
        .get(
            "/admin/tenants/{tenant_id}/user-imports/{import_id}/rejects",
            "admin.tenants.user_imports.rejects.list",
            list_rejects::<Directory>,
        )
        .says(
            "List what an import into any tenant rejected",
            "Each line with what is wrong with it, in the order of the file; until a week after the import has ended.",
        );
    operations.get("/tenants/{tenant_id}/users/export", "tenants.users.download", download::<InTenant>).says(
        "Export the users of a tenant",
        "Everybody who was there at the instant of the request, oldest first, without passwords, sent while it is \
         read; the file can be imported. If something goes wrong on the way, or the right to see it ends, the \
         connection is closed before the body has ended. The audit trail says that it was asked for.",
    );
    operations
        .get("/tenants/{tenant_id}/user-imports", "tenants.user_imports.list", list::<InTenant>)
        .says("List the imports of users into a tenant", "Newest first; those of the command line are among them.");
    operations.post("/tenants/{tenant_id}/user-imports", "tenants.user_imports.create", create::<InTenant>).says(
        "Import users into a tenant",
        "The body is the file, of at most 16 MiB; each 256 KiB of it must come within 30 seconds. What is imported is \
         nobody's administrator and may bring the hash of a password that another system made. The answer comes \
         before the import has begun: `Location` says where to look how far it is. 500 lines at a time are in or not. \
         It goes on only while whoever asked for it may make users here, and a tenant has one import at a time. With \
         `dry_run=true` nobody is made.",
    );
    operations
        .get("/tenants/{tenant_id}/user-imports/{import_id}", "tenants.user_imports.get", get_one::<InTenant>)
        .says("Get an import of users into a tenant", "Where it stands, and what became of the lines so far.");
    operations
        .post("/tenants/{tenant_id}/user-imports/{import_id}/cancel", "tenants.user_imports.cancel", cancel::<InTenant>)
        .says(
            "Cancel an import of users into a tenant",
            "Whom it has brought stays. One that has ended stays as it is.",
        );
    operations
        .get(
            "/tenants/{tenant_id}/user-imports/{import_id}/rejects",
            "tenants.user_imports.rejects.list",
            list_rejects::<InTenant>,
        )
        .says(
            "List what an import into a tenant rejected",
            "Each line with what is wrong with it, in the order of the file; until a week after the import has ended.",
        );
}

async fn download<L: Anywhere>(
    access: Access<ReadUsers, L>,
    tenant: PathId<TenantId>,
    how: Filtered<FileQuery>,
    call: ChangeRequest,
    app: Data<App>,
) -> ApiResult<File<UserLines, UserTable>> {
    user_import::download(&access, tenant.0, &how.0, call, app).await
}

async fn list<L: Anywhere>(
    access: Access<ReadUsers, L>,
    tenant: PathId<TenantId>,
    listing: Listing<(), ByCreation>,
    app: Data<App>,
) -> ApiResult<UserImportPage> {
    let page = app.imports().list(&access, tenant.0, listing.direction, &listing.request).await?;
    Ok(listing.respond(&app, page, UserImportResponse::from))
}

async fn create<L: Anywhere>(
    access: Access<WriteUsers, L>,
    tenant: PathId<TenantId>,
    how: Filtered<UserImportQuery>,
    call: ChangeRequest,
    file: UserFile,
    app: Data<App>,
) -> ApiResult<Located> {
    user_import::create(&access, tenant.0, &how.0, file, call, &app).await
}

async fn get_one<L: Anywhere>(
    access: Access<ReadUsers, L>,
    tenant: PathId<TenantId>,
    id: PathId<JobId>,
    app: Data<App>,
) -> ApiResult<ApiResponse<UserImportResponse>> {
    Ok(ApiResponse(app.imports().get(&access, tenant.0, id.0).await?.into()))
}

async fn cancel<L: Anywhere>(
    access: Access<WriteUsers, L>,
    tenant: PathId<TenantId>,
    id: PathId<JobId>,
    _: NoBody,
    call: ChangeRequest,
    app: Data<App>,
) -> ApiResult<Idempotent<ApiResponse<UserImportResponse>>> {
    let cancel = async |meta: &RequestMeta| app.imports().cancel(&access, tenant.0, id.0, meta).await;
    call.idempotent(&app, cancel, |import| ApiResponse(import.into())).await
}

async fn list_rejects<L: Anywhere>(
    access: Access<ReadUsers, L>,
    tenant: PathId<TenantId>,
    id: PathId<JobId>,
    listing: Listing<(), ByLine>,
    app: Data<App>,
) -> ApiResult<UserImportRejectPage> {
    let page = app.imports().list_rejected(&access, (tenant.0, id.0), listing.direction, &listing.request).await?;
    Ok(listing.respond(&app, page, UserImportRejectResponse::from))
}
