//! `serve`: the server process from start to end.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web::{
    HttpResponse, HttpServer,
    dev::ServerHandle,
    http::header::ALLOW,
    web::{self, Data},
};
use gatehouse_persistence::ServeLock;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{
    app::{App, platform::periodic, process_start},
    cli::{Exit, block_on, connect, explain, open_or_make, say, start},
    config::{Config, Database, LogFormat},
    http::{
        self, Site,
        connections::{Connections, Rules},
        ops,
        server::{self, Running},
    },
    outbound::CONNECTIONS,
    telemetry,
};

/// How long the head of a request may take.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client may wait before its next request, and a proxy with many clients behind it.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
const KEEP_ALIVE_OF_PROXY: Duration = Duration::from_secs(75);
/// How long a client may take nothing of its answer.
const UNREAD_TIMEOUT: Duration = Duration::from_secs(30);
/// The most connections, however many descriptors there are: an idle one takes about 20 KiB.
const MOST_CONNECTIONS: u64 = 10_000;
/// The fewest, however few descriptors there are.
const FEWEST_CONNECTIONS: u64 = 64;
/// How many descriptors are left to files, the database and the process itself.
const SPARE_DESCRIPTORS: u64 = 64;

/// Serves until told to stop.
pub(super) fn run(config: Config) -> Result<(), Exit> {
    block_on(async {
        let lock = match &config.database {
            Database::Sqlite(path) => {
                crate::app::prepare_folders(&config)?;
                Some(ServeLock::take(path)?)
            }
            Database::Postgres(_) => {
                // Before anything is looked at. What is opened then asks once more, as a restore may begin in between.
                let db = connect(&config).await?;
                let may_serve = db.may_be_served().await?;
                db.close().await;
                may_serve.then_some(None).ok_or_else(start::is_being_replaced)?
            }
        };
        let app = Arc::new(open_or_make(&config).await?);
        start::check(&app).await?;
        app.setup().note_public_url(&config.links()).await?;
        if let Some(admin) = &config.admin {
            app.setup().complete_unattended(admin).await.map_err(|error| match Exit::from(error) {
                Exit::Usage(text) => Exit::Usage(format!("GATEHOUSE_ADMIN_…: {text}")),
                other => other,
            })?;
        }
        let token = start::SetupToken::of(&config, &app).await?;
        let signals = Signals::listen()?;
        let result = serve(&config, app, signals, |address| banner(&config, address, token.as_ref())).await;
        drop(lock);
        result
    })
}

/// Serves an application; says so once it listens.
pub(super) async fn serve(
    config: &Config,
    app: Arc<App>,
    signals: Signals,
    ready: impl FnOnce(std::net::SocketAddr),
) -> Result<(), Exit> {
    let site = Arc::new(Site::new(config, app.env()));
    let data = Data::from(Arc::clone(&app));
    let failed = |what: String| move |error: std::io::Error| Exit::Failed(format!("{what}: {}", explain(&error)));
    let factory = {
        let (data, site) = (data.clone(), Arc::clone(&site));
        move || http::service(data.clone(), Arc::clone(&site))
    };
    let connections = Connections::new(rules(config, descriptors()));
    let running = Running { workers: config.workers, grace: config.shutdown_grace };
    let listener = server::listener(config.bind, UNREAD_TIMEOUT);
    let listening = listener.and_then(|listener| {
        let address = listener.local_addr()?;
        Ok((address, server::serve(listener, &connections, running, factory)?))
    });
    let (address, server) = listening.map_err(failed(format!("cannot listen on {} (GATEHOUSE_BIND)", config.bind)))?;
    let metrics = match config.metrics_bind {
        Some(bind) => Some(metrics_server(bind, Arc::clone(&app))?),
        None => None,
    };
    let handle = server.handle();
    let stopper = actix_web::rt::spawn(stop_on_signal(signals, handle, Arc::clone(&site)));
    let tasks = actix_web::rt::spawn(periodic::run(Arc::clone(&app)));
    let metrics_handle = metrics.as_ref().map(actix_web::dev::Server::handle);
    let metrics = metrics.map(actix_web::rt::spawn);
    ready(address);
    if config.log_format == LogFormat::Json {
        tracing::info!(%address, version = env!("CARGO_PKG_VERSION"), "ready");
    }

    let result = server.await.map_err(failed("the server failed".to_owned()));
    stopper.abort();
    tasks.abort();
    if let (Some(handle), Some(metrics)) = (metrics_handle, metrics) {
        handle.stop(false).await;
        drop(metrics.await);
    }
    // The threads that answered requests have ended, and with them their connections to the database.
    app.db().forget_idle();
    if let Err(error) = app.maintenance().flush_activity().await {
        tracing::warn!(error = %error, "the last activity could not be written");
    }
    if let Err(error) = app.refusals().record_left_out(app.env().now()).await {
        tracing::warn!(error = %error, "how often the same was refused could not be recorded");
    }
    // What comes after the last seal would not be missed otherwise.
    if let Err(error) = seal_and_note(&app).await {
        tracing::warn!(error = %error, "how far the database has come could not be noted");
    }
    app.db().close().await;
    result
}

async fn seal_and_note(app: &App) -> crate::app::Result<()> {
    app.restores().note_newest().await?;
    app.trail().seal().await?;
    app.restores().note_newest().await
}

/// How many descriptors there may be; raised as far as it goes, since what starts services often leaves them few.
fn descriptors() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    }
}

/// What connections may do. There are always descriptors left for files, the database and the process itself.
fn rules(config: &Config, descriptors: Option<u64>) -> Rules {
    let outgoing = u64::try_from(CONNECTIONS).unwrap_or(u64::MAX);
    let spare = SPARE_DESCRIPTORS + outgoing + u64::from(config.database_connections);
    let most = descriptors.map_or(MOST_CONNECTIONS, |most| most.saturating_sub(spare));
    let most = usize::try_from(most.clamp(FEWEST_CONNECTIONS, MOST_CONNECTIONS)).unwrap_or(usize::MAX);
    Rules {
        logs_addresses: config.log_addresses,
        most,
        per_address: config.connections_per_address,
        trusted_proxies: config.trusted_proxies.clone(),
        head: HEAD_TIMEOUT,
        keep_alive: KEEP_ALIVE,
        keep_alive_of_proxy: KEEP_ALIVE_OF_PROXY,
        unread: UNREAD_TIMEOUT,
    }
}

/// SIGTERM and SIGINT. Whichever comes from when this is made on is not lost, however late it is asked for.
#[derive(Debug)]
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(super) fn listen() -> Result<Self, Exit> {
        let of = |kind| signal(kind).map_err(|error| Exit::Failed(format!("signals cannot be waited for: {error}")));
        Ok(Self { terminate: of(SignalKind::terminate())?, interrupt: of(SignalKind::interrupt())? })
    }

    /// Waits for the next.
    pub(super) async fn next(&mut self) {
        tokio::select! { _ = self.terminate.recv() => {}, _ = self.interrupt.recv() => {} }
    }
}

/// The first signal lets requests finish; the second does not.
async fn stop_on_signal(mut signals: Signals, server: ServerHandle, site: Arc<Site>) {
    signals.next().await;
    tracing::info!("stopping");
    ops::drain(&site);
    actix_web::rt::spawn(server.stop(true));
    signals.next().await;
    telemetry::flush_logs();
    std::process::exit(130);
}

fn metrics_server(bind: std::net::SocketAddr, app: Arc<App>) -> Result<actix_web::dev::Server, Exit> {
    let handle = telemetry::start_metrics().map_err(Exit::Failed)?;
    let started = Instant::now();
    let server = HttpServer::new(move || {
        let (handle, app) = (handle.clone(), Arc::clone(&app));
        let render = move || {
            let text = telemetry::render(&handle, &app, started);
            std::future::ready(HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(text))
        };
        let not_allowed =
            || std::future::ready(HttpResponse::MethodNotAllowed().insert_header((ALLOW, "GET, HEAD")).finish());
        let metrics = web::resource("/metrics").route(web::get().to(render.clone())).route(web::head().to(render));
        actix_web::App::new().service(metrics.default_service(web::to(not_allowed)))
    });
    let bound = server.workers(1).disable_signals().bind(bind);
    Ok(bound.map_err(|error| Exit::Failed(format!("cannot listen on {bind}: {error}")))?.run())
}

/// What the terminal shows; at most 12 lines.
fn banner(config: &Config, address: std::net::SocketAddr, token: Option<&start::SetupToken>) {
    let base = config
        .public_url
        .as_ref()
        .map_or_else(|| format!("http://{address}"), |url| url.as_str().trim_end_matches('/').to_owned());
    let database = match &config.database {
        Database::Sqlite(path) => format!("SQLite, {}", path.display()),
        Database::Postgres(_) => "PostgreSQL".to_owned(),
    };
    let reference = if config.docs { format!("  Reference  {base}/docs/\n") } else { String::new() };
    let mut text = format!(
        "Gatehouse {} ready in {} ms\n  API        {base}/api/v1\n{reference}  Database   {database}\n",
        env!("CARGO_PKG_VERSION"),
        process_start().elapsed().as_millis()
    );
    if let Some(bind) = config.metrics_bind {
        text.push_str(&format!("  Metrics    http://{bind}/metrics\n"));
    }
    if config.public_url.is_none() && !config.bind.ip().is_loopback() {
        text.push_str("  Set GATEHOUSE_PUBLIC_URL: tokens name their issuer by it.\n");
    }
    if let Some(token) = token {
        text.push_str(&format!(
            "There is no administrator yet. Within 30 minutes, with a password of your own:\n  curl -X POST {base}/api/v1/setup -H 'Content-Type: application/json' \\\n    \
             -d '{{\"token\":\"'{token}'\",\"email\":\"you@example.com\",\"username\":\"admin\",\"password\":\"…\"}}'\n"
        ));
    }
    say(&text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_descriptors_to_spare() {
        let config = Config::defaults("data".into()).unwrap();
        for (descriptors, expected) in
            [(Some(1_024), 700), (Some(10), 64), (Some(4_096), 3_772), (Some(1_048_576), 10_000), (None, 10_000)]
        {
            assert_eq!(rules(&config, descriptors).most, expected, "{descriptors:?}");
        }
    }
}
