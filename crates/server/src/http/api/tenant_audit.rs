//! The audit trail of a tenant, for its administrators.

use actix_web::{get, web::Data};
use gatehouse_domain::{
    authz::ReadAudit,
    id::{AuditEventId, TenantId},
};

use crate::{
    app::App,
    http::{
        api::audit::{AuditEventPage, AuditEventResponse, AuditQuery, OneAuditEvent},
        envelope::{ApiResponse, ApiResult},
        extract::{
            access::{Access, InTenant, PathId},
            page::{ByCreation, Listing, Paged},
        },
        mount::Mount,
    },
};

pub(super) fn mount(routes: &mut impl Mount) {
    routes.mount(list).mount(get_one);
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
