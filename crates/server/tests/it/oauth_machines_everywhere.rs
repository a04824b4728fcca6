//! Every operation of the API, called by applications in their own name: of a tenant, of a partner, of the platform.

use actix_web::http::Method;
use futures_util::future::LocalBoxFuture;
use gatehouse_domain::{
    authz::{PermissionPattern, PermissionSet},
    issue::Parse,
};
use serde_json::{Value, json};

use crate::{
    authz_matrix::{
        cast::{Cast, Target, Whose},
        operation::{Operation, operations},
    },
    harness::{
        Answer, api_tests,
        oauth::{App, refused, text, token_at},
        platform::AT,
    },
};

/// Whose an application is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Tenant,
    Partner,
    Platform,
}

impl Level {
    /// A service with these scopes.
    async fn service(self, cast: &Cast, scopes: &[&str], resources: &[&str]) -> App {
        let mut body = json!({"name": "Robot", "application_type": "SERVICE", "redirect_uris": [], "allowed_scopes": scopes,
            "allowed_resources": resources});
        match self {
            Self::Tenant => body["tenant_id"] = json!(cast.home.id),
            Self::Partner => {
                (body["scope_level"], body["partner_id"]) = (json!("PARTNER"), json!(cast.home.partner_id));
            }
            Self::Platform => body["scope_level"] = json!("GLOBAL"),
        }
        let world = &cast.world;
        let made =
            world.post("/admin/applications").bearer(world.admin().await).json(body).send().await.expect(201).data();
        let text = |name: &str| made[name].as_str().map(str::to_owned);
        App { id: text("id").unwrap(), secret: text("client_secret"), callback: String::new() }
    }

    async fn ask(self, cast: &Cast, app: &App) -> Answer {
        let tenant = format!("/api/v1/auth/tenants/{}/oauth", cast.home.slug);
        let at = if self == Self::Platform { AT } else { &tenant };
        token_at(&cast.world, at, app, &[("grant_type", "client_credentials")]).await
    }

    /// Whether an operation is out of reach, whatever the scopes are: an application has no account, and one that asks a
    /// tenant's issuer nothing above the tenant.
    fn is_out_of_reach(self, operation: &Operation) -> bool {
        let is_personal = operation.path == "/me" || operation.path.contains("/me/");
        is_personal || self != Self::Platform && operation.path.starts_with("/admin/")
    }
}

fn permissions(scopes: &[&str]) -> PermissionSet {
    let patterns = scopes.iter().map(|scope| match *scope {
        "admin:read" => "*:read",
        "admin:write" => "*:*",
        one => one,
    });
    PermissionSet::new(patterns.map(|it| PermissionPattern::parse(it).unwrap()).collect())
}

/// What an operation needs, as the document says.
fn needs(document: &Value, operation: &Operation) -> Option<String> {
    let described = &document["paths"][format!("/api/v1{}", operation.path)][operation.method.as_str().to_lowercase()];
    described["x-permission"].as_str().map(str::to_owned)
}

async fn target(cast: &Cast, operation: &Operation) -> Target {
    let mut target = cast.target(cast.actor("anonymous"), Whose::Another, operation.names("session_id")).await;
    cast.spare(operation, &mut target).await;
    target
}

fn assert_as_scopes_say<'c>(cast: &'c Cast, level: Level, scopes: &'c [&'c str]) -> LocalBoxFuture<'c, ()> {
    // Boxed, because the tests that wait for it would otherwise be as large as it is.
    Box::pin(async move {
        let document: Value = serde_json::from_str(gatehouse_server::http::openapi::COMMITTED).unwrap();
        let (app, allowed) = (level.service(cast, scopes, &[]).await, permissions(scopes));
        let mut faults = Vec::new();
        for operation in operations().into_iter().filter(|operation| operation.secured) {
            let covers = needs(&document, &operation).is_none_or(|needs| allowed.covers(&needs));
            let target = target(cast, &operation).await;
            let token = text(&level.ask(cast, &app).await.expect(200).json(), "access_token").to_owned();
            let answer = operation.good(&cast.world, &target, Some(&token)).await;
            let is_as_said = if level.is_out_of_reach(&operation) || !covers {
                answer.status == 403
            } else {
                let is_gone = operation.method == Method::DELETE && answer.status == 404;
                is_gone || ![401, 403, 404, 500, 503].contains(&answer.status)
            };
            if !is_as_said {
                faults.push(format!("{} {}: {} {}", operation.method, operation.path, answer.status, answer.text));
            }
        }
        assert!(faults.is_empty(), "{level:?} with {scopes:?}:\n{}", faults.join("\n"));
    })
}

/// What reads, one permission, one with what the users hold that it is used on, everything.
const SCOPES: [&[&str]; 4] =
    [&["admin:read"], &["sessions:read"], &["users:write", "sessions:read"], &["admin:read", "admin:write"]];

async fn assert_every_operation(world: &crate::harness::World, level: Level) {
    let cast = Cast::new(world).await;
    for scopes in SCOPES {
        assert_as_scopes_say(&cast, level, scopes).await;
    }
}

api_tests! {
    async fn every_operation_answers_an_application_of_a_tenant_as_its_scopes_say(world) {
        assert_every_operation(&world, Level::Tenant).await;
    }

    async fn every_operation_answers_an_application_of_a_partner_as_its_scopes_say(world) {
        assert_every_operation(&world, Level::Partner).await;
    }

    async fn every_operation_answers_an_application_of_the_platform_as_its_scopes_say(world) {
        assert_every_operation(&world, Level::Platform).await;
    }

    async fn application_without_scopes_of_the_api_opens_none_of_its_operations(world) {
        let cast = Cast::new(&world).await;
        for level in [Level::Tenant, Level::Partner, Level::Platform] {
            let app = level.service(&cast, &["openid", "profile"], &[]).await;
            assert_eq!(refused(level.ask(&cast, &app).await, 400), "invalid_scope", "{level:?}");
        }
        // One with scopes of somebody's API, which are none of ours.
        let admin = world.admin().await;
        let api = json!({"name": "Files", "application_type": "SERVICE", "redirect_uris": [], "scope_level": "GLOBAL", "allowed_scopes": [],
            "resource_uris": ["https://files.example/"], "resource_scopes": [{"name": "files:read", "description": null}]});
        world.post("/admin/applications").bearer(&admin).json(api).send().await.expect(201);
        let app = Level::Platform.service(&cast, &["files:read"], &["https://files.example/"]).await;
        let fields = [("grant_type", "client_credentials"), ("resource", "https://files.example/")];
        let token = text(&token_at(&world, AT, &app, &fields).await.expect(200).json(), "access_token").to_owned();
        for operation in operations().into_iter().filter(|operation| operation.secured) {
            let target = target(&cast, &operation).await;
            let answer = operation.good(&world, &target, Some(&token)).await;
            assert_eq!(answer.status, 401, "{} {}", operation.method, operation.path);
        }
    }
}
