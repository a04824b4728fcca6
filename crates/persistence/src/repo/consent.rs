//! What users let applications have, and the tokens that these got.

use gatehouse_domain::{
    application::Application,
    authz::TenantRef,
    change::Changed,
    id::{ApplicationId, PartnerId, TenantId, UserId},
    oauth::{Consent, FamilyEnd, Scopes, TokenFamily, Withdrawal},
    session::Session,
    time::Timestamp,
};
use sea_orm::{
    ColumnTrait, Condition, ExprTrait, QueryFilter, QuerySelect, QueryTrait, Set,
    sea_query::{Expr, OnConflict, SelectStatement},
};

use crate::{
    entity::{
        authorization_code,
        consent::{Column, Entity, Model},
        device_request, session, token_family,
    },
    error::Result,
    repo::{Row, application::owner_id, authorization_code::owner, list::Stored},
    scope::{
        WriteScope,
        system::{System, WriteSystem},
    },
};

/// The most families and consents that are looked at for one user.
const LOOKED_AT: u64 = 1_000;

fn domain(row: Model) -> Consent {
    let tenant = TenantRef { id: TenantId::from_uuid(row.tenant_id), partner_id: PartnerId::from_uuid(row.partner_id) };
    Consent {
        tenant,
        user_id: UserId::from_uuid(row.user_id),
        application_id: ApplicationId::from_uuid(row.application_id),
        owner: owner(tenant, row.owner_id),
        resource: Some(row.resource).filter(|resource| !resource.is_empty()),
        scopes: Scopes::read(&row.scope),
        consented_at: Timestamp::from_micros(row.consented_at),
    }
}

/// The sessions of a user that have not ended.
fn sessions_of(tenant: TenantId, user: UserId) -> Condition {
    Condition::all()
        .add(session::Column::TenantId.eq(tenant.uuid()))
        .add(session::Column::UserId.eq(user.uuid()))
        .add(session::Column::EndedAt.is_null())
}

impl System<'_> {
    /// What a user lets applications have.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn consents_of(&self, tenant: TenantId, user: UserId) -> Result<Vec<Consent>> {
        let theirs = Condition::all().add(Column::TenantId.eq(tenant.uuid())).add(Column::UserId.eq(user.uuid()));
        let rows = self.table::<Entity>().select().filter(theirs).limit(LOOKED_AT).all(&self.exec).await?;
        Ok(rows.into_iter().map(domain).collect())
    }

    /// What a user let an application have, for an API of others or without one.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn consent(
        &self,
        session: &Session,
        application: ApplicationId,
        resource: Option<&str>,
    ) -> Result<Option<Consent>> {
        let theirs = Condition::all()
            .add(Column::TenantId.eq(session.tenant_id.uuid()))
            .add(Column::UserId.eq(session.user_id.uuid()))
            .add(Column::ApplicationId.eq(application.uuid()))
            .add(Column::Resource.eq(resource.unwrap_or_default()));
        Ok(self.table::<Entity>().select().filter(theirs).one(&self.exec).await?.map(domain))
    }

    /// The families of a user whose tokens can be used.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn families_of(&self, tenant: TenantId, user: UserId, now: Timestamp) -> Result<Vec<TokenFamily>> {
        use token_family::Column as Family;
        let sessions = self.select::<session::Entity>().filter(sessions_of(tenant, user));
        let sessions = sessions.filter(session::Column::EndsAt.gt(now.micros()));
        let sessions = sessions.select_only().column(session::Column::Id).into_query();
        let theirs = Condition::all()
            .add(Family::TenantId.eq(tenant.uuid()))
            .add(Family::SessionId.in_subquery(sessions))
            .add(Family::EndedAt.is_null())
            .add(Family::ExpiresAt.gt(now.micros()));
        let families = self.select::<token_family::Entity>().filter(theirs).limit(LOOKED_AT);
        families.all(&self.exec).await?.into_iter().map(TokenFamily::read).collect()
    }
}

impl WriteSystem<'_> {
    /// Stores what a user lets an application have.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn give_consent(&self, given: Changed<Consent>) -> Result<()> {
        let (consent, event) = given.into_parts();
        let row = Model {
            tenant_id: consent.tenant.id.uuid(),
            partner_id: consent.tenant.partner_id.uuid(),
            user_id: consent.user_id.uuid(),
            application_id: consent.application_id.uuid(),
            owner_id: owner_id(consent.owner),
            resource: consent.resource.unwrap_or_default(),
            scope: consent.scopes.to_string(),
            consented_at: consent.consented_at.micros(),
        };
        let key = [Column::TenantId, Column::UserId, Column::ApplicationId, Column::Resource];
        let again = OnConflict::columns(key).update_columns([Column::Scope, Column::ConsentedAt]).to_owned();
        self.table::<Entity>().insert(row).on_conflict(again).exec_without_returning(&self.tx.writing()).await?;
        self.tx.record(event).await
    }

    /// Takes back what a user let an application have: consents, codes, families. Whether there was anything.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn withdraw_consent(&self, withdrawn: Changed<Withdrawal>) -> Result<bool> {
        let (Withdrawal { tenant, user_id, application_id }, event) = withdrawn.into_parts();
        let (db, application) = (self.tx.writing(), application_id.uuid());
        let sessions = || -> SelectStatement {
            let sessions = self.select::<session::Entity>().filter(sessions_of(tenant.id, user_id));
            sessions.select_only().column(session::Column::Id).into_query()
        };
        let consents = self.table::<Entity>().delete().filter(Column::TenantId.eq(tenant.id.uuid()));
        let consents = consents.filter(Column::UserId.eq(user_id.uuid())).filter(Column::ApplicationId.eq(application));
        let consents = consents.exec(&db).await?.rows_affected;
        // Codes first: an exchange that is under way has spent its code, and its family is there for the next statement.
        let codes = self.table::<authorization_code::Entity>().delete();
        let codes = codes.filter(of(tenant, application, sessions()));
        let codes = codes.filter(authorization_code::Column::SpentAt.is_null()).exec(&db).await?.rows_affected;
        // Likewise devices that wait for their tokens.
        let devices = self.table::<device_request::Entity>().delete().filter(of(tenant, application, sessions()));
        let devices = devices.filter(device_request::Column::SpentAt.is_null()).exec(&db).await?.rows_affected;
        let ended = token_family::ActiveModel {
            ended_at: Set(Some(self.tx.now().micros())),
            end_reason: Set(Some(FamilyEnd::ConsentWithdrawn.to_string())),
            ..Default::default()
        };
        let families = self.update_where::<token_family::Entity>().set(ended);
        let families = families.filter(of(tenant, application, sessions()));
        let families = families.filter(token_family::Column::EndedAt.is_null()).exec(&db).await?.rows_affected;
        if consents + codes + devices + families == 0 {
            return Ok(false);
        }
        self.tx.changed(crate::Change::Everything);
        self.tx.record(event).await?;
        Ok(true)
    }
}

impl WriteScope<'_> {
    /// Ends the codes and families of an application within, whosesoever they are; returns how many families.
    ///
    /// # Errors
    /// [`crate::Error::ScopeViolation`] when the application lies outside the scope.
    pub async fn end_families_of(&self, application: &Application) -> Result<u64> {
        let (home, db, id) = (application.home(), self.tx.writing(), application.id.uuid());
        // Codes first, as above.
        let codes = self.table_of::<authorization_code::Entity>(&home)?.delete();
        let codes = codes.filter(authorization_code::Column::ApplicationId.eq(id));
        codes.filter(authorization_code::Column::SpentAt.is_null()).exec(&db).await?;
        let devices = self.table_of::<device_request::Entity>(&home)?.delete();
        let devices = devices.filter(device_request::Column::ApplicationId.eq(id));
        devices.filter(device_request::Column::SpentAt.is_null()).exec(&db).await?;
        let ended = token_family::ActiveModel {
            ended_at: Set(Some(self.tx.now().micros())),
            end_reason: Set(Some(FamilyEnd::ApplicationRevoked.to_string())),
            ..Default::default()
        };
        let families = self.table_of::<token_family::Entity>(&home)?.update().set(ended);
        let families = families.filter(token_family::Column::ApplicationId.eq(id));
        let families = families.filter(token_family::Column::EndedAt.is_null()).exec(&db).await?.rows_affected;
        self.tx.changed(crate::Change::Everything);
        Ok(families)
    }
}

/// The condition that a code or a family is of an application, in one of these sessions.
fn of(tenant: TenantRef, application: uuid::Uuid, sessions: SelectStatement) -> Condition {
    Condition::all()
        .add(Expr::col("tenant_id").eq(tenant.id.uuid()))
        .add(Expr::col("application_id").eq(application))
        .add(Expr::col("session_id").in_subquery(sessions))
}
