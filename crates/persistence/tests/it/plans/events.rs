//! What is asked of the audit trail.

use gatehouse_domain::{
    audit::{Action, AuditResult, ResourceId, ResourceKind},
    authz::ActorId,
    page::{Direction, PageRequest, Start},
    time::DAY,
};
use gatehouse_persistence::{AuditFilter, Scope};

use super::survey::Survey;
use crate::fixture::*;

/// The first page, one in the middle, and one by cursor.
pub async fn pages(
    scope: &Scope<'_>,
    filter: &AuditFilter,
    way: Direction,
) -> Result<(), gatehouse_persistence::Error> {
    let first = scope.audit_events(filter, way, &page(1, 50)).await?;
    scope.audit_events(filter, way, &page(20, 50)).await?;
    if let Some(key) = first.next {
        let request = PageRequest { start: Start::After(key, page(2, 50).number()), ..page(2, 50) };
        scope.audit_events(filter, way, &request).await?;
    }
    Ok(())
}

/// The first batch of an export, and the next.
pub async fn feed(scope: &Scope<'_>, filter: &AuditFilter) -> Result<(), gatehouse_persistence::Error> {
    let first = scope.audit_feed(filter, None, 200).await?;
    scope.audit_feed(filter, first.last(), 200).await.map(drop)
}

/// The filters of the audit trail, and what people combine them to.
pub fn filters(survey: &Survey) -> Vec<(&'static str, AuditFilter)> {
    let none = AuditFilter::default;
    let ada = ResourceId { kind: ResourceKind::User, uuid: survey.ada.id.uuid() };
    let (action, kind, actor) = (Action::UserRegistered, ResourceKind::User, ActorId::User(survey.ada.id));
    let (failure, success) = (AuditResult::Failure, AuditResult::Success);
    let then = Some(NOW.minus(DAY));
    vec![
        ("", none()),
        ("", AuditFilter { results: vec![failure], ..none() }),
        ("", AuditFilter { results: vec![success], ..none() }),
        ("", AuditFilter { results: vec![success, failure], ..none() }),
        (" in a tenant", AuditFilter { tenants: vec![survey.tenant.id], ..none() }),
        (" below a partner", AuditFilter { partners: vec![survey.tenant.partner_id], ..none() }),
        (" by somebody", AuditFilter { actors: vec![actor], ..none() }),
        (" of an action", AuditFilter { actions: vec![action], ..none() }),
        (" about a kind", AuditFilter { kinds: vec![kind], ..none() }),
        (" about one", AuditFilter { resources: vec![ada], ..none() }),
        (" from an address", AuditFilter { ips: vec!["203.0.113.7".parse().unwrap()], ..none() }),
        (" after", AuditFilter { created_after: then, ..none() }),
        (" before", AuditFilter { created_before: then, ..none() }),
        (" of an action by somebody", AuditFilter { actions: vec![action], actors: vec![actor], ..none() }),
        (" of an action after", AuditFilter { actions: vec![action], created_after: then, ..none() }),
        ("", AuditFilter { actions: vec![action], results: vec![failure], ..none() }),
        ("", AuditFilter { actions: vec![action], results: vec![success], ..none() }),
        // What most events are has no index of its own and is found among all of them.
        ("", AuditFilter { actions: vec![Action::SessionRefreshed], ..none() }),
        ("", AuditFilter { actions: vec![action, Action::SessionRefreshed], ..none() }),
        ("", AuditFilter { actions: vec![Action::TokenFamilyRefreshed], ..none() }),
        ("", AuditFilter { kinds: vec![ResourceKind::Session], ..none() }),
        ("", AuditFilter { kinds: vec![kind, ResourceKind::Session], ..none() }),
        ("", AuditFilter { kinds: vec![ResourceKind::TokenFamily], ..none() }),
        (" about a kind by an action", AuditFilter { kinds: vec![kind], actions: vec![action], ..none() }),
        (" of an action in a tenant", AuditFilter { actions: vec![action], tenants: vec![survey.tenant.id], ..none() }),
    ]
}
