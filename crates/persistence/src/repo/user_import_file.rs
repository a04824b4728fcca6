//! Imports that are asked for over the network: who has taken one up, and the pieces of its file.

use gatehouse_domain::{authz::TenantRef, id::JobId, import::Import, time::Timestamp};
use sea_orm::FromQueryResult;

use crate::{
    entity::user_import::Model,
    error::Result,
    repo::{Home, job::ClaimedJob, list::signed, sql::Sql, sweep::BATCH, user_import::domain},
    scope::{
        WriteScope,
        system::{System, WriteSystem},
    },
};

/// Pieces that are removed at once: each is large.
const PIECES: u64 = 64;

impl WriteScope<'_> {
    /// Keeps a piece of the file of an import that is to come.
    ///
    /// # Errors
    /// [`crate::Error::ScopeViolation`] when the tenant lies outside the scope.
    pub async fn keep_piece(&self, tenant: TenantRef, import: JobId, number: u64, sealed: Vec<u8>) -> Result<()> {
        self.guard(&Home { partner: tenant.partner_id, tenant: Some(tenant.id), user: None })?;
        let mut sql =
            Sql::new("INSERT INTO user_import_pieces (tenant_id, import_id, number, sealed, created_at) VALUES (");
        sql.bind(tenant.id.uuid()).push(", ").bind(import.uuid()).push(", ").bind(signed(number)).push(", ");
        sql.bind(sealed).push(", ").bind(self.tx.now().micros()).push(")");
        sql.exec(self.tx.writing()).await.map(drop)
    }

    /// Removes the pieces of a file, unless there is the import that they were to be for.
    ///
    /// # Errors
    /// [`crate::Error::ScopeViolation`] when the tenant lies outside the scope.
    pub async fn drop_pieces(&self, tenant: TenantRef, import: JobId) -> Result<()> {
        self.guard(&Home { partner: tenant.partner_id, tenant: Some(tenant.id), user: None })?;
        let mut sql = Sql::new("DELETE FROM user_import_pieces WHERE tenant_id = ");
        sql.bind(tenant.id.uuid()).push(" AND import_id = ").bind(import.uuid());
        sql.push(" AND NOT EXISTS (SELECT 1 FROM user_imports i WHERE i.id = ").bind(import.uuid()).push(")");
        sql.exec(self.tx.writing()).await.map(drop)
    }
}

impl System<'_> {
    /// A piece of the file of an import, from 0; none behind the last, and none when the import has ended.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn piece(&self, import: &Import, number: u64) -> Result<Option<Vec<u8>>> {
        let mut sql = Sql::new("SELECT sealed FROM user_import_pieces WHERE tenant_id = ");
        sql.bind(import.tenant.id.uuid()).push(" AND import_id = ").bind(import.id.uuid());
        sql.push(" AND number = ").bind(signed(number));
        let row = sql.one(self.exec).await?;
        Ok(row.map(|row| row.try_get("", "sealed")).transpose()?)
    }
}

impl WriteSystem<'_> {
    /// Takes up an import, under the claim of its job: whoever had it before can do nothing more with it. None if it has
    /// ended, or somebody else has the job by now.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn take_up_import(&self, claim: &ClaimedJob) -> Result<Option<Import>> {
        let mut sql = Sql::new("UPDATE user_imports SET state = 'running', version = version + 1 WHERE id = ");
        sql.bind(claim.job.id.uuid()).push(" AND tenant_id = ").bind(claim.tenant.id.uuid());
        sql.push(" AND state IN ('queued', 'running') AND EXISTS (SELECT 1 FROM jobs j WHERE j.id = user_imports.id");
        sql.push(" AND j.lease = ").bind(claim.lease()).push(") RETURNING *");
        let row = sql.one(self.tx.writing()).await?;
        row.map(|row| domain(Model::from_query_result(&row, "")?)).transpose()
    }

    /// Forgets lines that an import rejected whose time has come, at most [`BATCH`]; returns whether there was one.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn purge_rejected_lines(&self) -> Result<bool> {
        let mut sql = Sql::new("SELECT * FROM user_imports WHERE state NOT IN ('queued', 'running') AND forget_at <= ");
        sql.bind(self.tx.now().micros()).push(" ORDER BY forget_at LIMIT 1");
        let row = sql.one(self.tx.exec()).await?;
        let Some(row) = row else { return Ok(false) };
        let import = domain(Model::from_query_result(&row, "")?)?;
        if self.forget_rejected_lines(&import).await? < BATCH {
            let mut done = Sql::new("UPDATE user_imports SET forget_at = NULL WHERE id = ");
            done.bind(import.id.uuid());
            self.execute(done).await?;
        }
        Ok(true)
    }

    /// Removes pieces from before an instant that no import waits for, a few at a time; returns whether there were any.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn purge_pieces(&self, before: Timestamp) -> Result<bool> {
        let mut sql = Sql::new(
            "DELETE FROM user_import_pieces WHERE (tenant_id, import_id, number) IN (SELECT p.tenant_id, p.import_id, p.number \
             FROM user_import_pieces p WHERE NOT EXISTS (SELECT 1 FROM user_imports i WHERE i.tenant_id = p.tenant_id \
             AND i.id = p.import_id) AND p.created_at < ",
        );
        sql.bind(before.micros()).push(" LIMIT ").bind(signed(PIECES)).push(")");
        Ok(self.execute(sql).await? > 0)
    }
}
