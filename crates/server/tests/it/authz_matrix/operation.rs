//! The operations of the committed document, and a request to each that is right in everything but perhaps its caller.

use actix_web::http::Method;
use serde_json::{Value, json};

use super::cast::Target;
use crate::harness::{Answer, Call, PASSWORD, World};

/// An operation of the document.
#[derive(Debug, Clone)]
pub struct Operation {
    pub id: String,
    pub method: Method,
    /// The path below `/api/v1`, with placeholders.
    pub path: String,
    pub secured: bool,
    /// Whether it takes a body of fields.
    pub takes_body: bool,
    /// Whether it takes a file.
    pub takes_file: bool,
}

/// Every operation of the document.
pub fn operations() -> Vec<Operation> {
    let document: Value = serde_json::from_str(gatehouse_server::http::openapi::COMMITTED).unwrap();
    let of_path = |(path, item): (&String, &Value)| {
        let path = path.strip_prefix("/api/v1").unwrap().to_owned();
        let takes = |operation: &Value, file: bool| {
            let content = operation["requestBody"]["content"].as_object();
            content.is_some_and(|content| content.contains_key("application/x-ndjson") == file)
        };
        let operation = move |(method, operation): (&String, &Value)| Operation {
            id: operation["operationId"].as_str().unwrap().to_owned(),
            method: method.to_uppercase().parse().unwrap(),
            path: path.clone(),
            secured: operation["security"].as_array().is_some_and(|security| !security.is_empty()),
            takes_body: takes(operation, false),
            takes_file: takes(operation, true),
        };
        item.as_object().unwrap().iter().map(operation).collect::<Vec<_>>()
    };
    let mut operations: Vec<_> = document["paths"].as_object().unwrap().iter().flat_map(of_path).collect();
    // What is deleted cannot be read any more, by whatever path; and who deletes oneself can do nothing more.
    operations.sort_by_key(|operation| {
        let (deletes, people) = (operation.method == Method::DELETE, operation.id.ends_with("users.delete"));
        (deletes, people, operation.path.clone())
    });
    operations
}

impl Operation {
    pub fn names(&self, parameter: &str) -> bool {
        self.path.contains(&format!("{{{parameter}}}"))
    }

    /// The path to a target.
    pub fn path(&self, target: &Target) -> String {
        let mut path = self.path.clone();
        for (name, value) in [
            ("tenant_id", &target.tenant),
            ("partner_id", &target.partner),
            ("user_id", &target.user),
            ("session_id", &target.session),
            ("role_id", &target.role),
            ("assignment_id", &target.assignment),
            ("event_id", &target.event),
            ("import_id", &target.import),
            ("tenant_slug", &target.slug),
        ] {
            path = path.replace(&format!("{{{name}}}"), value);
        }
        assert!(!path.contains('{'), "{path}: say in `Target` what the placeholder stands for");
        path
    }

    /// A good body of JSON; every operation that takes one must be known here.
    pub fn body(&self, target: &Target) -> Value {
        let unique = format!("m{}", target.serial);
        match self.id.as_str() {
            "admin.partners.create" => json!({"name": unique, "slug": unique}),
            "admin.partners.update" | "admin.roles.update" | "admin.tenants.update" | "tenants.roles.update" => {
                json!({"name": unique})
            }
            "admin.role_assignments.create" | "tenants.role_assignments.create" => json!({
                "user_id": target.user,
                "role_id": target.spare_role,
                "anchor": {"level": "tenant", "tenant_id": target.tenant},
            }),
            "admin.role_assignments.update" | "tenants.role_assignments.update" => {
                json!({"expires_at": "2100-01-01T00:00:00Z"})
            }
            "admin.roles.create" => {
                json!({"name": unique, "tenant_id": target.tenant, "permissions": ["sessions:read"]})
            }
            "admin.sessions.revoke_all" => json!({"user_id": target.user}),
            "admin.tenants.create" => json!({"name": unique, "slug": unique, "partner_id": target.partner}),
            "admin.users.create" => {
                json!({"tenant_id": target.tenant, "username": unique, "email": format!("{unique}@example.com")})
            }
            "admin.users.update" | "me.update" | "tenants.users.update" => json!({"display_name": unique}),
            "auth.logout" | "auth.refresh" => json!({"refresh_token": target.refresh}),
            "auth.register" => {
                json!({"username": unique, "email": format!("{unique}@example.com"), "password": PASSWORD})
            }
            "auth.password.forgot" | "auth.email.resend" => json!({"email": target.email}),
            "auth.password.reset" => json!({"token": target.link, "new_password": PASSWORD}),
            "auth.email.verify" => json!({"token": target.link}),
            "me.change_email" => json!({"email": format!("{unique}@example.com"), "current_password": PASSWORD}),
            "me.change_password" => json!({"current_password": PASSWORD, "new_password": PASSWORD}),
            "admin.users.invitation.create" | "tenants.users.invitation.create" => json!({"delivery": "link"}),
            "auth.invitations.accept" => json!({"token": "ghi_none", "password": PASSWORD}),
            "setup.create" => json!({
                "token": "ght_none",
                "email": format!("{unique}@example.com"),
                "username": unique,
                "password": PASSWORD,
            }),
            "tenants.roles.create" => json!({"name": unique, "permissions": ["sessions:read"]}),
            "admin.settings.update" | "admin.partners.settings.update" => {
                json!({"session_retention_days": 100 + target.serial})
            }
            "admin.tenants.settings.update" | "tenants.settings.update" => {
                json!({"session_idle_minutes": 60 + target.serial % 100})
            }
            "tenants.users.create" => json!({"username": unique, "email": format!("{unique}@example.com")}),
            "tenants.sessions.users.revoke" => json!({"revoke_all": true}),
            id => unreachable!("{id} is new: say what a good body of it is"),
        }
    }

    pub fn call(&self, world: &World, path: &str, token: Option<&str>, serial: u32) -> Call {
        // An address of its own, so that no limit on addresses meets it.
        let [_, b, c, d] = serial.to_be_bytes();
        let call = world.call(self.method.clone(), path).from([172, b, c, d]).header("user-agent", "matrix/1");
        match token {
            Some(token) => call.bearer(token),
            None => call,
        }
    }

    /// A good request.
    pub async fn good(&self, world: &World, target: &Target, token: Option<&str>) -> Answer {
        let call = self.call(world, &self.path(target), token, target.serial);
        let call = if self.takes_file {
            // One at a time: what others asked for before comes to its end.
            world.app.run_due(gatehouse_domain::job::JobKind::UserImport).await.unwrap();
            call.body("application/x-ndjson", "\n")
        } else if !self.takes_body {
            call
        } else if self.id == "auth.login" {
            call.form(&[("username", &target.name), ("password", PASSWORD)])
        } else {
            call.json(self.body(target))
        };
        call.send().await
    }

    /// The same request with input that cannot be valid: an unknown query key, and a body that is no JSON.
    pub async fn bad(&self, world: &World, target: &Target, token: Option<&str>) -> Answer {
        let path = format!("{}?nonsense=1", self.path(target));
        let call = self.call(world, &path, token, target.serial);
        let call = if self.takes_body { call.body("application/json", "{\"nonsense\":") } else { call };
        call.send().await
    }
}
