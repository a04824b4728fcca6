//! Events of the audit trail as the API shows them.

pub mod catalogue;
pub mod export;

use std::net::IpAddr;

use actix_web::web::Data;
use gatehouse_domain::{
    audit::{Action, AuditEvent, AuditResult, ResourceId, ResourceKind},
    authz::{ActorId, Area, ReadAudit},
    id::{AuditEventId, PartnerId, SessionId, TenantId},
    time::Timestamp,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    app::{
        App,
        audit::read::{AuditExport, AuditFilter},
    },
    http::{
        api::audit::{
            catalogue::AuditCatalogueResponse,
            export::{AuditEventLines, AuditEventTable},
        },
        download::{File, FileQuery},
        envelope::{ApiResponse, ApiResult, ChangeResponse, PaginatedResponse},
        extract::{
            access::{Access, Anywhere, Directory, InTenant, PathId, PathTenant},
            filtered::Filtered,
            page::{ByCreation, Listing, Narrow},
        },
        operation::Operations,
    },
    input::input,
};

/// A page of events.
pub type AuditEventPage = PaginatedResponse<AuditEventResponse>;
/// One event.
pub type OneAuditEvent = ApiResponse<AuditEventResponse>;

/// Something that happened.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditEventResponse {
    /// Its id.
    #[schema(inline)]
    pub id: AuditEventId,
    /// When it happened.
    #[schema(inline)]
    pub created_at: Timestamp,
    /// The tenant it happened in; null for what concerns none.
    #[schema(required = true, inline)]
    pub tenant_id: Option<TenantId>,
    /// The partner of that tenant at the time, or the one it concerns; null for what concerns none.
    #[schema(required = true, inline)]
    pub partner_id: Option<PartnerId>,
    /// Who did it.
    pub actor: AuditActorResponse,
    /// What was done; the catalogue lists all actions.
    #[schema(max_length = 64, example = "user.updated")]
    pub action: String,
    /// To what.
    pub resource: AuditResourceResponse,
    /// What came of it: `success` or `failure`.
    #[schema(max_length = 32, example = "success")]
    pub result: String,
    /// Why it failed, as a slug; null if it did not.
    #[schema(required = true, max_length = 64)]
    pub failure: Option<String>,
    /// Why it was done, as a slug.
    #[schema(required = true, max_length = 64)]
    pub reason: Option<String>,
    /// What changed, by field in alphabetical order; never a secret.
    #[schema(max_items = 1000)]
    pub changes: Vec<ChangeResponse>,
    /// The address it was asked for from; null for an operator.
    #[schema(required = true, max_length = 45, example = "203.0.113.10")]
    pub ip_address: Option<String>,
    /// The User-Agent it was asked for with; null for an operator.
    #[schema(required = true, max_length = 2048)]
    pub user_agent: Option<String>,
    /// The request it was asked for in, as in its header `X-Request-Id`.
    #[schema(required = true, max_length = 128)]
    pub request_id: Option<String>,
}

/// Who did something.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditActorResponse {
    /// `user`, `application` in its own name, `system` for Gatehouse itself, or `operator`: somebody from above the tenant whom the reader does not
    /// administer. Of operators nothing else is shown, nor is anything found by it: no id, session, address or User-Agent.
    #[serde(rename = "type")]
    #[schema(max_length = 32, example = "user")]
    pub kind: String,
    /// The user or application, if it was one; null for an operator.
    #[schema(required = true, inline)]
    pub id: Option<ActorId>,
    /// The session that the user acted through; null for an operator.
    #[schema(required = true, inline)]
    pub session_id: Option<SessionId>,
    /// As what the actor acted: `platform`, `partner` or `tenant` administrator, for itself (`own`), at the command line
    /// of the installation (`cli`), or `system`.
    #[schema(max_length = 32, example = "tenant")]
    pub acting_as: String,
}

/// What something was done to.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditResourceResponse {
    /// The kind; the catalogue lists all.
    #[serde(rename = "type")]
    #[schema(max_length = 64, example = "user")]
    pub kind: String,
    /// Which one; null for several, and for none that is known.
    #[schema(required = true, max_length = 64, example = "usr_01h455vb4pex5vsknk084sn02q")]
    pub id: Option<String>,
}

input! {
    /// Where events happened.
    pub struct AuditPlaceQuery {
        /// Only events in these tenants.
        tenant_id: Vec<TenantId>,
        /// Only events below these partners.
        partner_id: Vec<PartnerId>,
    }

    /// Filters of events.
    pub struct AuditQuery {
        /// Only what these users and applications did, as far as the reader is shown that it was they.
        actor_id: Vec<ActorId>,
        /// Only these actions.
        action: Vec<Action>,
        /// Only events about these kinds of things.
        resource_type: Vec<ResourceKind>,
        /// Only events about these things.
        resource_id: Vec<ResourceId>,
        /// Only events with this result.
        result: Vec<AuditResult>,
        /// Only events asked for from these addresses, as far as the reader is shown them.
        ip_address: Vec<IpAddr>,
        /// Only events at this instant or later.
        created_after: Option<Timestamp>,
        /// Only events before this instant.
        created_before: Option<Timestamp>,
    }
}

impl Narrow<AuditFilter> for AuditQuery {
    fn narrow(&self) -> AuditFilter {
        let AuditQuery {
            actor_id,
            action,
            resource_type,
            resource_id,
            result,
            ip_address,
            created_after,
            created_before,
        } = self;
        AuditFilter {
            tenants: Vec::new(),
            partners: Vec::new(),
            actors: actor_id.clone(),
            actions: action.clone(),
            kinds: resource_type.clone(),
            resources: resource_id.clone(),
            results: result.clone(),
            ips: ip_address.clone(),
            created_after: *created_after,
            created_before: *created_before,
        }
    }
}

impl Narrow<AuditFilter> for (AuditPlaceQuery, AuditQuery) {
    fn narrow(&self) -> AuditFilter {
        let (AuditPlaceQuery { tenant_id, partner_id }, query) = self;
        AuditFilter { tenants: tenant_id.clone(), partners: partner_id.clone(), ..query.narrow() }
    }
}

impl From<AuditEvent> for AuditEventResponse {
    fn from(event: AuditEvent) -> Self {
        let AuditEvent {
            id,
            occurred_at,
            tenant_id,
            partner_id,
            actor_type,
            actor_id,
            actor_session_id,
            acting_as,
            action,
            resource_type,
            resource_id,
            result,
            failure,
            reason,
            changes,
            ip_address,
            user_agent,
            request_id,
        } = event;
        Self {
            id,
            created_at: occurred_at,
            tenant_id,
            partner_id,
            actor: AuditActorResponse { kind: actor_type, id: actor_id, session_id: actor_session_id, acting_as },
            action,
            resource: AuditResourceResponse { kind: resource_type, id: resource_id },
            result,
            failure,
            reason,
            changes: changes.into_iter().map(ChangeResponse::from).collect(),
            ip_address,
            user_agent,
            request_id,
        }
    }
}

pub(super) fn mount(operations: &mut Operations) {
    // Fixed segments before the placeholder.
    operations
        .get("/admin/audit-events", "admin.audit_events.list", list::<Directory, (AuditPlaceQuery, AuditQuery)>)
        .says(
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
        .get("/admin/audit-events/catalogue", "admin.audit_events.catalogue.get", catalogue::<Directory>)
        .says("Get the words of the audit trail", "Every action and every kind of thing that this release records.");
    operations
        .get("/admin/audit-events/{event_id}", "admin.audit_events.get", get_one::<Directory>)
        .says("Get any audit event", "With what changed.");
    operations
        .get("/tenants/{tenant_id}/audit-events", "tenants.audit_events.list", list::<InTenant, AuditQuery>)
        .says("List the audit events of a tenant", "Everything that happened in it, by whomever; newest first.");
    operations.get("/tenants/{tenant_id}/audit-events/export", "tenants.audit_events.download", download_of_tenant).says(
        "Export audit events of a tenant",
        "Everything that the filters find up to the instant of the request, oldest first, sent while it is read. If \
         something goes wrong on the way, or the right to see it ends, the connection is closed before the body has \
         ended.",
    );
    operations
        .get("/tenants/{tenant_id}/audit-events/catalogue", "tenants.audit_events.catalogue.get", catalogue::<InTenant>)
        .says("Get the words of the audit trail", "Every action and every kind of thing that this release records.");
    operations
        .get("/tenants/{tenant_id}/audit-events/{event_id}", "tenants.audit_events.get", get_one::<InTenant>)
        .says("Get an audit event of a tenant", "With what changed.");
}

async fn list<L: Anywhere, Q: Narrow<AuditFilter> + 'static>(
    access: Access<ReadAudit, L>,
    listing: Listing<Q, ByCreation>,
    app: Data<App>,
) -> ApiResult<AuditEventPage> {
    let filter = listing.filter.narrow();
    let page = app.trail().list(&access, &filter, listing.direction, &listing.request).await?;
    Ok(listing.respond(&app, page, AuditEventResponse::from))
}

async fn download(
    access: Access<ReadAudit, Directory>,
    asked: Filtered<(FileQuery, (AuditPlaceQuery, AuditQuery))>,
    app: Data<App>,
) -> ApiResult<File<AuditEventLines, AuditEventTable>> {
    let (how, filter) = &asked.0;
    let export = AuditExport::new(&access, Area::Directory, filter.narrow(), app.env().now());
    export::respond(app, how, export).await
}

async fn download_of_tenant(
    access: Access<ReadAudit, InTenant>,
    tenant: PathTenant,
    asked: Filtered<(FileQuery, AuditQuery)>,
    app: Data<App>,
) -> ApiResult<File<AuditEventLines, AuditEventTable>> {
    let (how, query) = &asked.0;
    let export = AuditExport::new(&access, Area::Tenant(tenant.0.reference()), query.narrow(), app.env().now());
    export::respond(app, how, export).await
}

async fn catalogue<L: Anywhere>(_access: Access<ReadAudit, L>) -> ApiResult<ApiResponse<AuditCatalogueResponse>> {
    Ok(ApiResponse(AuditCatalogueResponse::new()))
}

async fn get_one<L: Anywhere>(
    access: Access<ReadAudit, L>,
    id: PathId<AuditEventId>,
    app: Data<App>,
) -> ApiResult<ApiResponse<AuditEventResponse>> {
    Ok(ApiResponse(app.trail().event(&access, id.0).await?.into()))
}
