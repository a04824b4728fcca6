//! Who does what waits in the outbox.

use gatehouse_domain::job::JobKind;
use sea_orm::{ConnectionTrait, DbBackend};

use crate::{
    error::Result,
    repo::job::{ClaimedJob, claimed},
    scope::system::WriteSystem,
};

impl WriteSystem<'_> {
    /// Takes jobs of a kind that are due, as many as a process does at the same time, for as long as a lease lasts: no
    /// other process gets them meanwhile.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn claim_jobs(&self, kind: JobKind) -> Result<Vec<ClaimedJob>> {
        let now = self.tx.now();
        let db = self.tx.writing();
        let backend = db.get_database_backend();
        // Text: it skips what others have locked, and returns what it changed with a column of another table. Plan:
        // `signing_in_and_being_known_are_found_by_an_index`.
        let mut sql = self.unscoped("UPDATE jobs SET attempts = attempts + 1, lease = lease + 1, due_at = ");
        sql.bind(now.plus(kind.lease()).micros());
        sql.push(" WHERE id IN (SELECT id FROM jobs WHERE kind = ").bind(kind.as_str());
        sql.push(" AND due_at <= ").bind(now.micros());
        sql.push(" ORDER BY due_at, id LIMIT ").bind(i64::try_from(kind.at_once()).unwrap_or(i64::MAX));
        if backend == DbBackend::Postgres {
            sql.push(" FOR UPDATE SKIP LOCKED");
        }
        sql.push(
            ") RETURNING id, tenant_id, sealed, created_at, give_up_at, attempts, lease, \
             (SELECT t.partner_id FROM tenants t WHERE t.id = jobs.tenant_id) AS partner_id",
        );
        let rows = sql.all(db).await?;
        rows.iter().map(|row| claimed(kind, row)).collect()
    }
}
