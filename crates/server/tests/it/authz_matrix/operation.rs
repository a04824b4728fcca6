//! The operations of the committed document, and a request to each that is right in everything but perhaps its caller.

use actix_web::http::Method;
use serde_json::{Map, Value, json};

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
    /// The fields of the body, and the document's example of it.
    fields: Vec<String>,
    example: Map<String, Value>,
}

/// Fields that a change of something may change, whatever it is, without ending what others need.
const CHANGES: [&str; 6] =
    ["name", "display_name", "expires_at", "delivery", "session_idle_minutes", "expire_previous_in"];

/// What a field stands for in a request about a target, whatever body it is in.
fn value(name: &str, target: &Target) -> Option<Value> {
    Some(match name {
        "tenant_id" => json!(target.tenant),
        "partner_id" => json!(target.partner),
        "user_id" => json!(target.user),
        "role_id" => json!(target.spare_role),
        "anchor" => json!({"level": "tenant", "tenant_id": target.tenant}),
        "name" | "slug" | "username" | "display_name" => json!(format!("m{}", target.serial)),
        "email" => json!(target.email),
        "password" | "current_password" | "new_password" => json!(PASSWORD),
        "token" => json!(target.link),
        "refresh_token" => json!(target.refresh),
        "permissions" => json!(["sessions:read"]),
        "expires_at" => json!("2100-01-01T00:00:00Z"),
        "delivery" => json!("link"),
        "expire_previous_in" => json!(60),
        // A level below may be no looser, so each request is stricter than those before.
        "session_idle_minutes" => json!(10_000 - target.serial),
        _ => return None,
    })
}

/// Every operation of the API in the document. What is below issuers asks no policy.
pub fn operations() -> Vec<Operation> {
    let document: Value = serde_json::from_str(gatehouse_server::http::openapi::COMMITTED).unwrap();
    let of_path = |(path, item): (&String, &Value)| {
        let path = path.strip_prefix("/api/v1").unwrap().to_owned();
        let takes = |operation: &Value, file: bool| {
            let content = operation["requestBody"]["content"].as_object();
            content.is_some_and(|content| content.contains_key("application/octet-stream") == file)
        };
        let of_body = |operation: &Value| {
            let content = &operation["requestBody"]["content"]["application/json"];
            let path = content["schema"]["$ref"].as_str().unwrap_or_default();
            let fields = document.pointer(&path.replace('#', "")).and_then(|schema| schema["properties"].as_object());
            let fields = fields.into_iter().flat_map(Map::keys).cloned().collect();
            (fields, content["example"].as_object().cloned().unwrap_or_default())
        };
        let operation = |(method, operation): (&String, &Value)| {
            let (fields, example) = of_body(operation);
            Operation {
                id: operation["operationId"].as_str().unwrap().to_owned(),
                method: method.to_uppercase().parse().unwrap(),
                path: path.clone(),
                secured: operation["security"].as_array().is_some_and(|security| !security.is_empty()),
                takes_body: takes(operation, false),
                takes_file: takes(operation, true),
                fields,
                example,
            }
        };
        item.as_object().unwrap().iter().map(operation).collect::<Vec<_>>()
    };
    let paths = document["paths"].as_object().unwrap().iter();
    let of_api =
        |operation: &Operation| !operation.id.starts_with("oauth.") && !operation.id.starts_with("platform_oauth.");
    let mut operations: Vec<_> = paths.flat_map(of_path).filter(of_api).collect();
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
            ("application_id", &target.application),
            ("event_id", &target.event),
            ("import_id", &target.import),
            ("tenant_slug", &target.slug),
        ] {
            path = path.replace(&format!("{{{name}}}"), value);
        }
        assert!(!path.contains('{'), "{path}: say in `Target` what the placeholder stands for");
        path
    }

    /// A good body of JSON: the example of the document about the target, or a change where that is empty.
    pub fn body(&self, target: &Target) -> Value {
        let mut body = self.example.clone();
        if body.is_empty() {
            let change = CHANGES.iter().find(|name| self.fields.iter().any(|field| field == *name));
            let change = change.unwrap_or_else(|| unreachable!("{}: name a field that it changes", self.id));
            body.insert((*change).to_owned(), Value::Null);
        }
        // Which sessions there are is known to few targets; that all are meant says the same.
        if body.remove("session_ids").is_some() {
            body.insert("revoke_all".to_owned(), json!(true));
        }
        body.into_iter().map(|(name, example)| (name.clone(), value(&name, target).unwrap_or(example))).collect()
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
            world.work(gatehouse_domain::job::JobKind::UserImport).await;
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
