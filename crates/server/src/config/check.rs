//! From what is set to a configuration: the checks.

use std::{net::SocketAddr, path::PathBuf, str::FromStr, time::Duration};

use gatehouse_domain::{
    application::Origin,
    bucket::BucketRule,
    issue::Parse,
    password::Password,
    secret::Secret,
    settings::{Bounded, Defaults},
    text::{Email, Username},
    throttle::{AccountRule, AttemptRules, NetworkRule, WindowRule},
    time::{HOUR, MINUTE},
};
use ipnet::IpNet;
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

use crate::{
    config::{Config, Database, FirstAdmin, ForwardedHeader, Limits, LogFormat, Problem, Sources, sources::Sourced},
    mail::{MailOptions, Smtp},
    outbound::OutboundOptions,
    security::{
        master_key::MasterKey,
        password::{Cost, HasherOptions, pepper::Peppers},
    },
};

struct Checker<'a>(&'a Sources);
impl Checker<'_> {
    fn read<T>(&self, key: &str, parse: impl FnOnce(&str) -> Option<T>, expected: &str) -> Result<Option<T>, Problem> {
        match self.0.get(key) {
            None => Ok(None),
            Some(Sourced { text, place, .. }) => {
                parse(text.trim()).map(Some).ok_or_else(|| Problem::new(place, format!("must be {expected}")))
            }
        }
    }

    fn parsed<T: FromStr>(&self, key: &str, expected: &str) -> Result<Option<T>, Problem> {
        self.read(key, |text| text.parse().ok(), expected)
    }

    fn number(&self, key: &str, min: u64, max: u64) -> Result<Option<u64>, Problem> {
        let inside = |text: &str| text.parse().ok().filter(|n| (min..=max).contains(n));
        self.read(key, inside, &format!("a whole number from {min} to {max}"))
    }

    fn valid<T: Parse>(&self, key: &str) -> Result<Option<T>, Problem> {
        match self.0.get(key) {
            None => Ok(None),
            Some(Sourced { text, place, .. }) => {
                T::parse(text).map(Some).map_err(|fault| Problem::new(place, fault.msg))
            }
        }
    }
}

fn flag(text: &str) -> Option<bool> {
    match text {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" => Some(false),
        _ => None,
    }
}

fn usize_of(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

fn u32_of(n: u64) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// Checks every setting.
pub(super) fn check(sources: &Sources) -> Result<Config, Problem> {
    let get = Checker(sources);
    let processors = std::thread::available_parallelism().map_or(2, usize::from);
    let data_dir = get.read("data_dir", |text| Some(PathBuf::from(text)), "")?.unwrap_or_else(|| "./data".into());
    let database = get
        .read("database_url", database, "postgres://user:password@host/name or sqlite:path")?
        .unwrap_or_else(|| Database::Sqlite(data_dir.join("gatehouse.db")));
    let connections = match database {
        Database::Sqlite(_) => 4,
        Database::Postgres(_) => 16,
    };
    let public_url = "an http or https address without path, query or user name";
    let public_url = get.read("public_url", self::public_url, public_url)?;
    let cost = Cost {
        memory_kib: u32_of(get.number("hash_memory_kib", 8, 4_194_304)?.unwrap_or(19_456)),
        passes: u32_of(get.number("hash_passes", 1, 100)?.unwrap_or(2)),
    };
    if !cost.is_enough() {
        return Err(Problem::new(
            "hash_memory_kib and hash_passes",
            "must reach one of OWASP's argon2id settings, such as 19456 and 2",
        ));
    }
    Ok(Config {
        bind: get
            .parsed("bind", "an address and port such as 127.0.0.1:8000")?
            .unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8000))),
        database_connections: get.number("database_connections", 1, 1_000)?.map_or(connections, u32_of),
        data_dir,
        database,
        migrate: get.read("migrate", flag, "true or false")?.unwrap_or(true),
        mail: mail(&get, public_url.as_ref())?,
        public_url,
        metrics_bind: get.parsed("metrics_bind", "an address and port such as 127.0.0.1:9000")?,
        trusted_proxies: get
            .read("trusted_proxies", networks, "networks such as 10.0.0.0/8,127.0.0.1, separated by commas")?
            .unwrap_or_default(),
        forwarded_header: get
            .read("forwarded_header", forwarded_header, "x-forwarded-for, forwarded or x-real-ip")?
            .unwrap_or(ForwardedHeader::XForwardedFor),
        database_wait: Duration::from_secs(get.number("database_wait_seconds", 0, 3_600)?.unwrap_or(30)),
        allow_open_files: get.read("allow_open_files", flag, "true or false")?.unwrap_or(false),
        docs: get.read("docs", flag, "true or false")?.unwrap_or(true),
        log_addresses: get.read("log_addresses", flag, "true or false")?.unwrap_or(true),
        connections_per_address: usize_of(get.number("connections_per_address", 1, 1_000_000)?.unwrap_or(100)),
        master_key_file: get.0.get("master_key").and_then(|found| found.file.clone()),
        master_key: get.read(
            "master_key",
            MasterKey::parse,
            "32 bytes in hexadecimal or base64, or what `gatehouse key rotate-master` made of them",
        )?,
        admin: first_admin(&get, sources)?,
        defaults: Defaults {
            access_token_minutes: bounded(get.number("access_token_expire_minutes", 1, 15)?.unwrap_or(15)),
            refresh_token_days: bounded(get.number("refresh_token_expire_days", 1, 30)?.unwrap_or(7)),
        },
        hasher: HasherOptions {
            permits: get.number("hash_permits", 1, 1_024)?.map_or(processors, usize_of),
            queue: usize_of(get.number("hash_queue", 2, 100_000)?.unwrap_or(64)),
            cost,
            peppers: get
                .read("password_pepper", Peppers::parse, "32 bytes in hexadecimal or base64, older ones behind commas")?
                .unwrap_or_default(),
        },
        limits: limits(&get)?,
        cors_origins: get
            .read("cors_origins", origins, "origins such as https://app.example.com, separated by commas")?
            .unwrap_or_default(),
        outbound: OutboundOptions {
            allow: get
                .read("outbound_allow", networks, "networks such as 127.0.0.0/8,10.1.0.0/16, separated by commas")?
                .unwrap_or_default(),
            authorities: get
                .read("outbound_ca_file", certificates, "a file of certificates in PEM that can be read")?
                .unwrap_or_default(),
            ..OutboundOptions::default()
        },
        geoip_file: get.read("geoip_file", |text| Some(PathBuf::from(text)), "")?,
        workers: get.number("workers", 1, 1_024)?.map_or(processors, usize_of),
        shutdown_grace: Duration::from_secs(get.number("shutdown_grace_seconds", 0, 3_600)?.unwrap_or(8)),
        log_format: get.read("log_format", log_format, "pretty or json")?.unwrap_or_else(default_log_format),
        log_level: get.read("log_level", |text| Some(text.to_owned()), "")?.unwrap_or_else(|| "info".to_owned()),
    })
}

/// The rule of a bucket: how much at once, and how much a second.
fn bucket(get: &Checker<'_>, keys: [&str; 2], defaults: [u64; 2]) -> Result<Option<BucketRule>, Problem> {
    let at_once = get.number(keys[0], 1, 1_000_000)?.unwrap_or(defaults[0]);
    let per_second = get.number(keys[1], 0, 1_000_000)?.unwrap_or(defaults[1]);
    Ok(BucketRule::of(u32_of(at_once), u32_of(per_second), Duration::from_secs(1)))
}

fn bounded<const MIN: u32, const MAX: u32>(n: u64) -> Bounded<MIN, MAX> {
    match Bounded::new(n) {
        Ok(n) => n,
        Err(fault) => unreachable!("checked before: {}", fault.msg),
    }
}

fn database(text: &str) -> Option<Database> {
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        return url::Url::parse(text).ok().map(|_| Database::Postgres(Secret::new(text.to_owned())));
    }
    let path = text.strip_prefix("sqlite:")?;
    let path = path.strip_prefix("//").unwrap_or(path).split('?').next().unwrap_or_default();
    (!path.is_empty() && path != ":memory:").then(|| Database::Sqlite(path.into()))
}

fn public_url(text: &str) -> Option<url::Url> {
    let url = url::Url::parse(text).ok()?;
    let plain = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    (matches!(url.scheme(), "http" | "https") && url.has_host() && plain && url.password().is_none()).then_some(url)
}

fn mail(get: &Checker<'_>, public_url: Option<&url::Url>) -> Result<MailOptions, Problem> {
    let form =
        "smtps://user:password@host:465, smtp://user:password@host:587, or smtp://host:25?tls=none without a password";
    let smtp = get.read("smtp_url", Smtp::parse, form)?;
    if let (Some(found), None) = (get.0.get("smtp_url"), public_url) {
        return Err(Problem::new(&found.place, "needs GATEHOUSE_PUBLIC_URL: mails have links, and these lead there"));
    }
    let default = || format!("no-reply@{}", public_url.and_then(url::Url::domain).unwrap_or("localhost")).parse().ok();
    let from = get.parsed("mail_from", "an e-mail address, perhaps with a name: Example Ltd <no-reply@example.com>")?;
    let from = from.or_else(default).ok_or_else(|| {
        Problem::new("mail_from", "must be set, because public_url has no host that mail could come from")
    })?;
    Ok(MailOptions { smtp, from })
}

fn origins(text: &str) -> Option<Vec<Origin>> {
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    items.map(|item| Origin::parse(item).ok()).collect()
}

fn networks(text: &str) -> Option<Vec<IpNet>> {
    let network =
        |item: &str| item.parse().ok().or_else(|| item.parse().ok().map(|ip: std::net::IpAddr| IpNet::from(ip)));
    text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(network).collect()
}

fn forwarded_header(text: &str) -> Option<ForwardedHeader> {
    let all = [ForwardedHeader::XForwardedFor, ForwardedHeader::Forwarded, ForwardedHeader::XRealIp];
    all.into_iter().find(|header| header.as_str().eq_ignore_ascii_case(text))
}

fn log_format(text: &str) -> Option<LogFormat> {
    match text {
        "pretty" => Some(LogFormat::Pretty),
        "json" => Some(LogFormat::Json),
        _ => None,
    }
}

fn default_log_format() -> LogFormat {
    if std::io::IsTerminal::is_terminal(&std::io::stderr()) { LogFormat::Pretty } else { LogFormat::Json }
}

fn first_admin(get: &Checker<'_>, sources: &Sources) -> Result<Option<FirstAdmin>, Problem> {
    let username = get.valid::<Username>("admin_username")?;
    match (get.valid::<Email>("admin_email")?, get.valid::<Password>("admin_password")?) {
        (Some(email), Some(password)) => {
            let username = match username {
                Some(username) => username,
                None => Username::parse("admin").map_err(|fault| Problem::new("admin_username", fault.msg))?,
            };
            Ok(Some(FirstAdmin { email, username, password }))
        }
        (None, None) => Ok(None),
        (Some(_), None) => Err(Problem::new(
            place(sources, "admin_email"),
            "needs GATEHOUSE_ADMIN_PASSWORD or GATEHOUSE_ADMIN_PASSWORD_FILE beside it",
        )),
        (None, Some(_)) => Err(Problem::new(place(sources, "admin_password"), "needs GATEHOUSE_ADMIN_EMAIL beside it")),
    }
}

fn place(sources: &Sources, key: &str) -> String {
    sources.get(key).map_or_else(|| key.to_owned(), |found| found.place.clone())
}

/// The certificates of a file; none where it has none, or one that cannot be trusted.
fn certificates(path: &str) -> Option<Vec<CertificateDer<'static>>> {
    let found = CertificateDer::pem_file_iter(path).ok()?.collect::<Result<Vec<_>, _>>().ok()?;
    let is_one = |certificate: &CertificateDer<'static>| RootCertStore::empty().add(certificate.clone()).is_ok();
    Some(found).filter(|found| !found.is_empty() && found.iter().all(is_one))
}

fn limits(get: &Checker<'_>) -> Result<Limits, Problem> {
    let number = |key, most, default| Ok(get.number(key, 1, most)?.map_or(default, u32_of));
    let failures = NetworkRule::of(number("login_failures_per_address", 1_000_000, 100)?, Duration::from_secs(600));
    let [address, wider, widest] = failures.limits;
    let refreshes = u32_of(get.number("refreshes_per_session", 0, 1_000_000)?.unwrap_or(30));
    let sign_ins = u32_of(get.number("sign_ins_per_user", 0, 1_000_000)?.unwrap_or(60));
    let starts = u32_of(get.number("oauth_starts_per_address", 0, 1_000_000)?.unwrap_or(300));
    let codes = u32_of(get.number("user_codes_per_address", 0, 1_000_000)?.unwrap_or(20));
    Ok(Limits {
        user_codes: (codes > 0).then_some(WindowRule { limit: codes, window: Duration::from_secs(600) }),
        oauth_starts: BucketRule::of(starts, starts, Duration::from_secs(600)),
        user_requests: bucket(get, ["user_requests_at_once", "user_requests_per_second"], [250, 25])?,
        tenant_requests: bucket(get, ["tenant_requests_at_once", "tenant_requests_per_second"], [5_000, 500])?,
        refreshes: (refreshes > 0).then_some(WindowRule { limit: refreshes, window: MINUTE }),
        sign_ins: BucketRule::of(sign_ins, sign_ins, MINUTE),
        attempts: AttemptRules {
            account: AccountRule { free: number("login_failures_per_account", 99, 10)? },
            networks: NetworkRule {
                limits: [
                    address,
                    number("login_failures_per_ipv6_56", 10_000_000, wider)?,
                    number("login_failures_per_ipv6_48", 10_000_000, widest)?,
                ],
                ..failures
            },
            tenant: WindowRule {
                limit: number("login_failures_per_tenant", 10_000_000, 1_000)?,
                window: failures.window,
            },
        },
        registrations: NetworkRule::of(number("registrations_per_address", 1_000_000, 20)?, HOUR),
        mail_requests: NetworkRule::of(number("mail_requests_per_address", 1_000_000, 20)?, HOUR),
        mailbox: WindowRule { limit: number("mails_per_mailbox", 1_000, 5)?, window: HOUR },
    })
}

#[cfg(test)]
mod tests;
