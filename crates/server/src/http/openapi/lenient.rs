//! What the document leaves unsaid, because clients that are generated make more of it than it means.
//!
//! Some refuse an answer that does not match: so only requests have bounds, or a wider id of a later release would break
//! them. Some take a field with a default as one that is always sent.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// Takes bounds from answers, and defaults from the bodies of requests.
pub(super) fn make(document: &mut Value) {
    let asked = reachable(document, asks);
    if let Some(schemas) = document["components"]["schemas"].as_object_mut() {
        for (name, schema) in schemas {
            if asked.contains(name) {
                visit(schema, &say_default);
            } else {
                visit(schema, &|schema| {
                    for word in ["pattern", "minLength", "maxLength", "enum"] {
                        schema.remove(word);
                    }
                });
            }
        }
    }
}

/// The bodies and parameters of an operation.
fn asks(operation: &Value) -> Vec<&Value> {
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    parameters.chain([&operation["requestBody"]]).collect()
}

/// The names of the schemas that parts of the operations lead to.
fn reachable(document: &Value, parts: fn(&Value) -> Vec<&Value>) -> BTreeSet<String> {
    let items = document["paths"].as_object().into_iter().flat_map(Map::values);
    let operations = items.flat_map(|item| METHODS.iter().filter_map(|method| item.get(method)));
    let mut queue: Vec<_> = operations.flat_map(parts).collect();
    let mut found = BTreeSet::new();
    while let Some(part) = queue.pop() {
        match part {
            Value::Object(map) => queue.extend(map.values()),
            Value::Array(items) => queue.extend(items),
            Value::String(path) => {
                if let Some(name) = path.strip_prefix("#/components/schemas/")
                    && found.insert(name.to_owned())
                {
                    queue.push(&document["components"]["schemas"][name]);
                }
            }
            _ => {}
        }
    }
    found
}

/// Changes every schema in a schema, but nothing in examples and conditions.
fn visit(value: &mut Value, change: &impl Fn(&mut Map<String, Value>)) {
    let Value::Object(schema) = value else { return };
    change(schema);
    for word in ["properties", "patternProperties"] {
        let parts = schema.get_mut(word).and_then(Value::as_object_mut);
        parts.into_iter().flat_map(Map::values_mut).for_each(|part| visit(part, change));
    }
    for word in ["items", "additionalProperties", "propertyNames"] {
        schema.get_mut(word).into_iter().for_each(|part| visit(part, change));
    }
    for word in ["allOf", "anyOf", "oneOf"] {
        let parts = schema.get_mut(word).and_then(Value::as_array_mut);
        parts.into_iter().flatten().for_each(|part| visit(part, change));
    }
}

/// Says a default in words.
fn say_default(schema: &mut Map<String, Value>) {
    if let Some(default) = schema.remove("default") {
        let text = schema.get("description").and_then(Value::as_str).unwrap_or_default();
        let default = default.as_str().map_or_else(|| default.to_string(), str::to_owned);
        schema.insert("description".to_owned(), format!("{text} `{default}` where nothing is said.").trim().into());
    }
}
