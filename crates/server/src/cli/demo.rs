//! `demo`: a throw-away instance with something to look at.

use std::{path::PathBuf, sync::Arc};

use crate::{
    app::{App, demo::DemoLogin, prepare_folders},
    cli::{Exit, block_on, serve},
    config::{Config, Database},
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

pub(super) fn run(mut flags: Vec<(&'static str, String)>) -> Result<(), Exit> {
    let env = Env::system();
    let name = u64::from_be_bytes(env.random());
    let scratch = Scratch(std::env::temp_dir().join(format!("gatehouse-demo-{name:016x}")));
    let password = flags.iter().find(|(key, _)| *key == "admin_password").map(|(_, text)| text.clone());
    let password = password.unwrap_or_else(|| format!("demo-{:016x}", u64::from_be_bytes(env.random())));
    // The demo never touches a real database.
    flags.retain(|(key, _)| {
        !matches!(*key, "data_dir" | "database_url" | "admin_password" | "admin_email" | "admin_username")
    });
    flags.push(("data_dir", scratch.0.display().to_string()));
    let ours = |name: &str| {
        !name.starts_with("DATABASE_URL") && !name.starts_with("GATEHOUSE_ADMIN_") && name != "GATEHOUSE_DATA_DIR"
    };
    let config = Config::load(flags, std::env::vars().filter(|(name, _)| ours(name)))
        .map_err(|problem| Exit::Usage(problem.to_string()))?;
    if !matches!(config.database, Database::Sqlite(_)) {
        return Err(Exit::Usage("the demo runs on a SQLite file of its own".to_owned()));
    }
    telemetry::start_logs(config.log_format, &config.log_level).map_err(Exit::Usage)?;
    block_on(async {
        prepare_folders(&config)?;
        let app = Arc::new(App::open(&config, env).await?);
        let logins = app.seed_demo(&password).await?;
        serve::serve(&config, app, |address| banner(address, &logins, &password)).await
    })
}

fn banner(address: std::net::SocketAddr, logins: &[DemoLogin], password: &str) {
    println!("Gatehouse demo: http://{address}/api/v1, reference http://{address}/docs/");
    println!("The password of all accounts is: {password}");
    for DemoLogin { what, tenant_slug, tenant_id, username } in logins {
        println!("  {what:<23} {username:<10} at tenant {tenant_slug:<10} {tenant_id}");
    }
    println!("Everything is gone when it stops.");
}
