//! Answers for people.

use std::io::Write;

use actix_web::http::StatusCode;
use serde_json::Value;

use crate::cli::{Exit, say};

/// The widest that a column gets.
const WIDEST: usize = 48;

/// Prints what is no JSON.
pub(super) fn bytes(chunk: &[u8]) {
    // A reader that has gone away, such as `head`, is no reason to fail.
    drop(std::io::stdout().lock().write_all(chunk));
}

/// Prints a list as a table and an object as lines; what else there is to know goes beside it.
pub(super) fn answer(answer: &Value, columns: &[&str]) {
    match &answer["data"] {
        Value::Array(rows) => {
            say(&table(rows, columns));
            let pagination = &answer["pagination"];
            if let (Some(total), Some(cursor)) =
                (pagination["total_items"].as_u64(), pagination["next_cursor"].as_str())
            {
                eprintln!("{} of {total}. Further on: --cursor {cursor}", rows.len());
            }
        }
        data => {
            let mut lines = Vec::new();
            flatten("", data, &mut lines);
            let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
            say(&lines.iter().map(|(name, value)| format!("{name:<width$}  {value}\n")).collect::<String>());
        }
    }
    if let Some(effects) = answer["meta"]["effects"].as_object() {
        let counts: Vec<_> = effects.iter().map(|(name, n)| format!("{} {n}", name.replace('_', " "))).collect();
        eprintln!("Ends: {}", counts.join(", "));
    }
}

/// Why it was refused.
pub(super) fn problem(status: StatusCode, problem: &Value) -> Exit {
    let mut text = problem["title"].as_str().unwrap_or("refused").to_owned();
    if let Some(more) = problem["detail"].as_str() {
        text = format!("{text}: {more}");
    }
    // A body or a query that is not valid is answered by what is wrong with it.
    for issue in problem["detail"].as_array().into_iter().flatten() {
        let place = issue["loc"].as_array().and_then(|loc| loc.last()).map(plain).unwrap_or_default();
        text += &format!("; {place} {}", plain(&issue["msg"]));
    }
    match status {
        StatusCode::UNPROCESSABLE_ENTITY => Exit::Usage(text),
        StatusCode::SERVICE_UNAVAILABLE => Exit::Unavailable(text),
        _ => Exit::Failed(text),
    }
}

/// A value on one line of a terminal: control characters stay where they come from.
fn plain(value: &Value) -> String {
    let text = match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    };
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn table(rows: &[Value], columns: &[&str]) -> String {
    let cell = |row: &Value, column: &&str| plain(column.split('.').fold(row, |at, key| &at[key]));
    let shorten = |text: String| match text.char_indices().nth(WIDEST - 1) {
        Some((end, _)) if text.chars().count() > WIDEST => format!("{}…", &text[..end]),
        _ => text,
    };
    let heads = columns.iter().map(|column| column.to_uppercase()).collect();
    let body = rows.iter().map(|row| columns.iter().map(|column| shorten(cell(row, column))).collect());
    let lines: Vec<Vec<String>> = std::iter::once(heads).chain(body).collect();
    let width = |i: usize| lines.iter().map(|line| line[i].chars().count()).max().unwrap_or_default();
    let widths: Vec<_> = (0..columns.len()).map(width).collect();
    let line = |line: &Vec<String>| {
        let cells: Vec<_> = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    lines.iter().map(line).collect()
}

fn flatten(name: &str, value: &Value, lines: &mut Vec<(String, String)>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let name = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
                flatten(&name, value, lines);
            }
        }
        Value::Array(values) if values.iter().any(Value::is_object) => {
            for (i, value) in values.iter().enumerate() {
                flatten(&format!("{name}.{i}"), value, lines);
            }
        }
        value => lines.push((name.to_owned(), plain(value))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn table_is_aligned_and_shows_nothing_that_moves_the_cursor() {
        let rows = [json!({"id": "a", "of": {"n": 1}}), json!({"id": "b\u{1b}[2J", "of": {"n": null}})];
        assert_eq!(table(&rows, &["id", "of.n"]), "ID     OF.N\na      1\nb\u{fffd}[2J  -\n");
    }
}
