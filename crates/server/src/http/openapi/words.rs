//! Closed sets of words as named schemas. What stands inline becomes a type for each place that it stands in, in most
//! clients that are generated.

use std::collections::BTreeSet;

use gatehouse_domain::{
    application::{ApplicationType, ClientAuthMethod, GrantType, Profile, ScopeLevel, SigningAlgorithm},
    audit::{Action, AuditResult, ResourceKind},
    import::Format,
    partner::Status,
    user::UserStatus,
    word::Word,
};
use serde_json::{Map, Value, json};

use crate::{
    app::{directory::users::UserSort, oauth::exchange, sessions::list::SessionSort},
    http::{
        api::user_import::ByLine,
        extract::page::{ByCreation, CreationOrName, sort_words},
    },
    input::permission_words,
    security::client_assertion,
};

/// A set of words: its name, what it is, and the words.
type Words = (&'static str, &'static str, Vec<String>);

fn words<T: Word>() -> Vec<String> {
    T::ALL.iter().map(|(_, word)| (*word).to_owned()).collect()
}

fn texts(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// Every set that stands in more than one place.
fn all() -> Vec<Words> {
    vec![
        ("ApplicationProfile", "The rules that an application keeps.", words::<Profile>()),
        ("ApplicationType", "What kind of program an application is.", words::<ApplicationType>()),
        ("AuditAction", "What happened.", words::<Action>()),
        ("AuditResourceType", "What kind of thing it happened to.", words::<ResourceKind>()),
        ("AuditResult", "Whether it took effect.", words::<AuditResult>()),
        ("ClientAssertionType", "What a client assertion is.", texts(&[client_assertion::TYPE])),
        ("ClientAuthMethod", "How an application proves who it is.", words::<ClientAuthMethod>()),
        ("CreationOrNameSort", "An order; `-` is descending.", sort_words::<CreationOrName>()),
        ("CreationSort", "An order; `-` is descending.", sort_words::<ByCreation>()),
        ("Delivery", "How a link gets to its user.", texts(&["email", "link", "none"])),
        ("FileFormat", "The form of a file.", words::<Format>()),
        ("GrantType", "What tokens are given for.", words::<GrantType>()),
        ("ImportConflict", "What happens to a line whose user is there.", texts(&["fail", "skip"])),
        ("LineSort", "An order; `-` is descending.", sort_words::<ByLine>()),
        (
            "Permission",
            "What a role or a scope allows; `*` stands for any resource, or any action.",
            permission_words(),
        ),
        ("ScopeLevel", "Whose an application is.", words::<ScopeLevel>()),
        ("SessionSort", "An order; `-` is descending.", sort_words::<SessionSort>()),
        ("SigningAlgorithm", "An algorithm of signatures (RFC 7518, RFC 8037).", words::<SigningAlgorithm>()),
        ("Status", "Whether it may be used.", words::<Status>()),
        ("TokenTypeIdentifier", "A type of tokens (RFC 8693).", texts(&[exchange::ACCESS_TOKEN])),
        ("UserSort", "An order; `-` is descending.", sort_words::<UserSort>()),
        ("UserStatus", "What state an account is in.", words::<UserStatus>()),
    ]
}

/// Puts references where sets of words stand that have a name, and names for those words that generators cannot make one of.
pub(super) fn name(document: &mut Value) {
    let (all, mut used) = (all(), BTreeSet::new());
    replace(document, &all, &mut used);
    for (name, description, words) in all {
        if used.contains(name) {
            let mut schema = json!({ "type": "string", "description": description, "enum": words });
            name_words(&mut schema);
            document["components"]["schemas"][name] = schema;
        }
    }
}

fn replace(value: &mut Value, all: &[Words], used: &mut BTreeSet<&'static str>) {
    match value {
        Value::Object(map) => {
            map.iter_mut().filter(|(key, _)| *key != "examples").for_each(|(_, part)| replace(part, all, used));
            if let Some(reference) = reference(map, all, used) {
                *map = reference;
            } else if map.get("enum").is_some_and(Value::is_array) {
                name_words(value);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, all, used)),
        _ => {}
    }
}

/// The same schema by a reference, if its words have a name.
fn reference(map: &Map<String, Value>, all: &[Words], used: &mut BTreeSet<&'static str>) -> Option<Map<String, Value>> {
    let words = map.get("enum")?.as_array()?;
    let texts: Vec<_> = words.iter().filter_map(Value::as_str).collect();
    let (name, ..) = all.iter().find(|(.., words)| words.iter().map(String::as_str).eq(texts.iter().copied()))?;
    used.insert(name);
    let reference = json!({ "$ref": format!("#/components/schemas/{name}") });
    let mut new = match reference {
        Value::Object(reference) if texts.len() == words.len() => reference,
        reference => Map::from_iter([("oneOf".to_owned(), json!([reference, { "type": "null" }]))]),
    };
    for word in ["description", "default", "examples"] {
        new.extend(map.get(word).map(|value| (word.to_owned(), value.clone())));
    }
    Some(new)
}

/// Names words that begin with a hyphen or have a wildcard for generators, which would number them, or fail.
fn name_words(schema: &mut Value) {
    let Some(words) = schema.get("enum").and_then(Value::as_array) else { return };
    let name = |word: &str| {
        let (word, order) = word.strip_prefix('-').map_or((word, ""), |field| (field, "_DESC"));
        let word = word.replace('*', "ALL").replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        format!("{}{order}", word.to_uppercase())
    };
    let words: Vec<_> = words.iter().filter_map(Value::as_str).collect();
    if words.iter().any(|word| word.starts_with('-') || word.contains('*')) {
        schema["x-enum-varnames"] = words.into_iter().map(name).collect();
    }
}
