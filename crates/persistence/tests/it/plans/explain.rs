//! Asks a database how it would run a statement, and judges the answer.

use gatehouse_persistence::Target;
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row, SqliteConnection};
use uuid::Uuid;

/// The tables that grow with a tenant. Those of partners, tenants, keys and counters are short beside them.
const LARGE: [&str; 18] = [
    "idempotency_keys",
    "sessions",
    "users",
    "user_terms",
    "role_assignments",
    "roles",
    "session_applications",
    "applications",
    "application_terms",
    "application_resources",
    "authorization_codes",
    "token_families",
    "jobs",
    "logout_deliveries",
    "throttles",
    "audit_events",
    "audit_seals",
    "audit_roots",
];
/// How many rows may be sorted: a page with one to spare, and then some.
const SORTED: f64 = 1_000.0;

/// A connection beside the pool.
pub enum Explainer {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Explainer {
    pub async fn of(target: &Target) -> Self {
        match target {
            Target::Sqlite(path) => {
                let url = format!("sqlite://{}", path.display());
                Self::Sqlite(SqliteConnection::connect(&url).await.unwrap())
            }
            Target::Postgres(url) => {
                let mut connection = PgConnection::connect(url.expose()).await.unwrap();
                // With a few thousand rows reading, sorting and joining all of them is often the cheapest. What is left
                // of that now is what no index can help.
                for way in ["seqscan", "sort", "hashjoin", "mergejoin"] {
                    connection.execute(AssertSqlSafe(format!("SET enable_{way} = off"))).await.unwrap();
                }
                Self::Postgres(connection)
            }
        }
    }

    /// What is wrong with the plan of a statement.
    pub async fn faults(&mut self, sql: &str) -> Vec<String> {
        match self {
            // `EXPLAIN` is of the first statement of a text, and those behind it would be run.
            Self::Sqlite(connection) => {
                let mut faults = Vec::new();
                for sql in sql.split("; ") {
                    faults.extend(sqlite(connection, sql).await);
                }
                faults
            }
            Self::Postgres(connection) => postgres(connection, sql).await,
        }
    }
}

/// The table behind the name that a plan gives it.
fn table<'s>(sql: &'s str, alias: &'s str) -> &'s str {
    let words: Vec<_> =
        sql.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty()).collect();
    let named =
        words.windows(3).find(|w| matches!(w[0], "FROM" | "JOIN" | "UPDATE") && w[2] == alias && LARGE.contains(&w[1]));
    named.map_or(alias, |w| w[1])
}

async fn sqlite(connection: &mut SqliteConnection, sql: &str) -> Vec<String> {
    let rows = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"))).fetch_all(connection).await.unwrap();
    let steps: Vec<(i64, i64, String)> = rows.iter().map(|row| (row.get(0), row.get(1), row.get(3))).collect();
    let is_limited = sql.contains(" LIMIT ");
    let mut faults = Vec::new();
    for (_, parent, step) in &steps {
        let mut words = step.split_whitespace();
        let (verb, name) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let in_order = step.contains(" USING INDEX ") && is_limited;
        // Walking an index in the order of the list, until the page is full, is no scan.
        if verb == "SCAN" && LARGE.contains(&table(sql, name)) && !in_order {
            faults.push(step.clone());
        }
        // What was used in a tenant is more than what was used in a session, and no list goes through it in order.
        if step.starts_with("SEARCH") && table(sql, name) == "session_applications" && step.ends_with("(tenant_id=?)") {
            faults.push(step.clone());
        }
        // What a subquery has already cut to a page is sorted once more for the join, and groups are few.
        let siblings = || steps.iter().filter(|(_, other, _)| other == parent).map(|(_, _, other)| other.as_str());
        let is_short = siblings().any(|other| {
            other == "USE TEMP B-TREE FOR GROUP BY" || other.starts_with("SCAN s") && table(sql, "s") == "s"
        });
        let reads_large = siblings().any(|other| {
            let mut words = other.split_whitespace();
            let is_read = matches!(words.next(), Some("SCAN" | "SEARCH"));
            let table = table(sql, words.next().unwrap_or_default());
            // A session has few applications, and so has a tenant.
            is_read && LARGE.contains(&table) && !table.ends_with("applications")
        });
        if step.starts_with("USE TEMP B-TREE FOR ORDER BY") && reads_large && !is_short {
            faults.push(step.clone());
        }
    }
    faults
}

async fn postgres(connection: &mut PgConnection, sql: &str) -> Vec<String> {
    // A value in a list of values takes its type from its parameter, of which the text has only the value.
    let mut parts = sql.split("(VALUES ('");
    let mut sql = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        sql +=
            if part.get(..36).is_some_and(|id| Uuid::try_parse(id).is_ok()) { "(VALUES (uuid '" } else { "(VALUES ('" };
        sql += part;
    }
    let row = sqlx::query(AssertSqlSafe(format!("EXPLAIN (FORMAT JSON) {sql}"))).fetch_one(connection).await.unwrap();
    let plans: Value = row.get(0);
    let mut faults = Vec::new();
    judge(&plans[0]["Plan"], false, &mut faults);
    faults
}

fn judge(node: &Value, limited: bool, faults: &mut Vec<String>) {
    let kind = node["Node Type"].as_str().unwrap();
    let relation = node["Relation Name"].as_str().unwrap_or_default();
    let describe =
        |why: &str| format!("{kind} on {relation} {} {why}", node["Index Name"].as_str().unwrap_or_default());
    if kind == "Seq Scan" && LARGE.contains(&relation) {
        faults.push(describe("reads the whole table"));
    }
    let conditional = node.get("Index Cond").is_some();
    if kind.starts_with("Index") && LARGE.contains(&relation) && !conditional && !limited {
        faults.push(describe("reads the whole index"));
    }
    let inner = node["Plans"].as_array();
    if kind == "Sort" {
        let rows = inner.into_iter().flatten().filter_map(|plan| plan["Plan Rows"].as_f64()).fold(0.0, f64::max);
        if rows > SORTED {
            faults.push(format!("sorts {rows} rows by {}", node["Sort Key"]));
        }
    }
    // A limit stops what feeds it row by row; what needs all of its input first is not stopped.
    let limited = match kind {
        "Limit" => true,
        "Sort" | "Aggregate" | "Hash" | "WindowAgg" | "Materialize" => false,
        _ => limited,
    };
    for plan in inner.into_iter().flatten() {
        judge(plan, limited && plan["Parent Relationship"] != "InitPlan", faults);
    }
}
