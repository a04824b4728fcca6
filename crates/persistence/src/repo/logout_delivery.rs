//! Of which ended sessions applications are still to be told. The rows are written by the triggers of the sessions' table,
//! whichever statement ends a session.

use gatehouse_domain::{
    authz::TenantRef,
    id::{ApplicationId, PartnerId, SessionId, TenantId, UserId},
    job::Failure,
    logout::Delivery,
    tenant::Tenant,
    time::Timestamp,
};
use sea_orm::{
    ColumnTrait, Condition, ExprTrait, PaginatorTrait, QueryFilter, QueryResult, QuerySelect, sea_query::Expr,
};
use uuid::Uuid;

use crate::{
    entity::logout_delivery::{Column, Entity},
    error::Result,
    scope::system::{System, WriteSystem},
};

/// A delivery that the caller alone may make now.
#[derive(Debug, Clone, Copy)]
pub struct ClaimedDelivery {
    /// The delivery.
    pub delivery: Delivery,
    /// Which claim this is. Whoever claims the delivery next has another number.
    pub lease: i64,
    /// When that ends.
    until: i64,
}

pub(super) fn claimed(application: ApplicationId, row: &QueryResult) -> Result<ClaimedDelivery> {
    let tenant = TenantRef {
        id: TenantId::from_uuid(row.try_get("", "tenant_id")?),
        partner_id: PartnerId::from_uuid(row.try_get("", "partner_id")?),
    };
    let delivery = Delivery {
        application,
        tenant,
        session: SessionId::from_uuid(row.try_get::<Uuid>("", "session_id")?),
        sid: SessionId::from_uuid(row.try_get::<Uuid>("", "sid")?),
        user: UserId::from_uuid(row.try_get::<Uuid>("", "user_id")?),
        attempts: u32::try_from(row.try_get::<i64>("", "attempts")?).unwrap_or(u32::MAX),
    };
    Ok(ClaimedDelivery { delivery, lease: row.try_get("", "lease")?, until: row.try_get("", "due_at")? })
}

/// The rows of claims, only while nobody else has claimed them.
fn still(claims: &[ClaimedDelivery]) -> Condition {
    let one = |claim: &ClaimedDelivery| {
        let of = Column::ApplicationId.eq(claim.delivery.application.uuid());
        let of = of.and(Column::DueAt.eq(claim.until)).and(Column::SessionId.eq(claim.delivery.session.uuid()));
        of.and(Column::Lease.eq(claim.lease))
    };
    claims.iter().fold(Condition::any(), |all, claim| all.add(one(claim)))
}

impl System<'_> {
    /// How much applications are still to be told.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn deliveries_waiting(&self) -> Result<u64> {
        let waiting = self.table::<Entity>().select().select_only().column(Column::SessionId);
        Ok(waiting.count(&self.exec).await?)
    }

    /// One tenant, deleted or not.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn tenant_even_deleted(&self, id: TenantId) -> Result<Option<Tenant>> {
        self.one_even_deleted(id.uuid()).await
    }
}

impl WriteSystem<'_> {
    /// Removes deliveries of which nothing is left to be done.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn drop_deliveries(&self, claims: &[ClaimedDelivery]) -> Result<u64> {
        if claims.is_empty() {
            return Ok(0);
        }
        let dropped = self.table::<Entity>().delete().filter(still(claims)).exec(&self.tx.writing()).await?;
        Ok(dropped.rows_affected)
    }

    /// Has deliveries made again at some time, after an attempt that failed.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn postpone_deliveries(&self, claims: &[ClaimedDelivery], at: Timestamp) -> Result<()> {
        if claims.is_empty() {
            return Ok(());
        }
        let later = self.table::<Entity>().update().col_expr(Column::DueAt, Expr::value(at.micros()));
        let later = later.col_expr(Column::Attempts, Expr::col(Column::Attempts).add(1));
        later.filter(still(claims)).exec(&self.tx.writing()).await?;
        Ok(())
    }

    /// Gives a delivery up, with the event that says so.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn give_delivery_up(&self, claim: &ClaimedDelivery, why: Failure) -> Result<()> {
        if self.drop_deliveries(std::slice::from_ref(claim)).await? == 1 {
            self.tx.record(claim.delivery.given_up(why)).await?;
        }
        Ok(())
    }
}
