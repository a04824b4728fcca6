//! From bytes to values: the border where everything hostile stops.
//!
//! A body or query is read field by field into types that cannot be invalid, collecting every fault on the way.
//! Unknown fields, repeated keys and a depth beyond 64 are faults like any other, so nothing a caller sends is
//! silently without effect.

mod declare;
mod json;
mod pairs;
mod presence;
mod value;

use std::collections::BTreeMap;

use gatehouse_domain::issue::{Fault, Issue, Issues, Loc, Parse};
use utoipa::openapi::{RefOr, Schema};

pub(crate) use declare::{body, describe, parameter, query, sentence};
pub use json::Json;
pub use pairs::{no_query, read_pairs, read_query, read_urlencoded};
pub use presence::{Flag, Many, Patch, Set};
pub use value::Opaque;

/// The most faults of one input that are told: more would help nobody, and a body of zeros can have many thousands.
const MOST_FAULTS: usize = 1_000;

/// A place in the input, and where faults found there go.
#[derive(Debug)]
pub struct At<'a> {
    loc: Vec<Loc>,
    issues: &'a mut Vec<Issue>,
}

impl At<'_> {
    /// Notes a fault here.
    pub fn fail(&mut self, fault: Fault) {
        if !self.is_full() {
            self.issues.push(fault.at(self.loc.clone()));
        }
    }

    /// Whether no more faults are told.
    fn is_full(&self) -> bool {
        self.issues.len() >= MOST_FAULTS
    }

    /// Notes a fault here, and gives no value.
    pub fn fault<T>(&mut self, fault: Fault) -> Option<T> {
        self.fail(fault);
        None
    }

    fn inside<T>(&mut self, step: Loc, read: impl FnOnce(&mut At<'_>) -> T) -> T {
        self.loc.push(step);
        let result = read(&mut At { loc: self.loc.clone(), issues: self.issues });
        self.loc.pop();
        result
    }
}

/// A value in a JSON body.
pub trait Field: Sized {
    /// Whether it must be there.
    const REQUIRED: bool = true;
    /// Reads it.
    fn read(json: Json, at: &mut At<'_>) -> Option<Self>;
    /// What it is when it is not there; `None` where it must be.
    fn absent() -> Option<Self> {
        None
    }
    /// How the document describes it.
    fn schema() -> RefOr<Schema>;
    /// The schemas that the description refers to.
    fn referenced(_schemas: &mut Vec<(String, RefOr<Schema>)>) {}
}

/// A value in a query or a form, given by the texts under its key.
pub trait Param: Sized {
    /// Whether it must be there.
    const REQUIRED: bool = false;
    /// Reads it. There is at least one text, and none is empty.
    fn read(texts: Vec<String>, at: &mut At<'_>) -> Option<Self>;
    /// What it is when it is not there; `None` where it must be.
    fn absent() -> Option<Self>;
    /// How the document describes it.
    fn schema() -> RefOr<Schema>;
}

/// One of possibly several texts under a key.
pub trait Item: Sized {
    /// Reads one.
    ///
    /// # Errors
    /// The rule it breaks.
    fn read_text(text: &str) -> Result<Self, Fault>;
    /// How the document describes one.
    fn schema() -> RefOr<Schema>;
}

/// The fields of an object that have not been read yet.
#[derive(Debug)]
pub struct Fields<'a, 'i, V> {
    at: &'a mut At<'i>,
    entries: BTreeMap<String, V>,
}

impl Fields<'_, '_, Json> {
    /// Reads a field of a body.
    pub fn field<T: Field>(&mut self, name: &'static str) -> Option<T> {
        match self.entries.remove(name) {
            Some(json) => self.at.inside(name.into(), |at| T::read(json, at)),
            None => T::absent().or_else(|| self.missing(name)),
        }
    }
}

impl Fields<'_, '_, Vec<String>> {
    /// Reads a parameter of a query or form. An empty one counts as absent.
    pub fn param<T: Param>(&mut self, name: &'static str) -> Option<T> {
        let texts: Vec<_> =
            self.entries.remove(name).unwrap_or_default().into_iter().filter(|text| !text.is_empty()).collect();
        if texts.is_empty() {
            return T::absent().or_else(|| self.missing(name));
        }
        self.at.inside(name.into(), |at| T::read(texts, at))
    }

    /// Reads a text of a form that must be given once.
    pub fn text<T: Parse>(&mut self, name: &'static str) -> Option<T> {
        match self.entries.remove(name).as_deref() {
            None | Some([]) => self.missing(name),
            Some([text]) => self.at.inside(name.into(), |at| T::parse(text).map_or_else(|fault| at.fault(fault), Some)),
            Some(_) => self.at.inside(name.into(), |at| at.fault(Fault::new("duplicate_key", "must not be repeated"))),
        }
    }

    /// Drops a field that means nothing here.
    pub fn ignore(&mut self, name: &str) {
        self.entries.remove(name);
    }
}

impl<V> Fields<'_, '_, V> {
    fn missing<T>(&mut self, name: &'static str) -> Option<T> {
        self.at.inside(name.into(), |at| at.fault(Fault::new("missing", "is required")))
    }

    /// Notes a fault with a field.
    pub fn fault(&mut self, name: &'static str, fault: Fault) {
        self.at.inside(name.into(), |at| at.fail(fault));
    }

    fn finish(self) {
        for name in self.entries.into_keys() {
            self.at.inside(Loc::Key(name.into()), |at| at.fail(Fault::new("extra_forbidden", "is not known here")));
        }
    }
}

/// An object in a JSON body.
pub trait Object: Sized {
    /// Reads its fields.
    fn read_fields(fields: &mut Fields<'_, '_, Json>) -> Option<Self>;
}

/// Reads an object, and refuses what it does not know.
pub fn read_object<T: Object>(json: Json, at: &mut At<'_>) -> Option<T> {
    let Json::Object(entries) = json else { return at.fault(Fault::new("object_type", "must be an object")) };
    let mut fields = Fields { at, entries: entries.into_iter().collect() };
    let object = T::read_fields(&mut fields);
    fields.finish();
    object
}

/// Reads a JSON body.
///
/// # Errors
/// Every fault found.
pub fn read_body<T: Object>(bytes: &[u8]) -> Result<T, Issues> {
    let mut issues = Vec::new();
    let mut at = At { loc: vec!["body".into()], issues: &mut issues };
    if bytes.is_empty() {
        at.fail(Fault::new("missing", "a JSON body is required"));
        return Err(Issues(issues));
    }
    let json: Json = match serde_json::from_slice(bytes) {
        Ok(json) => json,
        Err(_) => {
            at.fail(Fault::new("json_invalid", "must be JSON in UTF-8"));
            return Err(Issues(issues));
        }
    };
    read_json(json)
}

/// Reads JSON that has been taken apart.
///
/// # Errors
/// Every fault found.
pub fn read_json<T: Object>(json: Json) -> Result<T, Issues> {
    let mut issues = Vec::new();
    json.audit(1, &mut At { loc: vec!["body".into()], issues: &mut issues });
    if !issues.is_empty() {
        return Err(Issues(issues));
    }
    let object = read_object(json, &mut At { loc: vec!["body".into()], issues: &mut issues });
    match object {
        Some(object) if issues.is_empty() => Ok(object),
        _ => Err(Issues(issues)),
    }
}
