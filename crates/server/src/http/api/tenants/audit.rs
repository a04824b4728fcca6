//! The audit trail of a tenant, for its administrators.

use actix_web::web::Data;
use gatehouse_domain::{
    authz::{Area, ReadAudit},
    id::AuditEventId,
};

use crate::{
    app::{App, audit::AuditExport},
    http::{
        api::audit::{
            AuditEventPage, AuditEventResponse, AuditQuery,
            catalogue::AuditCatalogueResponse,
            export::{self, AuditEventLines, AuditEventTable},
        },
        download::{File, FileQuery},
        envelope::{ApiResponse, ApiResult},
        extract::{
            access::{Access, InTenant, PathId, PathTenant},
            filtered::Filtered,
            page::{ByCreation, Listing},
        },
        operation::Operations,
    },
};

pub(super) fn mount(operations: &mut Operations) {
    operations
        .get("/tenants/{tenant_id}/audit-events", "tenants.audit_events.list", list)
        .says("List the audit events of a tenant", "Everything that happened in it, by whomever; newest first.");
    operations.get("/tenants/{tenant_id}/audit-events/export", "tenants.audit_events.download", download).says(
        "Export audit events of a tenant",
        "Everything that the filters find up to the instant of the request, oldest first, sent while it is read. If \
         something goes wrong on the way, or the right to see it ends, the connection is closed before the body has \
         ended.",
    );
    operations
        .get("/tenants/{tenant_id}/audit-events/catalogue", "tenants.audit_events.catalogue.get", catalogue)
        .says("Get the words of the audit trail", "Every action and every kind of thing that this release records.");
    operations
        .get("/tenants/{tenant_id}/audit-events/{event_id}", "tenants.audit_events.get", get_one)
        .says("Get an audit event of a tenant", "With what changed.");
}

async fn list(
    access: Access<ReadAudit, InTenant>,
    listing: Listing<AuditQuery, ByCreation>,
    app: Data<App>,
) -> ApiResult<AuditEventPage> {
    let filter = (&listing.filter).into();
    let page = app.list_audit_events(&access, &filter, listing.direction, &listing.request).await?;
    Ok(listing.respond(&app, page, AuditEventResponse::from))
}

async fn download(
    access: Access<ReadAudit, InTenant>,
    tenant: PathTenant,
    asked: Filtered<(FileQuery, AuditQuery)>,
    app: Data<App>,
) -> ApiResult<File<AuditEventLines, AuditEventTable>> {
    let (how, query) = &asked.0;
    let export = AuditExport::new(&access, Area::Tenant(tenant.0.reference()), query.into(), app.env().now());
    export::respond(app, how, export).await
}

async fn catalogue(_access: Access<ReadAudit, InTenant>) -> ApiResult<ApiResponse<AuditCatalogueResponse>> {
    Ok(ApiResponse(AuditCatalogueResponse::new()))
}

async fn get_one(
    access: Access<ReadAudit, InTenant>,
    id: PathId<AuditEventId>,
    app: Data<App>,
) -> ApiResult<ApiResponse<AuditEventResponse>> {
    Ok(ApiResponse(app.audit_event(&access, id.0).await?.into()))
}
