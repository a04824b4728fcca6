//! The outbox: jobs that are written with the change that causes them, and leave when they have been done.

use gatehouse_domain::{
    authz::TenantRef,
    id::{JobId, MailId, PartnerId, TenantId, UserId},
    job::{Failure, JobKind, Patience},
    mail,
    time::Timestamp,
};
use sea_orm::{
    ActiveValue::NotSet, ColumnTrait, Condition, PaginatorTrait, QueryFilter, QueryResult, QuerySelect, Select, Set,
};
use uuid::Uuid;

use crate::{
    entity::job::{ActiveModel, Column, Entity, Model},
    error::{Error, Result},
    repo::{Home, exists, list::unsigned, word},
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

    /// The row, only while nobody else has claimed it.
    pub(super) fn still(&self) -> Condition {
        Condition::all().add(Column::Id.eq(self.job.id.uuid())).add(Column::Lease.eq(self.lease))
    }
}

pub(super) fn claimed(kind: JobKind, row: &QueryResult) -> Result<ClaimedJob> {
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
        let home = Home { partner: tenant.partner_id, tenant: Some(tenant.id), user };
        let now = self.tx.now().micros();
        let row = Model {
            id: job.id.uuid(),
            tenant_id: tenant.id.uuid(),
            kind: job.kind.to_string(),
            sealed: job.sealed,
            created_at: now,
            give_up_at: job.give_up_at.map(Timestamp::micros),
            due_at: now,
            attempts: 0,
            lease: 0,
            last_error: None,
            user_id: user.map(UserId::uuid),
        };
        self.table_of::<Entity>(&home)?.insert(row).exec_without_returning(&self.tx.writing()).await?;
        Ok(())
    }
}

impl System<'_> {
    /// How many jobs of each kind wait, and since when the oldest does.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn waiting_jobs(&self) -> Result<Vec<(JobKind, u64, Timestamp)>> {
        let waiting = self.table::<Entity>().select().select_only().column(Column::Kind);
        let waiting = waiting.column_as(Column::Id.count(), "n").column_as(Column::CreatedAt.min(), "oldest");
        let rows = waiting.group_by(Column::Kind).into_tuple::<(String, i64, i64)>().all(&self.exec).await?;
        let row = |(kind, n, oldest): (String, i64, i64)| {
            Ok((word(&kind, "job kind")?, unsigned(n), Timestamp::from_micros(oldest)))
        };
        rows.into_iter().map(row).collect()
    }

    /// Whether any job of a kind is to be done now.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn has_job(&self, kind: JobKind, now: Timestamp) -> Result<bool> {
        let due = self.of_kind(kind).filter(Column::DueAt.lte(now.micros()));
        exists(due, self.exec).await
    }

    /// How many jobs of a kind wait for a tenant, counted up to `most`.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn jobs_waiting(&self, kind: JobKind, tenant: TenantId, most: u32) -> Result<u64> {
        let waiting = self.of_kind(kind).filter(Column::TenantId.eq(tenant.uuid()));
        Ok(waiting.select_only().column(Column::Id).limit(u64::from(most)).count(&self.exec).await?)
    }

    /// Whether a job of a kind waits that is about everything in a tenant. Such a job has no payload.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn has_job_about_all(&self, kind: JobKind, tenant: TenantId) -> Result<bool> {
        let waiting = self.of_kind(kind).filter(Column::TenantId.eq(tenant.uuid()));
        exists(waiting.filter(Column::Sealed.is_null()), self.exec).await
    }

    fn of_kind(&self, kind: JobKind) -> Select<Entity> {
        self.table::<Entity>().select().filter(Column::Kind.eq(kind.as_str()))
    }
}

impl WriteSystem<'_> {
    /// Removes a job that needs nothing more; false if somebody else has it by now.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn drop_job(&self, claim: &ClaimedJob) -> Result<bool> {
        let dropped = self.table::<Entity>().delete().filter(claim.still()).exec(&self.tx.writing()).await?;
        Ok(dropped.rows_affected == 1)
    }

    /// Removes the jobs of a kind that wait for a tenant.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn drop_jobs(&self, kind: JobKind, tenant: TenantId) -> Result<()> {
        let waiting = self.table::<Entity>().delete().filter(Column::Kind.eq(kind.as_str()));
        waiting.filter(Column::TenantId.eq(tenant.uuid())).exec(&self.tx.writing()).await?;
        Ok(())
    }

    /// Has the next step of a job done at some time; false if somebody else has the job by now.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn continue_job(&self, claim: &ClaimedJob, at: Timestamp) -> Result<bool> {
        self.change(claim, ActiveModel { due_at: Set(at.micros()), attempts: Set(0), ..ActiveModel::default() }).await
    }

    /// Puts a job back that could not be done.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn postpone_job(&self, claim: &ClaimedJob, why: Failure, at: Timestamp) -> Result<()> {
        let put_back = ActiveModel {
            due_at: Set(at.micros()),
            last_error: Set(Some(why.reason.to_owned())),
            ..ActiveModel::default()
        };
        self.change(claim, put_back).await.map(drop)
    }

    /// Keeps a job for another lease, after a step of it. With `has_got_on` it counts as being tried for the first time.
    ///
    /// # Errors
    /// [`Error::Stale`] when somebody else has it by now, or it is not wanted any more.
    pub async fn renew_job(&self, claim: &ClaimedJob, has_got_on: bool) -> Result<()> {
        let renewed = ActiveModel {
            due_at: Set(self.tx.now().plus(claim.job.kind.lease()).micros()),
            attempts: if has_got_on { Set(0) } else { NotSet },
            ..ActiveModel::default()
        };
        if self.change(claim, renewed).await? { Ok(()) } else { Err(Error::Stale) }
    }

    /// Replaces what a job is done with by what that leads to, for a user; false if somebody else has it by now.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn rewrite_job(
        &self,
        claim: &ClaimedJob,
        user: UserId,
        sealed: Option<Vec<u8>>,
        give_up_at: Timestamp,
    ) -> Result<bool> {
        let rewritten = ActiveModel {
            user_id: Set(Some(user.uuid())),
            sealed: Set(sealed),
            give_up_at: Set(Some(give_up_at.micros())),
            ..ActiveModel::default()
        };
        self.change(claim, rewritten).await
    }

    /// Changes a job; false if somebody else has it by now.
    async fn change(&self, claim: &ClaimedJob, row: ActiveModel) -> Result<bool> {
        let update = self.table::<Entity>().update().set(row).filter(claim.still());
        Ok(update.exec(&self.tx.writing()).await?.rows_affected == 1)
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
