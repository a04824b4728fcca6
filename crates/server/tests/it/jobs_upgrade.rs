//! A database from before there was one outbox: whatever waits in its tables is done afterwards, once.

use std::time::Duration;

use gatehouse_domain::job::JobKind;
use gatehouse_persistence::Target;
use gatehouse_server::mail::Encryption;
use serde_json::json;

use crate::{
    harness::{MailServer, Mood, World, api_tests},
    user_imports::{acme, asked, is, many, pieces, stands, taken_up},
};

/// Makes a database one of before: the tables as they were, with what waits in them.
const BEFORE: &str = "
CREATE TABLE mails (
    id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    sealed bytea NOT NULL,
    created_at bigint NOT NULL,
    give_up_at bigint NOT NULL,
    attempts bigint NOT NULL,
    next_attempt_at bigint NOT NULL,
    last_error text,
    CONSTRAINT pk_mails PRIMARY KEY (id),
    CONSTRAINT uq_mails_tenant_id_id UNIQUE (tenant_id, id),
    CONSTRAINT fk_mails_tenant FOREIGN KEY (tenant_id) REFERENCES tenants (id) ON DELETE CASCADE
);
CREATE INDEX ix_mails_next_attempt ON mails (next_attempt_at, id);
INSERT INTO mails SELECT id, tenant_id, sealed, created_at, give_up_at, attempts, due_at, last_error FROM jobs WHERE kind = 'mail';
DROP INDEX ix_user_imports_forget;
ALTER TABLE user_imports RENAME COLUMN forget_at TO due_at;
CREATE INDEX ix_user_imports_due ON user_imports (due_at) WHERE due_at IS NOT NULL;
UPDATE user_imports SET due_at = (SELECT j.due_at FROM jobs j WHERE j.id = user_imports.id) WHERE state IN ('queued', 'running');
DELETE FROM seaql_migrations WHERE version IN ('m20261129_000095_create_jobs', 'm20261130_000111_name_users_of_jobs');
";
const SQLITE: &str = "
DROP TRIGGER tg_user_imports_ended;
DROP TABLE jobs;
CREATE TRIGGER tg_user_imports_ended AFTER UPDATE OF state ON user_imports
WHEN NEW.state NOT IN ('queued', 'running') BEGIN
    DELETE FROM user_import_pieces WHERE tenant_id = NEW.tenant_id AND import_id = NEW.id;
END;
";
const POSTGRES: &str = "
DROP TRIGGER tg_user_imports_ended ON user_imports;
DROP FUNCTION end_user_import();
DROP TABLE jobs;
CREATE FUNCTION drop_user_import_pieces() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    DELETE FROM user_import_pieces WHERE tenant_id = NEW.tenant_id AND import_id = NEW.id;
    RETURN NULL;
END $$;
CREATE TRIGGER tg_user_imports_ended AFTER UPDATE OF state ON user_imports
    FOR EACH ROW WHEN (NEW.state NOT IN ('queued', 'running')) EXECUTE FUNCTION drop_user_import_pieces();
";

/// Lets a database be one of before, and starts this release on it.
async fn upgraded(world: &World) -> World {
    world.execute(BEFORE).await;
    world.execute(if matches!(world.target(), Target::Sqlite(_)) { SQLITE } else { POSTGRES }).await;
    world.replica(|_| {}).await
}

api_tests! {
    async fn mail_that_waits_in_its_old_table_is_sent(world) {
        let tenant = world.tenant("acme").await;
        world.person(&tenant, "ada").await;
        // One has been tried already, and one is what a stranger asked for.
        let server = MailServer::start(Mood::IsBusy).await;
        let smtp = server.smtp(Encryption::None);
        let sender = world.replica(move |config| config.mail.smtp = Some(smtp)).await;
        assert_eq!(sender.work(JobKind::Mail).await, 0);
        world.post("/auth/tenants/acme/password/forgot").json(json!({"email": "ada@acme.example"})).send().await.expect(202);
        let waiting = "SELECT kind || ' ' || attempts || ' ' || lease || ' ' || COALESCE(last_error, '') FROM jobs ORDER BY 1";
        let before = world.text(waiting).await;
        assert_eq!(before, ["mail 0 0 ", "mail 1 1 postponed"]);
        let after = upgraded(&world).await;
        assert_eq!(after.text(waiting).await, before);
        let to = async || -> Vec<String> { after.mails().await.into_iter().map(|mail| mail.subject).collect() };
        assert_eq!(to().await, ["Reset your password at acme"], "the other one is not due yet");
        world.clock.advance(Duration::from_secs(15));
        assert_eq!(to().await, ["Confirm your e-mail address for acme"]);
        assert_eq!(after.number("SELECT COUNT(*) FROM jobs").await, 0);
    }

    async fn import_that_runs_while_its_tables_are_moved_goes_on_behind_its_last_batch(world) {
        let (tenant, _, token) = acme(&world).await;
        let path = asked(&world, &tenant, &token, format!("not json\n{}", many(1_700))).await;
        let mut job = taken_up(&world).await;
        assert!(world.app.imports().step(&mut job).await.unwrap());
        let after = upgraded(&world).await;
        assert_eq!(stands(&after, &token, &path).await, is("running", [499, 0, 0, 1]));
        assert_eq!(after.work(JobKind::UserImport).await, 0, "whoever has it may only be slow");
        world.clock.advance(Duration::from_secs(61));
        assert_eq!(after.work(JobKind::UserImport).await, 1);
        assert_eq!(stands(&after, &token, &path).await, is("completed", [1_700, 0, 0, 1]));
        assert_eq!((pieces(&after).await, after.number("SELECT COUNT(*) FROM jobs WHERE kind = 'user_import'").await), (0, 0));
    }

    async fn import_that_waits_for_somebody_is_read_and_one_that_has_ended_keeps_its_rejected_lines(world) {
        let (tenant, _, token) = acme(&world).await;
        let ended = asked(&world, &tenant, &token, "not json\n").await;
        assert_eq!(world.work(JobKind::UserImport).await, 1);
        let path = asked(&world, &tenant, &token, many(3)).await;
        let after = upgraded(&world).await;
        assert_eq!(after.work(JobKind::UserImport).await, 1);
        assert_eq!(stands(&after, &token, &path).await, is("completed", [3, 0, 0, 0]));
        assert_eq!(stands(&after, &token, &ended).await, is("completed", [0, 0, 0, 1]));
        let rejects = async || after.number("SELECT COUNT(*) FROM user_import_rejects").await;
        after.app.maintenance().clean_up().await.unwrap();
        assert_eq!(rejects().await, 1);
        world.clock.advance(Duration::from_secs(7 * 86_400 + 1));
        after.app.maintenance().clean_up().await.unwrap();
        assert_eq!(rejects().await, 0);
    }

    async fn import_of_a_command_is_taken_up_by_nobody_afterwards(world) {
        let (tenant, _, token) = acme(&world).await;
        let path = asked(&world, &tenant, &token, many(3)).await;
        // As one of a command is: it has no file, and is never due.
        world.execute("DELETE FROM jobs WHERE kind = 'user_import'").await;
        let after = upgraded(&world).await;
        world.clock.advance(Duration::from_secs(61));
        assert_eq!(after.work(JobKind::UserImport).await, 0);
        assert_eq!(stands(&after, &token, &path).await.0, "queued");
    }
}
