//! Rules that generators of clients need: each was broken once, and the client of some language did not compile, or sent
//! something else than was meant.

use std::collections::{BTreeMap, BTreeSet};

use gatehouse_server::http::openapi;
use serde_json::{Value, json};

use super::{Document, none};

impl Document {
    /// The schemas that only answers are made of, and every schema within.
    fn of_answers_alone(&self) -> Vec<(String, &Value)> {
        let asked: BTreeSet<_> = self.used(true).into_iter().map(|(at, _)| named(&at)).collect();
        let answered = self.used(false).into_iter();
        answered.filter(|(at, _)| at.starts_with('#') && !asked.contains(&named(at))).collect()
    }
}

/// The schema that a place is in.
fn named(at: &str) -> String {
    at.split(['.', '[']).next().unwrap_or(at).to_owned()
}

#[test]
fn words_without_a_letter_have_names() {
    let mut faults = Vec::new();
    for (at, schema) in Document::read().all() {
        let words = schema["enum"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let nameless = words.filter(|word| !word.starts_with(|c: char| c.is_ascii_alphanumeric())).count();
        if nameless > 0 && schema.get("x-enum-varnames").is_none() {
            faults.push(at);
        }
    }
    none(faults);
}

#[test]
fn names_of_words_are_unique_and_can_be_names() {
    let mut faults = Vec::new();
    for (at, schema) in Document::read().all() {
        let Some(names) = schema["x-enum-varnames"].as_array() else { continue };
        let good = |name: &&Value| {
            let name = name.as_str().unwrap();
            name.starts_with(|c: char| c.is_ascii_uppercase())
                && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
        };
        let unique: BTreeSet<_> = names.iter().filter(good).map(ToString::to_string).collect();
        if unique.len() != schema["enum"].as_array().unwrap().len() || unique.len() != names.len() {
            faults.push(at);
        }
    }
    none(faults);
}

#[test]
fn no_schema_is_called_like_the_constructor_of_another() {
    // Go makes a function `NewX` for each `X`.
    let document = Document::read();
    let is_taken = |name: &&String| name.strip_prefix("New").is_some_and(|rest| document.schemas().contains_key(rest));
    none(document.schemas().keys().filter(is_taken).cloned().collect());
}

#[test]
fn request_has_one_encoding() {
    let document = Document::read();
    let encodings = |operation: &Value| operation["requestBody"]["content"].as_object().map_or(0, serde_json::Map::len);
    let operations = document.operations().into_iter().filter(|(.., operation)| encodings(operation) > 1);
    none(operations.map(|(id, ..)| id.to_owned()).collect());
}

#[test]
fn what_is_no_json_and_no_form_is_bytes() {
    let document = Document::read();
    let mut faults = Vec::new();
    for (id, _, _, operation) in document.of_api() {
        let answers = operation["responses"].as_object().unwrap().values().map(|answer| document.resolve(answer));
        for message in answers.chain([&operation["requestBody"]]) {
            for (media, content) in message["content"].as_object().into_iter().flatten() {
                let is_read = media.ends_with("json") && media != "application/x-ndjson" || media.contains("form");
                if !is_read && document.resolve(&content["schema"])["format"] != "binary" {
                    faults.push(format!("{id}: {media}"));
                }
            }
        }
    }
    none(faults);
}

#[test]
fn set_of_words_that_is_asked_for_in_two_places_has_a_name() {
    let document = Document::read();
    let mut places: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (at, schema) in document.used(true) {
        let is_named = at.starts_with("#/") && !at.contains(['.', '[']);
        if let (Some(words), false) = (schema["enum"].as_array(), is_named) {
            places.entry(json!(words).to_string()).or_default().insert(at);
        }
    }
    none(
        places
            .into_iter()
            .filter(|(_, places)| places.len() > 1)
            .map(|(words, at)| format!("{at:?}: {words}"))
            .collect(),
    );
}

#[test]
fn fields_are_in_the_order_of_their_declaration() {
    // A reader of JSON may sort them: so the text is looked at.
    for (schema, first, second) in [
        ("LoginRequest", "username", "password"),
        ("RegisterRequest", "username", "email"),
        ("UserResponse", "id", "created_at"),
        ("TokenPair", "access_token", "expires_in"),
    ] {
        let start = openapi::COMMITTED.find(&format!("\n      \"{schema}\": {{")).unwrap();
        let place = |field: &str| openapi::COMMITTED[start..].find(&format!("\n          \"{field}\": {{")).unwrap();
        assert!(place(first) < place(second), "{schema}: {first}, {second}");
    }
}

#[test]
fn what_is_only_answered_has_no_bounds_that_a_later_release_could_break() {
    let bounds = ["pattern", "minLength", "maxLength", "enum"];
    let document = Document::read();
    let bounded =
        document.of_answers_alone().into_iter().filter(|(_, part)| bounds.iter().any(|word| part.get(word).is_some()));
    none(bounded.map(|(at, _)| at).collect());
}

#[test]
fn field_of_a_body_has_no_default_that_would_make_it_required() {
    let document = Document::read();
    let fields = document.used(true).into_iter().filter(|(at, _)| at.starts_with('#'));
    none(fields.filter(|(_, schema)| schema.get("default").is_some()).map(|(at, _)| at).collect());
}
