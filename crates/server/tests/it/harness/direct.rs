//! Looking into the database past the server, as an auditor would, or a thief.

use gatehouse_domain::{id::SessionId, issue::Parse};
use gatehouse_persistence::Target;
use sqlx::{
    AssertSqlSafe, ConnectOptions, Executor, PgConnection, SqliteConnection, postgres::PgConnectOptions,
    sqlite::SqliteConnectOptions,
};

use super::World;

impl World {
    async fn sqlite(&self) -> Option<SqliteConnection> {
        let Target::Sqlite(path) = self.target() else { return None };
        let options = SqliteConnectOptions::new().filename(path).busy_timeout(std::time::Duration::from_secs(5));
        Some(options.connect().await.unwrap())
    }

    async fn postgres(&self) -> PgConnection {
        let Target::Postgres(url) = self.target() else { unreachable!("SQLite is asked first") };
        // Even where a test has made the database read-only for everybody else.
        let options: PgConnectOptions = url.expose().parse().unwrap();
        options.options([("default_transaction_read_only", "off")]).connect().await.unwrap()
    }

    /// The number that a statement finds.
    pub async fn number(&self, sql: impl Into<String>) -> i64 {
        let sql = AssertSqlSafe(sql.into());
        match self.sqlite().await {
            Some(mut connection) => sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap(),
            None => sqlx::query_scalar(sql).fetch_one(&mut self.postgres().await).await.unwrap(),
        }
    }

    /// The only column of a query, as text.
    pub async fn text(&self, sql: impl Into<String>) -> Vec<String> {
        let sql = AssertSqlSafe(sql.into());
        match self.sqlite().await {
            Some(mut connection) => sqlx::query_scalar(sql).fetch_all(&mut connection).await.unwrap(),
            None => sqlx::query_scalar(sql).fetch_all(&mut self.postgres().await).await.unwrap(),
        }
    }

    /// The tables, and if need be columns, in which a word is, as text or in bytes.
    pub async fn whereabouts(&self, word: &str) -> Vec<String> {
        let sqlite = matches!(self.target(), Target::Sqlite(_));
        let places = if sqlite {
            "SELECT t.name || '.' || c.name FROM sqlite_master t, pragma_table_info(t.name) c WHERE t.type = 'table'"
        } else {
            "SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema()"
        };
        let mut found = Vec::new();
        for place in self.text(places).await {
            let sql = match place.split_once('.') {
                Some((table, column)) => {
                    format!("SELECT COUNT(*) FROM \"{table}\" WHERE CAST(\"{column}\" AS TEXT) LIKE '%{word}%'")
                }
                // Bytes are shown as hexadecimal digits.
                None => format!(
                    "SELECT COUNT(*) FROM \"{place}\" t WHERE t::text ILIKE '%{word}%' OR t::text LIKE '%{}%'",
                    word.bytes().map(|byte| format!("{byte:02x}")).collect::<String>()
                ),
            };
            if self.number(sql).await > 0 {
                found.push(place);
            }
        }
        found
    }

    /// Whether a text is anywhere in the files of the database; those of PostgreSQL are not looked at.
    pub fn is_in_files(&self, text: &str) -> bool {
        let Target::Sqlite(path) = self.target() else { return false };
        [path.clone(), path.with_extension("db-wal")].iter().any(|path| {
            let bytes = std::fs::read(path).unwrap_or_default();
            bytes.windows(text.len()).any(|window| window == text.as_bytes())
        })
    }

    /// Runs statements.
    pub async fn execute(&self, sql: impl Into<String>) {
        let sql = AssertSqlSafe(sql.into());
        match self.sqlite().await {
            Some(mut connection) => drop(connection.execute(sql).await.unwrap()),
            None => drop(self.postgres().await.execute(sql).await.unwrap()),
        }
    }

    /// Runs statements that may be refused; why they were.
    pub async fn try_execute(&self, sql: impl Into<String>) -> Result<(), String> {
        let sql = AssertSqlSafe(sql.into());
        let result = match self.sqlite().await {
            Some(mut connection) => connection.execute(sql).await.map(drop),
            None => self.postgres().await.execute(sql).await.map(drop),
        };
        result.map_err(|error| error.to_string())
    }

    /// Runs a statement on the server of the database, outside of it.
    pub async fn execute_on_server(&self, sql: impl Into<String>) {
        let Target::Postgres(url) = self.target() else { unreachable!("SQLite has no server") };
        let options: PgConnectOptions = url.expose().parse().unwrap();
        let mut connection = options.database("postgres").connect().await.unwrap();
        connection.execute(AssertSqlSafe(sql.into())).await.unwrap();
    }

    /// The name of the database on its server.
    pub fn database_name(&self) -> String {
        let Target::Postgres(url) = self.target() else { unreachable!("SQLite has no server") };
        url.expose().rsplit('/').next().unwrap().to_owned()
    }

    /// An id, of a session or anything else, as statements spell it.
    pub fn literal(&self, id: &str) -> String {
        // Behind their prefixes all ids are of one form.
        let uuid = SessionId::parse(&format!("ses_{}", &id[4..])).unwrap().uuid();
        match self.target() {
            Target::Sqlite(_) => format!("x'{}'", uuid.simple()),
            Target::Postgres(_) => format!("'{uuid}'"),
        }
    }

    /// How many events of an action the audit trail has about something.
    pub async fn events(&self, action: &str, resource: &str) -> i64 {
        let id = self.literal(resource);
        self.number(format!("SELECT COUNT(*) FROM audit_events WHERE action = '{action}' AND resource_id = {id}")).await
    }

    /// How often something happened to something, recorded one by one or in a count.
    pub async fn happened(&self, action: &str, resource: &str) -> i64 {
        let left_out = match self.target() {
            Target::Sqlite(_) => "json_extract(changes, '$.unrecorded_count.new')",
            Target::Postgres(_) => "CAST(CAST(changes AS json) #>> '{unrecorded_count,new}' AS bigint)",
        };
        let id = self.literal(resource);
        let sql = format!(
            "SELECT CAST(COALESCE(SUM(1 + COALESCE({left_out}, 0)), 0) AS bigint) FROM audit_events \
             WHERE action = '{action}' AND resource_id = {id}"
        );
        self.number(sql).await
    }

    /// How many refreshes of a session still wait to be counted in the trail.
    pub async fn unrecorded_refreshes(&self, session: &str) -> i64 {
        let id = self.literal(session);
        self.number(format!("SELECT refreshes - 1 FROM sessions WHERE refreshes > 0 AND id = {id}")).await
    }

    /// How often a session's refresh token was exchanged, as its row says.
    pub async fn generation(&self, session: &str) -> i64 {
        let id = self.literal(session);
        self.number(format!("SELECT refresh_generation FROM sessions WHERE id = {id}")).await
    }
}
