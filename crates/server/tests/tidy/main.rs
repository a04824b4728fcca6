//! The shape of the code, where neither the compiler nor clippy can hold it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod graph;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// The folder of the workspace.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Every Rust file below a folder of the workspace, or beside it if it is a module: its path and its text.
fn files(below: &str) -> Vec<(String, String)> {
    let root = root();
    let mut found = Vec::new();
    let mut folders = vec![root.join(below)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                found.push((name, fs::read_to_string(path).unwrap()));
            }
        }
    }
    assert!(!found.is_empty(), "{below} has moved: the test looks at nothing");
    found.sort();
    found
}

/// The lines of code in which a word occurs, as `file:line`.
fn mentions(files: &[(String, String)], word: &str) -> Vec<String> {
    let in_file = |(name, text): &(String, String)| {
        let code = text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"));
        let lines: Vec<_> = code.filter(|(_, line)| line.contains(word)).map(|(i, _)| i + 1).collect();
        lines.into_iter().map(|line| format!("{name}:{line}")).collect::<Vec<_>>()
    };
    files.iter().flat_map(in_file).collect()
}

/// The names in the table `[dependencies]` of a package.
fn dependencies(package: &str) -> Vec<String> {
    let manifest = fs::read_to_string(root().join("crates").join(package).join("Cargo.toml")).unwrap();
    let table = manifest.split("[dependencies]\n").nth(1).unwrap();
    let lines = table.lines().take_while(|line| !line.starts_with('['));
    lines
        .filter_map(|line| line.split(['.', ' ', '=']).next())
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

#[test]
fn use_cases_know_neither_http_nor_its_document() {
    let app = files("crates/server/src/app");
    for word in ["actix", "utoipa"] {
        assert_eq!(mentions(&app, word), [""; 0], "{word}");
    }
}

/// The modules of the server, and which they name.
fn modules() -> graph::Graph {
    let below = "crates/server/src/";
    let files: Vec<_> = files(below).into_iter().map(|(name, text)| (name[below.len()..].to_owned(), text)).collect();
    graph::Graph::of(&files)
}

#[test]
fn nothing_that_use_cases_reach_is_http_or_the_command_line() {
    let modules = modules();
    assert!(modules.below("http").any(|module| modules.way(module, "app").is_some()), "the test sees no ways");
    for top in ["http", "cli"] {
        let ways: Vec<_> = modules.below("app").filter_map(|module| modules.way(module, top)).collect();
        assert_eq!(ways, [""; 0]);
    }
}

#[test]
fn http_knows_of_the_command_line_the_credential_of_its_operator_alone() {
    let modules = modules();
    let named = modules.below("http").flat_map(|module| modules.named(module));
    let of_cli: BTreeSet<_> = named.filter(|module| module[0] == "cli").map(|module| module.join("::")).collect();
    assert_eq!(of_cli, BTreeSet::from(["cli::operator".to_owned()]));
    // It names the folder in which it may be made, and nothing in it.
    let named = modules.named(&vec!["cli".to_owned(), "operator".to_owned()]);
    assert!(named.iter().all(|module| module.len() == 1 && module[0] == "cli"));
}

/// `app/mod.rs`, which puts the parts together, is no part.
#[test]
fn files_of_use_cases_in_different_folders_need_each_other_in_no_circle() {
    let modules = modules();
    assert!(modules.below("app").any(|module| !modules.named(module).is_empty()), "the test sees no arrows");
    let circles = modules.circles("app");
    assert!(circles.is_empty(), "{circles:#?}");
}

#[test]
fn http_knows_use_cases_and_not_storage() {
    assert_eq!(mentions(&files("crates/server/src/http"), "persistence"), [""; 0]);
}

#[test]
fn database_library_ends_at_storage() {
    assert!(!dependencies("server").iter().any(|name| name.contains("sea-orm")));
    assert!(!dependencies("domain").iter().any(|name| name.contains("sea-orm")));
    let surface = fs::read_to_string(root().join("crates/persistence/src/lib.rs")).unwrap();
    assert!(surface.contains("\nmod entity;\n"), "entities are for storage alone");
    assert!(!surface.contains("use entity"), "entities are for storage alone");
    assert_eq!(mentions(&files("crates/server/src"), "sea_orm::"), [""; 0]);
}

#[test]
fn domain_depends_on_nothing_that_waits_or_reaches_out() {
    let known = [
        // The keys and the URIs of applications are what their parsers make of them.
        "base64",
        "url",
        "email_address",
        "idna",
        "serde",
        "serde_json",
        "thiserror",
        "time",
        "unicode-normalization",
        "utoipa",
        "uuid",
    ];
    for name in dependencies("domain") {
        assert!(known.contains(&&*name), "{name}: the domain is values and rules; say here why it needs this");
    }
    let domain = files("crates/domain/src");
    for word in ["async ", ".await", "std::fs", "std::net::Tcp", "SystemTime", "Instant::now", "rand::"] {
        assert_eq!(mentions(&domain, word), [""; 0], "{word}");
    }
}

#[test]
fn operations_are_mounted_where_the_document_sees_them() {
    let api = files("crates/server/src/http/api");
    for word in [".route(", ".resource(", "web::scope"] {
        assert_eq!(mentions(&api, word), [""; 0], "{word}");
    }
}

#[test]
fn clock_of_the_system_is_read_in_one_place() {
    let mut all = files("crates");
    all.retain(|(name, _)| name != "crates/server/src/env.rs" && name != "crates/server/tests/tidy/main.rs");
    for word in ["SystemTime::now", "UtcDateTime::now", "OffsetDateTime::now"] {
        assert_eq!(mentions(&all, word), [""; 0], "{word}");
    }
}

#[test]
fn events_of_gatehouse_itself_name_the_reason_of_the_scope_that_writes_them() {
    assert_eq!(mentions(&files("crates/server/src/app"), "By::system("), [""; 0]);
}

#[test]
fn every_permission_of_the_catalogue_opens_something() {
    let (api, app) = (files("crates/server/src/http/api"), files("crates/server/src/app"));
    let table = fs::read_to_string(root().join("crates/domain/src/authz/permission.rs")).unwrap();
    let rows: Vec<_> = table.lines().filter(|line| line.starts_with("    \"") && line.contains(" on ")).collect();
    assert_eq!(rows.len(), gatehouse_domain::authz::CATALOGUE.len(), "the test does not see the table");
    for row in rows {
        let marker = row.split_whitespace().nth(1).unwrap();
        let opens = !mentions(&api, &format!("Access<{marker},")).is_empty();
        let is_needed_besides = !mentions(&app, &format!(".also::<{marker}>(")).is_empty();
        assert!(opens || is_needed_besides, "{row}");
    }
}

#[test]
fn permissions_stand_in_alphabetical_order() {
    let names: Vec<_> = gatehouse_domain::authz::CATALOGUE.iter().map(|known| known.name).collect();
    assert!(names.is_sorted(), "{names:?}");
}

#[test]
fn files_are_short_enough_to_read_at_a_sitting() {
    let all = files("crates").into_iter().chain(files("migration"));
    let long: Vec<_> = all.map(|(name, text)| (name, text.lines().count())).filter(|(_, lines)| *lines > 400).collect();
    assert_eq!(long, [], "split it by what it is about");
}

/// The files of Markdown that people read: at the top and below `crates`.
fn markdown() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("crates")];
    found.extend(["README.md", "CHANGELOG.md"].map(|name| root().join(name)));
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn no_link_in_a_document_is_dead() {
    let all = markdown();
    assert!(all.len() > 10, "the test looks at nothing");
    for path in all {
        let text = fs::read_to_string(&path).unwrap();
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for link in links.filter(|link| !link.starts_with("http")) {
            let target = path.parent().unwrap().join(link.split('#').next().unwrap());
            assert!(target.exists(), "{}: {link}", path.display());
        }
    }
}

#[test]
fn documents_for_newcomers_are_short() {
    for (name, most) in [("README.md", 190), ("crates/README.md", 130)] {
        let lines = fs::read_to_string(root().join(name)).unwrap().lines().count();
        assert!(lines <= most, "{name}: {lines} lines");
    }
}
