//! What holds for all operations, filled in by rules.

use gatehouse_domain::issue::Issues;
use serde_json::{Map, Value, json};

use crate::http::{
    openapi::{example, lenient, oauth, rule, words},
    problem::{CODES, Code},
};

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// Completes a document.
pub(super) fn complete(document: &mut Value) {
    simplify(document);
    shared(document);
    rule::add(&mut document["components"]["schemas"]);
    let Some(Value::Object(mut paths)) = document.get_mut("paths").map(Value::take) else { return };
    for item in paths.values_mut() {
        let has_versions = item.get("patch").is_some();
        for method in METHODS {
            if let Some(operation) = item.get_mut(method).and_then(Value::as_object_mut) {
                one(operation);
                if method == "post" && is_secured(operation) {
                    repeatable(operation);
                }
                if has_versions {
                    conditional(method, operation);
                }
            }
        }
    }
    document["paths"] = Value::Object(paths);
    oauth::add(document);
    example::fill(document);
    words::name(document);
    lenient::make(document);
}

/// `oneOf` of a simple type and null becomes a type that admits null; a list of examples stays one.
fn simplify(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.values_mut().for_each(simplify);
            if let Some(merged) = described(map) {
                *map = merged;
            }
            if let Some(merged) = nullable(map) {
                let description = map.remove("description");
                *map = merged;
                if let Some(description) = description {
                    map.insert("description".to_owned(), description);
                }
            }
            // `example` is deprecated in 3.1.
            if map.contains_key("type")
                && let Some(example) = map.remove("example")
            {
                map.insert("examples".to_owned(), json!([example]));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(simplify),
        _ => {}
    }
}

/// An inline type that has a doc comment comes as two parts that must both hold, the type and a bare object with the
/// description: no value is a text and an object.
fn described(map: &Map<String, Value>) -> Option<Map<String, Value>> {
    let [Value::Object(schema), Value::Object(words)] = map.get("allOf")?.as_array()?.as_slice() else { return None };
    let description = words.get("description")?;
    if words.len() != 2 || words.get("type")? != "object" {
        return None;
    }
    let mut merged = schema.clone();
    merged.insert("description".to_owned(), description.clone());
    Some(merged)
}

fn nullable(map: &Map<String, Value>) -> Option<Map<String, Value>> {
    let alternatives = map.get("oneOf")?.as_array()?;
    let is_null = |schema: &Value| schema == &json!({ "type": "null" });
    let other = alternatives.iter().find(|schema| !is_null(schema))?;
    if alternatives.len() != 2 || !alternatives.iter().any(is_null) {
        return None;
    }
    let mut merged = other.as_object()?.clone();
    let simple = merged.get("type")?.as_str()?.to_owned();
    merged.insert("type".to_owned(), json!([simple, "null"]));
    Some(merged)
}

fn code(name: &str) -> Option<&'static Code> {
    CODES.iter().find(|code| code.code == name)
}

pub(super) fn problem_example(name: &str) -> Value {
    let Some(code) = code(name) else { return Value::Null };
    let id = "0198c5d2e8f47b7c9d0a1b2c3d4e5f60";
    json!({
        "type": format!("/docs/errors#{}", code.code),
        "title": code.title,
        "status": code.status.as_u16(),
        "detail": code.help,
        "instance": format!("urn:gatehouse:request:{id}"),
        "code": code.code,
        "request_id": id,
    })
}

fn header(description: &str, schema: &Value) -> Value {
    json!({ "description": description, "schema": schema })
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/headers/{name}") })
}

/// A failure as a shared response: its description, the codes it may have, and the headers besides the request id.
fn problem_response(description: &str, codes: &[&str], headers: &[&str]) -> Value {
    let mut shown = Map::new();
    shown.insert("X-Request-Id".to_owned(), reference("X-Request-Id"));
    for name in headers {
        shown.insert((*name).to_owned(), reference(name));
    }
    let examples: Map<_, _> =
        codes.iter().map(|name| ((*name).to_owned(), json!({ "value": problem_example(name) }))).collect();
    json!({
        "description": description,
        "headers": shown,
        "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" }, "examples": examples } },
    })
}

/// The responses, headers and schemas that operations share.
fn shared(document: &mut Value) {
    let text = |max: u32| json!({ "type": "string", "maxLength": max });
    let components = &mut document["components"];
    components["headers"] = json!({
        "X-Request-Id": header("The id of the request: the client's own, or a new one.", &json!({ "type": "string", "pattern": "^[A-Za-z0-9._-]{1,128}$" })),
        "WWW-Authenticate": header("The challenge (RFC 6750).", &text(200)),
        "Retry-After": header("Seconds until it is worth trying again.", &json!({ "type": "integer", "format": "int32", "minimum": 1 })),
        "RateLimit-Policy": header("The limit that applies.", &text(200)),
        "RateLimit": header("What is left of it.", &text(200)),
        "Content-Disposition": header("That it is a file, and its name (RFC 6266).", &text(200)),
        "Allow": header("The methods that there are.", &text(200)),
        "Idempotency-Replayed": header("That the answer is that of an earlier request.", &json!({ "type": "string", "const": "true" })),
        "ETag": header("Names the state of what is shown (RFC 9110); for `If-Match` and `If-None-Match`.", &text(100)),
        "Location": header("Where it is.", &json!({ "type": "string", "format": "uri-reference", "maxLength": 200 })),
        "Link": header("The first, previous, next and last page (RFC 8288).", &text(8192)),
    });
    let tags = json!({ "type": "string", "maxLength": 4096, "pattern": r#"^(\*|(W/)?"[!#-~]*"( ?, ?(W/)?"[!#-~]*"){0,31})$"# });
    components["parameters"] = json!({
        "Idempotency-Key": request_header("Idempotency-Key", "Makes the request safe to repeat: for 24 hours the same request of the same caller with the same key gets the first one's answer again. Only answers of what took effect are kept; a request that was refused is tried anew.", &json!({ "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$", "examples": ["8e03978e-40d5-43dd-bc93-6894a57f9324"] })),
        "If-Match": request_header("If-Match", "Makes the change only if the thing is still as an answer with one of these ETags showed it; `*` means as whatever it is.", &tags),
        "If-None-Match": request_header("If-None-Match", "Answers 304 if everything is still as an answer with one of these ETags showed it.", &json!({ "type": "string", "maxLength": 4096 })),
    });
    components["responses"] = json!({
        "NotModified": {
            "description": "It is as it was.",
            "headers": { "X-Request-Id": reference("X-Request-Id"), "ETag": reference("ETag") },
        },
        "PreconditionFailed": problem_response("It is not as `If-Match` says.", &["precondition_failed"], &[]),
        "Unauthenticated": problem_response("No access token, or none that is valid.", &["unauthenticated", "invalid_token", "session_revoked"], &["WWW-Authenticate"]),
        "InvalidCredentials": problem_response("What was presented as proof is wrong.", &["invalid_credentials", "invalid_setup_token", "refresh_token_spent", "refresh_token_invalid", "session_revoked"], &["WWW-Authenticate"]),
        "InvalidLink": problem_response("The link does nothing, or nothing more.", &["invalid_invitation", "invalid_link"], &["WWW-Authenticate"]),
        "Forbidden": problem_response("Not allowed.", &["missing_permission", "registration_closed", "tenant_suspended", "email_not_verified"], &["WWW-Authenticate"]),
        "NotFound": problem_response("There is nothing of that name that the caller may see.", &["not_found"], &[]),
        "Conflict": problem_response("It conflicts with what is there.", &["conflict", "already_registered", "already_set_up", "limit_reached", "stale", "idempotency_in_progress"], &["Retry-After"]),
        "RequestTimeout": problem_response("The body took too long.", &["request_timeout"], &[]),
        "PayloadTooLarge": problem_response("The body is too large.", &["payload_too_large"], &[]),
        "UnsupportedMediaType": problem_response("The body is of the wrong type.", &["unsupported_media_type"], &[]),
        "RateLimited": problem_response("Too many attempts or requests.", &["rate_limited"], &["Retry-After", "RateLimit-Policy", "RateLimit"]),
        "Unavailable": problem_response("Not available at the moment.", &["unavailable", "overloaded"], &["Retry-After"]),
        "Failure": problem_response("Any other failure.", &["internal", "method_not_allowed"], &["Allow"]),
        "Invalid": {
            "description": "The input is not valid; every fault is listed.",
            "headers": { "X-Request-Id": reference("X-Request-Id") },
            "content": { "application/json": { "schema": { "$ref": "#/components/schemas/HTTPValidationError" }, "examples": { "missing": { "value": {
                "detail": [{ "loc": ["body", "email"], "msg": "is required", "type": "missing" }],
            } } } } },
        },
    });
    components["schemas"]["ValidationError"] = json!({
        "description": "A fault of the input.",
        "type": "object",
        "required": ["loc", "msg", "type"],
        "properties": {
            "loc": {
                "description": "Where: `body`, `query`, `path` or `header`, then names and positions.",
                "type": "array",
                "maxItems": 70,
                "items": { "anyOf": [{ "type": "string", "maxLength": Issues::STEP_MAX }, { "type": "integer", "format": "int32", "minimum": 0 }] },
                "examples": [["body", "email"]],
            },
            "msg": { "description": "What is wrong, in words.", "type": "string", "maxLength": Issues::MSG_MAX, "examples": ["is required"] },
            "type": { "description": "What is wrong, as a slug.", "type": "string", "maxLength": 64, "examples": ["missing"] },
        },
    });
    components["schemas"]["HTTPValidationError"] = json!({
        "description": "Everything that is wrong with the input.",
        "type": "object",
        "required": ["detail"],
        "properties": { "detail": {
            "description": "The faults.",
            "type": "array",
            "maxItems": Issues::MOST,
            "items": { "$ref": "#/components/schemas/ValidationError" },
        } },
    });
}

fn is_secured(operation: &Map<String, Value>) -> bool {
    operation.get("security").and_then(Value::as_array).is_some_and(|list| !list.is_empty())
}

/// What can be changed can be asked for and changed on condition.
fn conditional(method: &str, operation: &mut Map<String, Value>) {
    let (parameter, status, response) = match method {
        "get" => ("If-None-Match", "304", "NotModified"),
        "patch" | "delete" => ("If-Match", "412", "PreconditionFailed"),
        _ => return,
    };
    let parameters = operation.entry("parameters").or_insert_with(|| json!([]));
    if let Some(parameters) = parameters.as_array_mut() {
        parameters.push(json!({ "$ref": format!("#/components/parameters/{parameter}") }));
    }
    operation["responses"][status] = json!({ "$ref": format!("#/components/responses/{response}") });
    if let Some(answer) = operation["responses"].get_mut("200") {
        answer["headers"]["ETag"] = reference("ETag");
    }
}

/// What makes or ends something can be sent again under a key.
fn repeatable(operation: &mut Map<String, Value>) {
    let parameters = operation.entry("parameters").or_insert_with(|| json!([]));
    if let Some(parameters) = parameters.as_array_mut() {
        parameters.push(json!({ "$ref": "#/components/parameters/Idempotency-Key" }));
    }
    for (status, response) in operation.get_mut("responses").and_then(Value::as_object_mut).into_iter().flatten() {
        if status.starts_with('2') {
            response["headers"]["Idempotency-Replayed"] = reference("Idempotency-Replayed");
        }
    }
    operation["responses"]["409"] = json!({ "$ref": "#/components/responses/Conflict" });
}

/// A header of requests as a shared parameter.
fn request_header(name: &str, description: &str, schema: &Value) -> Value {
    json!({ "name": name, "in": "header", "required": false, "description": description, "schema": schema })
}

/// Completes an operation.
fn one(operation: &mut Map<String, Value>) {
    let id = operation.get("operationId").and_then(Value::as_str).unwrap_or_default().to_owned();
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else { return };
    let limited = responses.contains_key("429");
    for (status, response) in responses.iter_mut().filter(|(_, response)| response.get("$ref").is_none()) {
        response["description"] = json!(match (status.as_str(), response.get("content").is_some()) {
            ("201", _) => "It was made.",
            ("204", _) => "It was done; there is nothing to say.",
            (_, true) => "The answer.",
            (_, false) => "It was done.",
        });
        response["headers"]["X-Request-Id"] = reference("X-Request-Id");
        if id.ends_with(".list") {
            response["headers"]["Link"] = reference("Link");
        }
        if id.ends_with("user_imports.create") {
            response["headers"]["Location"] = reference("Location");
        }
        if id.ends_with(".download") {
            response["headers"]["Content-Disposition"] = reference("Content-Disposition");
        }
        if limited {
            response["headers"]["RateLimit-Policy"] = reference("RateLimit-Policy");
            response["headers"]["RateLimit"] = reference("RateLimit");
        }
    }
    for parameter in operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten() {
        if parameter["in"] == "query" {
            // `?status=` is the same as no status.
            parameter["allowEmptyValue"] = json!(true);
        }
    }
    if id == "auth.login"
        && let Some(parameters) = operation.get_mut("parameters").and_then(Value::as_array_mut)
    {
        parameters.push(json!({
            "name": "X-Device",
            "in": "header",
            "required": false,
            "description": "`app` declares a native client; anything else means nothing.",
            "schema": { "type": "string", "examples": ["app"] },
        }));
    }
}
