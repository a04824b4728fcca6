//! The audit trail across tenants.

use actix_web::web::Data;
use gatehouse_domain::{
    authz::{Area, ReadAudit},
    id::AuditEventId,
};

use crate::{
    app::{App, audit::AuditExport},
    http::{
        api::audit::{
            AuditEventPage, AuditEventResponse, AuditPlaceQuery, AuditQuery,
            catalogue::AuditCatalogueResponse,
            export::{self, AuditEventLines, AuditEventTable},
        },
        download::{File, FileQuery},
        envelope::{ApiResponse, ApiResult},
        extract::{
            access::{Access, Directory, PathId},
            filtered::Filtered,
            page::{ByCreation, Listing},
        },
        operation::Operations,
    },
};

pub(super) fn mount(operations: &mut Operations) {
    operations.get("/admin/audit-events", "admin.audit_events.list", list).says(
        "List audit events across tenants",
        "Everything that happened, or what happened below the caller's partners; newest first. A filter that names \
         something the caller may not see gives an empty list.",
    );
    operations.get("/admin/audit-events/export", "admin.audit_events.download", download).says(
        "Export audit events across tenants",
        "Everything that the filters find up to the instant of the request, oldest first, sent while it is read. If \
         something goes wrong on the way, or the right to see it ends, the connection is closed before the body has \
         ended.",
    );
    operations
        .get("/admin/audit-events/catalogue", "admin.audit_events.catalogue.get", catalogue)
        .says("Get the words of the audit trail", "Every action and every kind of thing that this release records.");
    operations
        .get("/admin/audit-events/{event_id}", "admin.audit_events.get", get_one)
        .says("Get any audit event", "With what changed.");
}

async fn list(
    access: Access<ReadAudit, Directory>,
    listing: Listing<(AuditPlaceQuery, AuditQuery), ByCreation>,
    app: Data<App>,
) -> ApiResult<AuditEventPage> {
    let (place, query) = &listing.filter;
    let filter = place.with(query);
    let page = app.list_audit_events(&access, &filter, listing.direction, &listing.request).await?;
    Ok(listing.respond(&app, page, AuditEventResponse::from))
}

async fn download(
    access: Access<ReadAudit, Directory>,

    asked: Filtered<(FileQuery, (AuditPlaceQuery, AuditQuery))>,
    app: Data<App>,
) -> ApiResult<File<AuditEventLines, AuditEventTable>> {
    let (how, (place, query)) = &asked.0;
    let export = AuditExport::new(&access, Area::Directory, place.with(query), app.env().now());
    export::respond(app, how, export).await
}

async fn catalogue(_access: Access<ReadAudit, Directory>) -> ApiResult<ApiResponse<AuditCatalogueResponse>> {
    Ok(ApiResponse(AuditCatalogueResponse::new()))
}

async fn get_one(
    access: Access<ReadAudit, Directory>,
    id: PathId<AuditEventId>,
    app: Data<App>,
) -> ApiResult<ApiResponse<AuditEventResponse>> {
    Ok(ApiResponse(app.audit_event(&access, id.0).await?.into()))
}
