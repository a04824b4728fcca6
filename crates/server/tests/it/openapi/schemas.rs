//! Rules about schemas: what generators of clients turn into types that people like to use.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Document, none};

const ENVELOPES: [&str; 2] = ["ApiResponse_", "PaginatedResponse_"];

/// Every schema in a schema with the way to it. What stands in conditions is no type but a rule between fields.
fn walk<'d>(schema: &'d Value, at: &str, visit: &mut impl FnMut(&'d Value, &str)) {
    visit(schema, at);
    for word in ["properties", "patternProperties"] {
        for (name, part) in schema[word].as_object().into_iter().flatten() {
            walk(part, &format!("{at}.{name}"), visit);
        }
    }
    for word in ["items", "additionalProperties", "propertyNames"] {
        if let Some(part) = schema.get(word).filter(|part| part.is_object()) {
            walk(part, &format!("{at}.{word}"), visit);
        }
    }
    for word in ["allOf", "anyOf", "oneOf"] {
        for (i, part) in schema[word].as_array().into_iter().flatten().enumerate() {
            walk(part, &format!("{at}.{word}[{i}]"), visit);
        }
    }
}

impl Document {
    /// The bodies of requests, or of answers: each with the operation and its status.
    fn bodies(&self, requests: bool) -> Vec<(String, &Value)> {
        let mut bodies = Vec::new();
        for (id, _, _, operation) in self.operations() {
            let answers = operation["responses"].as_object().unwrap();
            let answers = answers.iter().map(|(status, answer)| (status.as_str(), self.resolve(answer)));
            let messages: Vec<_> = if requests { vec![("body", &operation["requestBody"])] } else { answers.collect() };
            for (name, message) in messages {
                for content in message["content"].as_object().into_iter().flat_map(|map| map.values()) {
                    bodies.push((format!("{id} {name}"), &content["schema"]));
                }
            }
        }
        bodies
    }

    /// Every schema that requests, or answers, are made of, each once.
    pub(super) fn used(&self, requests: bool) -> Vec<(String, &Value)> {
        let mut queue: Vec<_> = self.bodies(requests);
        if requests {
            for (id, _, _, operation) in self.operations() {
                let parameters = operation["parameters"].as_array().into_iter().flatten();
                let parameters = parameters.map(|parameter| self.resolve(parameter));
                // What a header may not say means nothing; it is never refused.
                let bounded = parameters.filter(|parameter| parameter["in"] != "header");
                queue.extend(bounded.map(|p| (format!("{id} {}", p["name"]), &p["schema"])));
            }
        }
        let (mut seen, mut used) = (BTreeSet::new(), Vec::new());
        while let Some((at, schema)) = queue.pop() {
            walk(schema, &at, &mut |part, at| {
                match part["$ref"].as_str() {
                    Some(path) if seen.insert(path) => queue.push((path.to_owned(), self.resolve(part))),
                    _ => {}
                }
                used.push((at.to_owned(), part));
            });
        }
        used
    }

    /// Every schema of the document.
    pub(super) fn all(&self) -> Vec<(String, &Value)> {
        let mut all: Vec<_> = self.used(true).into_iter().chain(self.used(false)).collect();
        for (name, schema) in self.schemas() {
            walk(schema, name, &mut |part, at| all.push((at.to_owned(), part)));
        }
        all
    }
}

fn is(schema: &Value, kind: &str) -> bool {
    schema["type"] == kind || schema["type"].as_array().is_some_and(|kinds| kinds.iter().any(|one| one == kind))
}

fn is_reference(schema: &Value) -> bool {
    schema.get("$ref").is_some()
}

fn is_pascal(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase()) && name.bytes().all(|b| b.is_ascii_alphanumeric())
}

#[test]
fn schemas_have_pascal_case_names_and_envelopes_the_name_of_what_they_hold() {
    let document = Document::read();
    let name_is_good = |name: &str| match ENVELOPES.iter().find_map(|envelope| name.strip_prefix(envelope)) {
        Some(inner) => document.schemas().contains_key(inner),
        None => is_pascal(name),
    };
    none(document.schemas().keys().filter(|name| !name_is_good(name)).cloned().collect());
}

#[test]
fn schemas_are_described_and_used_and_their_references_lead_somewhere() {
    let document = Document::read();
    let mut unused: BTreeSet<_> =
        document.schemas().keys().map(|name| format!("#/components/schemas/{name}")).collect();
    let mut faults = Vec::new();
    for (at, schema) in document.all() {
        if let Some(path) = schema["$ref"].as_str() {
            unused.remove(path);
            if document.0.pointer(path.trim_start_matches('#')).is_none() {
                faults.push(format!("{at}: {path} leads nowhere"));
            }
        }
    }
    let described = |schema: &Value| schema["description"].as_str().is_some_and(|text| !text.is_empty());
    let nameless = document.schemas().iter().filter(|(_, schema)| !described(schema));
    faults.extend(nameless.map(|(name, _)| format!("{name} has no description")));
    faults.extend(unused.into_iter().map(|path| format!("{path} is used nowhere")));
    none(faults);
}

#[test]
fn no_two_types_claim_one_schema_name() {
    // The generator lets the last one win in silence: what it was told is to be read in the sources.
    let mut folders = vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http")];
    let (mut seen, mut faults) = (BTreeSet::new(), Vec::new());
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let (mut derives, mut named) = (false, None);
            for line in text.lines().map(str::trim) {
                derives |= line.contains("ToSchema") && line.starts_with("#[derive(");
                if let Some(name) = line.strip_prefix("#[schema(as = ") {
                    named = name.split([',', ')']).next();
                }
                let declared = line.strip_prefix("pub struct ").or_else(|| line.strip_prefix("pub enum "));
                let Some(name) = declared.and_then(|rest| rest.split(|c: char| !c.is_alphanumeric()).next()) else {
                    continue;
                };
                let is_body = text.contains("input! {") && line.ends_with('{') && name.ends_with("Request");
                if (derives || is_body) && !seen.insert(named.unwrap_or(name).to_owned()) {
                    faults.push(format!("{}: {name}", path.display()));
                }
                (derives, named) = (false, None);
            }
        }
    }
    assert!(seen.contains("SessionStats") && seen.contains("RegisterRequest"), "the test does not see the types");
    none(faults);
}

#[test]
fn bodies_are_references_and_envelopes_hold_references() {
    let document = Document::read();
    let bodies = document.bodies(true).into_iter().chain(document.bodies(false));
    let mut faults: Vec<_> = bodies.filter(|(_, body)| !is_reference(body)).map(|(at, _)| at).collect();
    for (name, schema) in document.schemas() {
        let data = &schema["properties"]["data"];
        let holds = match name.split_once('_') {
            Some(("ApiResponse", _)) => is_reference(data),
            Some(("PaginatedResponse", _)) => is(data, "array") && is_reference(&data["items"]),
            _ => continue,
        };
        let mut required = vec!["data", "meta"];
        if name.starts_with("PaginatedResponse") {
            required.insert(1, "pagination");
        }
        if !holds || schema["required"] != json!(required) {
            faults.push(name.clone());
        }
    }
    for (id, _, _, operation) in document.operations() {
        let Some(body) = operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].as_str() else {
            continue;
        };
        let is_list = body.starts_with("#/components/schemas/PaginatedResponse_");
        if is_list != id.ends_with(".list") {
            faults.push(format!("{id}: {body}"));
        }
    }
    none(faults);
}

#[test]
fn objects_within_objects_have_names() {
    let document = Document::read();
    let nameless = |(at, schema): &(String, &Value)| {
        // A part of an `allOf` is one type with its neighbours.
        schema.get("properties").is_some() && (at.contains('.') || at.contains(' ')) && !at.ends_with(']')
    };
    none(document.all().into_iter().filter(nameless).map(|(at, _)| at).collect());
}

#[test]
fn every_schema_says_what_it_is() {
    let document = Document::read();
    let words = ["type", "$ref", "allOf", "oneOf", "anyOf", "enum", "const"];
    let empty = |(_, schema): &(String, &Value)| !words.iter().any(|word| schema.get(word).is_some());
    none(document.all().into_iter().filter(empty).map(|(at, _)| at).collect());
}

#[test]
fn null_is_a_type_and_an_alternative_to_references_only() {
    let document = Document::read();
    let mut faults = Vec::new();
    for (at, schema) in document.all() {
        let alternatives = || ["anyOf", "oneOf"].into_iter().filter_map(|word| schema[word].as_array()).flatten();
        let with_null = alternatives().any(|one| one["type"] == "null");
        if schema.get("nullable").is_some()
            || with_null && alternatives().any(|one| one["type"] != "null" && !is_reference(one))
        {
            faults.push(at);
        }
    }
    none(faults);
}

#[test]
fn no_answer_is_closed_to_fields_of_later_releases_or_a_bare_list() {
    let document = Document::read();
    let closed = |(_, schema): &(String, &Value)| schema["additionalProperties"] == json!(false);
    let mut faults: Vec<_> = document.used(false).into_iter().filter(closed).map(|(at, _)| at).collect();
    let lists = document.bodies(false).into_iter().filter(|(_, body)| is(document.resolve(body), "array"));
    faults.extend(lists.map(|(at, _)| at));
    none(faults);
}

#[test]
fn what_an_answer_may_leave_null_is_always_there() {
    let document = Document::read();
    let mut faults = Vec::new();
    for (at, schema) in document.used(false) {
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            let nullable = is(property, "null")
                || property["oneOf"].as_array().is_some_and(|all| all.contains(&json!({"type": "null"})));
            if nullable && !required.contains(&json!(name)) {
                faults.push(format!("{at}.{name}"));
            }
        }
    }
    none(faults);
}

#[test]
fn whole_numbers_have_a_format() {
    let document = Document::read();
    let bare = |(_, schema): &(String, &Value)| is(schema, "integer") && schema.get("format").is_none();
    none(document.all().into_iter().filter(bare).map(|(at, _)| at).collect());
}

#[test]
fn everything_in_a_request_has_bounds() {
    let document = Document::read();
    let mut faults = Vec::new();
    for (at, schema) in document.used(true) {
        let has = |words: &[&str]| words.iter().all(|word| schema.get(word).is_some());
        let bounded =
            (!is(schema, "string") || has(&["maxLength"]) || has(&["enum"]) || schema["format"] == "date-time")
                && (!is(schema, "integer") || has(&["minimum", "maximum"]))
                && (!is(schema, "array") || has(&["maxItems"]))
                && (!is(schema, "object") || schema["additionalProperties"] == json!(false) || has(&["maxProperties"]));
        if !bounded {
            faults.push(format!("{at}: {schema}"));
        }
    }
    none(faults);
}
