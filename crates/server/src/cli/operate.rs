//! What an operator does from the command line: the operations of `/admin`, in this process and without signing in.
//!
//! A command is an operation of the committed document: its parameters and the fields of its body are the arguments, its
//! answer is what is printed. So the command line has the same names, rules and answers as the API, and nothing of its own
//! but the words for things and deeds. The audit trail says that it was done here.

mod api;
mod fields;
mod guide;
mod names;
mod print;
mod resources;
mod table;

use actix_web::{http::StatusCode, web::Data};
use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::Value;

use crate::{
    app::App,
    cli::{Exit, ask, audit, block_on, config, open, say, user, with_few_settings},
};
use api::{Answer, Api, Call};
use fields::{Field, Operation, ParameterIn};
use names::Names;
use resources::{RESOURCES, Resource, Verb};

/// The commands for each thing.
pub(super) fn commands() -> impl Iterator<Item = Command> {
    // The verbs are put in when one is asked for: a server does not read the document to start.
    RESOURCES
        .iter()
        .map(|resource| Command::new(resource.name).about(resource.about).subcommand_required(true).defer(with_verbs))
}

fn with_verbs(command: Command) -> Command {
    let document = fields::document();
    let resource = RESOURCES.iter().find(|resource| resource.name == command.get_name());
    let verbs: Vec<_> = resource
        .into_iter()
        .flat_map(|resource| resource.verbs.iter().filter_map(|verb| verb_command(&document, resource, verb)))
        .collect();
    // Those that are not operations.
    let more = match command.get_name() {
        "audit" => vec![audit::verify(), audit::accept_damage()],
        "user" => user::commands(),
        _ => Vec::new(),
    };
    command.subcommands(verbs).subcommands(more)
}

fn verb_command(document: &Value, resource: &Resource, (name, id, settled): &Verb) -> Option<Command> {
    let operation = Operation::find(document, id)?;
    let about = match *name {
        "suspend" => operation.summary.replacen("Change", "Suspend", 1),
        "activate" => operation.summary.replacen("Change", "Activate", 1),
        _ => operation.summary.clone(),
    };
    let json = Arg::new("json").long("json").action(ArgAction::SetTrue).help("Print the answer of the API as it is");
    let command = Command::new(*name)
        .long_about(format!("{about}\n\n{}", operation.description).trim_end().to_owned())
        .about(about)
        .arg(json);
    let command = if guide::may_ask(name, &operation) { command.arg(ask::yes()) } else { command };
    // Where something is settled of a body, nothing else of it is for the caller.
    let is_open = |field: &&Field| settled.is_empty() || !matches!(field.place, ParameterIn::Body(_));
    let open = operation.fields.iter().filter(is_open);
    Some(with_few_settings(open.fold(command, |command, field| command.arg(field.arg(resource.name)))))
}

/// Whether a word is one of the things.
pub(super) fn knows(resource: &str) -> bool {
    RESOURCES.iter().any(|known| known.name == resource)
}

/// Does what is asked for.
pub(super) fn run(resource: &str, matches: &ArgMatches) -> Result<(), Exit> {
    let Some((word, matches)) = matches.subcommand() else { return Ok(()) };
    let found = RESOURCES.iter().filter(|known| known.name == resource).find_map(|resource| {
        let verb = resource.verbs.iter().find(|(known, ..)| *known == word)?;
        Some((resource, verb))
    });
    found.map_or(Ok(()), |(resource, verb)| perform(resource, verb, matches))
}

fn perform(resource: &Resource, verb: &Verb, matches: &ArgMatches) -> Result<(), Exit> {
    let mut config = config(matches)?;
    let Some(operation) = Operation::find(&fields::document(), verb.1) else { return Ok(()) };
    block_on(async {
        let app = Data::new(open(&config).await?);
        if config.public_url.is_none() {
            config.public_url = app.setup().public_url().await?;
        }
        let api = Api::of(&config, &app).await?;
        let result = call(resource, verb, &operation, matches, &app, &api).await;
        app.db().close().await;
        result
    })
}

async fn call(
    resource: &Resource,
    (verb, id, settled): &Verb,
    operation: &Operation,
    matches: &ArgMatches,
    app: &Data<App>,
    api: &Api,
) -> Result<(), Exit> {
    let (mut call, mut names) = (Call::of(operation), Names::new(app, api));
    let mut what = String::new();
    for field in &operation.fields {
        let values = match settled.iter().find(|(known, _)| *known == field.name) {
            Some((_, value)) => vec![(*value).to_owned()],
            None => field.values(matches),
        };
        if matches!(field.place, ParameterIn::Path) {
            what = values.concat();
        }
        call.put(field, names.ids(field, values).await?)?;
    }
    guide::ask(api, &call, [resource.name, verb, &what], operation, matches).await?;
    let answer = api.send(&call).await?;
    if matches.get_flag("json") && answer.status.is_success() {
        say(&answer.json.map(|json| format!("{json}\n")).unwrap_or_default());
        return Ok(());
    }
    let made = answer.json.as_ref().map(|json| json["data"].clone()).unwrap_or_default();
    show(answer, resource.columns(id), &call, &mut names).await?;
    let name = names.name(made["id"].as_str().unwrap_or_default()).await?;
    if let Some(next) = guide::next_step(resource.name, verb, &name, &made) {
        eprintln!("{next}");
    }
    Ok(())
}

/// Prints an answer for people.
async fn show(answer: Answer, columns: &[&str], call: &Call, names: &mut Names<'_>) -> Result<(), Exit> {
    if answer.status == StatusCode::NO_CONTENT {
        eprintln!("Done.");
    }
    let Some(mut json) = answer.json else { return Ok(()) };
    if !answer.status.is_success() {
        return Err(print::problem(answer.status, &json));
    }
    if let Some(rows) = json["data"].as_array_mut() {
        names.put(rows, columns).await?;
    }
    // What was to be deleted is not shown as it would be.
    if !(call.is_dry_run() && call.deletes()) {
        print::answer(&json, columns);
    }
    if json["meta"]["effects"].is_object() {
        eprintln!("Ends: {}", print::effects(&json).as_deref().unwrap_or("no session"));
    }
    if call.is_dry_run() {
        eprintln!("Dry run: nothing was changed.");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{resources::WITHOUT, *};

    #[test]
    fn every_verb_is_an_operation_and_its_arguments_do_not_collide() {
        for command in commands() {
            command.debug_assert();
        }
    }

    fn verb(resource: &str, verb: &str) -> Command {
        let resource = RESOURCES.iter().find(|known| known.name == resource).unwrap();
        let verb = resource.verbs.iter().find(|(known, ..)| *known == verb).unwrap();
        verb_command(&fields::document(), resource, verb).unwrap()
    }

    #[test]
    fn owner_of_an_account_is_invited_by_mail_unless_a_link_is_asked_for() {
        for (arguments, delivery) in
            [(vec!["invite", "usr_1"], None), (vec!["invite", "usr_1", "--delivery", "link"], Some("link"))]
        {
            let matches = verb("user", "invite").try_get_matches_from(arguments).unwrap();
            assert_eq!(matches.get_one::<String>("delivery").map(String::as_str), delivery);
        }
    }

    #[test]
    fn help_of_a_verb_is_its_own_and_lists_words_that_there_are() {
        for (resource, name, has, has_not) in [
            ("user", "create", "[possible values: email, link, none]", "`null` removes it"),
            ("user", "update", "[possible values: ACTIVE, SUSPENDED]", "--json <"),
            ("user", "suspend", "Suspend a user", "--email"),
            ("tenant", "update", "`null` removes it", "--tenant <"),
            ("role", "assign", "--tenant <TENANT>", "--tenant-id"),
            ("user-import", "show", "--tenant <TENANT>", "--tenant-id"),
            ("session", "list", "[possible values: -created_at, created_at", "--yes"),
        ] {
            let help = verb(resource, name).render_long_help().to_string();
            assert!(help.contains(has) && !help.contains(has_not), "{resource} {name}: {help}");
        }
        let wrong = verb("user", "list").try_get_matches_from(["list", "--status", "GONE"]);
        assert!(wrong.is_err());
        assert!(verb("user", "list").try_get_matches_from(["list", "--sort", "-created_at"]).is_ok());
    }

    #[test]
    fn every_operation_of_an_administrator_has_a_verb() {
        let document = fields::document();
        let unknown: Vec<_> = RESOURCES
            .iter()
            .flat_map(|resource| resource.verbs)
            .filter(|(_, id, _)| Operation::find(&document, id).is_none())
            .collect();
        assert!(unknown.is_empty(), "{unknown:?}");
        let verbs: Vec<_> =
            RESOURCES.iter().flat_map(|resource| resource.verbs).map(|(_, operation, _)| *operation).collect();
        let missing: Vec<_> = fields::operations(&document)
            .filter(|id| id.starts_with("admin.") && !verbs.contains(&id.as_str()) && !WITHOUT.contains(&id.as_str()))
            .collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
