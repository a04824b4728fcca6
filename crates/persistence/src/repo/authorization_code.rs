//! Authorization codes. How one is read with its session is in `tuned/oauth.rs`.

use gatehouse_domain::{
    application::Owner,
    authz::TenantRef,
    id::{ApplicationId, FamilyId, PartnerId, SessionId, TenantId},
    oauth::{Audience, AuthorizationCode, CODE_REMEMBERED, Challenge, ClaimsRequest, Scopes, Thumbprint},
    time::Timestamp,
};
use sea_orm::{ColumnTrait, QueryFilter, QuerySelect};
use uuid::Uuid;

use crate::{
    entity::authorization_code::{Column, Entity, Model},
    error::{Error, Result},
    repo::{application::owner_id, removed, session::digest, sweep::BATCH},
    scope::{PLATFORM, system::WriteSystem},
};

/// Whose an application is that is named beside a tenant.
pub(super) fn owner(tenant: TenantRef, owner: Uuid) -> Owner {
    match owner {
        PLATFORM => Owner::Platform,
        id if id == tenant.id.uuid() => Owner::Tenant(tenant),
        id => Owner::Partner(PartnerId::from_uuid(id)),
    }
}

/// The key that tokens are bound to.
pub(super) fn thumbprint(stored: Option<String>) -> Result<Option<Thumbprint>> {
    stored.map(Thumbprint::try_from).transpose().map_err(|_| Error::Corrupt("thumbprint of a key"))
}

pub(super) fn domain(row: Model) -> Result<AuthorizationCode> {
    let tenant = TenantRef { id: TenantId::from_uuid(row.tenant_id), partner_id: PartnerId::from_uuid(row.partner_id) };
    let challenge = |text: String| Challenge::new(&text).ok_or(Error::Corrupt("code challenge"));
    Ok(AuthorizationCode {
        hash: digest(row.digest, "code digest")?,
        tenant,
        session_id: SessionId::from_uuid(row.session_id),
        application_id: ApplicationId::from_uuid(row.application_id),
        owner: owner(tenant, row.owner_id),
        family_id: FamilyId::from_uuid(row.family_id),
        redirect_uri: row.redirect_uri,
        challenge: row.challenge.map(challenge).transpose()?,
        dpop_jkt: thumbprint(row.dpop_jkt)?,
        nonce: row.nonce,
        scopes: Scopes::read(&row.scope),
        claims: ClaimsRequest::from_stored(row.claims.as_deref()),
        audience: Audience::from_stored(row.audience),
        auth_time: Timestamp::from_micros(row.auth_time),
        created_at: Timestamp::from_micros(row.created_at),
        spent_at: row.spent_at.map(Timestamp::from_micros),
    })
}

impl WriteSystem<'_> {
    /// Stores a code.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn issue_code(&self, code: &AuthorizationCode) -> Result<()> {
        let row = Model {
            digest: code.hash.as_bytes().to_vec(),
            tenant_id: code.tenant.id.uuid(),
            partner_id: code.tenant.partner_id.uuid(),
            session_id: code.session_id.uuid(),
            application_id: code.application_id.uuid(),
            owner_id: owner_id(code.owner),
            family_id: code.family_id.uuid(),
            redirect_uri: code.redirect_uri.clone(),
            challenge: code.challenge.as_ref().map(|challenge| challenge.as_str().to_owned()),
            nonce: code.nonce.clone(),
            scope: code.scopes.to_string(),
            audience: code.audience.to_string(),
            auth_time: code.auth_time.micros(),
            created_at: code.created_at.micros(),
            spent_at: None,
            claims: code.claims.to_stored(),
            dpop_jkt: code.dpop_jkt.clone().map(String::from),
        };
        self.table::<Entity>().insert(row).exec_without_returning(&self.tx.writing()).await?;
        Ok(())
    }

    /// Removes codes that need not be remembered any more, at most [`BATCH`]; returns how many.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn purge_codes(&self) -> Result<usize> {
        let old = Column::CreatedAt.lt(self.tx.now().minus(CODE_REMEMBERED).micros());
        let codes = self.table::<Entity>().delete_some(|rows| rows.filter(old).limit(BATCH as u64));
        Ok(removed(codes.exec(&self.tx.writing()).await?))
    }
}
