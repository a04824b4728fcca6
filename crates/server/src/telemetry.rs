//! Logs and metrics.
//!
//! One line per event whatever the input: values are fields, and the JSON formatter escapes them. Never logged:
//! tokens, passwords, e-mail addresses. Labels of metrics come from closed sets or the route pattern.

mod lines;

use std::{
    fmt,
    io::Write,
    net::IpAddr,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use actix_web::http::Method;
use gatehouse_domain::{
    id::{TenantId, UserId},
    time::Timestamp,
};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde::Serialize;
use tracing::{Level, enabled};
use tracing_subscriber::{EnvFilter, fmt::format::FmtSpan};

use crate::{app::App, config::LogFormat, measure};

/// Whether anybody looks at the metrics.
static MEASURED: AtomicBool = AtomicBool::new(false);
/// Whether a log line is a JSON object.
static JSON: AtomicBool = AtomicBool::new(false);

/// What the level `info` leaves out: how libraries start and migrate, told in a line of ours instead.
/// And what strangers could fill the log with: connections that do not speak HTTP.
const QUIET: &str = "info,actix_http=off,actix_server=warn,sea_orm_migration=warn,sqlx=warn";
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// The filter of a level or of directives. A single word that is no level would be taken for the name of a module,
/// and nothing at all be logged.
fn filter(level: &str) -> Result<EnvFilter, String> {
    let directives = level.contains(['=', '[', ',']);
    if !directives && !LEVELS.contains(&level.to_ascii_lowercase().as_str()) {
        return Err("log_level: must be error, warn, info, debug, trace, or directives such as info,sqlx=debug".into());
    }
    let level = if level.eq_ignore_ascii_case("info") { QUIET } else { level };
    EnvFilter::try_new(level).map_err(|error| format!("log_level: {error}"))
}

/// Starts logging to standard error.
///
/// # Errors
/// When the level is not one, or logging has been started before.
pub fn start_logs(format: LogFormat, level: &str) -> Result<(), String> {
    let filter = filter(level)?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_span_events(FmtSpan::NONE)
        .with_writer(lines::Lines::default);
    let started = match format {
        LogFormat::Pretty => builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init(),
    };
    started.map_err(|error| error.to_string())?;
    JSON.store(format == LogFormat::Json, Ordering::Relaxed);
    // One line like any other event, instead of the many of the default.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let text = panic.payload_as_str().unwrap_or("not a text");
        tracing::error!(place, text, "a thread panicked");
        flush_logs();
    }));
    lines::start().map_err(|error| format!("cannot start a thread: {error}"))?;
    Ok(())
}

/// Writes what has been logged; before the process ends.
pub fn flush_logs() {
    lines::flush();
}

/// Installs the recorder of metrics.
///
/// # Errors
/// When there is one already.
pub fn start_metrics() -> Result<PrometheusHandle, String> {
    let buckets = [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];
    PrometheusBuilder::new()
        .set_buckets(&buckets)
        .map_err(|error| error.to_string())?
        .install_recorder()
        .inspect(|_| {
            MEASURED.store(true, Ordering::Relaxed);
            describe();
        })
        .map_err(|error| error.to_string())
}

fn describe() {
    measure::describe();
    use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
    describe_histogram!("gatehouse_http_request_seconds", Unit::Seconds, "Time to answer a request");
    describe_gauge!("gatehouse_connections", "Connections of clients");
    describe_counter!("gatehouse_password_hashes_total", "Passwords hashed");
    describe_gauge!("gatehouse_password_hashes_waiting", "Passwords that wait to be hashed");
    describe_counter!("gatehouse_database_statements_total", "Statements run, transaction control not counted");
    describe_gauge!("gatehouse_database_statement_seconds", Unit::Seconds, "Time that statements took together");
    describe_gauge!("gatehouse_audit_unsealed_events", "Audit events that wait for their seal");
    describe_gauge!("gatehouse_audit_unsealed_seconds", Unit::Seconds, "How long the first of them has waited");
    describe_gauge!("process_cpu_seconds_total", Unit::Seconds, "Processor time that the process has taken");
    describe_gauge!("process_resident_memory_bytes", Unit::Bytes, "Memory of the process that is not swapped out");
    describe_gauge!("gatehouse_uptime_seconds", Unit::Seconds, "Time since the start");
    describe_gauge!("gatehouse_build_info", "1, labelled with the version");
}

/// Whether anybody looks at the metrics.
pub fn is_measured() -> bool {
    MEASURED.load(Ordering::Relaxed)
}

const TARGET: &str = "gatehouse::http";

/// A request that is over.
pub struct Request<'a> {
    /// When.
    pub at: Timestamp,
    /// The request id.
    pub id: &'a str,
    /// The method.
    pub method: &'a Method,
    /// The pattern of the path.
    pub route: &'a str,
    /// The status of the answer.
    pub status: u16,
    /// How long it took.
    pub elapsed: Duration,
    /// Whose it was.
    pub user: Option<(TenantId, UserId)>,
    /// The tenant that the path names.
    pub tenant: Option<TenantId>,
    /// Where it came from.
    pub client: Option<ClientAddress>,
    /// The trace that it belongs to (W3C Trace Context).
    pub trace: Option<&'a str>,
}

/// The address of a client, as logs name it.
#[derive(Debug, Clone, Copy)]
pub enum ClientAddress {
    /// The address itself.
    Plain(IpAddr),
    /// A keyed digest, by which requests of one address are found without knowing it.
    Digest([u8; 8]),
}

impl fmt::Display for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(ip) => ip.fmt(f),
            Self::Digest(digest) => digest.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
        }
    }
}

impl Serialize for ClientAddress {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.method, self.route, self.status)
    }
}

/// Methods as labels: a closed set, because clients can make up others.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PATCH => "PATCH",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// The line of a request, as the formatter would write it. Most of a log are such lines, and making one by way of the
/// formatter is a seventh of what a small request costs.
#[derive(Serialize)]
struct Line<'a> {
    timestamp: Timestamp,
    level: &'static str,
    request_id: &'a str,
    method: &'static str,
    route: &'a str,
    status: u16,
    micros: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant_id: Option<TenantId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<ClientAddress>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<&'a str>,
    message: &'static str,
    target: &'static str,
}

impl Line<'_> {
    fn write(&self) {
        let mut text = Vec::with_capacity(512);
        if serde_json::to_writer(&mut text, self).is_ok() {
            text.push(b'\n');
            // Into memory: it cannot fail.
            let _ = lines::Lines.write_all(&text);
        }
    }
}

/// Logs and measures a request.
pub fn request(request: &Request<'_>) {
    let (id, method, route, status) = (request.id, method_label(request.method), request.route, request.status);
    let micros = u64::try_from(request.elapsed.as_micros()).unwrap_or(u64::MAX);
    let user_id = request.user.map(|(_, user)| user);
    let tenant_id = request.user.map(|(tenant, _)| tenant).or(request.tenant);
    let line = |level| Line {
        timestamp: request.at,
        level,
        request_id: id,
        method,
        route,
        status,
        micros,
        tenant_id,
        user_id,
        client: request.client,
        trace_id: request.trace,
        message: "request",
        target: TARGET,
    };
    // Health checks come every second and from every proxy.
    let is_noise = tenant_id.is_none() && !route.starts_with("/api/") && status == 200;
    match (JSON.load(Ordering::Relaxed), is_noise) {
        (true, true) if enabled!(target: TARGET, Level::DEBUG) => line("DEBUG").write(),
        (true, false) if enabled!(target: TARGET, Level::INFO) => line("INFO").write(),
        (true, _) => {}
        (false, true) => tracing::debug!(target: TARGET, request_id = id, method, route, status, micros, "request"),
        (false, false) => tracing::info!(
            target: TARGET, request_id = id, method, route, status, micros, tenant_id = tenant_id.map(display),
            user_id = user_id.map(display), client = request.client.map(display), trace_id = request.trace, "request"
        ),
    }
    if is_measured() {
        let labels = [("route", route.to_owned()), ("method", method.to_owned()), ("status", status.to_string())];
        metrics::histogram!("gatehouse_http_request_seconds", &labels).record(request.elapsed);
    }
}

/// What the process takes, under the names that Prometheus gives these for every program.
fn process() {
    let cpu = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let cpu = Duration::new(u64::try_from(cpu.tv_sec).unwrap_or(0), u32::try_from(cpu.tv_nsec).unwrap_or(0));
    metrics::gauge!("process_cpu_seconds_total").set(cpu.as_secs_f64());
    // The second number is the pages in memory (proc_pid_statm(5)); only Linux has the file.
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    if let Some(pages) = statm.split(' ').nth(1).and_then(|pages| pages.parse::<f64>().ok()) {
        #[expect(clippy::cast_precision_loss, reason = "a gauge")]
        metrics::gauge!("process_resident_memory_bytes").set(pages * rustix::param::page_size() as f64);
    }
}

/// What `/metrics` shows, with the gauges brought up to date.
#[must_use]
pub fn render(handle: &PrometheusHandle, app: &App, started: Instant) -> String {
    process();
    let (hashes, waiting) = app.hashing();
    let (statements, time) = app.db().statements();
    metrics::counter!("gatehouse_password_hashes_total").absolute(hashes);
    metrics::counter!("gatehouse_database_statements_total").absolute(statements);
    metrics::gauge!("gatehouse_database_statement_seconds").set(time.as_secs_f64());
    #[expect(clippy::cast_precision_loss, reason = "a queue is short")]
    metrics::gauge!("gatehouse_password_hashes_waiting").set(waiting as f64);
    let (in_use, most) = app.db().connections();
    #[expect(clippy::cast_precision_loss, reason = "there are few")]
    for (state, connections) in [("in_use", in_use as f64), ("most", most as f64)] {
        metrics::gauge!("gatehouse_database_connections", "state" => state).set(connections);
    }
    metrics::gauge!("gatehouse_uptime_seconds").set(started.elapsed().as_secs_f64());
    metrics::gauge!("gatehouse_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    handle.render()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_quiet_unless_a_filter_says_otherwise() {
        for level in ["info", "INFO"] {
            let quiet = filter(level).unwrap().to_string();
            assert!(quiet.contains("sea_orm_migration=warn") && quiet.contains("actix_server=warn"), "{quiet}");
        }
        for level in ["debug", "info,actix_server=info", "gatehouse_server=trace"] {
            assert!(!filter(level).unwrap().to_string().contains("=warn"), "{level}");
        }
    }

    #[test]
    fn word_that_is_no_level_is_refused() {
        for level in ["loud", "", "foo=bar=baz", "info,actix=loud"] {
            assert!(filter(level).unwrap_err().starts_with("log_level: "), "{level}");
        }
    }
}
