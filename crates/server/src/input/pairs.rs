//! Queries and forms: pairs of a key and a text.

use std::collections::BTreeMap;

use gatehouse_domain::issue::{Fault, Issues};

use super::{At, Object, Raw, read_entries};

/// Splits `key=value&…` (WHATWG URL, application/x-www-form-urlencoded); `None` where it is not UTF-8. Lenient decoders
/// put a replacement character there, which would make two passwords one.
#[must_use]
pub fn read_urlencoded(bytes: &[u8]) -> Option<Vec<(String, String)>> {
    let decode = |part: &[u8]| {
        let spaced: Vec<u8> = part.iter().map(|b| if *b == b'+' { b' ' } else { *b }).collect();
        percent_encoding::percent_decode(&spaced).decode_utf8().ok().map(std::borrow::Cow::into_owned)
    };
    bytes
        .split(|b| *b == b'&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let at = pair.iter().position(|b| *b == b'=').unwrap_or(pair.len());
            Some((decode(&pair[..at])?, decode(pair.get(at + 1..).unwrap_or_default())?))
        })
        .collect()
}

/// The pairs of a query.
///
/// # Errors
/// Where it is not UTF-8.
pub fn pairs(query: &str) -> Result<Vec<(String, String)>, Issues> {
    let fault = || Fault::new("query_invalid", "must be percent-encoded UTF-8").at(vec!["query".into()]);
    read_urlencoded(query.as_bytes()).ok_or_else(|| fault().into())
}

fn read<T: Object>(
    place: &'static str,
    pairs: impl IntoIterator<Item = (String, String)>,
    counts: impl Fn(&str) -> bool,
) -> Result<T, Issues> {
    let mut entries = BTreeMap::<String, Vec<String>>::new();
    for (key, text) in pairs {
        let texts = entries.entry(key).or_default();
        if counts(&text) {
            texts.push(text);
        }
    }
    let mut issues = Issues::default();
    let entries = entries.into_iter().map(|(key, texts)| (key, Raw::Texts(texts))).collect();
    let value = read_entries(entries, &mut At::root(place, &mut issues));
    match value {
        Some(value) if issues.is_empty() => Ok(value),
        _ => Err(issues),
    }
}

/// Reads the pairs of a query. An empty text counts as none.
///
/// # Errors
/// Every fault found.
pub fn read_query<T: Object>(pairs: impl IntoIterator<Item = (String, String)>) -> Result<T, Issues> {
    read("query", pairs, |text| !text.is_empty())
}

/// Reads the pairs of a form.
///
/// # Errors
/// Every fault found.
pub fn read_form<T: Object>(pairs: impl IntoIterator<Item = (String, String)>) -> Result<T, Issues> {
    read("body", pairs, |_| true)
}

/// Refuses every parameter of an operation that has none.
///
/// # Errors
/// One fault for each.
pub fn no_query(query: &str) -> Result<(), Issues> {
    if query.is_empty() { Ok(()) } else { read_query(pairs(query)?) }
}
