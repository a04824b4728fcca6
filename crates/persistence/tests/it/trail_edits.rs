//! Whoever writes to the database and has no master key changes nothing of the audit trail unseen: at once, after more has
//! happened, after the next seal, and after retention.

use std::time::Duration;

use gatehouse_domain::{
    audit::{Damage, Finding, Refused, TrailRoot, Verification},
    tenant::Tenant,
    time::DAY,
};
use gatehouse_persistence::{
    Db, Error, Target,
    testing::{Engine, Fresh},
};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqliteConnection};

use crate::fixture::*;

const TABLES: [&str; 7] =
    ["audit_events", "audit_unsealed", "audit_seals", "audit_chains", "audit_root", "audit_roots", "audit_acceptances"];

/// How far apart things happen; two of it are longer than the least time for which events are kept.
pub const PERIOD: Duration = DAY.saturating_mul(50);

/// A trail of two tenants over some periods, and somebody at its database.
pub struct Trail {
    fresh: Fresh,
    pub db: Db,
    a: Tenant,
    b: Tenant,
}

impl Trail {
    pub async fn new(engine: Engine) -> Option<Self> {
        let fresh = Fresh::migrated(engine)?;
        let db = fresh.connect().await;
        write(&db, NOW, async |tx| tx.system(SYSTEM).begin_trail().await).await.unwrap();
        let p = partner(&db, "p").await;
        let (a, b) = (tenant(&db, &p, "a").await, tenant(&db, &p, "b").await);
        let trail = Self { fresh, db, a, b };
        for period in 0..4 {
            trail.happen(period).await;
            trail.seal(period).await.unwrap();
        }
        trail.purge(4).await.unwrap();
        trail.seal(4).await.unwrap();
        trail.happen(4).await;
        trail.keep().await;
        assert_eq!(trail.findings(None).await, []);
        Some(trail)
    }

    pub async fn happen(&self, period: u32) {
        for tenant in [&self.a, &self.b] {
            let refused = Refused::login(tenant.reference(), None, "invalid_credentials");
            let work =
                async move |tx: &gatehouse_persistence::WriteTx<'_>| tx.system(SYSTEM).refused(refused.clone()).await;
            // A trail whose triggers are gone may take no events any more.
            drop(write(&self.db, NOW.plus(PERIOD * period), work).await);
        }
    }

    pub async fn seal(&self, period: u32) -> Result<usize, Error> {
        write(&self.db, NOW.plus(PERIOD * period), async |tx| tx.system(SYSTEM).seal_events().await).await
    }

    /// Keeps two periods.
    pub async fn purge(&self, period: u32) -> Result<(), Error> {
        for tenant in [&self.a, &self.b].map(Tenant::reference) {
            let before = NOW.plus(PERIOD * period).minus(PERIOD * 2);
            let work = async move |tx: &gatehouse_persistence::WriteTx<'_>| {
                tx.system(SYSTEM).purge_audit_events(Some(tenant), before).await
            };
            write(&self.db, NOW.plus(PERIOD * period), work).await?;
        }
        Ok(())
    }

    pub async fn findings(&self, least: Option<TrailRoot>) -> Vec<Finding> {
        self.db.verify_audit(SYSTEM, None, least, NOW.plus(PERIOD * 4)).await.unwrap().findings
    }

    pub async fn verify(&self) -> Verification {
        self.db.verify_audit(SYSTEM, None, None, NOW.plus(PERIOD * 4)).await.unwrap()
    }

    pub async fn damages(&self, least: Option<TrailRoot>) -> Vec<Damage> {
        self.findings(least).await.iter().map(|it| it.damage).collect()
    }

    pub async fn sqlite(&self) -> Option<SqliteConnection> {
        let Target::Sqlite(path) = &self.fresh.target else { return None };
        Some(SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.unwrap())
    }

    pub async fn postgres(&self) -> PgConnection {
        let Target::Postgres(url) = &self.fresh.target else { unreachable!("SQLite is asked first") };
        PgConnection::connect(url.expose()).await.unwrap()
    }

    pub async fn try_execute(&self, sql: &str) -> bool {
        match self.sqlite().await {
            Some(mut connection) => connection.execute(AssertSqlSafe(sql)).await.is_ok(),
            None => self.postgres().await.execute(AssertSqlSafe(sql)).await.is_ok(),
        }
    }

    pub async fn execute(&self, sql: &str) {
        assert!(self.try_execute(sql).await, "{sql}");
    }

    pub async fn texts(&self, sql: &str) -> Vec<String> {
        match self.sqlite().await {
            Some(mut connection) => sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(&mut connection).await.unwrap(),
            None => sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(&mut self.postgres().await).await.unwrap(),
        }
    }

    /// The triggers of the trail, so that tampering can take them away and give them back: statements to do either.
    pub async fn triggers(&self) -> [String; 2] {
        if self.db.is_sqlite() {
            let names =
                self.texts("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit_events'").await;
            let texts =
                self.texts("SELECT sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit_events'").await;
            [names.iter().map(|name| format!("DROP TRIGGER {name};")).collect(), texts.join(";") + ";"]
        } else {
            ["DISABLE", "ENABLE"].map(|what| format!("ALTER TABLE audit_events {what} TRIGGER USER;"))
        }
    }

    /// Writes past the triggers, and leaves no trace of that; false where the database itself refuses.
    pub async fn tamper(&self, sql: &str) -> bool {
        let [disarm, arm] = self.triggers().await;
        self.try_execute(&format!("BEGIN; {disarm} {sql}; {arm} COMMIT;")).await
    }

    /// Keeps what is there now, to be put back.
    pub async fn keep(&self) {
        self.keep_as("kept").await;
    }

    pub async fn put_back(&self) {
        self.put_back_from("kept").await;
    }

    /// Keeps it under another name than the first state.
    pub async fn keep_as(&self, name: &str) {
        for table in TABLES {
            self.execute(&format!(
                "DROP TABLE IF EXISTS {name}_{table}; CREATE TABLE {name}_{table} AS SELECT * FROM {table}"
            ))
            .await;
        }
    }

    pub async fn put_back_from(&self, name: &str) {
        let back = |table| format!("DELETE FROM {table}; INSERT INTO {table} SELECT * FROM {name}_{table};");
        assert!(self.tamper(&TABLES.map(back).concat()).await);
    }

    /// The columns of a table, and whether they are bytes, from the database's own catalogue.
    pub async fn columns(&self, table: &str) -> Vec<String> {
        if self.db.is_sqlite() {
            return self.texts(&format!("SELECT name || ' ' || lower(type) FROM pragma_table_info('{table}')")).await;
        }
        let catalogue = "SELECT column_name || ' ' || data_type FROM information_schema.columns WHERE table_schema = current_schema()";
        self.texts(&format!("{catalogue} AND table_name = '{table}' ORDER BY ordinal_position")).await
    }

    /// Whether a statement has changed anything.
    pub async fn is_changed(&self) -> bool {
        for table in TABLES {
            let count = format!(
                "SELECT CAST(COUNT(*) AS text) FROM (SELECT * FROM {table} EXCEPT SELECT * FROM kept_{table}) changed UNION ALL \
                 SELECT CAST(COUNT(*) AS text) FROM (SELECT * FROM kept_{table} EXCEPT SELECT * FROM {table}) gone"
            );
            if self.texts(&count).await.iter().any(|count| count != "0") {
                return true;
            }
        }
        false
    }

    /// Looks at once, and again after everything that a server does; what was never found.
    pub async fn unseen(&self, with_traffic: bool) -> Option<&'static str> {
        if with_traffic {
            self.happen(4).await;
        }
        for (step, when) in ["at once", "after the next seal", "after retention"].into_iter().enumerate() {
            match step {
                1 => drop(self.seal(4).await),
                2 => drop(self.purge(5).await),
                _ => {}
            }
            if self.findings(None).await.is_empty() {
                return Some(when);
            }
        }
        None
    }
}

/// What a column is set to, by its type.
fn values(column: &str, kind: &str, table: &str, is_sqlite: bool) -> Vec<String> {
    let other = format!("(SELECT o.{column} FROM {table} o WHERE o.{column} <> {table}.{column} LIMIT 1)");
    let mut values = vec!["NULL".to_owned(), other];
    values.extend(match kind {
        "bigint" | "integer" => vec![format!("{column} + 1"), "0".into()],
        "boolean" if is_sqlite => vec![format!("{column} + 1")],
        "boolean" => vec![format!("NOT {column}")],
        "text" => vec!["'0'".into()],
        "uuid" if is_sqlite => vec!["x'00000000000000000000000000000007'".into()],
        "uuid" => vec!["'00000000-0000-0000-0000-000000000007'".into()],
        _ if is_sqlite => vec!["x'00'".into(), format!("{column} + 1")],
        _ => vec!["'\\x00'".into(), format!("{column} || '\\x01'")],
    });
    values
}

async fn every_edit_of_a_column_shows(trail: Trail) {
    let (mut edits, mut unseen) = (0, Vec::new());
    trail.accept_something().await;
    for table in TABLES {
        for column in trail.columns(table).await {
            let (column, kind) = column.split_once(' ').unwrap();
            for (n, value) in values(column, kind, table, trail.db.is_sqlite()).into_iter().enumerate() {
                let sql = format!("UPDATE {table} SET {column} = {value}");
                if !trail.tamper(&sql).await || !trail.is_changed().await {
                    trail.put_back().await;
                    continue;
                }
                edits += 1;
                if let Some(when) = trail.unseen(n % 2 == 1).await {
                    unseen.push(format!("{sql}: {when}"));
                }
                trail.put_back().await;
            }
        }
    }
    assert_eq!(unseen, [""; 0]);
    assert!(edits > 80, "{edits}");
    assert_eq!(trail.findings(None).await, []);
}

async fn every_row_that_is_gone_put_back_or_added_shows(trail: Trail) {
    trail.accept_something().await;
    let mut unseen = Vec::new();
    for table in TABLES {
        let place = if trail.db.is_sqlite() { "rowid" } else { "ctid" };
        let place = if table == "audit_unsealed" { "event_id" } else { place };
        for order in ["ASC", "DESC"] {
            let one = format!("{place} = (SELECT {place} FROM {table} ORDER BY {place} {order} LIMIT 1)");
            assert!(trail.tamper(&format!("DELETE FROM {table} WHERE {one}")).await);
            if let Some(when) = trail.unseen(order == "ASC").await {
                unseen.push(format!("{table} deleted {order}: {when}"));
            }
            trail.put_back().await;
        }
    }
    // What was there before, back in its place after a server has gone on.
    trail.happen(4).await;
    trail.seal(4).await.unwrap();
    trail.purge(5).await.unwrap();
    for table in TABLES {
        let sql = format!(
            "INSERT INTO {table} SELECT * FROM kept_{table} WHERE NOT EXISTS (SELECT 1 FROM {table} t WHERE t = kept_{table})"
        );
        let sql = match (table, trail.db.is_sqlite()) {
            ("audit_root", _) => "DELETE FROM audit_root; INSERT INTO audit_root SELECT * FROM kept_audit_root".into(),
            (_, true) => {
                format!("INSERT OR REPLACE INTO {table} SELECT * FROM kept_{table} EXCEPT SELECT * FROM {table}")
            }
            ("audit_chains", _) => {
                "DELETE FROM audit_chains; INSERT INTO audit_chains SELECT * FROM kept_audit_chains".into()
            }
            _ => sql,
        };
        trail.keep_as("later").await;
        // These only come; what was there before still is.
        if trail.tamper(&sql).await
            && !["audit_roots", "audit_acceptances"].contains(&table)
            && let Some(when) = trail.unseen(false).await
        {
            unseen.push(format!("{table} copied back: {when}"));
        }
        trail.put_back_from("later").await;
    }
    assert_eq!(unseen, [""; 0]);
}

async fn trigger_that_is_gone_or_disabled_shows_and_stops_sealing_and_purging(trail: Trail) {
    for name in ["kept", "queued", "sealed"].map(|name| format!("tg_audit_events_{name}")) {
        let mut harms =
            vec![format!("DROP TRIGGER {name}{}", if trail.db.is_sqlite() { "" } else { " ON audit_events" })];
        if !trail.db.is_sqlite() {
            harms.insert(0, format!("ALTER TABLE audit_events DISABLE TRIGGER {name}"));
        }
        for harm in harms {
            trail.execute(&harm).await;
            let named = trail
                .findings(None)
                .await
                .iter()
                .any(|it| it.trigger.as_deref() == Some(&format!("audit_events.{name}")));
            assert!(named, "{harm}");
            assert!(matches!(trail.seal(4).await, Err(Error::Tampered(_))), "{harm}");
            assert!(matches!(trail.purge(5).await, Err(Error::Tampered(_))), "{harm}");
        }
    }
}

async fn trail_that_is_turned_back_whole_shows_against_a_root_that_was_noted(trail: Trail) {
    trail.seal(4).await.unwrap();
    trail.keep().await;
    trail.happen(4).await;
    trail.seal(4).await.unwrap();
    let noted = trail.db.trail_root().await.unwrap();
    trail.happen(4).await;
    trail.seal(4).await.unwrap();
    assert_eq!(trail.damages(noted).await, []);
    trail.put_back().await;
    for _ in 0..3 {
        trail.happen(4).await;
        trail.seal(4).await.unwrap();
    }
    assert_eq!((trail.damages(None).await, trail.damages(noted).await), (vec![], vec![Damage::TurnedBack]));
}

async fn root_that_is_made_anew_is_not_sealed_under(trail: Trail) {
    let harm = "DELETE FROM audit_chains; DELETE FROM audit_seals; DELETE FROM audit_roots; DELETE FROM audit_unsealed; \
        UPDATE audit_root SET version = 0, sum = '', mac = '', cut_version = 0; \
        INSERT INTO audit_unsealed (event_id, tenant_id) SELECT id, tenant_id FROM audit_events";
    assert!(trail.tamper(harm).await);
    assert!(matches!(trail.seal(4).await, Err(Error::Tampered(_))));
    assert!(trail.damages(None).await.contains(&Damage::RootChanged));
}

async fn events_that_seals_call_old_are_not_purged(trail: Trail) {
    trail.execute("UPDATE audit_seals SET last_at = first_at - 864000000000").await;
    let count = "SELECT CAST(COUNT(*) AS text) FROM audit_events";
    let before = trail.texts(count).await;
    assert!(matches!(trail.purge(4).await, Err(Error::Tampered(_))));
    assert_eq!(trail.texts(count).await, before);
    assert!(trail.damages(None).await.contains(&Damage::SealChanged));
}

async fn event_that_waits_for_more_than_a_minute_shows(trail: Trail) {
    let later = NOW.plus(PERIOD * 4).plus(SECOND * 61);
    let report = trail.db.verify_audit(SYSTEM, None, None, later).await.unwrap();
    assert_eq!(report.findings.iter().map(|it| it.damage).collect::<Vec<_>>(), vec![Damage::EventLate; 2]);
}

/// Runs each on both databases.
#[macro_export]
macro_rules! on_both {
    ($($name:ident)*) => {$(
        mod $name {
            use super::*;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                super::$name(Trail::new(Engine::Sqlite).await.unwrap()).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                if let Some(trail) = Trail::new(Engine::Postgres).await {
                    super::$name(trail).await;
                }
            }
        }
    )*};
}

on_both! {
    every_edit_of_a_column_shows
    every_row_that_is_gone_put_back_or_added_shows
    trigger_that_is_gone_or_disabled_shows_and_stops_sealing_and_purging
    trail_that_is_turned_back_whole_shows_against_a_root_that_was_noted
    root_that_is_made_anew_is_not_sealed_under
    events_that_seals_call_old_are_not_purged
    event_that_waits_for_more_than_a_minute_shows
}
