//! `ops` and `completions`: what belongs beside the program, printed by it, so that it fits its version.

use clap::{Arg, ArgMatches, Command, builder::PossibleValuesParser};
use clap_complete::Shell;

use crate::cli::say;

const UNIT: &str = include_str!("../../assets/ops/gatehouse.service");
const DASHBOARD: &str = include_str!("../../assets/ops/dashboard.json");
const ALERTS: &str = include_str!("../../assets/ops/alerts.yml");

pub(super) fn command() -> Command {
    Command::new("ops").about("Print what an operator puts beside the program").arg(
        Arg::new("what")
            .required(true)
            .value_parser(PossibleValuesParser::new(["unit", "dashboard", "alerts"]))
            .help("unit: for systemd, hardened; dashboard: for Grafana; alerts: rules for Prometheus"),
    )
}

pub(super) fn run(matches: &ArgMatches) {
    say(match matches.get_one::<String>("what").map_or("", String::as_str) {
        "unit" => UNIT,
        "dashboard" => DASHBOARD,
        _ => ALERTS,
    });
}

pub(super) fn completions() -> Command {
    Command::new("completions")
        .about("Print the completions of a shell")
        .arg(Arg::new("shell").required(true).value_parser(PossibleValuesParser::new(["bash", "zsh", "fish"])))
}

pub(super) fn complete(mut command: Command, matches: &ArgMatches) {
    let shell = match matches.get_one::<String>("shell").map_or("", String::as_str) {
        "zsh" => Shell::Zsh,
        "fish" => Shell::Fish,
        _ => Shell::Bash,
    };
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command, "gatehouse", &mut text);
    say(&String::from_utf8_lossy(&text));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SETTINGS;

    /// The words of a text that begin so.
    fn words<'t>(text: &'t str, beginning: &str) -> Vec<&'t str> {
        let all = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        all.filter(|word| word.starts_with(beginning) && word.len() > beginning.len()).collect()
    }

    #[test]
    fn dashboard_and_alerts_ask_for_metrics_that_there_are() {
        let described = concat!(include_str!("../telemetry.rs"), include_str!("../measure.rs"));
        for text in [DASHBOARD, ALERTS] {
            let metrics = words(text, "gatehouse_");
            assert!(metrics.len() > 5);
            for metric in metrics {
                let name = metric.trim_end_matches("_bucket").trim_end_matches("_count");
                assert!(described.contains(&format!("\"{name}\"")), "{metric}");
            }
        }
    }

    #[test]
    fn unit_sets_settings_that_there_are() {
        let settings = words(UNIT, "GATEHOUSE_");
        assert!(!settings.is_empty());
        for name in settings {
            assert!(SETTINGS.iter().any(|setting| setting.env == name), "{name}");
        }
    }

    #[test]
    fn dashboard_is_json() {
        serde_json::from_str::<serde_json::Value>(DASHBOARD).unwrap();
    }
}
