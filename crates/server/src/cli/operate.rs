//! What an operator does from the command line: the operations of `/admin`, in this process and without signing in.
//!
//! A command is an operation of the committed document: its parameters and the fields of its body are the arguments, its
//! answer is what is printed. So the command line has the same names, rules and answers as the API, and nothing of its own
//! but the words for things and deeds. The audit trail says that it was done here.

mod fields;
mod print;

use std::sync::Arc;

use actix_http::Request;
use actix_service::{IntoServiceFactory, Service, ServiceFactory};
use actix_web::{
    HttpMessage,
    body::MessageBody,
    dev::{AppConfig, ServiceResponse},
    http::{
        Method, StatusCode,
        header::{CONTENT_TYPE, HeaderValue},
    },
    web::{Bytes, Data},
};
use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::Value;

use crate::{
    app::App,
    cli::{Exit, audit, block_on, config, open, operator::Operator, say, tenant, user, with_few_settings},
    http::{self, Site},
};
use fields::{Field, Operation, ParameterIn};

/// A deed: what it is called, the operation behind it, and what is settled of its body.
type Verb = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

/// A thing, and what can be done with it.
struct Resource {
    name: &'static str,
    about: &'static str,
    /// What a list shows: dots lead into objects.
    columns: &'static [&'static str],
    verbs: &'static [Verb],
}

const SUSPENDED: &[(&str, &str)] = &[("status", "SUSPENDED")];
const ACTIVE: &[(&str, &str)] = &[("status", "ACTIVE")];

/// Operations without a command of this kind: an operator has no limits to ask for, and has commands of their own for
/// files, which take passwords along and need no server.
#[cfg(test)]
const WITHOUT: [&str; 3] = ["admin.me.scope.get", "admin.tenants.user_imports.create", "admin.tenants.users.download"];

const RESOURCES: [Resource; 8] = [
    Resource {
        name: "platform",
        about: "What holds everywhere",
        columns: &[],
        verbs: &[
            ("settings", "admin.settings.get", &[]),
            ("configure", "admin.settings.update", &[]),
            ("effective-settings", "admin.settings.effective.get", &[]),
        ],
    },
    Resource {
        name: "partner",
        about: "Partners and their limits",
        columns: &["id", "slug", "name", "status", "usage.tenants", "max_tenants"],
        verbs: &[
            ("list", "admin.partners.list", &[]),
            ("show", "admin.partners.get", &[]),
            ("create", "admin.partners.create", &[]),
            ("update", "admin.partners.update", &[]),
            ("suspend", "admin.partners.update", SUSPENDED),
            ("activate", "admin.partners.update", ACTIVE),
            ("delete", "admin.partners.delete", &[]),
            ("settings", "admin.partners.settings.get", &[]),
            ("configure", "admin.partners.settings.update", &[]),
            ("effective-settings", "admin.partners.settings.effective.get", &[]),
        ],
    },
    Resource {
        name: "tenant",
        about: "Tenants and their settings",
        columns: &["id", "slug", "name", "status", "usage.users", "partner_id"],
        verbs: &[
            ("list", "admin.tenants.list", &[]),
            ("show", "admin.tenants.get", &[]),
            ("create", "admin.tenants.create", &[]),
            ("update", "admin.tenants.update", &[]),
            ("suspend", "admin.tenants.update", SUSPENDED),
            ("activate", "admin.tenants.update", ACTIVE),
            ("delete", "admin.tenants.delete", &[]),
            ("settings", "admin.tenants.settings.get", &[]),
            ("configure", "admin.tenants.settings.update", &[]),
            ("effective-settings", "admin.tenants.settings.effective.get", &[]),
        ],
    },
    Resource {
        name: "user",
        about: "Users of all tenants",
        columns: &["id", "username", "email", "status", "last_login_at", "tenant_id"],
        verbs: &[
            ("list", "admin.users.list", &[]),
            ("show", "admin.users.get", &[]),
            ("create", "admin.users.create", &[]),
            ("update", "admin.users.update", &[]),
            ("suspend", "admin.users.update", SUSPENDED),
            ("activate", "admin.users.update", ACTIVE),
            ("delete", "admin.users.delete", &[]),
            ("invite", "admin.users.invitation.create", &[]),
            ("cancel-invitation", "admin.users.invitation.delete", &[]),
            ("reset-password", "admin.users.password_reset.create", &[]),
            ("unlock", "admin.users.unlock", &[]),
        ],
    },
    Resource {
        name: "user-import",
        about: "Imports of users, however they were asked for",
        columns: &["id", "state", "created", "updated", "skipped", "rejected", "created_at"],
        verbs: &[
            ("list", "admin.tenants.user_imports.list", &[]),
            ("show", "admin.tenants.user_imports.get", &[]),
            ("rejects", "admin.tenants.user_imports.rejects.list", &[]),
            ("cancel", "admin.tenants.user_imports.cancel", &[]),
        ],
    },
    Resource {
        name: "role",
        about: "Roles, and who holds them",
        columns: &["id", "name", "permissions", "tenant_id"],
        verbs: &[
            ("list", "admin.roles.list", &[]),
            ("show", "admin.roles.get", &[]),
            ("create", "admin.roles.create", &[]),
            ("update", "admin.roles.update", &[]),
            ("delete", "admin.roles.delete", &[]),
            ("assign", "admin.role_assignments.create", &[]),
            ("unassign", "admin.role_assignments.delete", &[]),
            ("assignments", "admin.role_assignments.list", &[]),
            ("assignment", "admin.role_assignments.get", &[]),
            ("extend", "admin.role_assignments.update", &[]),
            ("permissions", "admin.permissions.list", &[]),
        ],
    },
    Resource {
        name: "session",
        about: "Sessions of all tenants",
        columns: &["id", "user_email", "status", "device_name", "ip_address", "last_activity_at"],
        verbs: &[
            ("list", "admin.sessions.list", &[]),
            ("show", "admin.sessions.get", &[]),
            ("revoke", "admin.sessions.revoke", &[]),
            ("revoke-all", "admin.sessions.revoke_all", &[]),
        ],
    },
    Resource {
        name: "audit",
        about: "The audit trail",
        columns: &["created_at", "action", "result", "actor.id", "resource.type", "resource.id", "tenant_id"],
        verbs: &[
            ("list", "admin.audit_events.list", &[]),
            ("show", "admin.audit_events.get", &[]),
            ("catalogue", "admin.audit_events.catalogue.get", &[]),
            ("export", "admin.audit_events.download", &[]),
        ],
    },
];

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
        .flat_map(|resource| resource.verbs)
        .filter_map(|verb| verb_command(&document, verb))
        .collect();
    // Those that are not operations.
    let more = match command.get_name() {
        "audit" => vec![audit::verify()],
        "user" => user::commands(),
        _ => Vec::new(),
    };
    command.subcommands(verbs).subcommands(more)
}

fn verb_command(document: &Value, (name, id, settled): &Verb) -> Option<Command> {
    let operation = Operation::find(document, id)?;
    let command = Command::new(*name)
        .about(operation.summary.clone())
        .arg(Arg::new("json").long("json").action(ArgAction::SetTrue).help("Print the answer of the API as it is"));
    let open = operation.fields.iter().filter(|field| settled.iter().all(|(known, _)| *known != field.name));
    Some(with_few_settings(open.fold(command, |command, field| command.arg(field.arg()))))
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

fn perform(resource: &Resource, (_, operation, settled): &Verb, matches: &ArgMatches) -> Result<(), Exit> {
    let mut config = config(matches)?;
    let Some(operation) = Operation::find(&fields::document(), operation) else { return Ok(()) };
    block_on(async {
        let app = Data::new(open(&config).await?);
        if config.public_url.is_none() {
            config.public_url = app.setup().public_url().await?;
        }
        let mut call = Call { path: operation.path.clone(), query: Vec::new(), body: operation.empty_body() };
        for field in &operation.fields {
            let values = match settled.iter().find(|(known, _)| *known == field.name) {
                Some((_, value)) => vec![(*value).to_owned()],
                None => field.values(matches),
            };
            let values = named(&app, field, values).await?;
            call.put(field, values)?;
        }
        let failed = |what: &dyn std::fmt::Display| Exit::Failed(what.to_string());
        let factory = http::service(app.clone(), Arc::new(Site::new(&config, app.env()))).into_factory();
        let service = factory.new_service(AppConfig::default()).await.map_err(|()| failed(&"it cannot start"))?;
        let request = call.request(operation.method.clone()).map_err(|error| failed(&error))?;
        let response = service.call(request).await.map_err(|error| failed(&error))?;
        let result = answer(response, resource, matches.get_flag("json")).await;
        app.db().close().await;
        result
    })
}

/// A request in the making.
struct Call {
    path: String,
    query: Vec<(String, String)>,
    body: Option<Value>,
}

impl Call {
    fn put(&mut self, field: &Field, values: Vec<String>) -> Result<(), Exit> {
        match &field.place {
            ParameterIn::Path => {
                let value = values.into_iter().next().unwrap_or_default();
                // An id is all that a path of ours takes, and an id needs no escapes.
                let id: String = value.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
                if id != value || id.is_empty() {
                    return Err(Exit::Usage(format!("{} is no {}", value, field.name)));
                }
                self.path = self.path.replace(&format!("{{{}}}", field.name), &id);
            }
            ParameterIn::Query => self.query.extend(values.into_iter().map(|value| (field.name.clone(), value))),
            ParameterIn::Body(way) => {
                if let (Some(value), Some(body)) = (field.json(values)?, &mut self.body) {
                    let place = way.iter().fold(body, |at, key| &mut at[key.as_str()]);
                    *place = value;
                }
            }
        }
        Ok(())
    }

    /// The request, with the operator's credential beside it.
    fn request(&self, method: Method) -> Result<Request, actix_web::http::uri::InvalidUri> {
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.query).finish();
        let uri = if query.is_empty() { self.path.clone() } else { format!("{}?{query}", self.path) };
        let mut request = Request::new();
        *request.uri_mut() = uri.parse()?;
        request.head_mut().method = method;
        request.extensions_mut().insert(Operator::at_command_line());
        let Some(body) = &self.body else { return Ok(request) };
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(request.replace_payload(Bytes::from(body.to_string()).into()).0)
    }
}

/// Ids in the place of names: a tenant may be named by its slug, a user by `slug/name`.
async fn named(app: &App, field: &Field, values: Vec<String>) -> Result<Vec<String>, Exit> {
    let mut ids = Vec::with_capacity(values.len());
    for value in values {
        let id = match (field.name.as_str(), value.split_once('/')) {
            ("tenant_id", None) if !value.starts_with("tnt_") => tenant(app, &value).await?.tenant.id.to_string(),
            ("user_id", Some((slug, name))) => user::find(app, slug, name).await?.id.to_string(),
            _ => value,
        };
        ids.push(id);
    }
    Ok(ids)
}

/// Prints an answer as it comes.
async fn answer(response: ServiceResponse<impl MessageBody>, resource: &Resource, as_it_is: bool) -> Result<(), Exit> {
    let status = response.status();
    let content_type = response.headers().get("content-type").and_then(|value| value.to_str().ok());
    let is_json = content_type.is_some_and(|it| it.starts_with("application/") && it.ends_with("json"));
    let mut body = Box::pin(response.into_body());
    let mut whole = Vec::new();
    while let Some(chunk) = std::future::poll_fn(|cx| body.as_mut().poll_next(cx)).await {
        let chunk = chunk.map_err(|_| Exit::Failed("the answer broke off".to_owned()))?;
        if is_json { whole.extend_from_slice(&chunk) } else { print::bytes(&chunk) }
    }
    if status == StatusCode::NO_CONTENT {
        eprintln!("Done.");
        return Ok(());
    }
    if !is_json {
        return Ok(());
    }
    let json: Value = serde_json::from_slice(&whole).map_err(|error| Exit::Failed(error.to_string()))?;
    if !status.is_success() {
        return Err(print::problem(status, &json));
    }
    if as_it_is {
        say(&format!("{json}\n"))
    } else {
        print::answer(&json, resource.columns)
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_is_an_operation_and_its_arguments_do_not_collide() {
        for command in commands() {
            command.debug_assert();
        }
    }

    #[test]
    fn owner_of_an_account_is_invited_by_mail_unless_a_link_is_asked_for() {
        let verb = ("invite", "admin.users.invitation.create", [].as_slice());
        let command = verb_command(&fields::document(), &verb).unwrap();
        for (arguments, delivery) in
            [(vec!["invite", "usr_1"], None), (vec!["invite", "usr_1", "--delivery", "link"], Some("link"))]
        {
            let matches = command.clone().try_get_matches_from(arguments).unwrap();
            assert_eq!(matches.get_one::<String>("delivery").map(String::as_str), delivery);
        }
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
