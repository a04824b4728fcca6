//! Where settings come from.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use crate::config::table::{SETTINGS, Setting};

/// A setting that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Problem {
    place: String,
    what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

impl Problem {
    pub(super) fn new(place: impl Into<String>, what: impl Into<String>) -> Self {
        Self { place: place.into(), what: what.into() }
    }
}

/// A value and where it was set.
#[derive(Debug, Clone)]
pub(super) struct Sourced {
    pub(super) text: String,
    pub(super) place: String,
    /// The file that has it, where it is the secret of one.
    pub(super) file: Option<PathBuf>,
}

impl Sourced {
    fn new(text: String, place: impl Into<String>) -> Self {
        Self { text, place: place.into(), file: None }
    }
}

/// The value of each setting that is set anywhere.
#[derive(Debug, Default)]
pub struct Sources(BTreeMap<&'static str, Sourced>);

/// The environment variables that are ours although they lack the prefix.
const UNPREFIXED: [&str; 3] = ["DATABASE_URL", "ACCESS_TOKEN_EXPIRE_MINUTES", "REFRESH_TOKEN_EXPIRE_DAYS"];
const PREFIX: &str = "GATEHOUSE_";

impl Sources {
    /// Sets a value by program.
    pub fn set(&mut self, key: &'static str, text: String) {
        self.0.insert(key, Sourced::new(text, key));
    }

    pub(super) fn get(&self, key: &str) -> Option<&Sourced> {
        self.0.get(key)
    }

    /// Reads flags, environment and file, in this order of precedence.
    ///
    /// # Errors
    /// [`Problem`] for an unknown name, with a suggestion, and for a file that cannot be read.
    pub fn read(
        flags: Vec<(&'static str, String)>,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, Problem> {
        let mut sources = Self::default();
        for (key, text) in flags {
            sources.0.insert(key, Sourced::new(text, format!("--{}", key.replace('_', "-"))));
        }
        let mut config_file = None;
        for (name, text) in environment {
            let stem = name.strip_suffix("_FILE").unwrap_or(&name);
            let ours = name.starts_with(PREFIX) || UNPREFIXED.contains(&stem);
            if !ours || is_service_link(&name, &text) {
                continue;
            }
            if name == "GATEHOUSE_CONFIG" {
                config_file = Some(text);
                continue;
            }
            // A name may itself end in `_FILE`: GATEHOUSE_GEOIP_FILE.
            let known = SETTINGS.iter().find(|setting| setting.env == name);
            let (setting, from_file) = match known {
                Some(setting) => (Some(setting), false),
                None => (
                    SETTINGS.iter().find(|setting| setting.secret && setting.env == stem && name.ends_with("_FILE")),
                    true,
                ),
            };
            let Some(setting) = setting else {
                return Err(unknown("environment variable", &name, SETTINGS.iter().map(|setting| setting.env)));
            };
            // An empty variable is an unset one: that is how compose files leave things out.
            if text.is_empty() {
                continue;
            }
            let found = if from_file { secret_file(&name, Path::new(&text))? } else { Sourced::new(text, name) };
            sources.offer(setting, found)?;
        }
        let config_file = sources.0.remove("config").map(|found| found.text).or(config_file);
        if let Some(path) = config_file {
            sources.read_file(Path::new(&path))?;
        }
        Ok(sources)
    }

    /// Takes a value unless a stronger source has set it.
    fn offer(&mut self, setting: &Setting, found: Sourced) -> Result<(), Problem> {
        if let Some(earlier) = self.0.get(setting.key) {
            // The same secret as a value and as a file is a mistake whichever wins.
            if earlier.place.trim_end_matches("_FILE") == found.place.trim_end_matches("_FILE") {
                return Err(Problem::new(found.place, format!("set both here and by {}", earlier.place)));
            }
            return Ok(());
        }
        self.0.insert(setting.key, found);
        Ok(())
    }

    fn read_file(&mut self, path: &Path) -> Result<(), Problem> {
        let place = path.display().to_string();
        let text =
            std::fs::read_to_string(path).map_err(|error| Problem::new(&place, format!("cannot be read: {error}")))?;
        let table: toml::Table = text.parse().map_err(|error| Problem::new(&place, format!("{error}")))?;
        for (key, value) in table {
            let stem = key.strip_suffix("_file").unwrap_or(&key);
            let known = SETTINGS.iter().find(|setting| setting.key == key);
            let by_file =
                SETTINGS.iter().find(|setting| setting.secret && setting.key == stem && key.ends_with("_file"));
            let Some(setting) = known.or(by_file) else {
                return Err(unknown(&format!("key in {place}"), &key, SETTINGS.iter().map(|setting| setting.key)));
            };
            let here = format!("{key} in {place}");
            let text = match value {
                toml::Value::String(text) => text,
                toml::Value::Integer(n) => n.to_string(),
                toml::Value::Boolean(yes) => yes.to_string(),
                toml::Value::Array(items) if items.iter().all(toml::Value::is_str) => {
                    items.iter().filter_map(toml::Value::as_str).collect::<Vec<_>>().join(",")
                }
                _ => {
                    return Err(Problem::new(
                        here,
                        "must be a text, a whole number, true or false, or a list of texts",
                    ));
                }
            };
            let found = if known.is_none() { secret_file(&here, Path::new(&text))? } else { Sourced::new(text, here) };
            self.offer(setting, found)?;
        }
        Ok(())
    }
}

/// Whether a variable is one that an orchestrator puts into the environment of every process for a service whose name
/// begins as ours do (Kubernetes, "Discovering services"; Docker, "Legacy container links").
fn is_service_link(name: &str, text: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if name.ends_with("_SERVICE_HOST") || name.ends_with("_SERVICE_PORT") || name.contains("_SERVICE_PORT_") {
        return true;
    }
    let Some((_, port)) = name.rsplit_once("_PORT_") else {
        return name.ends_with("_PORT") && text.contains("://");
    };
    let (number, rest) = port.split_once('_').unwrap_or((port, ""));
    let protocol = rest.split('_').next().unwrap_or_default();
    is_number(number) && matches!(protocol, "TCP" | "UDP" | "SCTP")
}

fn secret_file(place: &str, path: &Path) -> Result<Sourced, Problem> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Problem::new(place, format!("{} cannot be read: {error}", path.display())))?;
    let text = text.trim_end_matches(['\r', '\n']).to_owned();
    Ok(Sourced { file: Some(path.to_owned()), ..Sourced::new(text, place) })
}

fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> Problem {
    let nearest = known.map(|known| (strsim::jaro_winkler(known, name), known)).max_by(|a, b| a.0.total_cmp(&b.0));
    let hint = match nearest {
        Some((likeness, known)) if likeness > 0.8 => format!("; did you mean {known}?"),
        _ => "; `gatehouse serve --help` lists all settings".to_owned(),
    };
    Problem::new(name, format!("no such {what}{hint}"))
}
