use super::*;

fn load(flags: &[(&'static str, &str)], environment: &[(&str, &str)]) -> Result<Config, String> {
    let flags = flags.iter().map(|(k, v)| (*k, (*v).to_owned())).collect();
    let environment = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    Config::load(flags, environment.collect::<Vec<_>>().into_iter()).map_err(|problem| problem.to_string())
}

fn file(name: &str, text: &str) -> String {
    let path = std::env::temp_dir().join(format!("gatehouse-config-{}-{name}", std::process::id()));
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[test]
fn variables_of_an_orchestrator_are_passed_over_and_ours_are_not() {
    let with = |name: &str, text: &str| load(&[], &[(name, text)]);
    for (name, text) in [
        ("GATEHOUSE_SERVICE_HOST", "10.43.12.7"),
        ("GATEHOUSE_SERVICE_PORT", "8000"),
        ("GATEHOUSE_SERVICE_PORT_HTTP", "8000"),
        ("GATEHOUSE_PORT", "tcp://10.43.12.7:8000"),
        ("GATEHOUSE_PORT_8000_TCP", "tcp://10.43.12.7:8000"),
        ("GATEHOUSE_PORT_8000_TCP_PROTO", "tcp"),
        ("GATEHOUSE_PORT_8000_TCP_PORT", "8000"),
        ("GATEHOUSE_PORT_8000_TCP_ADDR", "10.43.12.7"),
        ("GATEHOUSE_DB_SERVICE_HOST", "10.43.0.9"),
        ("GATEHOUSE_POSTGRES_PORT", "tcp://10.43.0.9:5432"),
    ] {
        assert!(with(name, text).is_ok(), "{name}");
    }
    for (name, text) in [("GATEHOUSE_PORT", "8000"), ("GATEHOUSE_PORT_X_TCP", "1"), ("GATEHOUSE_PORT_80_FTP", "1")] {
        assert!(with(name, text).is_err(), "{name}");
    }
}

#[test]
fn wider_networks_follow_the_address_until_they_are_set() {
    let limits = |flags: &[(&'static str, &str)]| load(flags, &[]).unwrap().limits.attempts.networks.limits;
    let address = ("login_failures_per_address", "7");
    assert_eq!(limits(&[address]), [7, 21, 70]);
    assert_eq!(limits(&[address, ("login_failures_per_ipv6_56", "8"), ("login_failures_per_ipv6_48", "9")]), [7, 8, 9]);
}

#[test]
fn networks_that_may_be_called_are_named_and_none_without() {
    let allowed = |text: &str| load(&[], &[("GATEHOUSE_OUTBOUND_ALLOW", text)]).map(|config| config.outbound.allow);
    let both = ["127.0.0.0/8".parse().unwrap(), "10.1.2.3/32".parse().unwrap()];
    assert_eq!(allowed("127.0.0.0/8, 10.1.2.3").unwrap(), both);
    assert_eq!(load(&[], &[]).unwrap().outbound.allow, []);
    for wrong in ["localhost", "10.1.0.0/33", "10.1.*"] {
        let says = allowed(wrong).unwrap_err();
        assert!(says.contains("GATEHOUSE_OUTBOUND_ALLOW") && says.contains("networks"), "{says}");
    }
}

#[test]
fn file_of_authorities_has_certificates_and_nothing_else_that_is_taken_for_one() {
    let trusted =
        |path: &str| load(&[], &[("GATEHOUSE_OUTBOUND_CA_FILE", path)]).map(|config| config.outbound.authorities.len());
    let made = rcgen::generate_simple_self_signed(vec!["ca.example".to_owned()]).unwrap().cert;
    let text = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, made.der());
    let made = format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n");
    assert_eq!(trusted(&file("two.pem", &format!("{made}{made}"))), Ok(2));
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for wrong in [file("none.pem", ""), file("text.pem", "hello"), file("broken.pem", broken), "/no/such.pem".into()] {
        let says = trusted(&wrong).unwrap_err();
        assert!(says.contains("GATEHOUSE_OUTBOUND_CA_FILE") && says.contains("certificates"), "{says}");
    }
}

#[test]
fn nothing_needs_to_be_set() {
    let config = load(&[], &[]).unwrap();
    assert_eq!(config.bind, "127.0.0.1:8000".parse().unwrap());
    assert!(matches!(config.database, Database::Sqlite(path) if path == std::path::Path::new("./data/gatehouse.db")));
    assert_eq!(
        (
            config.limits.attempts.account.free,
            config.limits.attempts.networks.limits,
            config.limits.registrations.limits
        ),
        (10, [100, 300, 1_000], [20, 60, 200])
    );
}

#[test]
fn flags_win_over_environment_over_file() {
    let file = file("order.toml", "bind = \"127.0.0.1:1\"\nhash_queue = 5\nworkers = 7\n");
    let config = load(
        &[("bind", "127.0.0.1:3"), ("config", &file)],
        &[("GATEHOUSE_BIND", "127.0.0.1:2"), ("GATEHOUSE_HASH_QUEUE", "6")],
    )
    .unwrap();
    assert_eq!((config.bind.port(), config.hasher.queue, config.workers), (3, 6, 7));
}

#[test]
fn unknown_names_are_errors_with_a_suggestion() {
    let error = load(&[], &[("GATEHOUSE_BNID", "x")]).unwrap_err();
    assert!(error.contains("GATEHOUSE_BNID") && error.contains("did you mean GATEHOUSE_BIND?"), "{error}");
    let file = file("typo.toml", "publik_url = \"https://id.example.com\"\n");
    let error = load(&[], &[("GATEHOUSE_CONFIG", &file)]).unwrap_err();
    assert!(error.contains("publik_url") && error.contains("did you mean public_url?"), "{error}");
    assert!(load(&[], &[("HOME", "/root"), ("GATEWAY", "x")]).is_ok());
}

#[test]
fn every_secret_can_be_a_file_and_nothing_else_can() {
    let secret = file("secret", &format!("{}\n", "ab".repeat(32)));
    assert!(load(&[], &[("GATEHOUSE_MASTER_KEY_FILE", &secret)]).unwrap().master_key.is_some());
    let url = file("url", "postgres://u:p@localhost/db\n");
    assert!(matches!(load(&[], &[("DATABASE_URL_FILE", &url)]).unwrap().database, Database::Postgres(_)));
    let password = file("password", "mountain otter juggles 42 lamps\n");
    let config =
        load(&[], &[("GATEHOUSE_ADMIN_EMAIL", "a@example.com"), ("GATEHOUSE_ADMIN_PASSWORD_FILE", &password)]).unwrap();
    assert_eq!(config.admin.unwrap().password.expose(), "mountain otter juggles 42 lamps");
    assert!(load(&[], &[("GATEHOUSE_BIND_FILE", &secret)]).is_err());
    assert!(
        load(&[], &[("GATEHOUSE_MASTER_KEY", "x"), ("GATEHOUSE_MASTER_KEY_FILE", &secret)])
            .unwrap_err()
            .contains("set both")
    );
}

#[test]
fn bad_values_name_the_setting_and_what_it_must_be() {
    for (name, value) in [
        ("GATEHOUSE_BIND", "localhost"),
        ("ACCESS_TOKEN_EXPIRE_MINUTES", "16"),
        ("REFRESH_TOKEN_EXPIRE_DAYS", "31"),
        ("GATEHOUSE_PUBLIC_URL", "https://id.example.com/path"),
        ("GATEHOUSE_PUBLIC_URL", "ftp://id.example.com"),
        ("GATEHOUSE_TRUSTED_PROXIES", "10.0.0.0/33"),
        ("DATABASE_URL", "mysql://localhost/db"),
        ("GATEHOUSE_ADMIN_EMAIL", "nobody"),
        ("GATEHOUSE_HASH_MEMORY_KIB", "1024"),
        ("GATEHOUSE_MIGRATE", "maybe"),
        ("GATEHOUSE_SMTP_URL", "http://mail.example.com"),
        ("GATEHOUSE_MAIL_FROM", "nobody"),
    ] {
        let error = load(&[], &[(name, value)]).unwrap_err();
        assert!(error.contains(name) || error.contains("hash_memory_kib"), "{error}");
        assert!(error.contains("must") || error.contains("not an e-mail"), "{error}");
    }
    assert!(load(&[], &[("GATEHOUSE_ADMIN_EMAIL", "a@example.com")]).unwrap_err().contains("GATEHOUSE_ADMIN_PASSWORD"));
}

#[test]
fn secrets_do_not_show_in_debug_output() {
    let config =
        load(&[], &[("DATABASE_URL", "postgres://u:hunter2@localhost/db"), ("GATEHOUSE_MASTER_KEY", &"ab".repeat(32))])
            .unwrap();
    let shown = format!("{config:?}");
    assert!(!shown.contains("hunter2") && !shown.contains("abab") && !shown.contains("171, 171"));
}

#[test]
fn mail_server_needs_an_address_for_links() {
    assert!(load(&[], &[("GATEHOUSE_SMTP_URL", "smtps://h")]).unwrap_err().contains("GATEHOUSE_PUBLIC_URL"));
}

#[test]
fn empty_variable_counts_as_unset() {
    assert!(load(&[], &[("GATEHOUSE_PUBLIC_URL", "")]).unwrap().public_url.is_none());
}
