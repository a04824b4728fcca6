//! Operations of the committed document, and their arguments.

use actix_web::http::Method;
use clap::{Arg, ArgAction, ArgMatches, builder::PossibleValuesParser};
use serde_json::{Map, Value, json};

use crate::{cli::Exit, http::openapi::COMMITTED};

/// How many words of an enumeration the help lists.
const LISTED: usize = 12;

/// The committed document. While it is being renewed it may be old, or nothing: then there are fewer commands, and the one
/// that renews it is not among them.
pub(super) fn document() -> Value {
    serde_json::from_str(COMMITTED).unwrap_or_default()
}

/// The ids of all operations.
#[cfg(test)]
pub(super) fn operations(document: &Value) -> impl Iterator<Item = String> {
    all(document).filter_map(|(.., operation)| operation["operationId"].as_str().map(str::to_owned))
}

fn all(document: &Value) -> impl Iterator<Item = (&String, &String, &Value)> {
    let paths = document["paths"].as_object().into_iter().flatten();
    paths.flat_map(|(path, item)| {
        let methods = item.as_object().into_iter().flatten();
        methods.map(move |(method, operation)| (path, method, operation))
    })
}

/// An operation.
pub(super) struct Operation {
    pub method: Method,
    pub path: String,
    pub summary: String,
    pub description: String,
    pub fields: Vec<Field>,
    has_body: bool,
}

/// Where an argument goes.
pub(super) enum ParameterIn {
    Path,
    Query,
    /// Into the body, by these keys.
    Body(Vec<String>),
}

/// An argument.
pub(super) struct Field {
    pub name: String,
    pub place: ParameterIn,
    help: String,
    required: bool,
    schema: Value,
    /// The words that there are, if not any may stand there.
    words: Vec<String>,
    /// Whether `null` takes away what is there.
    can_be_removed: bool,
}

impl Operation {
    /// The operation of an id.
    pub fn find(document: &Value, id: &str) -> Option<Self> {
        let (path, method, operation) = all(document).find(|(.., operation)| operation["operationId"] == id)?;
        let mut fields: Vec<_> =
            operation["parameters"].as_array().into_iter().flatten().filter_map(|it| parameter(document, it)).collect();
        let body = &operation["requestBody"]["content"]["application/json"]["schema"];
        body_fields(document, body, &[], true, &mut fields);
        for field in &mut fields {
            field.can_be_removed = method == "patch" && field.is("null");
            field.words = field.words();
        }
        Some(Self {
            method: method.to_uppercase().parse().unwrap_or_default(),
            path: path.clone(),
            summary: text(&operation["summary"]),
            description: description(operation),
            fields,
            has_body: !body.is_null(),
        })
    }

    pub fn empty_body(&self) -> Option<Value> {
        self.has_body.then(|| Value::Object(Map::new()))
    }
}

/// The schema behind a reference, also behind one that may be null.
fn resolved<'d>(document: &'d Value, value: &'d Value) -> &'d Value {
    let alternatives = value["oneOf"].as_array().into_iter().flatten();
    let reference = alternatives.chain([value]).find_map(|one| one["$ref"].as_str());
    match reference.and_then(|path| document.pointer(path.trim_start_matches('#'))) {
        Some(found) => found,
        None => value,
    }
}

/// A schema with the words that it refers to.
fn whole(document: &Value, schema: &Value) -> Value {
    let mut whole = resolved(document, schema).clone();
    if schema["oneOf"].is_array() && whole["type"].is_string() {
        whole["type"] = json!([whole["type"], "null"]);
    }
    if whole["items"].is_object() {
        whole["items"] = resolved(document, &whole["items"]).clone();
    }
    whole
}

fn parameter(document: &Value, parameter: &Value) -> Option<Field> {
    let parameter = resolved(document, parameter);
    let place = match parameter["in"].as_str() {
        Some("path") => ParameterIn::Path,
        Some("query") => ParameterIn::Query,
        _ => return None,
    };
    Some(Field {
        name: text(&parameter["name"]),
        place,
        help: text(&parameter["description"]),
        required: parameter["required"] == true,
        schema: whole(document, &parameter["schema"]),
        words: Vec::new(),
        can_be_removed: false,
    })
}

/// The fields of a body, those of objects in it by their own names.
fn body_fields(document: &Value, schema: &Value, way: &[String], required: bool, fields: &mut Vec<Field>) {
    let schema = resolved(document, schema);
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let way = [way, std::slice::from_ref(name)].concat();
        let required =
            required && schema["required"].as_array().is_some_and(|names| names.contains(&name.as_str().into()));
        let described = property;
        let property = resolved(document, property);
        if property["properties"].is_object() {
            body_fields(document, property, &way, required, fields);
        } else {
            let help = text(&described["description"]);
            fields.push(Field {
                name: name.clone(),
                place: ParameterIn::Body(way),
                help,
                required,
                schema: whole(document, described),
                words: Vec::new(),
                can_be_removed: false,
            });
        }
    }
}

/// What an operation does; an operator needs no permission.
fn description(operation: &Value) -> String {
    let text = text(&operation["description"]);
    let paragraphs = text.split("\n\n").filter(|paragraph| !paragraph.starts_with("Needs the permission"));
    paragraphs.collect::<Vec<_>>().join("\n\n")
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

impl Field {
    fn is(&self, kind: &str) -> bool {
        let kinds = &self.schema["type"];
        kinds == kind || kinds.as_array().is_some_and(|kinds| kinds.contains(&kind.into()))
    }

    /// What the command line calls it: a name may stand in the place of an id.
    pub fn word(&self) -> &str {
        match self.name.strip_suffix("_id") {
            Some(word @ ("tenant" | "partner" | "user" | "role" | "actor")) => word,
            _ => &self.name,
        }
    }

    /// As an argument of a command for a resource: what names the thing itself stands alone, everything else has a flag.
    pub fn arg(&self, resource: &str) -> Arg {
        let arg = Arg::new(self.name.clone()).help(self.help()).required(self.required);
        let arg = if self.is("array") { arg.action(ArgAction::Append) } else { arg };
        let value = if self.word() == self.name { "VALUE".to_owned() } else { self.word().to_uppercase() };
        let arg = match self.place {
            ParameterIn::Path if self.word() != "tenant" || resource == "tenant" => {
                return arg.value_name(self.word().to_uppercase());
            }
            _ if self.is("boolean") => {
                arg.long(self.flag()).num_args(0..=1).require_equals(true).default_missing_value("true")
            }
            _ => arg.long(self.flag()).value_name(value),
        };
        if self.words.is_empty() {
            return arg;
        }
        // Permissions and actions fill pages, and have commands of their own that list them.
        let is_long = self.words.len() > LISTED;
        let parser = PossibleValuesParser::new(self.words.clone());
        arg.value_parser(parser).hide_possible_values(is_long).allow_hyphen_values(true)
    }

    fn flag(&self) -> String {
        self.word().replace('_', "-")
    }

    fn help(&self) -> String {
        let more = match self.word() {
            "tenant" | "partner" => " Its slug will do.",
            "user" | "actor" => " TENANT/NAME will do, with the slug of the tenant.",
            "role" => " Its name will do, of a role of a tenant TENANT/NAME.",
            _ if self.can_be_removed => " `null` removes it.",
            _ => "",
        };
        let repeated = if self.is("array") { " Can be repeated." } else { "" };
        format!("{}{more}{repeated}", self.help)
    }

    /// The words of an enumeration, or of a list of them.
    fn words(&self) -> Vec<String> {
        let words = [&self.schema["enum"], &self.schema["items"]["enum"]].into_iter().find_map(Value::as_array);
        let mut words: Vec<_> = words.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
        if self.can_be_removed && !words.is_empty() {
            words.push("null".to_owned());
        }
        words
    }

    /// What was given; nothing for what a verb has settled.
    pub fn values(&self, matches: &ArgMatches) -> Vec<String> {
        matches.try_get_many::<String>(&self.name).ok().flatten().into_iter().flatten().cloned().collect()
    }

    /// What was given, as the body has it; nothing if nothing was.
    pub fn json(&self, values: Vec<String>) -> Result<Option<Value>, Exit> {
        let wrong = |value: &str| Exit::Usage(format!("--{} takes JSON of its type, not {value}", self.flag()));
        let read = |value: String| serde_json::from_str::<Value>(&value).map_err(|_| wrong(&value));
        if self.is("array") && !values.is_empty() {
            let are_objects = self.schema["items"]["type"] == "object";
            let items =
                if are_objects { values.into_iter().map(read).collect::<Result<_, _>>()? } else { values.into() };
            return Ok(Some(items));
        }
        let Some(value) = values.into_iter().next() else { return Ok(None) };
        if value == "null" && self.is("null") {
            return Ok(Some(Value::Null));
        }
        if self.is("string") || self.schema["enum"].is_array() {
            return Ok(Some(value.into()));
        }
        read(value).map(Some)
    }
}
