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
///
/// An answer repeats these to the caller, whose keys are in them: so each step of a place and each message is cut, and no
/// more is kept than fits into an answer.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct Issues {
    found: Vec<Issue>,
    #[serde(skip)]
    size: usize,
}

impl Issues {
    /// The most that are told: more would help nobody.
    pub const MOST: usize = 50;
    /// The most characters of a step of a place.
    pub const STEP_MAX: usize = 128;
    /// The most characters of a message.
    pub const MSG_MAX: usize = 256;
    /// The most bytes of all of them as JSON.
    const SIZE_MAX: usize = 60 * 1024;

    /// Whether no more are told.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.found.len() >= Self::MOST || self.size >= Self::SIZE_MAX
    }

    /// Whether nothing was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Those that were found, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Issue> {
        self.found.iter()
    }

    /// Tells one more, if there is room for it.
    pub fn push(&mut self, mut issue: Issue) {
        if self.is_full() {
            return;
        }
        cut(&mut issue.msg, Self::MSG_MAX);
        for step in &mut issue.loc {
            if let Loc::Key(key) = step {
                cut(key, Self::STEP_MAX);
            }
        }
        self.size = self.size.saturating_add(issue.size());
        if self.size <= Self::SIZE_MAX {
            self.found.push(issue);
        }
    }
}

impl Issue {
    /// At least as many bytes as it takes as JSON.
    fn size(&self) -> usize {
        let step = |step: &Loc| match step {
            Loc::Key(key) => json_size(key),
            Loc::Index(_) => 21,
        };
        64 + self.kind.len() + json_size(&self.msg) + self.loc.iter().map(step).sum::<usize>()
    }
}

/// At least as many bytes as a text takes as JSON, with what separates it from the next.
fn json_size(text: &str) -> usize {
    let escaped = |byte: u8| match byte {
        b'"' | b'\\' => 2,
        0..0x20 => 6,
        _ => 1,
    };
    3 + text.bytes().map(escaped).sum::<usize>()
}

/// The beginning of a text, of so many characters at most.
#[must_use]
pub fn beginning(text: &str, most: usize) -> &str {
    if text.len() <= most {
        return text;
    }
    text.char_indices().nth(most).map_or(text, |(end, _)| text.get(..end).unwrap_or(text))
}

fn cut(text: &mut Cow<'static, str>, most: usize) {
    let kept = beginning(text, most).len();
    if kept < text.len() {
        match text {
            Cow::Borrowed(fixed) => *fixed = beginning(fixed, most),
            Cow::Owned(text) => text.truncate(kept),
        }
    }
}

impl From<Issue> for Issues {
    fn from(issue: Issue) -> Self {
        Self::from_iter([issue])
    }
}

impl FromIterator<Issue> for Issues {
    fn from_iter<T: IntoIterator<Item = Issue>>(issues: T) -> Self {
        let mut all = Self::default();
        issues.into_iter().for_each(|issue| all.push(issue));
        all
    }
}

impl IntoIterator for Issues {
    type Item = Issue;
    type IntoIter = std::vec::IntoIter<Issue>;

    fn into_iter(self) -> Self::IntoIter {
        self.found.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issue(steps: usize, key: &str, msg: &str) -> Issue {
        Fault::new("extra_forbidden", msg.to_owned()).at(vec![Loc::Key(key.to_owned().into()); steps])
    }

    fn json(issues: &Issues) -> String {
        serde_json::to_string(issues).unwrap()
    }

    #[test]
    fn steps_and_messages_are_cut_between_characters() {
        for letter in ["k", "\u{e9}", "\u{1f600}", "\u{1}"] {
            let issues = Issues::from(issue(2, &letter.repeat(30_000), &letter.repeat(30_000)));
            let told = issues.iter().next().unwrap();
            assert_eq!(told.msg, letter.repeat(Issues::MSG_MAX));
            assert_eq!(told.loc, vec![Loc::Key(letter.repeat(Issues::STEP_MAX).into()); 2]);
        }
        let fits = issue(1, &"\u{e9}".repeat(Issues::STEP_MAX), "is not known here");
        assert_eq!(Issues::from(fits.clone()).iter().next(), Some(&fits));
    }

    #[test]
    fn no_more_are_told_than_fit_into_an_answer() {
        for letter in ["k", "\u{1f600}", "\u{1}", "\""] {
            for steps in [1, 2, 65] {
                let issues: Issues = (0..1_000).map(|_| issue(steps, &letter.repeat(200), letter)).collect();
                let size = json(&issues).len();
                assert!(!issues.is_empty() && issues.iter().count() <= Issues::MOST, "{letter:?} {steps}");
                assert!(size <= Issues::SIZE_MAX && size <= issues.size, "{letter:?} {steps}: {size}");
            }
        }
    }
}
