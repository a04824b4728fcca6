//! What is wrong with an input, and where.
//!
//! Parsers collect every fault of a request instead of stopping at the first, so that a caller mends all of them at
//! once. The shape is the `{loc, msg, type}` of the validation answer.

use std::borrow::Cow;

use serde::Serialize;

/// A value that can be read from text, or says why not.
pub trait Parse: Sized {
    /// Reads the value.
    ///
    /// # Errors
    /// The [`Fault`] names the rule that the text breaks.
    fn parse(text: &str) -> Result<Self, Fault>;
}

/// A broken rule, without the place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// A stable slug such as `string_too_long`.
    pub kind: &'static str,
    /// One English sentence without the offending value.
    pub msg: Cow<'static, str>,
}

impl Fault {
    /// A fault of this kind.
    pub fn new(kind: &'static str, msg: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, msg: msg.into() }
    }

    /// The same fault, at a place.
    #[must_use]
    pub fn at(self, loc: Vec<Loc>) -> Issue {
        Issue { loc, msg: self.msg, kind: self.kind }
    }
}

/// One step of the path to a faulty value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Loc {
    /// A field name, or one of `body`, `query`, `path`, `header` as the first step.
    Key(Cow<'static, str>),
    /// A position in a list.
    Index(usize),
}

impl From<&'static str> for Loc {
    fn from(key: &'static str) -> Self {
        Self::Key(Cow::Borrowed(key))
    }
}

/// A fault at a place of the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Issue {
    /// The path, outermost first.
    pub loc: Vec<Loc>,
    /// What is wrong, in words.
    pub msg: Cow<'static, str>,
    /// What is wrong, as a slug.
    #[serde(rename = "type")]
    pub kind: &'static str,
}

impl Issue {
    /// An issue with one field of the body.
    pub fn body(field: &'static str, kind: &'static str, msg: impl Into<Cow<'static, str>>) -> Self {
        Fault::new(kind, msg).at(vec!["body".into(), field.into()])
    }
}

/// Everything found wrong with a request; never empty where it is an error.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Issues(pub Vec<Issue>);

impl From<Issue> for Issues {
    fn from(issue: Issue) -> Self {
        Self(vec![issue])
    }
}
