//! The audit trail of a tenant, for its administrators.

use actix_web::{HttpResponse, get, web::Data};
use gatehouse_domain::{
    authz::{Area, ReadAudit},
    id::{AuditEventId, TenantId},
};

use crate::{
    app::{App, audit::AuditExport},
    http::{
        api::audit::{
            AuditEventPage, AuditEventResponse, AuditQuery, OneAuditEvent,
            catalogue::{AuditCatalogueResponse, OneAuditCatalogue},
            export::{self, AuditEventLines, AuditEventTable},
        },
        download::FileQuery,
        envelope::{ApiResponse, ApiResult},
        extract::{
            access::{Access, InTenant, PathId, PathTenant},
            filtered::Filtered,
            page::{ByCreation, Listing, Paged},
        },
        mount::Mount,
    },
};

pub(super) fn mount(routes: &mut impl Mount) {
    // Fixed segments before the placeholder.
    routes.mount(list).mount(download).mount(catalogue).mount(get_one);
}

/// List the audit events of a tenant
///
/// Everything that happened in it, by whomever; newest first.
#[utoipa::path(tag = "tenants-audit-events", operation_id = "tenants.audit_events.list", params(("tenant_id" = inline(TenantId), Path, description = "The tenant."), AuditQuery, Paged<ByCreation>), responses((status = 200, body = AuditEventPage)))]
#[get("/tenants/{tenant_id}/audit-events")]
async fn list(
    access: Access<ReadAudit, InTenant>,
    listing: Listing<AuditQuery, ByCreation>,
    app: Data<App>,
) -> ApiResult<AuditEventPage> {
    let filter = (&listing.filter).into();
    let page = app.list_audit_events(&access, &filter, listing.direction, &listing.request).await?;
    Ok(listing.respond(&app, page, AuditEventResponse::from))
}

/// Export audit events of a tenant
///
/// Everything that the filters find up to the instant of the request, oldest first, sent while it is read. If something
/// goes wrong on the way, or the right to see it ends, the connection is closed before the body has ended.
#[utoipa::path(tag = "tenants-audit-events", operation_id = "tenants.audit_events.download", params(("tenant_id" = inline(TenantId), Path, description = "The tenant."), FileQuery, AuditQuery), responses((status = 200, content((AuditEventLines = "application/x-ndjson"), (AuditEventTable = "text/csv")))))]
#[get("/tenants/{tenant_id}/audit-events/export")]
async fn download(
    access: Access<ReadAudit, InTenant>,
    tenant: PathTenant,
    asked: Filtered<(FileQuery, AuditQuery)>,
    app: Data<App>,
) -> ApiResult<HttpResponse> {
    let (how, query) = &asked.0;
    let export = AuditExport::new(&access, Area::Tenant(tenant.0.reference()), query.into(), app.env().now());
    export::respond(app, how, export).await
}

/// Get the words of the audit trail
///
/// Every action and every kind of thing that this release records.
#[utoipa::path(tag = "tenants-audit-events-catalogue", operation_id = "tenants.audit_events.catalogue.get", params(("tenant_id" = inline(TenantId), Path, description = "The tenant.")), responses((status = 200, body = OneAuditCatalogue)))]
#[get("/tenants/{tenant_id}/audit-events/catalogue")]
async fn catalogue(_access: Access<ReadAudit, InTenant>) -> ApiResult<ApiResponse<AuditCatalogueResponse>> {
    Ok(ApiResponse(AuditCatalogueResponse::new()))
}

/// Get an audit event of a tenant
///
/// With what changed.
#[utoipa::path(tag = "tenants-audit-events", operation_id = "tenants.audit_events.get", params(("tenant_id" = inline(TenantId), Path, description = "The tenant."), ("event_id" = inline(AuditEventId), Path, description = "The event.")), responses((status = 200, body = OneAuditEvent)))]
#[get("/tenants/{tenant_id}/audit-events/{event_id}")]
async fn get_one(
    access: Access<ReadAudit, InTenant>,
    id: PathId<AuditEventId>,
    app: Data<App>,
) -> ApiResult<ApiResponse<AuditEventResponse>> {
    Ok(ApiResponse(app.audit_event(&access, id.0).await?.into()))
}
