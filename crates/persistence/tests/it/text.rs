//! Which statements are text, how many, and that each says why.

use std::{fs, path::Path};

/// How many statements may be text.
const TUNED: usize = 47;

/// The lines of all files below a folder, with the name of each.
fn files(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push((path.display().to_string(), fs::read_to_string(&path).unwrap()));
        }
    }
}

pub fn sources(folder: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut found);
    found
}

fn is_text(line: &str) -> bool {
    const STARTS: [&str; 5] = ["Statement::from_", ".sql::<", ".sql_of(", ".sql_of_tenant(", ".unscoped("];
    STARTS.iter().any(|start| line.contains(start))
}

#[test]
fn statements_that_are_text_are_few_and_lie_in_one_folder() {
    // What is about the connection or the schema has no table to be built from, and `scope/text.rs` makes text a statement.
    let exempt = ["/db/", "/testing", "/tests.rs", "/scope/text.rs"];
    let count = |is_tuned: bool| {
        let files = sources("src").into_iter().filter(|(path, _)| path.contains("/tuned/") == is_tuned);
        let files = files.filter(|(path, _)| !exempt.iter().any(|part| path.contains(part)));
        files.map(|(_, text)| text.lines().filter(|line| is_text(line)).count()).sum::<usize>()
    };
    assert!(count(true) <= TUNED, "{} statements are text", count(true));
    assert_eq!(count(false), 0, "statements outside of repo/tuned are text");
}

#[test]
fn each_statement_that_is_text_says_why_and_names_the_test_of_its_plan() {
    let plans: String = sources("tests/it").into_iter().map(|(_, text)| text).collect();
    for (path, text) in sources("src/repo/tuned") {
        let lines: Vec<_> = text.lines().map(str::trim).collect();
        for (at, _) in lines.iter().enumerate().filter(|(_, line)| is_text(line)) {
            let comment: Vec<_> = lines[..at].iter().rev().take_while(|line| line.starts_with("// ")).collect();
            let comment = comment.into_iter().rev().map(|line| &line[3..]).collect::<Vec<_>>().join(" ");
            let named = comment.strip_prefix("Text: ").and_then(|why| why.split("Plan: `").nth(1)?.split('`').next());
            let is_there = named.is_some_and(|name| plans.contains(&format!("async fn {name}(")));
            assert!(is_there, "{path}:{}: no `// Text: why. Plan: `test`.` above", at + 1);
        }
    }
}
