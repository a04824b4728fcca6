//! Authorization requests that were pushed (RFC 9126).

use gatehouse_domain::{
    id::{ApplicationId, TenantId},
    oauth::{PUSHED_REMEMBERED, PUSHED_WAITING},
    secret::TokenHash,
    time::Timestamp,
};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, ExprTrait, Iterable, ModelTrait, PaginatorTrait, QueryFilter,
    QuerySelect, QueryTrait, Select, Set,
    sea_query::{Expr, Func, Query},
};

use crate::{
    entity::pushed_request::{ActiveModel, Column, Entity, Model},
    error::{Error, Result},
    repo::{list::signed, removed, sweep::BATCH},
    scope::system::{System, WriteSystem},
};

/// An authorization request that was pushed.
#[derive(Debug, Clone)]
pub struct PushedRequest {
    /// A digest of what names it.
    pub hash: TokenHash,
    /// The tenant; none at the platform's issuer.
    pub tenant_id: Option<TenantId>,
    /// The application that pushed it.
    pub application_id: ApplicationId,
    /// Its parameters, sealed.
    pub sealed: Vec<u8>,
    /// Until when it may be brought by a browser.
    pub expires_at: Timestamp,
}

impl System<'_> {
    /// A request that can still be brought: it has not expired, and nothing came of it yet.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn pushed_request(&self, hash: TokenHash, now: Timestamp) -> Result<Option<PushedRequest>> {
        let request = self.table::<Entity>().select().filter(Column::Digest.eq(hash.as_bytes().to_vec()));
        let request = request.filter(Column::SpentAt.is_null()).filter(Column::ExpiresAt.gt(now.micros()));
        let row = request.one(&self.exec).await?;
        Ok(row.map(|row| PushedRequest {
            hash,
            tenant_id: row.tenant_id.map(TenantId::from_uuid),
            application_id: ApplicationId::from_uuid(row.application_id),
            sealed: row.sealed,
            expires_at: Timestamp::from_micros(row.expires_at),
        }))
    }

    /// How many requests of an application count for the most that may wait.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn pushed_waiting(&self, application: ApplicationId, now: Timestamp) -> Result<u64> {
        let waiting = self.table::<Entity>().select().filter(waiting(application, now)).select_only();
        Ok(waiting.expr(Expr::val(1)).limit(PUSHED_WAITING).count(&self.exec).await?)
    }
}

/// The requests of an application that count for the most that may wait.
fn waiting(application: ApplicationId, now: Timestamp) -> Condition {
    Condition::all().add(Column::ApplicationId.eq(application.uuid())).add(Column::ExpiresAt.gt(now.micros()))
}

impl WriteSystem<'_> {
    /// Keeps a request, unless so many of its application wait already that there may be no more; whether it is kept. Where
    /// there are known to be far fewer, they are not counted.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn push_request(&self, request: &PushedRequest, are_far_fewer: bool) -> Result<bool> {
        let row = Model {
            digest: request.hash.as_bytes().to_vec(),
            tenant_id: request.tenant_id.map(TenantId::uuid),
            application_id: request.application_id.uuid(),
            sealed: request.sealed.clone(),
            expires_at: request.expires_at.micros(),
            spent_at: None,
        };
        if are_far_fewer {
            self.table::<Entity>().insert(row).exec_without_returning(&self.tx.writing()).await?;
            return Ok(true);
        }
        let waiting = self.table::<Entity>().select().filter(waiting(request.application_id, self.tx.now()));
        self.insert_among::<Entity>(&row, waiting, PUSHED_WAITING).await
    }

    /// Stores a row if there are fewer than so many of others; whether it did.
    pub(super) async fn insert_among<E: EntityTrait>(
        &self,
        row: &E::Model,
        others: Select<E>,
        most: u64,
    ) -> Result<bool> {
        let others = others.select_only().expr(Expr::val(1)).limit(most).into_query();
        let mut count = Query::select();
        count.expr(Func::count(Expr::val(1))).from_subquery(others, "others");
        let mut values = Query::select();
        let is_room = Expr::SubQuery(None, Box::new(count.into())).lt(signed(most));
        values.exprs(E::Column::iter().map(|column| Expr::val(row.get(column)))).and_where(is_room);
        let mut insert = Query::insert();
        let columns = insert.into_table(E::default()).columns(E::Column::iter());
        columns.select_from(values).map_err(|_| Error::Corrupt("row"))?;
        let statement = self.exec.get_database_backend().build(&insert);
        Ok(self.tx.writing().execute_raw(statement).await?.rows_affected() == 1)
    }

    /// Uses a request up; whether nobody had.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn spend_pushed_request(&self, hash: TokenHash) -> Result<bool> {
        let spent = ActiveModel { spent_at: Set(Some(self.tx.now().micros())), ..Default::default() };
        let request = self.table::<Entity>().update().set(spent).filter(Column::Digest.eq(hash.as_bytes().to_vec()));
        let result = request.filter(Column::SpentAt.is_null()).exec(&self.tx.writing()).await?;
        Ok(result.rows_affected == 1)
    }

    /// Forgets requests of which no page waits any more, at most [`BATCH`]; returns how many.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn purge_pushed_requests(&self) -> Result<usize> {
        let old = Column::ExpiresAt.lte(self.tx.now().minus(PUSHED_REMEMBERED).micros());
        let requests = self.table::<Entity>().delete_some(|rows| rows.filter(old).limit(BATCH as u64));
        Ok(removed(requests.exec(&self.tx.writing()).await?))
    }
}
