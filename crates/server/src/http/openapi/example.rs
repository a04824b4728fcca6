//! Examples, put together from those of the parts, so that none can disagree with its schema.

use serde_json::{Map, Value, json};

/// Gives every request and answer an example.
pub(super) fn fill(document: &mut Value) {
    let schemas = document["components"]["schemas"].clone();
    let Some(paths) = document.get_mut("paths").and_then(Value::as_object_mut) else { return };
    for operation in paths.values_mut().filter_map(Value::as_object_mut).flat_map(Map::values_mut) {
        if let Some(content) = operation.get_mut("requestBody").and_then(|body| body.get_mut("content")) {
            fill_content(content, &schemas);
        }
        let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else { continue };
        for content in responses.values_mut().filter_map(|response| response.get_mut("content")) {
            fill_content(content, &schemas);
        }
        let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten();
        for parameter in parameters.filter(|parameter| parameter["in"] == "path") {
            let example = of(&parameter["schema"], &schemas, 0);
            parameter["example"] = example;
        }
    }
}

fn fill_content(content: &mut Value, schemas: &Value) {
    for media in content.as_object_mut().into_iter().flat_map(Map::values_mut) {
        if media.get("examples").is_none() {
            media["example"] = of(&media["schema"], schemas, 0);
        }
    }
}

/// An example of a body with what it needs besides the fields that are always there.
fn with_more(name: &str, mut example: Value) -> Value {
    let tenant = json!("tnt_01h455vb4pex5vsknk084sn02q");
    let uris = json!(["https://app.example.com/callback"]);
    match name {
        "ApplicationCreateRequest" => (example["tenant_id"], example["redirect_uris"]) = (tenant, uris),
        "TenantApplicationCreateRequest" => example["redirect_uris"] = uris,
        _ => {}
    }
    example
}

/// An example of a schema.
fn of(schema: &Value, schemas: &Value, depth: usize) -> Value {
    if depth > 20 {
        return Value::Null;
    }
    if let Some(name) = schema.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next()) {
        return with_more(name, of(&schemas[name], schemas, depth + 1));
    }
    if let Some(example) = schema.get("examples").and_then(|examples| examples.get(0)) {
        return example.clone();
    }
    if let Some(default) = schema.get("default") {
        return default.clone();
    }
    if let Some(word) = schema.get("enum").and_then(|words| words.get(0)) {
        return word.clone();
    }
    if let Some(parts) = schema.get("allOf").and_then(Value::as_array) {
        let mut merged = Map::new();
        for part in parts {
            if let Value::Object(map) = of(part, schemas, depth + 1) {
                merged.extend(map);
            }
        }
        return Value::Object(merged);
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) if kinds.iter().any(|kind| kind == "null") => return Value::Null,
        Value::String(kind) => kind.as_str(),
        _ => return Value::Null,
    };
    match kind {
        "object" => {
            let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
            let required = schema.get("required").and_then(Value::as_array);
            let is_required = |name: &str| required.is_some_and(|list| list.iter().any(|item| item == name));
            properties
                .filter(|(name, _)| is_required(name))
                .map(|(name, part)| (name.clone(), of(part, schemas, depth + 1)))
                .collect()
        }
        "array" => {
            let n = schema.get("minItems").and_then(Value::as_u64).unwrap_or(1);
            let item = of(&schema["items"], schemas, depth + 1);
            json!(vec![item; usize::try_from(n).unwrap_or(1)])
        }
        "integer" | "number" => schema.get("minimum").cloned().unwrap_or_else(|| json!(1)),
        "boolean" => json!(false),
        _ => json!("text"),
    }
}
