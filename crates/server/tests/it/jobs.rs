//! The outbox: what is done after the change that causes it, whatever kind it is. Each is done as often as it must be and no
//! more, and what cannot be done comes to its end.

use std::time::Duration;

use gatehouse_domain::{
    job::{JobKind, MOST_ATTEMPTS},
    word::Word,
};
use gatehouse_server::{app::platform::periodic, mail::Encryption};
use serde_json::json;

use crate::{
    harness::{MailServer, Mood, World, api_tests},
    user_imports::{acme, asked, is, many, pieces, shown, stands, taken_up},
};

async fn jobs(world: &World, kind: JobKind) -> i64 {
    world.number(format!("SELECT COUNT(*) FROM jobs WHERE kind = '{kind}'")).await
}

async fn attempts(world: &World) -> i64 {
    world.number("SELECT attempts FROM jobs WHERE kind = 'user_import'").await
}

/// How many mails were given up for a reason.
async fn given_up(world: &World, reason: &str) -> i64 {
    let sql = format!("SELECT COUNT(*) FROM audit_events WHERE action = 'mail.given_up' AND failure = '{reason}'");
    world.number(sql).await
}

/// A world in which a mail waits for each of some people.
async fn mails_wait(world: &World, people: usize) {
    let tenant = world.tenant("acme").await;
    for i in 0..people {
        world.person(&tenant, &format!("p{i}")).await;
    }
    assert_eq!(jobs(world, JobKind::Mail).await, i64::try_from(people).unwrap());
}

api_tests! {
    async fn mail_that_ends_whoever_sends_it_is_given_up_with_an_event(world) {
        mails_wait(&world, 1).await;
        world.execute(format!("UPDATE jobs SET attempts = {MOST_ATTEMPTS}")).await;
        assert_eq!(world.work(JobKind::Mail).await, 0);
        assert_eq!((jobs(&world, JobKind::Mail).await, given_up(&world, "too_often").await), (0, 1));
    }

    async fn import_that_ends_whoever_reads_it_fails_with_the_reason(world) {
        let (tenant, _, token) = acme(&world).await;
        let path = asked(&world, &tenant, &token, many(3)).await;
        world.execute(format!("UPDATE jobs SET attempts = {MOST_ATTEMPTS} WHERE kind = 'user_import'")).await;
        assert_eq!(world.work(JobKind::UserImport).await, 0);
        assert_eq!(stands(&world, &token, &path).await, is("failed", [0, 0, 0, 0]));
        assert_eq!(shown(&world, &token, &path).await["failure"], "file_unreadable");
        assert_eq!((jobs(&world, JobKind::UserImport).await, pieces(&world).await), (0, 0));
        asked(&world, &tenant, &token, many(3)).await;
    }

    async fn job_without_its_import_does_not_stay_for_ever(world) {
        world.tenant("acme").await;
        let orphan = "INSERT INTO jobs (id, tenant_id, kind, created_at, due_at, attempts, lease) \
                      SELECT id, id, 'user_import', 0, 0, {}, 0 FROM tenants WHERE slug = 'acme'";
        for (attempts, left) in [(0, 1), (MOST_ATTEMPTS, 0)] {
            world.execute("DELETE FROM jobs").await;
            world.execute(orphan.replace("{}", &attempts.to_string())).await;
            assert_eq!(world.work(JobKind::UserImport).await, 0);
            assert_eq!(jobs(&world, JobKind::UserImport).await, left, "{attempts}");
        }
    }

    async fn import_that_gets_on_has_all_its_attempts_again(world) {
        let (tenant, _, token) = acme(&world).await;
        asked(&world, &tenant, &token, many(1_200)).await;
        world.execute("UPDATE jobs SET attempts = 7 WHERE kind = 'user_import'").await;
        let mut job = taken_up(&world).await;
        assert_eq!(attempts(&world).await, 8);
        assert!(world.app.imports().step(&mut job).await.unwrap());
        assert_eq!(attempts(&world).await, 0);
    }

    async fn dry_run_that_would_begin_anew_has_not_got_on(world) {
        let (tenant, _, token) = acme(&world).await;
        let path = format!("/tenants/{}/user-imports?dry_run=true", tenant.id);
        world.post(&path).bearer(&token).body("application/x-ndjson", many(1_200)).send().await.expect(202);
        let mut job = taken_up(&world).await;
        for _ in 0..2 {
            world.clock.advance(Duration::from_secs(59));
            assert!(world.app.imports().step(&mut job).await.unwrap());
        }
        assert_eq!((attempts(&world).await, world.work(JobKind::UserImport).await), (1, 0));
    }

    async fn lease_of_an_import_is_renewed_with_every_batch(world) {
        let (tenant, _, token) = acme(&world).await;
        let path = asked(&world, &tenant, &token, many(1_700)).await;
        let mut job = taken_up(&world).await;
        for batch in 1..4 {
            world.clock.advance(Duration::from_secs(59));
            assert!(world.app.imports().step(&mut job).await.unwrap());
            assert_eq!(world.work(JobKind::UserImport).await, 0, "after {batch}");
        }
        while world.app.imports().step(&mut job).await.unwrap() {}
        assert_eq!(stands(&world, &token, &path).await, is("completed", [1_700, 0, 0, 0]));
    }

    async fn claim_that_was_overtaken_takes_no_import_from_whoever_has_it(world) {
        let (tenant, _, token) = acme(&world).await;
        let path = asked(&world, &tenant, &token, many(600)).await;
        let slow = world.app.worker().claim(JobKind::UserImport).await.unwrap().remove(0);
        world.clock.advance(Duration::from_secs(61));
        let mut next = taken_up(&world).await;
        assert!(world.app.imports().take_up(&slow).await.unwrap().is_none());
        while world.app.imports().step(&mut next).await.unwrap() {}
        assert_eq!(stands(&world, &token, &path).await, is("completed", [600, 0, 0, 0]));
    }

    async fn job_of_an_import_leaves_with_its_end_whoever_ends_it(world) {
        let (tenant, _, token) = acme(&world).await;
        let path = asked(&world, &tenant, &token, many(3)).await;
        world.post(&format!("{path}/cancel")).bearer(&token).send().await.expect(200);
        assert_eq!(jobs(&world, JobKind::UserImport).await, 0, "cancelled");
        asked(&world, &tenant, &token, many(3)).await;
        assert_eq!(world.work(JobKind::UserImport).await, 1);
        assert_eq!(jobs(&world, JobKind::UserImport).await, 0, "completed");
        asked(&world, &tenant, &token, many(3)).await;
        world.delete(&format!("/admin/tenants/{}", tenant.id)).bearer(world.admin().await).send().await.expect(204);
        assert_eq!(jobs(&world, JobKind::UserImport).await, 0, "the tenant was deleted");
    }

    async fn import_that_is_refused_leaves_no_job(world) {
        let (tenant, _, token) = acme(&world).await;
        asked(&world, &tenant, &token, many(3)).await;
        let path = format!("/tenants/{}/user-imports", tenant.id);
        world.post(&path).bearer(&token).body("application/x-ndjson", many(1)).send().await.problem(409, "conflict");
        assert_eq!(jobs(&world, JobKind::UserImport).await, 1);
    }

    async fn process_sends_so_many_mails_at_once_and_no_more(world) {
        mails_wait(&world, 20).await;
        let server = MailServer::start(Mood::IsSilent).await;
        let smtp = server.smtp(Encryption::None);
        let sender = world.replica(move |config| config.mail.smtp = Some(smtp)).await;
        let worker = sender.app.worker();
        let sending = worker.run_due(JobKind::Mail);
        assert!(tokio::time::timeout(Duration::from_millis(200), sending).await.is_err());
        let most = i64::try_from(JobKind::Mail.at_once()).unwrap();
        assert_eq!(world.number("SELECT COUNT(*) FROM jobs WHERE lease > 0").await, most);
    }

    async fn sealed_mail_that_is_moved_to_another_job_is_not_sent(world) {
        mails_wait(&world, 2).await;
        world.execute("UPDATE jobs SET sealed = (SELECT o.sealed FROM jobs o ORDER BY o.id LIMIT 1)").await;
        assert_eq!(world.work(JobKind::Mail).await, 1, "the one whose it is");
        assert_eq!((jobs(&world, JobKind::Mail).await, given_up(&world, "unreadable").await), (1, 0), "until it is given up");
    }

    async fn kind_of_a_later_release_waits_for_whoever_knows_it(world) {
        mails_wait(&world, 1).await;
        world.execute("UPDATE jobs SET kind = 'of_a_later_release'").await;
        for (kind, _) in JobKind::ALL {
            assert_eq!(world.work(*kind).await, 0);
        }
        assert_eq!(world.number("SELECT COUNT(*) FROM jobs WHERE attempts = 0").await, 1);
    }

    async fn import_is_read_while_the_mail_server_says_nothing(world) {
        let (tenant, _, token) = acme(&world).await;
        let server = MailServer::start(Mood::IsSilent).await;
        let smtp = server.smtp(Encryption::None);
        let sender = world.replica(move |config| config.mail.smtp = Some(smtp)).await;
        world.post("/auth/tenants/acme/password/forgot").json(json!({"email": "boss@acme.example"})).send().await.expect(202);
        let path = asked(&world, &tenant, &token, many(3)).await;
        let tasks = periodic::run(sender.app.clone().into_inner());
        let read = async {
            while stands(&world, &token, &path).await != is("completed", [3, 0, 0, 0]) {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::pin!(tasks);
        tokio::select! {
            () = &mut tasks => unreachable!("tasks have no end"),
            read = tokio::time::timeout(Duration::from_secs(20), read) => read.unwrap(),
        }
        assert!(jobs(&world, JobKind::Mail).await > 0, "the mail server took none");
    }
}
