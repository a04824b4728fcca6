//! One mailbox has one key, however its address is typed: until now two spellings of one internationalised address could
//! be two users. Where they are, the second keeps its old key, by which nobody finds it any more, and the log says so.

use idna::{
    AsciiDenyList,
    uts46::{DnsLength, Hyphens, Uts46},
};
use sea_orm_migration::{
    SchemaManager,
    sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement, Value},
};
use unicode_normalization::UnicodeNormalization;

pub(crate) const UP: crate::Up = |manager| Box::pin(up(manager));

/// How many keys are looked at together.
const BATCH: usize = 500;

async fn up(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let (db, backend) = (manager.get_connection(), manager.get_database_backend());
    let is_beyond_ascii = match backend {
        DbBackend::Postgres => "u.email_key ~ '[^ -~]'",
        _ => "u.email_key GLOB '*[^ -~]*'",
    };
    let select = format!("{SELECT} AND {is_beyond_ascii} ORDER BY t.slug, u.email_key LIMIT {BATCH}");
    let statement = |sql: &str, values: [&str; 3], used: usize| {
        Statement::from_sql_and_values(backend, sql, values.into_iter().take(used).map(Value::from))
    };
    let (mut tenant, mut last) = (String::new(), String::new());
    loop {
        let rows = db.query_all_raw(statement(&select, [&tenant, &last, ""], 2)).await?;
        for row in &rows {
            (tenant, last) = (row.try_get("", "slug")?, row.try_get("", "email_key")?);
            let key = key(&last);
            if key != last
                && db.execute_raw(statement(UPDATE, [&key, &last, &tenant], 3)).await?.rows_affected() == 0
            {
                tracing::warn!(tenant, "two users have the same mailbox, spelt in two ways: only one can sign in with it");
            }
        }
        if rows.len() < BATCH {
            return Ok(());
        }
    }
}

const SELECT: &str = "
SELECT t.slug, u.email_key FROM users u JOIN tenants t ON t.id = u.tenant_id
WHERE u.deleted_at IS NULL AND t.deleted_at IS NULL AND (t.slug, u.email_key) > ($1, $2)";

const UPDATE: &str = "
UPDATE users SET email_key = $1 WHERE deleted_at IS NULL AND email_key = $2
AND tenant_id = (SELECT id FROM tenants WHERE slug = $3 AND deleted_at IS NULL) AND NOT EXISTS (
    SELECT 1 FROM users o WHERE o.tenant_id = users.tenant_id AND o.email_key = $1 AND o.deleted_at IS NULL)";

/// Local part in NFC and lower case, domain in A-labels.
fn key(address: &str) -> String {
    let lower = |text: &str| text.nfc().collect::<String>().to_lowercase().nfc().collect::<String>();
    let Some((local, domain)) = address.rsplit_once('@') else { return lower(address) };
    let ascii = Uts46::new().to_ascii(domain.as_bytes(), AsciiDenyList::URL, Hyphens::Allow, DnsLength::Verify);
    format!("{}@{}", lower(local), ascii.map_or_else(|_| lower(domain), |ascii| ascii.into_owned()))
}
