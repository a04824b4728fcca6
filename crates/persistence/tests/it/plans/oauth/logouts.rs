//! What applications are to be told of sessions that have ended.

use gatehouse_domain::{
    application::{Application, ApplicationPatch, ApplicationType, LogoutUri, Owner},
    logout::LEASE,
    session::EndReason,
};
use gatehouse_persistence::testing::analyze;

use super::*;

/// An application that wants to be told.
async fn told(db: &Db, owner: Owner, name: &str) -> Application {
    let made = application(db, owner, name).await;
    let mut metadata = made.metadata.draft();
    metadata.backchannel_logout_uri = Some(LogoutUri::parse("https://wiki.example/out").unwrap());
    let metadata = Some(metadata.register(ApplicationType::Service).unwrap());
    let changed = made.update(ApplicationPatch { metadata, ..Default::default() }, &caller(), NOW).unwrap();
    write(db, NOW, async move |tx| tx.system(SYSTEM).update(changed.clone()).await).await.unwrap()
}

surveys! {
    async fn deliveries_of_logouts_are_found_by_an_index(survey) {
        let db = survey.db.clone();
        let at = survey.tenant.reference();
        let user = user(&db, &survey.tenant, "told").await;
        let apps = [told(&db, Owner::Tenant(at), "one").await, told(&db, Owner::Partner(at.partner_id), "two").await];
        let mut sessions = Vec::new();
        for _ in 0..500 {
            sessions.push(session(&db, &user, NOW).await);
        }
        let (used, id) = (apps.clone(), apps[0].id);
        write(&db, NOW, async move |tx| {
            for session in &sessions {
                for app in &used {
                    tx.system(SYSTEM).add_session_application(at, session.id, app).await?;
                }
            }
            Ok(())
        }).await.unwrap();
        let many = RevokeMany { target: RevokeTarget::User(at, user.id), except: None, reason: EndReason::Admin, by: by() };
        write(&db, NOW, async move |tx| tx.system(SYSTEM).revoke_many(&many).await).await.unwrap();
        if !db.is_sqlite() {
            analyze(&db).await.unwrap();
        }
        let mut due = db.system(SYSTEM).applications_to_tell(NOW).await.unwrap();
        due.sort();
        let mut expected: Vec<_> = apps.iter().map(|app| app.id).collect();
        expected.sort();
        assert_eq!((due, db.system(SYSTEM).deliveries_waiting().await.unwrap()), (expected, 1_000));
        survey.look("whom to tell", async { db.system(SYSTEM).applications_to_tell(NOW).await }).await;
        survey.look("what to tell", write(&db, NOW, async move |tx| {
            let system = tx.system(SYSTEM);
            let claims = system.claim_deliveries(id, 32).await?;
            assert_eq!(claims.len(), 32);
            system.postpone_deliveries(&claims[..10], NOW.plus(DAY)).await?;
            system.give_delivery_up(&claims[10], Failure::never("refused")).await?;
            assert_eq!(system.drop_deliveries(&claims[11..]).await?, 21);
            // They are others' by now.
            assert_eq!(system.drop_deliveries(&claims).await?, 0);
            Ok(())
        })).await;
        assert_eq!(db.system(SYSTEM).deliveries_waiting().await.unwrap(), 978);
        let again = write(&db, NOW.plus(LEASE), async move |tx| tx.system(SYSTEM).claim_deliveries(id, 1_000).await);
        assert_eq!(again.await.unwrap().len(), 468, "what was postponed is not due");
    }
}
