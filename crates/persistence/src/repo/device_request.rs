//! Devices that wait for somebody to sign them in (RFC 8628). How one is read with the session that opened it is in
//! `tuned/oauth.rs`.

use std::{net::IpAddr, time::Duration};

use gatehouse_domain::{
    application::Owner,
    authz::TenantRef,
    change::Changed,
    id::{ApplicationId, PartnerId, SessionId, TenantId},
    oauth::{Audience, DEVICE_REMEMBERED, DEVICES_WAITING, DeviceAnswer, DeviceRequest, Scopes, UserCode},
    session::Session,
    time::Timestamp,
};
use sea_orm::{ColumnTrait, Condition, QueryFilter, QuerySelect, Set};

use crate::{
    entity::device_request::{ActiveModel, Column, Entity, Model},
    error::{Error, Result},
    repo::{
        application::owner_id,
        authorization_code::owner,
        list::unsigned,
        removed,
        session::{digest, micros},
        sweep::BATCH,
    },
    scope::system::{System, WriteSystem},
};

pub(super) fn domain(row: Model) -> Result<DeviceRequest> {
    let tenant = row.tenant_id.zip(row.partner_id).map(|(tenant, partner)| TenantRef {
        id: TenantId::from_uuid(tenant),
        partner_id: PartnerId::from_uuid(partner),
    });
    Ok(DeviceRequest {
        hash: digest(row.digest, "device code digest")?,
        user_code: UserCode::read(&row.user_code).ok_or(Error::Corrupt("user code"))?,
        tenant,
        application_id: ApplicationId::from_uuid(row.application_id),
        owner: tenant.map_or(Owner::Platform, |tenant| owner(tenant, row.owner_id)),
        scopes: Scopes::read(&row.scope),
        audience: Audience::from_stored(row.audience),
        ip: row.ip_address.map(|ip| ip.parse().map_err(|_| Error::Corrupt("address"))).transpose()?,
        interval: Duration::from_micros(unsigned(row.interval_micros)),
        polled_at: row.polled_at.map(Timestamp::from_micros),
        opened_by: row.session_id.map(SessionId::from_uuid),
        answer: row.is_approved.map(|yes| if yes { DeviceAnswer::Approved } else { DeviceAnswer::Refused }),
        is_spent: row.spent_at.is_some(),
        created_at: Timestamp::from_micros(row.created_at),
        expires_at: Timestamp::from_micros(row.expires_at),
    })
}

/// What can still be answered.
fn waiting(now: Timestamp) -> Condition {
    let in_time = Column::ExpiresAt.gt(now.micros());
    Condition::all().add(Column::IsApproved.is_null()).add(Column::SpentAt.is_null()).add(in_time)
}

impl System<'_> {
    /// The device that shows a code.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn device_request(&self, code: &UserCode) -> Result<Option<DeviceRequest>> {
        let row = self.table::<Entity>().select().filter(Column::UserCode.eq(code.letters())).one(&self.exec).await?;
        row.map(domain).transpose()
    }
}

impl WriteSystem<'_> {
    /// Has a device wait, unless so many of its application wait already that there may be no more; whether it does.
    ///
    /// # Errors
    /// [`Error::Conflict`] when another one shows the same code.
    pub async fn await_device(&self, request: &DeviceRequest) -> Result<bool> {
        let row = Model {
            digest: request.hash.as_bytes().to_vec(),
            user_code: request.user_code.letters().to_owned(),
            tenant_id: request.tenant.map(|tenant| tenant.id.uuid()),
            partner_id: request.tenant.map(|tenant| tenant.partner_id.uuid()),
            application_id: request.application_id.uuid(),
            owner_id: owner_id(request.owner),
            scope: request.scopes.to_string(),
            audience: request.audience.to_string(),
            ip_address: request.ip.as_ref().map(IpAddr::to_string),
            interval_micros: micros(request.interval),
            polled_at: None,
            session_id: None,
            is_approved: None,
            spent_at: None,
            created_at: request.created_at.micros(),
            expires_at: request.expires_at.micros(),
        };
        let waiting = self.table::<Entity>().select().filter(Column::ApplicationId.eq(request.application_id.uuid()));
        let waiting = waiting.filter(Column::ExpiresAt.gt(self.tx.now().micros()));
        self.insert_among::<Entity>(&row, waiting, DEVICES_WAITING).await
    }

    /// Notes that a device has asked.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn device_polled(&self, request: &DeviceRequest) -> Result<()> {
        let asked = ActiveModel {
            interval_micros: Set(micros(request.interval)),
            polled_at: Set(request.polled_at.map(Timestamp::micros)),
            ..Default::default()
        };
        self.one_device(request, asked, Condition::all()).await.map(drop)
    }

    /// A session opens a request, if no other one has; whether it did. One of the platform's issuer is then of its tenant.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn open_device(&self, request: &DeviceRequest, session: &Session) -> Result<bool> {
        let opened = ActiveModel {
            session_id: Set(Some(session.id.uuid())),
            tenant_id: Set(Some(session.tenant_id.uuid())),
            partner_id: Set(Some(session.partner_id.uuid())),
            ..Default::default()
        };
        if request.owner != Owner::Platform && request.tenant.is_none_or(|tenant| tenant.id != session.tenant_id) {
            return Ok(false);
        }
        let is_free = Condition::any().add(Column::SessionId.is_null()).add(Column::SessionId.eq(session.id.uuid()));
        self.one_device(request, opened, waiting(self.tx.now()).add(is_free)).await
    }

    /// A session that has opened a request leaves it to another one.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn leave_device(&self, request: &DeviceRequest, session: &Session) -> Result<bool> {
        let left = ActiveModel { session_id: Set(None), ..Default::default() };
        self.one_device(request, left, waiting(self.tx.now()).add(Column::SessionId.eq(session.id.uuid()))).await
    }

    /// Stores what the session answers that has opened the request; whether nobody had.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn answer_device(&self, answered: Changed<DeviceRequest>, session: &Session) -> Result<bool> {
        let (request, event) = answered.into_parts();
        let is_approved = request.answer.map(|answer| answer == DeviceAnswer::Approved);
        let answer = ActiveModel { is_approved: Set(is_approved), ..Default::default() };
        let by_who_opened = waiting(self.tx.now()).add(Column::SessionId.eq(session.id.uuid()));
        let is_stored = self.one_device(&request, answer, by_who_opened).await?;
        if is_stored {
            self.tx.record(event).await?;
        }
        Ok(is_stored)
    }

    async fn one_device(&self, request: &DeviceRequest, change: ActiveModel, which: Condition) -> Result<bool> {
        let one = self.table::<Entity>().update().set(change);
        let one = one.filter(Column::Digest.eq(request.hash.as_bytes().to_vec())).filter(which);
        Ok(one.exec(&self.tx.writing()).await?.rows_affected == 1)
    }

    /// Forgets requests that have been over for a while, at most [`BATCH`]; returns how many.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn purge_device_requests(&self) -> Result<usize> {
        let old = Column::ExpiresAt.lte(self.tx.now().minus(DEVICE_REMEMBERED).micros());
        let requests = self.table::<Entity>().delete_some(|rows| rows.filter(old).limit(BATCH as u64));
        Ok(removed(requests.exec(&self.tx.writing()).await?))
    }
}
