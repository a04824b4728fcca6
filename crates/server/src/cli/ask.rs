//! The question before a command that takes something away.

use std::io::{self, BufRead, IsTerminal, Write};

use clap::{Arg, ArgAction, ArgMatches};

use crate::cli::Exit;

/// The flag that answers the question.
pub(super) fn yes() -> Arg {
    Arg::new("yes").long("yes").action(ArgAction::SetTrue).help("Do not ask; without a terminal nothing is asked")
}

/// Whether somebody is there to be asked, and has not answered yet.
pub(super) fn is_needed(matches: &ArgMatches) -> bool {
    !matches.get_flag("yes") && io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks whether to go on.
pub(super) fn confirm(matches: &ArgMatches, question: &str) -> Result<(), Exit> {
    if !is_needed(matches) || is_confirmed(question, io::stdin().lock(), io::stderr()) {
        return Ok(());
    }
    Err(Exit::Failed("nothing was changed".into()))
}

fn is_confirmed(question: &str, mut input: impl BufRead, mut output: impl Write) -> bool {
    let mut answer = String::new();
    let asked = write!(output, "{question} Go on? [y/N] ").and_then(|()| output.flush());
    asked.and_then(|()| input.read_line(&mut answer)).is_ok()
        && matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_is_yes() {
        for (answer, is_yes) in [("y\n", true), ("YES\n", true), ("\n", false), ("", false), ("no\n", false)] {
            let mut asked = Vec::new();
            assert_eq!(is_confirmed("tenant delete shop.", answer.as_bytes(), &mut asked), is_yes, "{answer:?}");
            assert_eq!(asked, b"tenant delete shop. Go on? [y/N] ");
        }
    }
}
