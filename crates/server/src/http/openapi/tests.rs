//! What must hold of the document without any tool at hand.

use std::collections::BTreeSet;

use serde_json::Value;

use super::*;

fn generated() -> Value {
    serde_json::from_str(&render(&document())).unwrap()
}

fn visit(value: &Value, path: &str, look: &mut impl FnMut(&str, &Value)) {
    look(path, value);
    match value {
        Value::Object(map) => map.iter().for_each(|(key, part)| visit(part, &format!("{path}/{key}"), look)),
        Value::Array(items) => items.iter().enumerate().for_each(|(i, part)| visit(part, &format!("{path}/{i}"), look)),
        _ => {}
    }
}

fn each_operation(document: &Value, mut look: impl FnMut(&str, &Value)) {
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            look(&format!("{method} {path}"), operation);
        }
    }
}

#[test]
fn committed_document_is_the_generated_one() {
    assert!(render(&document()) == COMMITTED, "gatehouse openapi > openapi/gatehouse.v1.json");
}

#[test]
fn every_reference_leads_somewhere() {
    let document = generated();
    visit(&document, "", &mut |path, value| {
        if let Some(target) = value.get("$ref").and_then(Value::as_str) {
            let found = target.strip_prefix('#').and_then(|pointer| document.pointer(pointer));
            assert!(found.is_some(), "{path} refers to {target}");
        }
    });
}

#[test]
fn operations_have_dotted_ids_one_tag_and_a_short_summary() {
    let document = generated();
    let declared: Vec<_> = document["tags"].as_array().unwrap().iter().map(|tag| &tag["name"]).collect();
    let mut ids = BTreeSet::new();
    each_operation(&document, |place, operation| {
        let id = operation["operationId"].as_str().unwrap();
        assert!(ids.insert(id.to_owned()), "{place}: {id} is there twice");
        let parts: Vec<_> = id.split('.').collect();
        let plain = |part: &&str| part.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        assert!(parts.len() >= 2 && parts.iter().all(plain), "{place}: {id}");
        let (_, group) = parts.split_last().unwrap();
        let tag = group.join("-").replace('_', "-");
        assert_eq!(operation["tags"], serde_json::json!([tag]), "{place}");
        assert!(declared.iter().any(|name| **name == tag), "{place}: {tag} is not declared");
        let summary = operation["summary"].as_str().unwrap();
        assert!((1..=60).contains(&summary.len()) && !summary.ends_with('.'), "{place}: {summary}");
        for response in operation["responses"].as_object().unwrap().values() {
            assert!(response.get("$ref").is_some() || response["description"].is_string(), "{place}");
        }
    });
}

#[test]
fn envelopes_refer_to_what_they_hold() {
    // A type written out inside an envelope becomes a type of its own in every generated client.
    let document = generated();
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        let data = &schema["properties"]["data"];
        let held = match name.split_once('_') {
            Some(("ApiResponse", _)) => data,
            Some(("PaginatedResponse", _)) => &data["items"],
            _ => continue,
        };
        assert!(held["$ref"].is_string(), "{name}");
    }
}

#[test]
fn no_type_is_two_types_at_once() {
    visit(&generated(), "", &mut |path, value| {
        let bare = |part: &Value| part["type"] == "object" && part.get("properties").is_none();
        let parts = value.get("allOf").and_then(Value::as_array).into_iter().flatten();
        assert!(!parts.clone().any(bare), "{path}");
    });
}
