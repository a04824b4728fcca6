//! Rules about operations and what they answer.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{Document, none};

/// The last words of operation ids.
const VERBS: [&str; 26] = [
    "cancel",
    "change_email",
    "change_password",
    "create",
    "delete",
    "get",
    "invite_all",
    "list",
    "login",
    "logout",
    "refresh",
    "register",
    "revoke",
    "revoke_all",
    "revoke_tokens",
    "rotate_secret",
    "stats",
    "update",
    "accept",
    "download",
    "upload",
    "forgot",
    "resend",
    "reset",
    "verify",
    "unlock",
];

/// What has a limit though nobody is signed in.
const LIMITED: [&str; 5] = ["auth.email.resend", "auth.login", "auth.password.forgot", "auth.refresh", "auth.register"];

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

fn is_secured(operation: &Value) -> bool {
    operation["security"].as_array().is_some_and(|list| !list.is_empty())
}

fn is_ok(status: &str) -> bool {
    status.starts_with('2')
}

#[test]
fn operation_ids_are_words_joined_by_dots_and_end_with_a_verb() {
    let document = Document::read();
    let mut seen = BTreeSet::new();
    let mut faults = Vec::new();
    for (id, ..) in document.operations() {
        let words: Vec<_> = id.split('.').collect();
        if words.len() < 2 || !words.iter().all(|word| is_word(word)) || !VERBS.contains(words.last().unwrap()) {
            faults.push(id.to_owned());
        }
        if !seen.insert(id) {
            faults.push(format!("{id} twice"));
        }
    }
    none(faults);
}

#[test]
fn operations_have_one_tag_which_is_their_id_without_the_verb() {
    let document = Document::read();
    let tags = document.0["tags"].as_array().unwrap();
    let declared: BTreeMap<_, _> = tags.iter().map(|tag| (tag["name"].as_str().unwrap(), tag)).collect();
    assert_eq!(declared.len(), tags.len(), "a tag is declared twice");
    let mut unused: BTreeSet<_> = declared.keys().copied().collect();
    let mut faults = Vec::new();
    for (id, _, _, operation) in document.operations() {
        let resource = id.rsplit_once('.').unwrap().0.replace(['.', '_'], "-");
        if operation["tags"] != json!([resource]) {
            faults.push(format!("{id}: {}", operation["tags"]));
        }
        unused.remove(&*resource);
        if declared.get(&*resource).is_none_or(|tag| tag["description"].as_str().is_none_or(str::is_empty)) {
            faults.push(format!("{resource} is not declared with a description"));
        }
    }
    faults.extend(unused.into_iter().map(|tag| format!("{tag} has no operation")));
    none(faults);
}

#[test]
fn operations_say_in_a_line_and_in_a_text_what_they_do() {
    let document = Document::read();
    let mut faults = Vec::new();
    for (id, _, _, operation) in document.operations() {
        let summary = operation["summary"].as_str().unwrap_or_default();
        let length = summary.chars().count();
        if !(1..=60).contains(&length) || summary.ends_with('.') || !summary.starts_with(char::is_uppercase) {
            faults.push(format!("{id}: {summary:?}"));
        }
        if operation["description"].as_str().is_none_or(str::is_empty) {
            faults.push(format!("{id} has no description"));
        }
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let parameter = document.resolve(parameter);
            if parameter["description"].as_str().is_none_or(str::is_empty) {
                faults.push(format!("{id}: {} has no description", parameter["name"]));
            }
        }
    }
    none(faults);
}

#[test]
fn operations_say_who_may_call_them() {
    let document = Document::read();
    let scheme = &document.0["components"]["securitySchemes"]["bearerAuth"];
    assert_eq!(
        (&scheme["type"], &scheme["scheme"], &scheme["bearerFormat"]),
        (&json!("http"), &json!("bearer"), &json!("JWT"))
    );
    let mut faults = Vec::new();
    for (id, path, _, operation) in document.of_api() {
        let open = path.starts_with("/api/v1/auth/") || path == "/api/v1/setup";
        let expected = if open { json!([]) } else { json!([{ "bearerAuth": [] }]) };
        if operation["security"] != expected {
            faults.push(format!("{id}: {}", operation["security"]));
        }
        // OpenAPI ignores parameters of these names.
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let parameter = document.resolve(parameter);
            let name = parameter["name"].as_str().unwrap();
            if ["authorization", "accept", "content-type"].iter().any(|header| name.eq_ignore_ascii_case(header)) {
                faults.push(format!("{id}: {name}"));
            }
        }
    }
    none(faults);
}

#[test]
fn operations_declare_the_answers_they_may_give() {
    let document = Document::read();
    let mut faults = Vec::new();
    for (id, path, method, operation) in document.of_api() {
        let responses = operation["responses"].as_object().unwrap();
        let mut expected = vec!["422", "503", "default"];
        if is_secured(operation) || matches!(id, "auth.login" | "auth.refresh" | "setup.create") {
            expected.push("401");
        }
        if is_secured(operation) && !path.starts_with("/api/v1/me") {
            expected.push("403");
        }
        if path.contains('{') {
            expected.push("404");
        }
        if operation.get("requestBody").is_some() {
            expected.extend(["413", "415"]);
        }
        if is_secured(operation) || LIMITED.contains(&id) {
            expected.push("429");
        }
        let missing = expected.into_iter().filter(|status| !responses.contains_key(*status));
        faults.extend(missing.map(|status| format!("{id}: {status}")));
        // A deletion that is only tried has something to say.
        let tried = operation["parameters"].as_array().into_iter().flatten().any(|p| p["name"] == "dry_run");
        let ok: Vec<_> = responses.keys().filter(|status| is_ok(status)).map(String::as_str).collect();
        let one = if method == "delete" && tried { ok == ["200", "204"] } else { ok.len() == 1 };
        if !one {
            faults.push(format!("{id} has not exactly one answer of success"));
        }
    }
    none(faults);
}

#[test]
fn answers_have_a_description_and_a_declared_body_and_declared_headers() {
    let document = Document::read();
    let mut faults = Vec::new();
    for (id, _, _, operation) in document.of_api() {
        for (status, response) in operation["responses"].as_object().unwrap() {
            let shared = response.get("$ref").is_some();
            let response = document.resolve(response);
            let mut fault = |what: &str| faults.push(format!("{id} {status}: {what}"));
            if response["description"].as_str().is_none_or(str::is_empty) {
                fault("no description");
            }
            if shared == is_ok(status) {
                fault("failures are shared, successes are not");
            }
            let media = match status.as_str() {
                "204" | "304" => vec![],
                "422" => vec!["application/json"],
                status if is_ok(status) && id.ends_with(".download") => vec!["application/x-ndjson", "text/csv"],
                status if is_ok(status) => vec!["application/json"],
                _ => vec!["application/problem+json"],
            };
            let types: Vec<_> = response["content"].as_object().into_iter().flat_map(|map| map.keys()).collect();
            if types != media {
                fault(&format!("{types:?}"));
            }
            let mut headers = vec!["X-Request-Id"];
            if is_ok(status) && (is_secured(operation) || LIMITED.contains(&id)) {
                headers.extend(["RateLimit", "RateLimit-Policy"]);
            }
            match status.as_str() {
                "401" => headers.push("WWW-Authenticate"),
                "409" => headers.push("Retry-After"),
                "429" => headers.extend(["Retry-After", "RateLimit", "RateLimit-Policy"]),
                "503" => headers.push("Retry-After"),
                "304" => headers.push("ETag"),
                "200" if id.ends_with(".list") => headers.push("Link"),
                "200" if operation["responses"].get("304").is_some() => headers.push("ETag"),
                "200" if operation["responses"].get("412").is_some() => headers.push("ETag"),
                "200" if id.ends_with(".download") => headers.push("Content-Disposition"),
                _ => {}
            }
            for header in headers {
                let declared = &response["headers"][header];
                if declared["$ref"] != format!("#/components/headers/{header}") || document.resolve(declared).is_null()
                {
                    fault(header);
                }
            }
        }
    }
    none(faults);
}

#[test]
fn requests_and_answers_and_path_parameters_have_examples() {
    let document = Document::read();
    let mut faults = Vec::new();
    for (id, _, _, operation) in document.operations() {
        let responses = operation["responses"].as_object().unwrap().values().map(|response| document.resolve(response));
        for message in responses.chain([&operation["requestBody"]]) {
            for (media, content) in message["content"].as_object().into_iter().flatten() {
                let several = content["examples"].as_object().is_some_and(|examples| !examples.is_empty());
                if content["example"].is_null() && !several {
                    faults.push(format!("{id}: {media} of {}", message["description"]));
                }
            }
        }
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let parameter = document.resolve(parameter);
            if parameter["in"] == "path" && parameter["example"].is_null() {
                faults.push(format!("{id}: {}", parameter["name"]));
            }
        }
    }
    none(faults);
}

#[test]
fn paths_are_kebab_case_and_their_parameters_are_declared_in_order() {
    let document = Document::read();
    let mut faults = Vec::new();
    for (id, path, _, operation) in document.of_api() {
        let kebab = |part: &str| part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        let parts = || path.trim_start_matches('/').split('/');
        if !path.starts_with("/api/v1/")
            || !parts().all(|part| part.starts_with('{') || !part.is_empty() && kebab(part))
        {
            faults.push(format!("{id}: {path}"));
        }
        let placeholders: Vec<_> = parts().filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
        let parameters = operation["parameters"].as_array().into_iter().flatten().filter(|p| p["in"] == "path");
        let declared: Vec<_> = parameters.map(|parameter| parameter["name"].as_str().unwrap()).collect();
        if placeholders != declared {
            faults.push(format!("{id}: {declared:?}"));
        }
    }
    none(faults);
}

#[test]
fn endpoints_for_programs_below_issuers_are_documented_for_tenants_and_for_the_platform() {
    let document = Document::read();
    let documented: BTreeSet<_> = document
        .operations()
        .into_iter()
        .filter(|(id, ..)| id.starts_with("oauth.") || id.starts_with("platform_oauth."))
        .map(|(_, path, method, _)| format!("{} {path}", method.to_uppercase()))
        .collect();
    let [programs, ..] = gatehouse_server::http::oauth::all();
    let routed: BTreeSet<_> = programs.iter().map(|it| format!("{} {}", it.method, it.path)).collect();
    // Browsers ask before they call, metadata are at other addresses too, and a form may have the token of `userinfo`.
    let besides = |route: &&String| {
        route.starts_with("OPTIONS")
            || route.contains("GET /.well-known")
            || route.starts_with("POST") && route.ends_with("/userinfo")
    };
    assert_eq!(documented, routed.iter().filter(|route| !besides(route)).cloned().collect());
}
