//! Applications, of the platform, of a partner and of tenants.

use gatehouse_domain::{
    application::{Application, ApplicationType, Owner, ResourceUri, ScopeLevel, SigningAlgorithm},
    authz::{ReadApplications, WriteApplications},
    tenant::Tenant,
};
use gatehouse_persistence::ApplicationFilter;

use super::*;

/// Fills two tenants, the partner of the first and the platform with applications; returns one of the first.
pub async fn fill(db: &Db, tenant: &Tenant, other: &Tenant) -> Application {
    let owners = [
        (Owner::Platform, 20),
        (Owner::Partner(tenant.partner_id), 20),
        (Owner::Tenant(tenant.reference()), 400),
        (Owner::Tenant(other.reference()), 2_000),
    ];
    for (owner, count) in owners {
        let made: Vec<_> = (0..count).map(|n| new_application(owner, &format!("wiki{n}"))).collect();
        // As many together as SQLite takes values.
        for made in made.chunks(100).map(<[_]>::to_vec) {
            let work = async move |tx: &gatehouse_persistence::WriteTx<'_>| {
                for application in tx.system(SYSTEM).insert_many(made.clone()).await? {
                    tx.system(SYSTEM).put_resources(&application).await?;
                }
                Ok(())
            };
            write(db, NOW, work).await.unwrap();
        }
    }
    for at in [tenant, other] {
        let owner = Owner::Tenant(at.reference());
        let made: Vec<_> = (0..300).map(|n| described_application(owner, n).let_in(&by(), NOW)).collect();
        for made in made.chunks(100).map(<[_]>::to_vec) {
            let work = async move |tx: &gatehouse_persistence::WriteTx<'_>| {
                tx.system(SYSTEM).insert_many(made.clone()).await.map(drop)
            };
            write(db, NOW, work).await.unwrap();
        }
    }
    application(db, Owner::Tenant(tenant.reference()), "docs").await
}

surveys! {
    async fn applications_are_found_by_an_index_wherever_they_are_looked_for(survey) {
        let db = survey.db.clone();
        let (tenant, id) = (survey.tenant.clone(), survey.application);
        let platform = grant::<ReadApplications>(&Area::Directory);
        let partner = authorize::<ReadApplications>(&survey.partner_admin(), &Area::Directory).unwrap();
        let inside = in_tenant::<ReadApplications>(&tenant);
        for (who, grant) in [("platform", platform), ("partner", partner), ("tenant", inside)] {
            let scope = db.scope(&grant);
            let none = ApplicationFilter::default;
            for (name, filter) in [
                ("all", none()),
                ("tenant", ApplicationFilter { tenants: vec![tenant.id], ..none() }),
                ("partner", ApplicationFilter { partners: vec![tenant.partner_id], ..none() }),
                ("state", ApplicationFilter { statuses: vec![Status::Suspended], ..none() }),
                ("type", ApplicationFilter { types: vec![ApplicationType::Service], ..none() }),
                ("level", ApplicationFilter { levels: vec![ScopeLevel::Global, ScopeLevel::Partner], ..none() }),
                ("search", ApplicationFilter { search: Some(Search::parse("wiki123").unwrap()), ..none() }),
                ("words", ApplicationFilter { search: Some(Search::parse("do wi").unwrap()), ..none() }),
            ] {
                for way in [Direction::Descending, Direction::Ascending] {
                    let what = match filter.search {
                        Some(_) => "applications that are searched for".to_owned(),
                        None => format!("applications of the {who} by {name}"),
                    };
                    let first = scope.applications(&filter, way, &page(1, 50)).await.unwrap();
                    survey.look(&what, scope.applications(&filter, way, &page(2, 50))).await;
                    if let Some(key) = first.next {
                        let request = PageRequest { start: Start::After(key, page(2, 50).number()), ..page(2, 50) };
                        survey.look(&what, scope.applications(&filter, way, &request)).await;
                    }
                }
            }
            survey.look("an application", scope.application(id)).await;
            survey.look("an application, deleted or not", scope.application_even_deleted(id)).await;
        }
        let owner = Owner::Tenant(tenant.reference());
        let uris = ["urn:example:wiki1", "urn:example:docs"].map(|uri| ResourceUri::parse(uri).unwrap());
        survey.look("apis", db.system(SYSTEM).apis(owner, &uris)).await;
        let described = described_application(owner, 7).document.unwrap();
        survey.look("an application by its document", db.system(SYSTEM).described_application(tenant.reference(), &described)).await;
        let known = db.system(SYSTEM).described_application(tenant.reference(), &described).await.unwrap().unwrap();
        let at = tenant.reference();
        survey.look("an application that is let in", write(&db, NOW, async move |tx| {
            assert!(tx.system(SYSTEM).has_room_for_described(at).await?);
            tx.system(SYSTEM).note_use_of_described(&known).await
        })).await;
        let forgotten = write(&db, NOW.plus(DAY * 91), async |tx| tx.system(SYSTEM).forget_unused_applications().await);
        survey.look("applications that nobody uses", forgotten).await;
        let system = db.system(SYSTEM);
        survey.look("keys that sign", system.signing_keys(tenant.reference().into(), SigningAlgorithm::Es256)).await;
        survey.look("what is to be known of the platform", system.platform_facts(NOW)).await;
        let grant = in_tenant::<WriteApplications>(&tenant);
        let at = tenant.reference();
        let change = write(&db, NOW, async move |tx| {
            let scope = tx.scope(&grant).await?;
            let application = scope.application_locked(id).await?.unwrap();
            scope.put_resources(&application).await?;
            let system = tx.system(SYSTEM);
            system.lock_resources().await?;
            for owner in [Owner::Platform, Owner::Partner(at.partner_id), Owner::Tenant(at)] {
                system.holder_of_resources(&Application { owner, ..application.clone() }).await?;
            }
            system.application_quota(at).await?;
            system.resources_are_shared(at).await?;
            scope.leave_applications(at).await
        });
        survey.look("changes of an application", change).await;
    }
}
