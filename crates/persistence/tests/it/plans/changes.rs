//! Changes that touch many rows at once.

use gatehouse_domain::settings::{Evidence, Promise};

use super::*;

surveys! {
    async fn who_makes_a_change_is_found_by_an_index(survey) {
        let db = survey.db.clone();
        let grant = authorize::<WriteUsers>(&survey.partner_admin(), &Area::Directory).unwrap();
        survey.look("caller", write(&db, NOW, async move |tx| tx.scope(&grant).await.map(drop))).await;
    }

    async fn what_goes_along_with_a_deletion_is_found_by_an_index(survey) {
        let db = survey.db.clone();
        let (at, ada, tenant, role) = (survey.tenant.reference(), survey.ada.clone(), survey.tenant.clone(), survey.role);
        let partner = db.system(SYSTEM).partner(at.partner_id).await.unwrap().unwrap();
        let role = db.system(SYSTEM).role(role).await.unwrap().unwrap();
        survey.look("below a role", write(&db, NOW, async move |tx| tx.system(SYSTEM).delete_below_role(&role).await)).await;
        let user = ada.clone();
        survey.look("below a user", write(&db, NOW, async move |tx| tx.system(SYSTEM).delete_below_user(&user).await)).await;
        survey.look("personal", write(&db, NOW, async move |tx| tx.system(SYSTEM).erase_below_user(&ada).await)).await;
        survey.look("below a tenant", write(&db, NOW, async move |tx| tx.system(SYSTEM).delete_below_tenant(&tenant).await)).await;
        survey.look("below a partner", write(&db, NOW, async move |tx| tx.system(SYSTEM).delete_below_partner(&partner).await)).await;
    }

    async fn sessions_that_stricter_settings_end_are_found_by_an_index(survey) {
        let db = survey.db.clone();
        let at = survey.tenant.reference();
        let grant = grant::<WriteSettings>(&Area::Directory);
        survey.look("settings of the platform", db.scope(&grant).platform()).await;
        survey.look("settings above", db.system(SYSTEM).above(at.partner_id)).await;
        for (name, within, unless_decided) in [
            ("stricter for a tenant", Within::Tenant(at), None),
            ("stricter for a partner", Within::Partner(at.partner_id), None),
            ("stricter for a partner", Within::Partner(at.partner_id), Some("refresh_token_days")),
            ("stricter for all", Within::Platform, None),
            ("stricter for all", Within::Platform, Some("refresh_token_days")),
        ] {
            let cap = |most| Some(Cap { most, unless_decided });
            let (lifetime, refresh, idle) = (cap(DAY * 20), cap(DAY * 5), cap(DAY));
            let caps = Caps { lifetime, offline: lifetime, refresh, idle, per_user: Some(Cap { most: 50, unless_decided }) };
            let tighten = Tighten { within, caps, by: by() };
            let grant = grant.clone();
            survey.look(name, db.scope(&grant).tightening(&tighten, NOW)).await;
            survey.look(name, write(&db, NOW, async move |tx| tx.scope(&grant).await?.tighten(&tighten).await)).await;
        }
    }

    async fn promises_about_evidence_are_found_by_an_index(survey) {
        let (db, at) = (survey.db.clone(), survey.tenant.reference());
        survey.look("promises", db.system(SYSTEM).retention_promises(Some(at))).await;
        let promise = Promise::keep(Evidence::Sessions, DAY, &[], NOW).1.unwrap();
        survey.look("promise", write(&db, NOW, async move |tx| {
            tx.system(SYSTEM).promise_retention(Some(at), &[promise]).await
        })).await;
    }

    async fn users_of_a_file_are_found_by_an_index(survey) {
        let (db, at, ada) = (survey.db.clone(), survey.tenant.reference(), survey.ada.clone());
        let read = in_tenant::<ReadUsers>(&survey.tenant);
        let scope = db.scope(&read);
        let names = |suffix: &str| ["ada", "eve"].map(|name| format!("{name}{suffix}"));
        survey.look("taken", scope.taken(at.id, &names(""), &names("@example.com"))).await;
        survey.look("feed", scope.user_feed(at, None, NOW, 10)).await;
        survey.look("feed, further", scope.user_feed(at, Some(&ada), NOW, 10)).await;
        survey.look("with password", scope.portable_user(ada.id)).await;
    }
}
