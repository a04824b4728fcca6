//! Which module of the server uses which: read from the `use` trees and the inline paths of its files.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

type Module = Vec<String>;

/// The modules, and for each those that it names.
pub struct Graph(BTreeMap<Module, BTreeSet<Module>>);

/// The words and marks of a text, without comments, strings and the tests at its end.
fn tokens(text: &str) -> Vec<String> {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let mut rest = code;
    let mut tokens = Vec::new();
    while let Some(first) = rest.chars().next() {
        let raw = rest.strip_prefix('r').map(|it| it.trim_start_matches('#')).filter(|it| it.starts_with('"'));
        let length = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            'r' if raw.is_some() => {
                let fence = &rest[1..rest.len() - raw.unwrap().len()];
                let open = 2 + fence.len();
                let close = format!("\"{fence}");
                open + rest[open..].find(&close).unwrap() + close.len()
            }
            '"' => {
                let mut escaped = false;
                let end = rest[1..].find(|c| {
                    let is_plain = !escaped;
                    escaped = c == '\\' && is_plain;
                    c == '"' && is_plain
                });
                end.unwrap() + 2
            }
            // A character, unless it is a lifetime.
            '\'' if rest[1..].starts_with('\\') => {
                rest[2..].char_indices().skip(1).find(|(_, c)| *c == '\'').unwrap().0 + 3
            }
            '\'' if rest[1..].chars().nth(1) == Some('\'') => 2 + rest[1..].chars().next().unwrap().len_utf8(),
            c if c.is_alphanumeric() || c == '_' => {
                rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())
            }
            ':' if rest.starts_with("::") => 2,
            c => c.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        if !(token.starts_with("//") || token.starts_with('"') || first.is_whitespace()) {
            tokens.push(token.to_owned());
        }
        rest = after;
    }
    tokens
}

/// Adds the paths of a tree that begins at a token, and says where it ends.
fn tree(tokens: &[String], mut at: usize, mut path: Module, paths: &mut Vec<Module>) -> usize {
    loop {
        match tokens.get(at).map(String::as_str) {
            Some("{") => {
                at += 1;
                while tokens[at] != "}" {
                    at = if tokens[at] == "," { at + 1 } else { tree(tokens, at, path.clone(), paths) };
                }
                return at + 1;
            }
            Some(word) if word.starts_with(|c: char| c.is_alphabetic() || c == '_') => {
                match word {
                    "self" => {}
                    "super" => drop(path.pop()),
                    word => path.push(word.to_owned()),
                }
                at += 1;
                if tokens.get(at).is_some_and(|token| token == "::") {
                    at += 1;
                    continue;
                }
                // Another name for it is none of the path.
                let renamed = tokens.get(at).is_some_and(|token| token == "as");
                paths.push(path);
                return if renamed { at + 2 } else { at };
            }
            _ => {
                paths.push(path);
                return at + 1;
            }
        }
    }
}

/// The paths from the root of the crate that a module names.
fn paths(module: &Module, text: &str) -> Vec<Module> {
    let tokens = tokens(text);
    let mut paths = Vec::new();
    for at in 0..tokens.len().saturating_sub(1) {
        let begins = tokens[at + 1] == "::" && (at == 0 || tokens[at - 1] != "::");
        match tokens[at].as_str() {
            "crate" if begins => drop(tree(&tokens, at + 2, Vec::new(), &mut paths)),
            "self" | "super" if begins => drop(tree(&tokens, at, module.clone(), &mut paths)),
            _ => {}
        }
    }
    paths
}

impl Graph {
    /// The graph of files, each a path below `src` and a text.
    pub fn of(files: &[(String, String)]) -> Self {
        let module = |path: &str| -> Module {
            let path = path.trim_end_matches(".rs").trim_end_matches("/mod");
            path.split('/').map(str::to_owned).collect()
        };
        let named = files.iter().map(|(path, text)| (module(path), text));
        let modules: BTreeMap<_, _> = named.filter(|(module, _)| *module != ["lib"] && *module != ["main"]).collect();
        let known =
            |path: &Module| (1..=path.len()).rev().map(|n| path[..n].to_vec()).find(|it| modules.contains_key(it));
        let edges = modules.iter().map(|(module, text)| {
            let named = paths(module, text).iter().filter_map(known).filter(|it| it != module).collect();
            (module.clone(), named)
        });
        Self(edges.collect())
    }

    /// The modules below one, itself included.
    pub fn below<'g>(&'g self, top: &str) -> impl Iterator<Item = &'g Module> {
        self.0.keys().filter(move |module| module[0] == top)
    }

    /// The modules that a module names.
    pub fn named(&self, module: &Module) -> &BTreeSet<Module> {
        &self.0[module]
    }

    /// The ways from some modules to others, as far as `goes` leads.
    fn ways(&self, from: Module, goes: impl Fn(&Module) -> Vec<Module>) -> BTreeMap<Module, Module> {
        let mut came = BTreeMap::new();
        let mut open = VecDeque::from([from]);
        while let Some(module) = open.pop_front() {
            for next in goes(&module) {
                if !came.contains_key(&next) {
                    came.insert(next.clone(), module.clone());
                    open.push_back(next);
                }
            }
        }
        came
    }

    /// A way from a module to one below `top`, if there is one. Whoever names a module has all that is in it.
    pub fn way(&self, from: &Module, top: &str) -> Option<String> {
        let goes = |module: &Module| {
            let inside = self.0.keys().filter(|it| it.starts_with(module) && it.len() == module.len() + 1);
            self.0[module].iter().chain(inside).cloned().collect()
        };
        let came = self.ways(from.clone(), goes);
        let mut at = came.keys().find(|module| module[0] == top)?;
        let mut way = vec![at.join("::")];
        while at != from {
            at = &came[at];
            way.push(at.join("::"));
        }
        way.reverse();
        Some(way.join(" -> "))
    }

    /// The arrows below `top` that lead from one folder to another and from which there is a way back.
    pub fn circles(&self, top: &str) -> Vec<String> {
        let is_inside = |module: &Module| module[0] == top && module.len() > 1;
        let goes = |module: &Module| self.0[module].iter().filter(|it| is_inside(it)).cloned().collect();
        let mut found = Vec::new();
        for from in self.below(top).filter(|module| is_inside(module)) {
            for to in self.0[from].iter().filter(|to| is_inside(to) && to[1] != from[1]) {
                if self.ways(to.clone(), goes).contains_key(from) {
                    found.push(format!("{} -> {}", from.join("::"), to.join("::")));
                }
            }
        }
        found
    }
}

#[test]
fn paths_are_read_from_trees_and_from_the_middle_of_code() {
    let text = r##"
        //! crate::comment
        use crate::{a::{self, b::{C, D as E}}, f::*};
        pub use super::g::H;
        fn f<'a>(_: &'a str) -> char { let _ = ("crate::text \" crate::", r#"crate::raw"#); crate::i::j('"'); self::k::l() }
        #[cfg(test)]
        mod tests { use crate::m; }
    "##;
    let found = paths(&vec!["x".to_owned(), "y".to_owned()], &text.replace("        ", ""));
    let found: Vec<_> = found.iter().map(|path| path.join("::")).collect();
    assert_eq!(found, ["a", "a::b::C", "a::b::D", "f", "x::g::H", "i::j", "x::y::k::l"]);
}
