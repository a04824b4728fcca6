//! How mail gets to people: at least once, sealed until then, and with links that lead where the operator says.

use std::{
    io::Write,
    sync::{Arc, Mutex},
    time::Duration,
};

use gatehouse_domain::job::JobKind;
use gatehouse_server::mail::Encryption;
use serde_json::json;

use crate::harness::{MailServer, Mood, World, api_tests};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The same world with a mail server.
async fn with(world: &World, server: &MailServer, encryption: Encryption) -> World {
    let smtp = server.smtp(encryption);
    world.replica(move |config| config.mail.smtp = Some(smtp)).await
}

/// A world without waiting mail, and one person in it.
async fn quiet(world: &World) {
    let tenant = world.tenant("acme").await;
    world.person(&tenant, "ada").await;
    world.mails().await;
}

async fn forgot(world: &World, email: &str) {
    world.post("/auth/tenants/acme/password/forgot").json(json!({"email": email})).send().await.expect(202);
}

async fn waiting(world: &World) -> i64 {
    world.number("SELECT COUNT(*) FROM jobs").await
}

/// What is logged while it is held.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

api_tests! {
    async fn mail_that_cannot_be_delivered_is_tried_again_until_it_can(world) {
        quiet(&world).await;
        let server = MailServer::start(Mood::IsBusy).await;
        let sender = with(&world, &server, Encryption::None).await;
        forgot(&sender, "ada@acme.example").await;
        for (mood, delay) in [(Mood::IsBusy, 15), (Mood::IsSilent, 30), (Mood::IsBusy, 60)] {
            server.becomes(mood);
            assert_eq!(sender.work(JobKind::Mail).await, 0, "{mood:?}");
            world.clock.advance(Duration::from_secs(delay - 1));
            server.becomes(Mood::Accepts);
            assert_eq!(sender.work(JobKind::Mail).await, 0, "{mood:?}: not yet");
            world.clock.advance(Duration::from_secs(1));
        }
        assert_eq!(world.text("SELECT last_error FROM jobs").await, ["postponed"]);
        assert_eq!(sender.work(JobKind::Mail).await, 1);
        let received = server.received();
        assert_eq!((received.len(), waiting(&world).await), (1, 0));
        assert!(received[0].contains("To: ada@acme.example\r\n") && received[0].contains("From: acme <no-reply@localhost>\r\n"), "{}", received[0]);
    }

    async fn mailbox_that_does_not_exist_is_given_up_at_once_with_an_event(world) {
        quiet(&world).await;
        let server = MailServer::start(Mood::KnowsNobody).await;
        let sender = with(&world, &server, Encryption::None).await;
        forgot(&sender, "ada@acme.example").await;
        assert_eq!(sender.work(JobKind::Mail).await, 0);
        assert_eq!(waiting(&world).await, 0);
        let path = "/admin/audit-events?action=mail.given_up";
        let event = world.get(path).bearer(world.admin().await).send().await.expect(200).data()[0].clone();
        assert_eq!((&event["failure"], &event["resource"]["type"]), (&json!("refused"), &json!("mail")), "{event}");
        assert!(!event.to_string().contains("ada@acme.example"), "{event}");
    }

    async fn mail_is_given_up_when_its_link_has_run_out(world) {
        quiet(&world).await;
        let server = MailServer::start(Mood::IsBusy).await;
        let sender = with(&world, &server, Encryption::None).await;
        forgot(&sender, "ada@acme.example").await;
        for _ in 0..10 {
            assert_eq!(sender.work(JobKind::Mail).await, 0);
            world.clock.advance(Duration::from_secs(900));
        }
        assert_eq!((waiting(&world).await, server.received().len()), (0, 0));
        assert_eq!(world.number("SELECT COUNT(*) FROM audit_events WHERE action = 'mail.given_up'").await, 1);
    }

    async fn no_mail_leaves_without_tls_where_it_is_asked_for(world) {
        quiet(&world).await;
        let server = MailServer::start(Mood::Accepts).await;
        for encryption in [Encryption::StartTls, Encryption::Implicit] {
            let sender = with(&world, &server, encryption).await;
            forgot(&sender, "ada@acme.example").await;
            assert_eq!(sender.work(JobKind::Mail).await, 0, "{encryption:?}");
        }
        assert_eq!((server.received().len(), waiting(&world).await), (0, 2));
    }

    async fn sender_that_dies_loses_no_mail(world) {
        quiet(&world).await;
        let server = MailServer::start(Mood::IsSilent).await;
        let (dying, other) = (with(&world, &server, Encryption::None).await, with(&world, &server, Encryption::None).await);
        forgot(&world, "ada@acme.example").await;
        // It has the mail and waits for the server, and then it is gone.
        let worker = dying.app.worker();
        let sending = worker.run_due(JobKind::Mail);
        assert!(tokio::time::timeout(Duration::from_millis(100), sending).await.is_err());
        server.becomes(Mood::Accepts);
        assert_eq!(other.work(JobKind::Mail).await, 0, "nobody else has it meanwhile");
        world.clock.advance(JobKind::Mail.lease());
        assert_eq!(other.work(JobKind::Mail).await, 1);
        assert_eq!((server.received().len(), waiting(&world).await), (1, 0));
    }

    async fn mail_that_is_sent_twice_can_be_told_by_its_id(world) {
        quiet(&world).await;
        let server = MailServer::start(Mood::BreaksAfterwards).await;
        let sender = with(&world, &server, Encryption::None).await;
        forgot(&sender, "ada@acme.example").await;
        assert_eq!(sender.work(JobKind::Mail).await, 0);
        server.becomes(Mood::Accepts);
        world.clock.advance(Duration::from_secs(15));
        assert_eq!(sender.work(JobKind::Mail).await, 1);
        let part = |start: &str| -> Vec<String> {
            server.received().iter().map(|mail| mail.lines().find(|line| line.starts_with(start)).unwrap().to_owned()).collect()
        };
        for start in ["Message-ID: ", "http"] {
            let found = part(start);
            assert!(found.len() == 2 && found[0] == found[1], "{found:?}");
        }
    }

    async fn replicas_share_the_mail_and_send_each_once(world) {
        let tenant = world.tenant("acme").await;
        for i in 0..20 {
            world.person(&tenant, &format!("p{i}")).await;
        }
        let server = MailServer::start(Mood::Accepts).await;
        let (a, b) = (with(&world, &server, Encryption::None).await, with(&world, &server, Encryption::None).await);
        let (a, b) = (a.app.worker(), b.app.worker());
        let (from_a, from_b) = tokio::join!(a.run_due(JobKind::Mail), b.run_due(JobKind::Mail));
        assert_eq!(from_a.unwrap() + from_b.unwrap(), 20);
        let mut to: Vec<_> = server.received().iter().map(|mail| mail.lines().find(|line| line.starts_with("To: ")).unwrap().to_owned()).collect();
        to.sort();
        to.dedup();
        assert_eq!((to.len(), server.received().len()), (20, 20));
    }

    async fn what_waits_is_sealed(world) {
        let tenant = world.tenant("acme").await;
        world.person(&tenant, "ada").await;
        forgot(&world, "ada@acme.example").await;
        assert_eq!(waiting(&world).await, 2);
        let hex = if matches!(world.target(), gatehouse_persistence::Target::Sqlite(_)) { "hex(sealed)" } else { "upper(encode(sealed, 'hex'))" };
        for clue in ["ada", "acme", "ghv_", "subject"] {
            let clue: String = clue.bytes().map(|byte| format!("{byte:02X}")).collect();
            assert_eq!(world.number(format!("SELECT COUNT(*) FROM jobs WHERE {hex} LIKE '%{clue}%'")).await, 0);
        }
    }

    async fn mail_is_written_with_the_change_or_not_at_all(world) {
        let tenant = world.tenant("acme").await;
        world.person(&tenant, "ada").await;
        world.mails().await;
        let body = json!({"username": "ada", "email": "other@acme.example", "password": crate::harness::PASSWORD});
        world.post("/auth/tenants/acme/register").json(body).send().await.problem(409, "already_registered");
        assert_eq!(waiting(&world).await, 0);
    }

    /// B7: whoever asks for a link for somebody else does not decide where it leads.
    async fn mailed_links_lead_where_the_operator_says_whatever_the_request_says(world) {
        quiet(&world).await;
        let public = world.replica(|config| config.public_url = Some("https://id.example.com".parse().unwrap())).await;
        for (world, base) in [(&public, "https://id.example.com"), (&world, "http://127.0.0.1:8000")] {
            for (name, value) in [
                ("host", "evil.example"),
                ("host", "localhost:6666"),
                ("x-forwarded-host", "evil.example"),
                ("x-forwarded-proto", "gopher"),
                ("x-forwarded-prefix", "/evil"),
                ("x-forwarded-port", "6666"),
                ("forwarded", "host=evil.example;proto=http"),
                ("x-original-host", "evil.example"),
            ] {
                let body = json!({"email": "ada@acme.example"});
                // From loopback too, where a request's own word on its address is worth most.
                world.post("/auth/tenants/acme/password/forgot").from([127, 0, 0, 1]).header(name, value).json(body).send().await.expect(202);
                let mail = world.mail_to("ada@acme.example").await;
                assert!(mail.link().unwrap().starts_with(&format!("{base}/password-reset#acme/ghw_")), "{name}: {:?}", mail.link());
                assert!(!mail.text.contains("evil") && !mail.text.contains("6666"));
                world.clock.advance(Duration::from_secs(3_600));
            }
            let body = json!({"email": "ada@acme.example"});
            let absolute = "http://evil.example/api/v1/auth/tenants/acme/password/forgot";
            world.post("").uri(absolute).json(body).send().await.expect(202);
            assert!(!world.mail_to("ada@acme.example").await.text.contains("evil"));
            world.clock.advance(Duration::from_secs(3_600));
        }
    }

    async fn no_log_says_what_a_mail_says_or_to_whom_it_goes(world) {
        quiet(&world).await;
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone()).finish();
        let guard = tracing::subscriber::set_default(subscriber);
        let server = MailServer::start(Mood::IsBusy).await;
        let sender = with(&world, &server, Encryption::None).await;
        for mood in [Mood::IsBusy, Mood::KnowsNobody, Mood::Accepts] {
            server.becomes(mood);
            forgot(&sender, "ada@acme.example").await;
            sender.work(JobKind::Mail).await;
            world.clock.advance(Duration::from_secs(60));
        }
        sender.work(JobKind::Mail).await;
        drop(guard);
        let (log, mails) = (log.text(), server.received());
        assert!(log.contains("a mail could not be sent") && log.contains("a mail was given up"), "{log}");
        assert_eq!(mails.len(), 1);
        for said in ["ada@acme", "ghw_", "Reset your password", "nobody of that name"] {
            assert!(!log.contains(said), "{said}");
        }
    }

    async fn strangers_cannot_fill_the_outbox(world) {
        quiet(&world).await;
        let world = world.replica(|config| config.limits.mail_requests.limits = [1_000_000; 3]).await;
        let send = async |n: u32| {
            let body = json!({"email": format!("p{n}@acme.example")});
            world.post("/auth/tenants/acme/password/forgot").json(body).send().await
        };
        for n in 0..1_000 {
            send(n).await.expect(202);
        }
        send(1_000).await.problem(503, "overloaded");
        assert_eq!(waiting(&world).await, 1_000);
        world.clock.advance(DAY);
        assert_eq!(world.mails().await.len(), 0, "none of these has an account, and they are too old besides");
        send(1_001).await.expect(202);
    }
}
