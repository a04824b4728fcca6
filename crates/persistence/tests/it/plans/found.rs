//! What is searched for among users.

use gatehouse_domain::{
    authz::{Area, ReadAssignments, ReadUsers, authorize},
    issue::Parse,
    page::{Direction, PageRequest, Start},
    search::Search,
    user::{Purpose, UserStatus},
};
use gatehouse_persistence::{AssignmentFilter, UserFilter, UserSort};

use super::survey::Survey;
use crate::fixture::*;

/// Searches everywhere, in a partner and in a tenant, whatever else is asked.
pub async fn users(survey: &mut Survey) {
    let db = survey.db.clone();
    let (tenant, partner, role) = (survey.tenant.id, survey.tenant.partner_id, survey.role);
    let platform = grant::<ReadUsers>(&Area::Directory);
    let partner_admin = authorize::<ReadUsers>(&survey.partner_admin(), &Area::Directory).unwrap();
    let inside = in_tenant::<ReadUsers>(&survey.tenant);
    for grant in [platform, partner_admin, inside] {
        let scope = db.scope(&grant);
        for words in ["p", "person12", "p1 @example", "ada"] {
            let searched = || UserFilter { search: Some(Search::parse(words).unwrap()), ..UserFilter::default() };
            for filter in [
                searched(),
                UserFilter { tenants: vec![tenant], ..searched() },
                UserFilter { partners: vec![partner], ..searched() },
                UserFilter { statuses: vec![UserStatus::Active], ..searched() },
                UserFilter { roles: vec![role], ..searched() },
                UserFilter {
                    tenants: vec![tenant],
                    statuses: vec![UserStatus::Suspended],
                    roles: vec![role],
                    ..searched()
                },
            ] {
                for (sort, way) in
                    UserSort::ALL.into_iter().zip([Direction::Descending, Direction::Ascending].into_iter().cycle())
                {
                    let first = scope.users(&filter, sort, way, &page(1, 50), NOW).await.unwrap();
                    survey
                        .look("users that are searched for", scope.users(&filter, sort, way, &page(2, 50), NOW))
                        .await;
                    if let Some(key) = first.next {
                        let request = PageRequest { start: Start::After(key, page(2, 50).number()), ..page(2, 50) };
                        survey
                            .look("users that are searched for", scope.users(&filter, sort, way, &request, NOW))
                            .await;
                    }
                }
            }
        }
    }
    let ada = survey.ada.clone();
    survey.look("whether a link is open", db.system(SYSTEM).open_until(&ada, Purpose::Invitation, NOW)).await;
    let everywhere = grant::<ReadAssignments>(&Area::Directory);
    let scope = db.scope(&everywhere);
    let all = scope.assignments(&AssignmentFilter::default(), Direction::Descending, &page(1, 50)).await.unwrap();
    survey.look("the same assignment", scope.same_assignment(&all.items[0])).await;
    survey.look("how many roles", scope.roles_given(survey.ada.id)).await;
    survey.look("what ties a tenant to its partner", scope.ties(survey.ada.tenant())).await;
}
