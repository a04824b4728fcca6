//! Cells as databases, spreadsheets and scripts write them, in the form of JSON.

use gatehouse_domain::time::Timestamp;

use crate::input::Raw;

/// What booleans are called: by PostgreSQL, Python, and Excel in the languages whose tables have semicolons.
const TRUE: [&str; 11] = ["true", "t", "yes", "y", "1", "on", "wahr", "vrai", "verdadero", "verdadeiro", "vero"];
const FALSE: [&str; 10] = ["false", "f", "no", "n", "0", "off", "falsch", "faux", "falso", "onwaar"];
/// What nothing is called where a text would make no sense.
const NOTHING: [&str; 5] = ["null", "none", "nan", "nat", "n/a"];

/// The text of a cell as the field of that name has it in JSON; nothing for an empty one.
pub(super) fn cell(name: &str, text: &str) -> Option<Raw> {
    let is_text = matches!(name, "username" | "display_name");
    if text.is_empty() || text == "\\N" || !is_text && is_one_of(&NOTHING, text) {
        return None;
    }
    Some(match name {
        "email_verified" if is_one_of(&TRUE, text) => Raw::Bool(true),
        "email_verified" if is_one_of(&FALSE, text) => Raw::Bool(false),
        "attributes" => serde_json::from_str(text).unwrap_or_else(|_| Raw::String(text.to_owned())),
        "status" => Raw::String(text.to_ascii_uppercase()),
        "created_at" => Raw::String(instant(text).unwrap_or_else(|| text.to_owned())),
        _ => Raw::String(text.to_owned()),
    })
}

fn is_one_of(words: &[&str], text: &str) -> bool {
    words.iter().any(|word| word.eq_ignore_ascii_case(text))
}

/// A date and time as RFC 3339 writes it; without an offset it is UTC. A number counts from 1970, in seconds, or in as
/// many thousandths as it has digits more. Dates of which nobody can tell day and month are left as they are.
fn instant(text: &str) -> Option<String> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        let micros = match text.len() {
            9 | 10 => 1_000_000,
            12 | 13 => 1_000,
            15 | 16 => 1,
            _ => return None,
        };
        return Some(Timestamp::from_micros(text.parse::<i64>().ok()?.checked_mul(micros)?).to_string());
    }
    let (day, time) = text.split_once([' ', 'T', 't']).unwrap_or((text, ""));
    let (day, time) = (date(day)?, time.trim());
    if time.is_empty() {
        return Some(format!("{day}T00:00:00Z"));
    }
    let (time, zone) =
        time.split_at(time.find(|c: char| !c.is_ascii_digit() && c != ':' && c != '.').unwrap_or(time.len()));
    let (hour, minute, second) = match *time.split(':').collect::<Vec<_>>() {
        [hour, minute] => (hour, minute, "00"),
        [hour, minute, second] => (hour, minute, second),
        _ => return None,
    };
    Some(format!("{day}T{hour:0>2}:{minute}:{second}{}", offset(zone.trim())?))
}

fn date(text: &str) -> Option<String> {
    let parts: Vec<_> = text.split(['-', '/', '.']).collect();
    let (year, month, day) = match *parts.as_slice() {
        [year, month, day] if year.len() == 4 => (year, month, day),
        [day, month, year] if year.len() == 4 && text.contains('.') => (year, month, day),
        _ => return None,
    };
    Some(format!("{year}-{month:0>2}-{day:0>2}"))
}

/// `Z`, or the offset with hours and minutes.
fn offset(zone: &str) -> Option<String> {
    if ["", "Z", "UTC", "GMT"].iter().any(|utc| utc.eq_ignore_ascii_case(zone)) {
        return Some("Z".to_owned());
    }
    let digits = zone.strip_prefix(['+', '-'])?.replace(':', "");
    let digits = Some(digits).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
    let sign = &zone[..1];
    let (hours, minutes) = digits.split_at_checked(2)?;
    Some(format!("{sign}{hours}:{minutes:0<2}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_read_as_databases_scripts_and_spreadsheets_write_them() {
        for (text, expected) in [
            ("2020-02-03T04:05:06Z", "2020-02-03T04:05:06Z"),
            ("2020-02-03 04:05:06.789+00", "2020-02-03T04:05:06.789+00:00"),
            ("2020-02-03 04:05:06-0330", "2020-02-03T04:05:06-03:30"),
            ("2020-02-03 04:05:06.789000+00:00", "2020-02-03T04:05:06.789000+00:00"),
            ("2020-02-03 04:05:06 +0000", "2020-02-03T04:05:06+00:00"),
            ("2020-02-03 04:05:06 UTC", "2020-02-03T04:05:06Z"),
            ("2020-02-03 04:05:06", "2020-02-03T04:05:06Z"),
            ("2020-02-03 4:05", "2020-02-03T04:05:00Z"),
            ("2020/2/3", "2020-02-03T00:00:00Z"),
            ("3.2.2020 04:05", "2020-02-03T04:05:00Z"),
            ("1580702706", "2020-02-03T04:05:06.000000Z"),
            ("1580702706789", "2020-02-03T04:05:06.789000Z"),
        ] {
            assert_eq!(instant(text).as_deref(), Some(expected), "{text}");
        }
        for ambiguous in ["2/3/2020 4:05", "43864", "yesterday", "2020-02-03 4 PM", "2020-02-03 04:05:06+é", ""] {
            assert_eq!(instant(ambiguous), None, "{ambiguous}");
        }
    }

    #[test]
    fn booleans_are_read_in_any_case_and_nothing_is_nothing() {
        for (text, expected) in
            [("t", true), ("True", true), ("1", true), ("WAHR", true), ("f", false), ("FALSE", false)]
        {
            assert!(matches!(cell("email_verified", text), Some(Raw::Bool(read)) if read == expected), "{text}");
        }
        for nothing in ["", "\\N", "NULL", "None", "NaN"] {
            assert!(cell("created_at", nothing).is_none(), "{nothing}");
        }
        assert!(matches!(cell("display_name", "None"), Some(Raw::String(_))));
        assert!(matches!(cell("email_verified", "maybe"), Some(Raw::String(_))));
        assert!(matches!(cell("status", "active"), Some(Raw::String(text)) if text == "ACTIVE"));
    }
}
