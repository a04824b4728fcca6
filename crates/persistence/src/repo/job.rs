//! The outbox: jobs that are written with the change that causes them, and leave when they have been done.

use gatehouse_domain::{
    authz::TenantRef,
    id::{JobId, MailId, PartnerId, TenantId, UserId},
    job::{Failure, JobKind, Patience},
    mail,
    time::Timestamp,
};
use sea_orm::{ConnectionTrait, DbBackend, QueryResult};
use uuid::Uuid;

use crate::{
    error::{Error, Result},
    repo::{Home, list::unsigned, sql::Sql},
    scope::{
        WriteScope,
        system::{System, WriteSystem},
    },
};

/// A job to be done.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// Its id; what is done twice can be told by it.
    pub id: JobId,
    /// What is to be done.
    pub kind: JobKind,
    /// What it is done with, sealed; none if that is in a table of its own.
    pub sealed: Option<Vec<u8>>,
    /// When it is too late to do it, if it ever is.
    pub give_up_at: Option<Timestamp>,
}

/// A job that the caller alone may do now.
#[derive(Debug, Clone)]
pub struct ClaimedJob {
    /// The job.
    pub job: NewJob,
    /// The tenant it is of.
    pub tenant: TenantRef,
    /// When it was written.
    pub created_at: Timestamp,
    /// The number of this attempt, from 1, counted since the job last made progress.
    pub attempt: u32,
    /// Which claim this is. Whoever claims the job next has another number.
    lease: i64,
}

impl ClaimedJob {
    /// How long it is tried.
    #[must_use]
    pub const fn patience(&self) -> Patience {
        Patience { attempts: self.attempt, give_up_at: self.job.give_up_at }
    }

    /// Only while nobody else has claimed it.
    fn still(&self, sql: &mut Sql) {
        sql.push(" WHERE id = ").bind(self.job.id.uuid()).push(" AND lease = ").bind(self.lease);
    }

    /// The number of the claim, for a statement on another table that holds only under it.
    pub(super) const fn lease(&self) -> i64 {
        self.lease
    }
}

fn claimed(kind: JobKind, row: &QueryResult) -> Result<ClaimedJob> {
    Ok(ClaimedJob {
        job: NewJob {
            id: JobId::from_uuid(row.try_get::<Uuid>("", "id")?),
            kind,
            sealed: row.try_get("", "sealed")?,
            give_up_at: row.try_get::<Option<i64>>("", "give_up_at")?.map(Timestamp::from_micros),
        },
        tenant: TenantRef {
            id: TenantId::from_uuid(row.try_get("", "tenant_id")?),
            partner_id: PartnerId::from_uuid(row.try_get("", "partner_id")?),
        },
        created_at: Timestamp::from_micros(row.try_get("", "created_at")?),
        attempt: u32::try_from(row.try_get::<i64>("", "attempts")?).unwrap_or(u32::MAX),
        lease: row.try_get("", "lease")?,
    })
}

impl WriteScope<'_> {
    /// Writes a job of a tenant, about a user where one is known. It is due at once.
    ///
    /// # Errors
    /// [`Error::ScopeViolation`] when tenant or user lie outside the scope.
    pub async fn enqueue(&self, tenant: TenantRef, user: Option<UserId>, job: NewJob) -> Result<()> {
        self.guard(&Home { partner: tenant.partner_id, tenant: Some(tenant.id), user })?;
        let now = self.tx.now().micros();
        let mut sql = Sql::new(
            "INSERT INTO jobs (id, tenant_id, kind, sealed, created_at, give_up_at, due_at, attempts, lease) VALUES (",
        );
        sql.bind(job.id.uuid()).push(", ").bind(tenant.id.uuid()).push(", ").bind(job.kind.as_str()).push(", ");
        sql.bind(job.sealed).push(", ").bind(now).push(", ").bind(job.give_up_at.map(Timestamp::micros));
        sql.push(", ").bind(now).push(", 0, 0)");
        let db = self.tx.writing();
        self.tx.check(db.execute_raw(sql.statement(db.get_database_backend())).await).map(drop)
    }
}

impl System<'_> {
    /// Whether any job of a kind is to be done now.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn has_job(&self, kind: JobKind, now: Timestamp) -> Result<bool> {
        let mut sql = Sql::new("SELECT 1 FROM jobs WHERE kind = ");
        sql.bind(kind.as_str()).push(" AND due_at <= ").bind(now.micros()).push(" LIMIT 1");
        let db = self.exec;
        Ok(db.query_one_raw(sql.statement(db.get_database_backend())).await?.is_some())
    }

    /// How many jobs of a kind wait for a tenant, counted up to `most`.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn jobs_waiting(&self, kind: JobKind, tenant: TenantId, most: u32) -> Result<u64> {
        let mut sql = Sql::new("SELECT COUNT(*) FROM (SELECT 1 FROM jobs WHERE tenant_id = ");
        sql.bind(tenant.uuid()).push(" AND kind = ").bind(kind.as_str());
        sql.push(" LIMIT ").bind(i64::from(most)).push(") waiting");
        let db = self.exec;
        let row = db.query_one_raw(sql.statement(db.get_database_backend())).await?;
        row.map_or(Ok(0), |row| row.try_get_by_index::<i64>(0)).map(unsigned).map_err(|_| Error::Corrupt("count"))
    }
}

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
        let mut sql = Sql::new("UPDATE jobs SET attempts = attempts + 1, lease = lease + 1, due_at = ");
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
        let rows = self.tx.check(db.query_all_raw(sql.statement(backend)).await)?;
        rows.iter().map(|row| claimed(kind, row)).collect()
    }

    /// Removes a job that needs nothing more; false if somebody else has it by now.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn drop_job(&self, claim: &ClaimedJob) -> Result<bool> {
        let mut sql = Sql::new("DELETE FROM jobs");
        claim.still(&mut sql);
        Ok(self.execute(sql).await? == 1)
    }

    /// Puts a job back that could not be done.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn postpone_job(&self, claim: &ClaimedJob, why: Failure, at: Timestamp) -> Result<()> {
        let mut sql = Sql::new("UPDATE jobs SET due_at = ");
        sql.bind(at.micros()).push(", last_error = ").bind(why.reason);
        claim.still(&mut sql);
        self.execute(sql).await.map(drop)
    }

    /// Keeps a job for another lease, after a step of it. With `has_got_on` it counts as being tried for the first time.
    ///
    /// # Errors
    /// [`Error::Stale`] when somebody else has it by now, or it is not wanted any more.
    pub async fn renew_job(&self, claim: &ClaimedJob, has_got_on: bool) -> Result<()> {
        let mut sql = Sql::new("UPDATE jobs SET due_at = ");
        sql.bind(self.tx.now().plus(claim.job.kind.lease()).micros());
        if has_got_on {
            sql.push(", attempts = 0");
        }
        claim.still(&mut sql);
        if self.execute(sql).await? == 1 { Ok(()) } else { Err(Error::Stale) }
    }

    /// Replaces what a job is done with by what that leads to; false if somebody else has it by now.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn rewrite_job(
        &self,
        claim: &ClaimedJob,
        sealed: Option<Vec<u8>>,
        give_up_at: Timestamp,
    ) -> Result<bool> {
        let mut sql = Sql::new("UPDATE jobs SET sealed = ");
        sql.bind(sealed).push(", give_up_at = ").bind(give_up_at.micros());
        claim.still(&mut sql);
        Ok(self.execute(sql).await? == 1)
    }

    /// Gives a mail up, with the event that says so.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn give_mail_up(&self, claim: &ClaimedJob, why: Failure) -> Result<bool> {
        let dropped = self.drop_job(claim).await?;
        if dropped {
            let id = MailId::from_uuid(claim.job.id.uuid());
            self.tx.record(mail::given_up(claim.tenant, id, claim.attempt, why.reason)).await?;
        }
        Ok(dropped)
    }
}
