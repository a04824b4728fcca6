//! Many rows in a few statements, where a test or a benchmark needs a large database.

use gatehouse_domain::{
    id::{ApplicationId, PartnerId, TenantId},
    time::{DAY, Timestamp},
    user::User,
};
use sea_orm::{ConnectionTrait, Statement, Value};

use crate::{Change, ChangeContext, Db, Error, Result};

/// How many rows a statement makes at most.
const BATCH: u64 = 50_000;

/// The numbers of a statement, as the table `n` with the column `i`, from one on and so many.
fn numbers(from: u64, count: u64) -> String {
    format!("WITH RECURSIVE n (i) AS (SELECT {from} UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {from} + {count})")
}

/// A random id and a random digest, as a database makes them.
fn random(db: &Db) -> (&'static str, &'static str) {
    match db.is_sqlite() {
        true => ("randomblob(16)", "randomblob(32)"),
        false => ("gen_random_uuid()", "sha256(gen_random_uuid()::text::bytea)"),
    }
}

async fn fill(db: &Db, sql: String, values: Vec<Value>, now: Timestamp) -> Result<()> {
    db.write(ChangeContext::at(now), async move |tx| {
        let db = tx.writing();
        db.execute_raw(Statement::from_sql_and_values(db.get_database_backend(), sql.as_str(), values.clone())).await?;
        tx.changed(Change::Everything);
        Ok::<_, Error>(())
    })
    .await
}

/// Fills a user's tenant with sessions that began within the last 30 days, all active.
///
/// # Errors
/// The database refuses the statement, or does not answer in time.
pub async fn fill_sessions(db: &Db, user: &User, count: u64, now: Timestamp) -> Result<()> {
    let (random, digest) = random(db);
    let micros = now.micros();
    let mut done = 0;
    while done < count {
        let batch = Ord::min(count - done, BATCH);
        let numbers = numbers(done, batch);
        // Spread evenly over 30 days, like the sign-ins of a tenant that is always busy.
        let sql = format!(
            "INSERT INTO sessions (id, tenant_id, partner_id, user_id, ip_address, user_agent, device_type, device_name, auth_methods, created_at, \
             last_activity_at, expires_at, max_expires_at, ends_at, refresh_generation, refresh_hash, refreshed_at) \
             {numbers} \
             SELECT {random}, $1, $2, $3, '203.0.113.' || (i % 250), 'Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0', \
             CASE i % 4 WHEN 0 THEN 'mobile' WHEN 1 THEN 'tablet' ELSE 'desktop' END, 'Firefox on Linux', 'pwd', {micros} - i * (2592000000000 / {count}), \
             {micros} - i, {micros} + 604800000000, {micros} + 2592000000000, {micros} + 604800000000, 0, {digest}, {micros} FROM n"
        );
        let values = vec![user.tenant_id.uuid().into(), user.partner_id.uuid().into(), user.id.uuid().into()];
        fill(db, sql, values, now).await?;
        done += batch;
    }
    Ok(())
}

/// Gives half of the sessions of a tenant, of which there are so many, a family of tokens of each of these applications,
/// which are the tenant's own: the first, third, … of the applications to the one half, the others to the other.
///
/// # Errors
/// The database refuses the statement, or does not answer in time.
pub async fn fill_families(
    db: &Db,
    tenant: TenantId,
    applications: &[ApplicationId],
    sessions: u64,
    now: Timestamp,
) -> Result<()> {
    let (random, digest) = random(db);
    let micros = now.micros();
    for (n, application) in applications.iter().enumerate() {
        for from in (0..=sessions).step_by(20_000) {
            let to = from + 20_000;
            let sessions = format!(
                "(SELECT id, tenant_id, partner_id, ROW_NUMBER() OVER (ORDER BY id) AS i FROM sessions WHERE tenant_id = $1) s \
                 WHERE s.i % 2 = {} AND s.i >= {from} AND s.i < {to}",
                n % 2
            );
            let families = format!(
                "INSERT INTO token_families (id, tenant_id, partner_id, session_id, sid, application_id, owner_id, scope, audience, auth_time, \
                 generation, refresh_digest, rotated_at, refreshes_since, refreshes, expires_at, created_at) \
                 SELECT {random}, s.tenant_id, s.partner_id, s.id, s.id, $2, s.tenant_id, 'openid profile email', $3, {micros}, \
                 0, {digest}, {micros}, {micros}, 0, {micros} + 604800000000, {micros} FROM {sessions}"
            );
            let reached = format!(
                "INSERT INTO session_applications (tenant_id, partner_id, session_id, application_id, owner_id, accessed_at) \
                 SELECT s.tenant_id, s.partner_id, s.id, $2, s.tenant_id, {micros} FROM {sessions}"
            );
            let (tenant, id) = (Value::from(tenant.uuid()), Value::from(application.uuid()));
            let audience = application.to_string().into();
            fill(db, families, vec![tenant.clone(), id.clone(), audience], now).await?;
            fill(db, reached, vec![tenant, id], now).await?;
        }
    }
    Ok(())
}

/// Makes tenants of a partner, without users and keys.
///
/// # Errors
/// The database refuses the statement, or does not answer in time.
pub async fn fill_tenants(db: &Db, partner: PartnerId, count: u64, now: Timestamp) -> Result<()> {
    let ((random, _), micros, numbers) = (random(db), now.micros(), numbers(0, count));
    let sql = format!(
        "INSERT INTO tenants (id, partner_id, name, name_key, slug, status, settings, branding, users, created_at, updated_at, version) {numbers} \
         SELECT {random}, $1, 'Filled ' || i, 'filled ' || i, 'filled-' || i, 'ACTIVE', '{{}}', '{{}}', 0, {micros}, {micros}, 1 FROM n"
    );
    fill(db, sql, vec![partner.uuid().into()], now).await
}

/// Forgets every request that was pushed.
///
/// # Errors
/// The database refuses the statement, or does not answer in time.
pub async fn forget_pushed(db: &Db) -> Result<()> {
    fill(db, "DELETE FROM pushed_requests".to_owned(), Vec::new(), Timestamp::default()).await
}

/// What requests of OAuth leave behind: a table, its columns that a copy has like its first row, and when a row ends.
pub const LEFT_BEHIND: [(&str, &str, &str); 4] = [
    (
        "authorization_codes",
        "tenant_id, partner_id, session_id, application_id, owner_id, family_id, redirect_uri, challenge, nonce, scope, audience, \
         auth_time, spent_at, claims",
        "created_at",
    ),
    ("pushed_requests", "tenant_id, application_id, sealed, spent_at", "expires_at"),
    (
        "device_requests",
        "tenant_id, partner_id, application_id, owner_id, scope, audience, ip_address, interval_micros, polled_at, session_id, \
         is_approved, spent_at, created_at",
        "expires_at",
    ),
    ("assertion_ids", "", "expires_at"),
];

/// Makes copies of a row of a table of [`LEFT_BEHIND`], which ran out two days ago.
///
/// # Errors
/// The database refuses the statement, or does not answer in time.
pub async fn fill_expired(
    db: &Db,
    (table, columns, ends): (&str, &str, &str),
    count: u64,
    now: Timestamp,
) -> Result<()> {
    let (_, digest) = random(db);
    let ended = now.minus(DAY * 2).micros();
    // Codes that people type in are unique, too.
    let (code, of_code) =
        if table == "device_requests" { ("user_code, ", "CAST(10000000 + i AS text), ") } else { ("", "") };
    let (copied, one) = match columns {
        "" => (String::new(), String::new()),
        _ => (format!("{columns}, "), format!(", (SELECT * FROM {table} LIMIT 1) AS one")),
    };
    let mut done = 0;
    while done < count {
        let batch = Ord::min(count - done, BATCH);
        let sql = format!(
            "INSERT INTO {table} (digest, {code}{copied}{ends}) {} \
             SELECT {digest}, {of_code}{copied}{ended} + i FROM n{one}",
            numbers(done, batch)
        );
        fill(db, sql, Vec::new(), now).await?;
        done += batch;
    }
    Ok(())
}

/// How many rows of [`LEFT_BEHIND`] ran out more than a day ago.
///
/// # Errors
/// The database refuses the statement, or does not answer in time.
pub async fn count_expired(db: &Db, now: Timestamp) -> Result<u64> {
    let (reader, before) = (db.reader(), now.minus(DAY).micros());
    let mut count = 0;
    for (table, _, ends) in LEFT_BEHIND {
        let sql = format!("SELECT COUNT(*) AS n FROM {table} WHERE {ends} < {before}");
        let row = reader.query_one_raw(Statement::from_string(reader.get_database_backend(), sql)).await?;
        let rows: i64 = row.ok_or(Error::Corrupt("count"))?.try_get("", "n")?;
        count += rows.unsigned_abs();
    }
    Ok(count)
}
