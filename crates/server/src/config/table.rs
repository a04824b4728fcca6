//! The table of settings.

/// A setting.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Its key in the file; its flag, with hyphens.
    pub key: &'static str,
    /// Its environment variable.
    pub env: &'static str,
    /// What it is without being set, in words.
    pub default: &'static str,
    /// What it does.
    pub help: &'static str,
    /// Whether it may also be given as the name of a file that holds it.
    pub secret: bool,
}

const fn setting(key: &'static str, env: &'static str, default: &'static str, help: &'static str) -> Setting {
    Setting { key, env, default, help, secret: false }
}

impl Setting {
    const fn secret(self) -> Self {
        Self { secret: true, ..self }
    }
}

/// Every setting.
pub const SETTINGS: &[Setting] = &[
    setting("bind", "GATEHOUSE_BIND", "127.0.0.1:8000", "Address and port to listen on"),
    setting(
        "public_url",
        "GATEHOUSE_PUBLIC_URL",
        "taken from requests on loopback",
        "Address that clients use, such as https://id.example.com; names the issuer of tokens",
    ),
    setting(
        "data_dir",
        "GATEHOUSE_DATA_DIR",
        "./data",
        "Folder for the SQLite file and the master key; made with mode 0700",
    ),
    setting(
        "database_url",
        "DATABASE_URL",
        "SQLite in the data folder",
        "postgres://user:password@host/name, or sqlite:path",
    )
    .secret(),
    setting(
        "database_connections",
        "GATEHOUSE_DATABASE_CONNECTIONS",
        "4 on SQLite, 16 on PostgreSQL",
        "Connections to the database",
    ),
    setting(
        "migrate",
        "GATEHOUSE_MIGRATE",
        "true",
        "Bring the schema up to date at start; false where `gatehouse migrate up` does it",
    ),
    setting(
        "master_key",
        "GATEHOUSE_MASTER_KEY",
        "master.key in the data folder",
        "32 bytes in hexadecimal or base64; the same for all replicas",
    )
    .secret(),
    setting(
        "password_pepper",
        "GATEHOUSE_PASSWORD_PEPPER",
        "none",
        "32 bytes that go into password hashes; the same for all replicas, older ones behind a comma",
    )
    .secret(),
    setting("admin_email", "GATEHOUSE_ADMIN_EMAIL", "none", "Makes the first administrator without the setup token"),
    setting("admin_username", "GATEHOUSE_ADMIN_USERNAME", "admin", "User name of that administrator"),
    setting("admin_password", "GATEHOUSE_ADMIN_PASSWORD", "none", "Password of that administrator").secret(),
    setting("access_token_expire_minutes", "ACCESS_TOKEN_EXPIRE_MINUTES", "15", "Lifetime of access tokens, 1 to 15"),
    setting("refresh_token_expire_days", "REFRESH_TOKEN_EXPIRE_DAYS", "7", "Lifetime of refresh tokens, 1 to 30"),
    setting(
        "database_wait_seconds",
        "GATEHOUSE_DATABASE_WAIT_SECONDS",
        "30",
        "How long a start waits for a database that does not listen yet, 0 to 3600",
    ),
    setting(
        "allow_open_files",
        "GATEHOUSE_ALLOW_OPEN_FILES",
        "false",
        "Serve although other users of the machine can read the master key, the database or the data folder",
    ),
    setting(
        "trusted_proxies",
        "GATEHOUSE_TRUSTED_PROXIES",
        "none",
        "Networks, separated by commas, whose word on the address of the client counts",
    ),
    setting(
        "forwarded_header",
        "GATEHOUSE_FORWARDED_HEADER",
        "x-forwarded-for",
        "Where trusted proxies name the client: x-forwarded-for, forwarded (RFC 7239) or x-real-ip",
    ),
    setting(
        "connections_per_address",
        "GATEHOUSE_CONNECTIONS_PER_ADDRESS",
        "100",
        "Connections that one address (of IPv6: one /64) may have; trusted proxies have any number",
    ),
    setting("docs", "GATEHOUSE_DOCS", "true", "Serve the OpenAPI document and its reference page"),
    setting("metrics_bind", "GATEHOUSE_METRICS_BIND", "off", "Address and port to serve /metrics on"),
    setting(
        "geoip_file",
        "GATEHOUSE_GEOIP_FILE",
        "none",
        "MaxMind DB (city or country) that gives sessions a location",
    ),
    setting(
        "smtp_url",
        "GATEHOUSE_SMTP_URL",
        "mail goes into outbox/ in the data folder",
        "smtps://user:password@host, smtp://… for STARTTLS, or smtp://host?tls=none",
    )
    .secret(),
    setting(
        "mail_from",
        "GATEHOUSE_MAIL_FROM",
        "no-reply@ and the host of public_url",
        "Sender of mail, such as no-reply@example.com; without a name it has the tenant's",
    ),
    setting(
        "cors_origins",
        "GATEHOUSE_CORS_ORIGINS",
        "none",
        "Origins of pages, separated by commas, that may call the API with a token, besides those of applications",
    ),
    setting(
        "outbound_allow",
        "GATEHOUSE_OUTBOUND_ALLOW",
        "none",
        "Private networks, separated by commas, that may be called for applications, over http too",
    ),
    setting(
        "outbound_ca_file",
        "GATEHOUSE_OUTBOUND_CA_FILE",
        "none",
        "File of certificates (PEM) that are trusted besides those of public authorities where applications are called",
    ),
    setting(
        "login_failures_per_account",
        "GATEHOUSE_LOGIN_FAILURES_PER_ACCOUNT",
        "10",
        "Consecutive failures before sign-in to an account is delayed",
    ),
    setting(
        "login_failures_per_address",
        "GATEHOUSE_LOGIN_FAILURES_PER_ADDRESS",
        "100",
        "Failures of one address, or of a /64 of IPv6, in 10 minutes before it must wait",
    ),
    setting(
        "login_failures_per_ipv6_56",
        "GATEHOUSE_LOGIN_FAILURES_PER_IPV6_56",
        "3 times those per address",
        "Failures of a /56 of IPv6 in 10 minutes before it must wait",
    ),
    setting(
        "login_failures_per_ipv6_48",
        "GATEHOUSE_LOGIN_FAILURES_PER_IPV6_48",
        "10 times those per address",
        "Failures of a /48 of IPv6 in 10 minutes before it must wait",
    ),
    setting(
        "login_failures_per_tenant",
        "GATEHOUSE_LOGIN_FAILURES_PER_TENANT",
        "1000",
        "Failures in a tenant in 10 minutes before addresses that failed must wait there",
    ),
    setting(
        "registrations_per_address",
        "GATEHOUSE_REGISTRATIONS_PER_ADDRESS",
        "20",
        "Registrations from one address in an hour",
    ),
    setting(
        "mail_requests_per_address",
        "GATEHOUSE_MAIL_REQUESTS_PER_ADDRESS",
        "20",
        "Mails that one address may ask for in an hour without being signed in",
    ),
    setting(
        "mails_per_mailbox",
        "GATEHOUSE_MAILS_PER_MAILBOX",
        "5",
        "Mails to one mailbox in an hour that somebody asked for",
    ),
    setting(
        "user_requests_per_second",
        "GATEHOUSE_USER_REQUESTS_PER_SECOND",
        "25",
        "Requests a second that one user who is signed in may go on sending; 0 is no limit",
    ),
    setting(
        "user_requests_at_once",
        "GATEHOUSE_USER_REQUESTS_AT_ONCE",
        "250",
        "Requests that such a user may send at once after a pause",
    ),
    setting(
        "tenant_requests_per_second",
        "GATEHOUSE_TENANT_REQUESTS_PER_SECOND",
        "500",
        "Requests a second that all users of one tenant together may go on sending; 0 is no limit",
    ),
    setting(
        "tenant_requests_at_once",
        "GATEHOUSE_TENANT_REQUESTS_AT_ONCE",
        "5000",
        "Requests that they may send at once after a pause",
    ),
    setting(
        "refreshes_per_session",
        "GATEHOUSE_REFRESHES_PER_SESSION",
        "30",
        "Refreshes of one session in a minute; 0 is no limit",
    ),
    setting(
        "sign_ins_per_user",
        "GATEHOUSE_SIGN_INS_PER_USER",
        "60",
        "Sign-ins of one user in a minute with the right password; 0 is no limit",
    ),
    setting(
        "oauth_starts_per_address",
        "GATEHOUSE_OAUTH_STARTS_PER_ADDRESS",
        "300",
        "Devices that ask to be signed in, and requests that public applications push, from one address in 10 minutes; 0 is no \
         limit",
    ),
    setting(
        "user_codes_per_address",
        "GATEHOUSE_USER_CODES_PER_ADDRESS",
        "20",
        "Wrong codes of devices that are typed at one address in 10 minutes, of which one browser has half; 0 is no limit",
    ),
    setting(
        "hash_permits",
        "GATEHOUSE_HASH_PERMITS",
        "one per processor",
        "Passwords that are hashed at the same time",
    ),
    setting("hash_queue", "GATEHOUSE_HASH_QUEUE", "64", "Passwords that may wait to be hashed"),
    setting("hash_memory_kib", "GATEHOUSE_HASH_MEMORY_KIB", "19456", "Memory of argon2id"),
    setting("hash_passes", "GATEHOUSE_HASH_PASSES", "2", "Passes of argon2id"),
    setting("workers", "GATEHOUSE_WORKERS", "one per processor", "Threads that answer requests"),
    setting(
        "shutdown_grace_seconds",
        "GATEHOUSE_SHUTDOWN_GRACE_SECONDS",
        "8",
        "How long requests may go on after SIGTERM",
    ),
    setting("log_format", "GATEHOUSE_LOG_FORMAT", "pretty on a terminal, else json", "pretty or json"),
    setting(
        "log_addresses",
        "GATEHOUSE_LOG_ADDRESSES",
        "true",
        "Log the addresses of clients; false logs a keyed digest, the same for the same address",
    ),
    setting(
        "log_level",
        "GATEHOUSE_LOG_LEVEL",
        "info",
        "error, warn, info, debug, trace, or directives as of tracing's EnvFilter",
    ),
    setting("config", "GATEHOUSE_CONFIG", "none", "TOML file with any of these settings"),
];
