//! The audit trail as it is read.

use std::net::IpAddr;

use gatehouse_domain::{
    audit::{Action, AuditEvent, AuditResult, FieldChange, ResourceId, ResourceKind},
    authz::ActorId,
    id::{AuditEventId, PartnerId, SessionId, TenantId},
    page::{Key, KeyValue},
    time::Timestamp,
    word::Word,
};
use sea_orm::{ColumnTrait, DbErr, FromQueryResult, QueryFilter, QueryResult, QuerySelect, sea_query::Expr};

use crate::{
    entity::audit_event::{Column, Entity, Model},
    error::{Error, Result},
    scope::Scope,
};

/// What most events are: in no index by action, but found among all events.
pub(super) const FREQUENT_ACTIONS: [Action; 3] =
    [Action::SessionRefreshed, Action::TokenFamilyCreated, Action::TokenFamilyRefreshed];
/// What most events are about: in no index by kind, but found among all events.
pub(super) const FREQUENT_KINDS: [ResourceKind; 2] = [ResourceKind::Session, ResourceKind::TokenFamily];

/// Which events are listed; what is empty is not asked for.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// In these tenants.
    pub tenants: Vec<TenantId>,
    /// Below these partners.
    pub partners: Vec<PartnerId>,
    /// By these users and applications.
    pub actors: Vec<ActorId>,
    /// Of these actions.
    pub actions: Vec<Action>,
    /// About these kinds of things.
    pub kinds: Vec<ResourceKind>,
    /// About these things.
    pub resources: Vec<ResourceId>,
    /// With one of these results.
    pub results: Vec<AuditResult>,
    /// From these addresses.
    pub ips: Vec<IpAddr>,
    /// At this instant or later.
    pub created_after: Option<Timestamp>,
    /// Before this instant.
    pub created_before: Option<Timestamp>,
}

impl AuditFilter {
    /// Whether only actions are asked for that have an index.
    pub(super) fn has_rare_actions(&self) -> bool {
        !self.actions.is_empty() && !FREQUENT_ACTIONS.iter().any(|action| self.actions.contains(action))
    }

    /// Whether only kinds of things are asked for that have an index.
    pub(super) fn has_rare_kinds(&self) -> bool {
        !self.kinds.is_empty() && !FREQUENT_KINDS.iter().any(|kind| self.kinds.contains(kind))
    }

    /// The one result that is asked for, if it is one.
    pub(super) fn result(&self) -> Option<AuditResult> {
        let first = self.results.first().copied();
        first.filter(|first| self.results.iter().all(|other| other == first))
    }
}

/// The row as a value.
fn domain(row: Model) -> Result<AuditEvent> {
    let resource_id = row.resource_id.and_then(|id| {
        let kind = ResourceKind::from_word(&row.resource_type).ok()?;
        Some(kind.text(id))
    });
    let changes = row.changes.as_deref().map(FieldChange::read).transpose();
    Ok(AuditEvent {
        id: AuditEventId::from_uuid(row.id),
        occurred_at: Timestamp::from_micros(row.occurred_at),
        // What concerns no tenant, or no partner, has the nil UUID there.
        tenant_id: (!row.tenant_id.is_nil()).then(|| TenantId::from_uuid(row.tenant_id)),
        partner_id: (!row.partner_id.is_nil()).then(|| PartnerId::from_uuid(row.partner_id)),
        actor_id: row.actor_id.map(|id| ActorId::from_stored(&row.actor_type, id)),
        actor_type: row.actor_type,
        actor_session_id: row.actor_session_id.map(SessionId::from_uuid),
        acting_as: row.acting_as,
        action: row.action,
        resource_type: row.resource_type,
        resource_id,
        result: row.result,
        failure: row.failure,
        reason: row.reason,
        changes: changes.map_err(|_| Error::Corrupt("changes of an event"))?.unwrap_or_default(),
        ip_address: row.ip_address,
        user_agent: row.user_agent,
        request_id: row.request_id,
    })
}

impl Scope<'_> {
    /// One event.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn audit_event(&self, id: AuditEventId) -> Result<Option<AuditEvent>> {
        let mut event = self.select::<Entity>().filter(Column::Id.eq(id.uuid()));
        if !self.shows_everybody() {
            event = event.expr_as(Expr::exists(self.shown(Column::ActorId, Column::TenantId)), "shown");
        }
        event.into_model().one(&self.exec).await?.map(|row| self.event(row)).transpose()
    }

    /// The row as a value, with no more of its actor than the reader is shown.
    pub(super) fn event(&self, row: Row) -> Result<AuditEvent> {
        let event = domain(row.event)?;
        let is_shown = self.shows_everybody() || event.actor_id.is_none() || row.is_shown;
        Ok(match event.actor_id {
            _ if is_shown => event,
            // Whoever sees the tenant sees the applications that are used in it.
            Some(ActorId::Application(_)) if event.acting_as == "tenant" => event,
            Some(ActorId::Application(_)) => AuditEvent { ip_address: None, user_agent: None, ..event },
            _ => event.by_operator(),
        })
    }
}

/// An event, and whether its actor is shown to the reader, where that was asked.
pub(super) struct Row {
    event: Model,
    is_shown: bool,
}

impl FromQueryResult for Row {
    fn from_query_result(row: &QueryResult, prefix: &str) -> Result<Self, DbErr> {
        let is_shown = row.try_get("", "shown").unwrap_or(false);
        Ok(Self { event: Model::from_query_result(row, prefix)?, is_shown })
    }
}

pub(super) fn key_of(event: &AuditEvent) -> Key {
    Key { value: KeyValue::At(event.occurred_at), id: event.id.uuid() }
}
