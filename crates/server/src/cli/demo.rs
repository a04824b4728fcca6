//! `demo`: a throw-away instance with something to look at.

use std::{path::PathBuf, sync::Arc};

use clap::Command;

use crate::{
    app::{self, App, platform::demo::DemoLogin, prepare_folders},
    cli::{
        Exit, block_on, say,
        serve::{self, Signals},
        with_settings_but,
    },
    config::Config,
    env::Env,
    telemetry,
};

/// A folder that goes away with this value.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// What the demo decides itself: it never touches a real database.
const ITS_OWN: [&str; 6] = ["data_dir", "database_url", "migrate", "master_key", "admin_email", "admin_username"];

pub(super) fn command() -> Command {
    let command = Command::new("demo")
        .about("Serve a throw-away instance with partners, tenants, users and 30 days of sessions")
        .long_about(
            "Serve a throw-away instance with 2 partners, 5 tenants, about 200 users and 2,000 sessions over 30 days.\n\n\
             Prints sign-ins to try. Keeps everything in a temporary folder that goes away when it stops.",
        );
    with_settings_but(command, &ITS_OWN)
        .mut_arg("admin_password", |arg| arg.help("Password of all accounts [default: a random one, printed at start]"))
}

pub(super) fn run(mut flags: Vec<(&'static str, String)>) -> Result<(), Exit> {
    let env = Env::system();
    let name = u64::from_be_bytes(env.random());
    let scratch = Scratch(std::env::temp_dir().join(format!("gatehouse-demo-{name:016x}")));
    let password = flags.iter().find(|(key, _)| *key == "admin_password").map(|(_, text)| text.clone());
    let password = password.unwrap_or_else(|| format!("demo-{:016x}", u64::from_be_bytes(env.random())));
    flags.retain(|(key, _)| *key != "admin_password");
    // Flags win over a settings file, which may name the database of a real installation.
    flags.push(("data_dir", scratch.0.display().to_string()));
    flags.push(("database_url", format!("sqlite:{}", scratch.0.join("gatehouse.db").display())));
    flags.push(("migrate", "true".to_owned()));
    let ours = |name: &str| {
        !["DATABASE_URL", "GATEHOUSE_ADMIN_", "GATEHOUSE_DATA_DIR", "GATEHOUSE_MASTER_KEY", "GATEHOUSE_MIGRATE"]
            .iter()
            .any(|theirs| name.starts_with(theirs))
    };
    let config = Config::load(flags, std::env::vars().filter(|(name, _)| ours(name)))
        .map_err(|problem| Exit::Usage(problem.to_string()))?;
    telemetry::start_logs(config.log_format, &config.log_level).map_err(Exit::Usage)?;
    block_on(async {
        prepare_folders(&config)?;
        let app = Arc::new(App::open(&config, env).await?);
        let seeded = async {
            let logins = app.demo().seed(&password).await?;
            app.maintenance().sweep().await?;
            Ok::<_, app::Error>(logins)
        };
        // Stopped meanwhile, it leaves nothing behind either.
        let mut signals = Signals::listen()?;
        let logins = tokio::select! {
            biased;
            () = signals.next() => return Ok(()),
            logins = seeded => logins?,
        };
        serve::serve(&config, app, signals, |address| banner(address, &logins, &password)).await
    })
}

fn banner(address: std::net::SocketAddr, logins: &[DemoLogin], password: &str) {
    let mut text = format!(
        "Gatehouse demo\n  API        http://{address}/api/v1\n  Reference  http://{address}/docs/\n\
         All accounts have the password {password}\n"
    );
    for DemoLogin { what, tenant_slug, tenant_id, username } in logins {
        text.push_str(&format!("  {username:<7} {what:<23} in tenant {tenant_slug} {tenant_id}\n"));
    }
    text.push_str("Everything is gone when it stops.\n");
    say(&text);
}
