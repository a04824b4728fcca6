//! Searching: what is found, by whom, and that it follows every change.

use gatehouse_domain::{
    authz::{Area, ReadTenants, ReadUsers},
    issue::Parse,
    page::Direction,
    search::Search,
    text::{DisplayName, Email, Name},
    user::{User, UserPatch, UserStatus},
};
use gatehouse_persistence::{
    Db, PartnerFilter, Scope, SearchKind, TenantFilter, UserFilter, UserSort, db_tests, testing::forget_terms,
};

use crate::fixture::*;

async fn found(scope: &Scope<'_>, words: &str, filter: UserFilter) -> Vec<String> {
    let filter = UserFilter { search: Some(Search::parse(words).unwrap()), ..filter };
    let list = scope.users(&filter, UserSort::CreatedAt, Direction::Ascending, &page(1, 50), NOW).await.unwrap();
    let names: Vec<_> = list.items.into_iter().map(|detail| detail.view.user.username.to_string()).collect();
    assert_eq!(list.total, names.len() as u64, "{words}");
    names
}

async fn change(db: &Db, user: &User, patch: UserPatch) -> User {
    let (changed, _) = user.clone().update(patch, true, &[], &caller(), NOW).unwrap();
    write(db, NOW, async move |tx| tx.system(SYSTEM).update(changed.clone()).await).await.unwrap()
}

fn name(text: &str) -> UserPatch {
    UserPatch { display_name: Some(Some(DisplayName::parse(text).unwrap())), ..UserPatch::default() }
}

db_tests! {
    async fn user_is_found_by_name_and_address_as_they_are_now(db) {
        let tenant = tenant(&db, &partner(&db, "p").await, "t").await;
        let ada = user(&db, &tenant, "ada").await;
        user(&db, &tenant, "bob").await;
        let scope = db.scope(&in_tenant::<ReadUsers>(&tenant));
        let of = async |words: &str| found(&scope, words, UserFilter::default()).await;
        assert_eq!(of("AD").await, ["ada"]);
        assert_eq!(of("@example.com").await, ["ada", "bob"]);
        assert_eq!(of("lovelace").await, [""; 0]);
        let ada = change(&db, &ada, name("Áda Lovelace")).await;
        assert_eq!(of("love a").await, ["ada"]);
        let email = Email::parse("countess@example.org").unwrap();
        let ada = change(&db, &ada, UserPatch { email: Some(email), ..name("Augusta 100% King") }).await;
        assert_eq!(of("lovelace").await, [""; 0]);
        assert_eq!((of("countess@exa").await, of("king aug 100%").await, of("@example.org").await), (vec!["ada".into()], vec!["ada".into()], vec!["ada".into()]));
        for wild in ["%", "_", "a%", "a_a", "*", "' OR 1=1 --", "\u{10ffff}"] {
            assert_eq!(of(wild).await, [""; 0], "{wild}");
        }
        change(&db, &ada, UserPatch { status: Some(UserStatus::Suspended), ..UserPatch::default() }).await;
        let suspended = || UserFilter { statuses: vec![UserStatus::Suspended], ..UserFilter::default() };
        assert_eq!((found(&scope, "ada", suspended()).await, found(&scope, "bob", suspended()).await), (vec!["ada".into()], vec![]));
    }

    async fn search_finds_within_the_scope_only_and_counts_no_more(db) {
        let (ours, theirs) = (partner(&db, "ours").await, partner(&db, "theirs").await);
        let (a, b, c) = (tenant(&db, &ours, "a").await, tenant(&db, &ours, "b").await, tenant(&db, &theirs, "c").await);
        let mut users = Vec::new();
        for (tenant, name) in [(&a, "ada1"), (&b, "ada2"), (&c, "ada3")] {
            users.push(user(&db, tenant, name).await);
        }
        let inside = db.scope(&in_tenant::<ReadUsers>(&a));
        assert_eq!(found(&inside, "ada", UserFilter::default()).await, ["ada1"]);
        assert_eq!(found(&inside, "ada", UserFilter { tenants: vec![c.id], ..UserFilter::default() }).await, [""; 0]);
        let admin = partner_admin(&ours, &users[0]);
        let reach = gatehouse_domain::authz::authorize::<ReadUsers>(&admin, &Area::Directory).unwrap();
        let partner = db.scope(&reach);
        assert_eq!(found(&partner, "ada", UserFilter::default()).await, ["ada1", "ada2"]);
        assert_eq!(found(&partner, "ada", UserFilter { partners: vec![theirs.id], ..UserFilter::default() }).await, [""; 0]);
        let all = db.scope(&grant::<ReadUsers>(&Area::Directory));
        assert_eq!(found(&all, "ada", UserFilter::default()).await, ["ada1", "ada2", "ada3"]);
        assert_eq!(found(&all, "ada", UserFilter { tenants: vec![b.id, c.id], ..UserFilter::default() }).await, ["ada2", "ada3"]);
        assert_eq!(found(&all, "ada", UserFilter { partners: vec![theirs.id], ..UserFilter::default() }).await, ["ada3"]);
    }

    async fn tenants_and_partners_are_found_by_name_and_slug(db) {
        let (north, south) = (partner(&db, "north-star").await, partner(&db, "south").await);
        let acme = tenant(&db, &north, "acme-labs").await;
        tenant(&db, &south, "beta").await;
        let patch = gatehouse_domain::tenant::TenantPatch { name: Some(Name::parse("Straßenbau & Söhne").unwrap()), ..Default::default() };
        let (changed, _) = acme.update(patch, &by(), NOW);
        write(&db, NOW, async move |tx| tx.system(SYSTEM).update(changed.clone()).await).await.unwrap();
        let scope = db.scope(&grant::<ReadTenants>(&Area::Directory));
        for (words, slugs) in [("labs", vec!["acme-labs"]), ("sohn", vec!["acme-labs"]), ("B", vec!["beta"]), ("a_", vec![])] {
            let filter = TenantFilter { search: Some(Search::parse(words).unwrap()), ..TenantFilter::default() };
            let list = scope.tenants(&filter, true, Direction::Ascending, &page(1, 50)).await.unwrap();
            assert_eq!(list.items.iter().map(|tenant| tenant.slug.as_str()).collect::<Vec<_>>(), slugs, "{words}");
        }
        for (words, slugs) in [("star", vec!["north-star"]), ("nor", vec!["north-star"]), ("tar", vec![])] {
            let filter = PartnerFilter { search: Some(Search::parse(words).unwrap()), ..PartnerFilter::default() };
            let list = scope.partners(&filter, true, Direction::Ascending, &page(1, 50)).await.unwrap();
            assert_eq!(list.items.iter().map(|partner| partner.slug.as_str()).collect::<Vec<_>>(), slugs, "{words}");
        }
    }

    async fn what_is_older_than_searching_is_found_once_it_has_been_indexed(db) {
        let tenant = tenant(&db, &partner(&db, "p").await, "t").await;
        let ada = user(&db, &tenant, "ada").await;
        let other = user(&db, &tenant, "bob").await;
        forget_terms(&db, &ada).await.unwrap();
        let scope = db.scope(&in_tenant::<ReadUsers>(&tenant));
        assert_eq!(found(&scope, "@example.com", UserFilter::default()).await, ["bob"]);
        let system = db.system(SYSTEM);
        let (without, last) = system.without_terms(SearchKind::Users, None).await.unwrap();
        assert_eq!((without.clone(), last), (vec![ada.id.uuid()], None));
        assert_eq!(system.without_terms(SearchKind::Users, Some(Ord::max(ada.id.uuid(), other.id.uuid()))).await.unwrap().0.len(), 0);
        write(&db, NOW, async move |tx| tx.system(SYSTEM).add_terms(SearchKind::Users, &without).await).await.unwrap();
        assert_eq!(found(&scope, "@example.com", UserFilter::default()).await, ["ada", "bob"]);
        for of in SearchKind::ALL {
            assert_eq!(system.without_terms(of, None).await.unwrap().0.len(), 0);
        }
    }
}
