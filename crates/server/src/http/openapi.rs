//! The OpenAPI document: collected from the mounted routes, then completed by rules, so that no handler has to repeat
//! what holds for all of them: security, failures, headers, examples.

mod complete;
mod example;
mod lenient;
mod oauth;
mod order;
mod rule;
mod words;

use utoipa::{
    OpenApi,
    openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};

use crate::http::{
    envelope::{MetaResponse, PaginationMeta},
    openapi::order::{At, Ordered},
    operation::{BEARER, Operations},
    problem::Problem,
};

/// What the document says of itself.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Gatehouse",
        contact(name = "The Gatehouse maintainers"),
        // `externalDocs.url` would have to be a whole URL, and the document is the same at every installation.
        description = "A multi-tenant identity service: registration, sign-in, sessions, and their administration. \
                       See also [the manual](/docs/manual/).",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    components(schemas(MetaResponse, PaginationMeta, Problem)),
    servers((url = "/", description = "This instance")),
    tags(
        (name = "auth", description = "Registering, signing in and out, refreshing."),
        (name = "auth-invitations", description = "Accepting invitations."),
        (name = "auth-password", description = "Setting another password in the place of a forgotten one."),
        (name = "auth-email", description = "Showing that an address is one's own."),
        (name = "setup", description = "The first administrator."),
        (name = "me", description = "One's own profile and password."),
        (name = "me-authorized-apps", description = "The applications that have something of oneself."),
        (name = "me-sessions", description = "One's own sessions."),
        (name = "tenants-sessions", description = "Sessions of a tenant."),
        (name = "tenants-sessions-users", description = "Sessions of a user of a tenant."),
        (name = "tenants-users", description = "Users of a tenant."),
        (name = "tenants-users-invitation", description = "Invitations of users of a tenant."),
        (name = "tenants-users-password-reset", description = "Users of a tenant who are to set another password."),
        (name = "tenants-user-imports", description = "Users of a tenant who come in files."),
        (name = "tenants-user-imports-rejects", description = "Lines of such files that were rejected."),
        (name = "tenants-roles", description = "Roles of a tenant."),
        (name = "tenants-role-assignments", description = "Who holds which role in a tenant."),
        (name = "tenants-applications", description = "Applications of a tenant, and those above that it can use."),
        (name = "tenants-settings", description = "What a tenant decides for itself."),
        (name = "tenants-settings-effective", description = "What holds in a tenant."),
        (name = "admin-settings", description = "What the platform decides for all."),
        (name = "admin-settings-effective", description = "What holds at the platform."),
        (name = "admin-partners-settings", description = "What a partner decides for its tenants."),
        (name = "admin-partners-settings-effective", description = "What holds at a partner."),
        (name = "admin-tenants-settings", description = "What a tenant decides, across tenants."),
        (name = "admin-tenants-settings-effective", description = "What holds in a tenant, across tenants."),
        (name = "admin-me-scope", description = "What the caller administers."),
        (name = "tenants-me-scope", description = "What the caller administers in a tenant."),
        (name = "admin-sessions", description = "Sessions across tenants."),
        (name = "admin-partners", description = "Partners."),
        (name = "admin-tenants", description = "Tenants and their settings."),
        (name = "admin-tenants-users", description = "Users of any tenant as files."),
        (name = "admin-tenants-user-imports", description = "Users of any tenant who come in files."),
        (name = "admin-tenants-user-imports-rejects", description = "Lines of such files of any tenant that were rejected."),
        (name = "admin-users", description = "Users."),
        (name = "admin-users-invitation", description = "Invitations of users."),
        (name = "admin-users-password-reset", description = "Users who are to set another password."),
        (name = "admin-roles", description = "Roles."),
        (name = "admin-applications", description = "Applications: OAuth clients."),
        (name = "admin-permissions", description = "The permission catalogue."),
        (name = "admin-role-assignments", description = "Who holds which role where."),
        (name = "admin-audit-events", description = "The audit trail across tenants."),
        (name = "admin-audit-events-catalogue", description = "What the audit trail can say."),
        (name = "tenants-audit-events", description = "The audit trail of a tenant."),
        (name = "tenants-audit-events-catalogue", description = "What the audit trail of a tenant can say."),
    )
)]
struct Document;

/// The document as the routes give it, with the security of every operation.
#[must_use]
pub fn document() -> utoipa::openapi::OpenApi {
    let mut document = Document::openapi();
    Operations::all().describe(&mut document);
    let components = document.components.get_or_insert_default();
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some("An access token."))
        .build();
    components.add_security_scheme(BEARER, SecurityScheme::Http(bearer));
    document
}

/// The document as it is committed and served.
pub static COMMITTED: &str = include_str!("../../../../openapi/gatehouse.v1.json");

/// The committed document for the address that clients use.
#[must_use]
pub fn served(public_url: Option<&url::Url>) -> String {
    let here = r#""url": "/""#;
    match public_url {
        Some(url) => COMMITTED.replacen(here, &format!(r#""url": "{url}""#), 1),
        None => COMMITTED.to_owned(),
    }
}

/// The document as text: completed, sorted but for the fields of objects, and with a line for every value, so that
/// differences are easy to read.
#[must_use]
pub fn render(document: &utoipa::openapi::OpenApi) -> String {
    let orders = order::of(document);
    let mut value = serde_json::to_value(document).unwrap_or_default();
    complete::complete(&mut value);
    let ordered = Ordered { value: &value, orders: &orders, at: At::Outside };
    let mut text = serde_json::to_string_pretty(&ordered).unwrap_or_default();
    text.push('\n');
    text
}
