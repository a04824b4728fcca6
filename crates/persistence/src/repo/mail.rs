//! The outbox: mail that is written with the change that causes it, and leaves when it has been sent.

use std::time::Duration;

use gatehouse_domain::{
    authz::TenantRef,
    id::{MailId, PartnerId, TenantId, UserId},
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

/// A mail to be sent.
#[derive(Debug, Clone)]
pub struct NewMail {
    /// Its id; a mail that is sent twice can be told by it.
    pub id: MailId,
    /// What it says and to whom, sealed.
    pub sealed: Vec<u8>,
    /// When it is too late to send it.
    pub give_up_at: Timestamp,
}

/// A mail that the caller alone may send now.
#[derive(Debug, Clone)]
pub struct ClaimedMail {
    /// The mail.
    pub mail: NewMail,
    /// The tenant it is of.
    pub tenant: TenantRef,
    /// When it was written.
    pub created_at: Timestamp,
    /// The how manieth attempt this is. Whoever claims it next has another number.
    pub attempt: u32,
}

fn claimed(row: &QueryResult) -> Result<ClaimedMail> {
    Ok(ClaimedMail {
        mail: NewMail {
            id: MailId::from_uuid(row.try_get::<Uuid>("", "id")?),
            sealed: row.try_get("", "sealed")?,
            give_up_at: Timestamp::from_micros(row.try_get("", "give_up_at")?),
        },
        tenant: TenantRef {
            id: TenantId::from_uuid(row.try_get("", "tenant_id")?),
            partner_id: PartnerId::from_uuid(row.try_get("", "partner_id")?),
        },
        created_at: Timestamp::from_micros(row.try_get("", "created_at")?),
        attempt: u32::try_from(row.try_get::<i64>("", "attempts")?).unwrap_or(u32::MAX),
    })
}

/// Only while nobody else has claimed it.
fn still(sql: &mut Sql, claim: &ClaimedMail) {
    sql.push(" WHERE id = ").bind(claim.mail.id.uuid()).push(" AND attempts = ").bind(i64::from(claim.attempt));
}

impl WriteScope<'_> {
    /// Writes a mail of a tenant, about a user where one is known.
    ///
    /// # Errors
    /// [`Error::ScopeViolation`] when tenant or user lie outside the scope.
    pub async fn post(&self, tenant: TenantRef, user: Option<UserId>, mail: NewMail) -> Result<()> {
        self.guard(&Home { partner: tenant.partner_id, tenant: Some(tenant.id), user })?;
        let now = self.tx.now().micros();
        let mut sql = Sql::new(
            "INSERT INTO mails (id, tenant_id, sealed, created_at, give_up_at, attempts, next_attempt_at) VALUES (",
        );
        sql.bind(mail.id.uuid()).push(", ").bind(tenant.id.uuid()).push(", ").bind(mail.sealed).push(", ").bind(now);
        sql.push(", ").bind(mail.give_up_at.micros()).push(", 0, ").bind(now).push(")");
        let db = self.tx.writing();
        self.tx.check(db.execute_raw(sql.statement(db.get_database_backend())).await).map(drop)
    }
}

impl System<'_> {
    /// Whether any mail is to be sent now.
    ///
    /// # Errors
    /// As any statement.
    pub async fn has_mail(&self, now: Timestamp) -> Result<bool> {
        let mut sql = Sql::new("SELECT 1 FROM mails WHERE next_attempt_at <= ");
        sql.bind(now.micros()).push(" LIMIT 1");
        let db = self.exec;
        Ok(db.query_one_raw(sql.statement(db.get_database_backend())).await?.is_some())
    }

    /// How much mail of a tenant waits, counted up to `most`.
    ///
    /// # Errors
    /// As any statement.
    pub async fn mail_waiting(&self, tenant: TenantId, most: u32) -> Result<u64> {
        let mut sql = Sql::new("SELECT COUNT(*) FROM (SELECT 1 FROM mails WHERE tenant_id = ");
        sql.bind(tenant.uuid()).push(" LIMIT ").bind(i64::from(most)).push(") waiting");
        let db = self.exec;
        let row = db.query_one_raw(sql.statement(db.get_database_backend())).await?;
        row.map_or(Ok(0), |row| row.try_get_by_index::<i64>(0)).map(unsigned).map_err(|_| Error::Corrupt("count"))
    }
}

impl WriteSystem<'_> {
    /// Takes the mail that is due, at most `most`, for as long as a lease lasts: no other process gets it meanwhile.
    ///
    /// # Errors
    /// As any statement.
    pub async fn claim_mail(&self, most: usize, lease: Duration) -> Result<Vec<ClaimedMail>> {
        let now = self.tx.now();
        let db = self.tx.writing();
        let backend = db.get_database_backend();
        let mut sql = Sql::new("UPDATE mails SET attempts = attempts + 1, next_attempt_at = ");
        sql.bind(now.plus(lease).micros());
        sql.push(" WHERE id IN (SELECT id FROM mails WHERE next_attempt_at <= ").bind(now.micros());
        sql.push(" ORDER BY next_attempt_at, id LIMIT ").bind(i64::try_from(most).unwrap_or(i64::MAX));
        if backend == DbBackend::Postgres {
            sql.push(" FOR UPDATE SKIP LOCKED");
        }
        sql.push(
            ") RETURNING id, tenant_id, sealed, created_at, give_up_at, attempts, \
             (SELECT t.partner_id FROM tenants t WHERE t.id = mails.tenant_id) AS partner_id",
        );
        let rows = self.tx.check(db.query_all_raw(sql.statement(backend)).await)?;
        rows.iter().map(claimed).collect()
    }

    /// Removes a mail that needs nothing more; false if somebody else has it by now.
    ///
    /// # Errors
    /// As any statement.
    pub async fn drop_mail(&self, claim: &ClaimedMail) -> Result<bool> {
        let mut sql = Sql::new("DELETE FROM mails");
        still(&mut sql, claim);
        Ok(self.execute(sql).await? == 1)
    }

    /// Gives a mail up, with the event that says so.
    ///
    /// # Errors
    /// As any statement.
    pub async fn give_mail_up(&self, claim: &ClaimedMail, why: mail::Failure) -> Result<bool> {
        let dropped = self.drop_mail(claim).await?;
        if dropped {
            self.tx.record(mail::given_up(claim.tenant, claim.mail.id, claim.attempt, why.reason)).await?;
        }
        Ok(dropped)
    }

    /// Puts a mail back that could not be sent.
    ///
    /// # Errors
    /// As any statement.
    pub async fn postpone_mail(&self, claim: &ClaimedMail, why: mail::Failure, at: Timestamp) -> Result<()> {
        let mut sql = Sql::new("UPDATE mails SET next_attempt_at = ");
        sql.bind(at.micros()).push(", last_error = ").bind(why.reason);
        still(&mut sql, claim);
        self.execute(sql).await.map(drop)
    }

    /// Replaces a request by the mail that it leads to; false if somebody else has it by now.
    ///
    /// # Errors
    /// As any statement.
    pub async fn write_mail(&self, claim: &ClaimedMail, sealed: Vec<u8>, give_up_at: Timestamp) -> Result<bool> {
        let mut sql = Sql::new("UPDATE mails SET sealed = ");
        sql.bind(sealed).push(", give_up_at = ").bind(give_up_at.micros());
        still(&mut sql, claim);
        Ok(self.execute(sql).await? == 1)
    }
}
