//! Tables (RFC 4180) that no spreadsheet takes for more than texts.

/// What a spreadsheet calculates begins like this (OWASP, CSV injection).
const FORMULA: [char; 7] = ['=', '+', '-', '@', '\t', '\r', '\n'];

/// A row.
#[must_use]
pub fn row(cells: &[Option<String>]) -> String {
    let cells: Vec<_> = cells.iter().map(|cell| cell.as_deref().map_or_else(String::new, field)).collect();
    format!("{}\r\n", cells.join(","))
}

/// A field: nothing that a spreadsheet calculates, and quoted where it must be.
fn field(text: &str) -> String {
    let guard = if text.starts_with(FORMULA) || unguarded(text) != text { "'" } else { "" };
    if text.contains(['"', ',', '\r', '\n']) {
        return format!("\"{guard}{}\"", text.replace('"', "\"\""));
    }
    format!("{guard}{text}")
}

/// A text without the apostrophe that kept a spreadsheet from calculating it.
#[must_use]
pub fn unguarded(text: &str) -> &str {
    text.strip_prefix('\'').filter(|rest| rest.starts_with(FORMULA) || rest.starts_with('\'')).unwrap_or(text)
}

/// One line of JSON: what some readers take for the end of a line is escaped.
#[must_use]
pub fn json_line(mut text: String) -> String {
    for (end, escaped) in [('\u{2028}', "\\u2028"), ('\u{2029}', "\\u2029"), ('\u{85}', "\\u0085")] {
        if text.contains(end) {
            text = text.replace(end, escaped);
        }
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_where_they_must_be() {
        for (text, expected) in [
            ("plain", "plain"),
            ("", ""),
            ("a, b", "\"a, b\""),
            ("say \"x\"", "\"say \"\"x\"\"\""),
            ("two\r\nlines", "\"two\r\nlines\""),
        ] {
            assert_eq!(field(text), expected);
        }
    }

    #[test]
    fn no_field_is_a_formula() {
        for text in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "=cmd|' /C calc'!A0", "=\"a\",b"] {
            let field = field(text);
            assert!(field.starts_with('\'') || field.starts_with("\"'"), "{field:?}");
        }
    }

    #[test]
    fn what_was_guarded_reads_back_as_it_was() {
        for text in ["+34 600", "'+34 600", "''x", "'t Hooft", "x", "", "'", "''", "'''="] {
            assert_eq!(unguarded(&field(text)), text);
        }
    }

    #[test]
    fn rows_end_as_the_standard_says_and_nothing_is_an_empty_field() {
        assert_eq!(row(&[Some("a".into()), None, Some("b".into())]), "a,,b\r\n");
    }
}
