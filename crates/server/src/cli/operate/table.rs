//! Lists as tables that fit a terminal.

use serde_json::Value;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::print::plain;

/// How wide a table is at most: columns other than that of ids are cut.
const WIDEST: usize = 100;
/// How narrow a column gets.
const NARROWEST: usize = 10;
const GAP: usize = 2;

pub(super) fn table(rows: &[Value], columns: &[&str]) -> String {
    let heads = columns.iter().map(|column| head(column)).collect();
    let body = rows.iter().map(|row| columns.iter().map(|column| cell(row, column)).collect());
    let lines: Vec<Vec<String>> = std::iter::once(heads).chain(body).collect();
    let width = |i: usize| lines.iter().map(|line| line[i].width()).max().unwrap_or_default();
    let widths = narrowed((0..columns.len()).map(width).collect(), columns);
    let line = |line: &Vec<String>| {
        let cells: Vec<_> = line.iter().zip(&widths).map(|(cell, width)| fitted(cell, *width)).collect();
        format!("{}\n", cells.join(&" ".repeat(GAP)).trim_end())
    };
    lines.iter().map(line).collect()
}

/// What stands above a column: a name is shown in the place of an id.
fn head(column: &str) -> String {
    let of = column.strip_suffix("_id").or_else(|| column.strip_suffix(".id"));
    of.unwrap_or(column).to_uppercase()
}

fn cell(row: &Value, column: &str) -> String {
    let text = plain(column.split('.').fold(row, |at, key| &at[key]));
    match text.split_once('.') {
        // Seconds are exact enough for people.
        Some((seconds, _)) if column.ends_with("_at") => format!("{seconds}Z"),
        _ => text,
    }
}

/// Takes from the widest columns until all fit. Half an id, or half the name that stands for it, is of no use.
fn narrowed(mut widths: Vec<usize>, columns: &[&str]) -> Vec<usize> {
    while widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1) > WIDEST {
        let can = (0..widths.len()).filter(|i| columns[*i] != "id" && widths[*i] > NARROWEST);
        let Some(widest) = can.max_by_key(|i| widths[*i]) else { break };
        widths[widest] -= 1;
    }
    widths
}

/// A text, cut to so many cells of a terminal and filled up to them.
fn fitted(text: &str, width: usize) -> String {
    let mut fitted = text.to_owned();
    if text.width() > width {
        let mut left = width.saturating_sub(1);
        let fits = |c: &char| left.checked_sub(c.width().unwrap_or_default()).map(|rest| left = rest).is_some();
        fitted = text.chars().take_while(fits).chain(['…']).collect();
    }
    let filling = " ".repeat(width.saturating_sub(fitted.width()));
    fitted + &filling
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

    #[test]
    fn wide_characters_and_marks_keep_columns_aligned() {
        let rows = [json!({"name": "株式会社", "at": "x"}), json!({"name": "e\u{301}a", "at": "y"})];
        assert_eq!(table(&rows, &["name", "at"]), "NAME      AT\n株式会社  x\ne\u{301}a        y\n");
    }

    #[test]
    fn table_fits_a_terminal_and_ids_stay_whole() {
        let long = "語".repeat(60);
        let rows = [json!({"a": long, "b": "b".repeat(70), "c": "short", "id": "i".repeat(30)})];
        let text = table(&rows, &["a", "b", "c", "id"]);
        assert!(text.contains(&"i".repeat(30)) && text.contains("short") && text.contains("語…"), "{text}");
        for line in text.lines() {
            assert!(line.width() <= WIDEST, "{line}");
        }
    }
}
