//! Answers for people.

use std::io::Write;

use actix_web::http::StatusCode;
use serde_json::Value;

use super::table::table;
use crate::cli::{Exit, say};

/// How a command names the owner of an application.
const OWNER: &str = "must go with the owner: --tenant SLUG alone, --partner SLUG with --scope-level PARTNER, or \
                     --scope-level GLOBAL alone";

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
        // Some answers are several lists.
        Value::Object(lists) if lists.values().all(is_list) => {
            for (name, rows) in lists {
                say(&format!(
                    "{}\n{}\n",
                    name.to_uppercase(),
                    table(rows.as_array().map_or(&[], Vec::as_slice), columns)
                ));
            }
        }
        data => {
            let mut lines = Vec::new();
            flatten("", data, &mut lines);
            // What is shown once stands where it is seen.
            lines.sort_by_key(|(name, _)| name == "client_secret");
            let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
            say(&lines.iter().map(|(name, value)| format!("{name:<width$}  {value}\n")).collect::<String>());
        }
    }
}

fn is_list(value: &Value) -> bool {
    value.as_array().is_some_and(|items| items.iter().all(Value::is_object))
}

/// What a command ends, or would end, if anything.
pub(super) fn effects(answer: &Value) -> Option<String> {
    let counts = answer["meta"]["effects"].as_object()?.iter().filter(|(_, count)| **count != 0);
    let counts: Vec<_> = counts.map(|(name, count)| format!("{} {count}", name.replace('_', " "))).collect();
    (!counts.is_empty()).then(|| counts.join(", "))
}

/// Why it was refused.
pub(super) fn problem(status: StatusCode, problem: &Value) -> Exit {
    let mut text = problem["title"].as_str().unwrap_or("refused").to_owned();
    // The advice on a name that is taken is for who registers.
    if let Some(more) = problem["detail"].as_str().filter(|_| problem["code"] != "already_registered") {
        text = format!("{text}: {more}");
    }
    // A body or a query that is not valid is answered by what is wrong with it.
    for issue in problem["detail"].as_array().into_iter().flatten() {
        let loc: Vec<_> = issue["loc"].as_array().into_iter().flatten().map(plain).collect();
        let place = if loc.len() > 1 { loc[1..].join(".") } else { loc.concat() };
        let msg = if issue["type"] == "application_owner" { OWNER.to_owned() } else { plain(&issue["msg"]) };
        text += &format!("; {place} {msg}");
    }
    match status {
        StatusCode::UNPROCESSABLE_ENTITY => Exit::Usage(text),
        StatusCode::SERVICE_UNAVAILABLE => Exit::Unavailable(text),
        _ => Exit::Failed(text),
    }
}

/// A value on one line of a terminal: control characters stay where they come from.
pub(super) fn plain(value: &Value) -> String {
    let text = match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(" "),
        Value::Object(fields) => fields.values().map(plain).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    };
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
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
