//! Which application is told next that sessions have ended, and by whom.

use gatehouse_domain::{id::ApplicationId, logout::LEASE, time::Timestamp};
use sea_orm::{ConnectionTrait, DbBackend};
use uuid::Uuid;

use crate::{
    error::Result,
    repo::{
        list::signed,
        logout_delivery::{ClaimedDelivery, claimed},
    },
    scope::system::{System, WriteSystem},
};

/// Applications that one look finds at most; what was told is not found by the next.
const APPLICATIONS: i64 = 1_000;

impl System<'_> {
    /// The applications that are to be told something now, at most a thousand. However much one of them has to be told, the
    /// next costs one step in the index.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn applications_to_tell(&self, now: Timestamp) -> Result<Vec<ApplicationId>> {
        // Text: recursive, from one application to the next. Plan: `deliveries_of_logouts_are_found_by_an_index`.
        let mut sql = self.unscoped(
            "WITH RECURSIVE told (id) AS (SELECT (SELECT d.application_id FROM logout_deliveries d WHERE d.application_id > ",
        );
        sql.bind(Uuid::nil()).push(
            " ORDER BY d.application_id LIMIT 1) UNION ALL SELECT (SELECT d.application_id FROM logout_deliveries d WHERE d.application_id > told.id \
             ORDER BY d.application_id LIMIT 1) FROM told WHERE told.id IS NOT NULL) \
             SELECT told.id FROM told WHERE told.id IS NOT NULL AND EXISTS \
             (SELECT 1 FROM logout_deliveries d WHERE d.application_id = told.id AND d.due_at <= ",
        );
        sql.bind(now.micros()).push(") LIMIT ").bind(APPLICATIONS);
        let rows = sql.all(self.exec).await?;
        rows.iter().map(|row| Ok(ApplicationId::from_uuid(row.try_get::<Uuid>("", "id")?))).collect()
    }
}

impl WriteSystem<'_> {
    /// Takes what an application is to be told now, what is due longest first, for as long as a lease lasts: no other
    /// process gets it meanwhile.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn claim_deliveries(&self, application: ApplicationId, most: usize) -> Result<Vec<ClaimedDelivery>> {
        let now = self.tx.now();
        let db = self.tx.writing();
        // Text: it skips what others have locked, and returns what it changed with a column of another table. What is found is
        // kept aside: PostgreSQL would look for it once more for each row of a table that it takes for empty, as it does when
        // much comes at once. Plan: `deliveries_of_logouts_are_found_by_an_index`.
        let mut sql = self.unscoped(
            "WITH due (due_at, session_id) AS MATERIALIZED \
             (SELECT due_at, session_id FROM logout_deliveries WHERE application_id = ",
        );
        sql.bind(application.uuid()).push(" AND due_at <= ").bind(now.micros());
        sql.push(" ORDER BY due_at, session_id LIMIT ").bind(signed(most as u64));
        if db.get_database_backend() == DbBackend::Postgres {
            sql.push(" FOR UPDATE SKIP LOCKED");
        }
        sql.push(") UPDATE logout_deliveries SET lease = lease + 1, due_at = ").bind(now.plus(LEASE).micros());
        sql.push(" FROM due WHERE logout_deliveries.application_id = ").bind(application.uuid());
        sql.push(
            " AND logout_deliveries.due_at = due.due_at AND logout_deliveries.session_id = due.session_id \
             RETURNING logout_deliveries.session_id, sid, logout_deliveries.due_at, user_id, tenant_id, attempts, lease, \
             (SELECT t.partner_id FROM tenants t WHERE t.id = logout_deliveries.tenant_id) AS partner_id",
        );
        sql.all(db).await?.iter().map(|row| claimed(application, row)).collect()
    }
}
