//! What ends, and what is removed.

use gatehouse_domain::{
    authz::{Area, RevokeSessions, WriteSettings, authorize},
    session::{Cap, Caps, EndReason, RevokeMany, RevokeTarget, Tighten, Within},
    time::DAY,
};
use gatehouse_persistence::testing::Engine;

use super::{
    on,
    survey::{Survey, then},
};
use crate::fixture::*;

surveys! {
    async fn sessions_that_end_are_found_by_an_index(survey) {
        let db = survey.db.clone();
        let (at, ada, session) = (survey.tenant.reference(), survey.ada.id, survey.session.clone());
        let platform = grant::<RevokeSessions>(&Area::Directory);
        let partner = authorize::<RevokeSessions>(&survey.partner_admin(), &Area::Directory).unwrap();
        let tenant = in_tenant::<RevokeSessions>(&survey.tenant);
        survey.look("count", write(&db, NOW, {
            let (grant, id) = (tenant.clone(), session.id);
            async move |tx| tx.scope(&grant).count_sessions(ada, &[id]).await
        })).await;
        survey.look("shorten", write(&db, NOW, {
            let grant = tenant.clone();
            async move |tx| tx.scope(&grant).shorten_sessions(at, ada).await
        })).await;
        survey.look("activity", write(&db, NOW, {
            let id = session.id;
            async move |tx| tx.system(SYSTEM).note_activity(&[(id, NOW)]).await
        })).await;
        survey.look("one", write(&db, NOW, {
            let id = session.id;
            async move |tx| tx.system(SYSTEM).end(tx.system(SYSTEM).session(id).await?.unwrap().revoke(EndReason::Admin, &by(), NOW).unwrap()).await
        })).await;
        for (name, grant, target) in [
            ("named", &tenant, RevokeTarget::Named(at, ada, vec![session.id])),
            ("a user's", &tenant, RevokeTarget::User(at, ada)),
            ("a user's by the partner", &partner, RevokeTarget::User(at, ada)),
            ("a user's by the platform", &platform, RevokeTarget::User(at, ada)),
            ("a tenant's", &tenant, RevokeTarget::Tenant(at)),
            ("a partner's", &platform, RevokeTarget::Partner(at.partner_id)),
        ] {
            let many = RevokeMany { target, except: Some(session.id), reason: EndReason::RevokeAll, by: by() };
            let grant = grant.clone();
            survey.look(name, db.scope(&grant).effects(&many, NOW)).await;
            survey.look(name, write(&db, NOW, async move |tx| tx.scope(&grant).revoke_many(&many).await)).await;
        }
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
            let caps = Caps { lifetime, refresh, idle, per_user: Some(Cap { most: 50, unless_decided }) };
            let tighten = Tighten { within, caps, by: by() };
            let grant = grant.clone();
            survey.look(name, db.scope(&grant).tightening(&tighten, NOW)).await;
            survey.look(name, write(&db, NOW, async move |tx| tx.scope(&grant).tighten(&tighten).await)).await;
        }
    }

    async fn what_is_swept_and_purged_is_found_by_an_index(survey) {
        let db = survey.db.clone();
        let at = survey.tenant.reference();
        survey.look("sweep", write(&db, NOW.plus(DAY * 8), async |tx| tx.system(SYSTEM).expire_due().await)).await;
        survey.look("purge", write(&db, then(), async move |tx| tx.system(SYSTEM).purge_sessions(at, NOW.minus(DAY)).await)).await;
        survey.look("what waits for a seal", db.system(SYSTEM).unsealed()).await;
        survey.look("seals", write(&db, then(), async |tx| tx.system(SYSTEM).seal_events().await)).await;
        while write(&db, then(), async |tx| tx.system(SYSTEM).seal_events().await).await.unwrap().events > 0 {}
        survey.look("sealed events", db.verify_audit(SYSTEM, Some(at.id), 0)).await;
        let ada = survey.ada.id;
        survey.look("a user's events", write(&db, then(), async move |tx| tx.system(SYSTEM).redact_user_events(at, ada, by()).await)).await;
        survey.look("events", write(&db, then(), async move |tx| tx.system(SYSTEM).purge_audit_events(Some(at), then()).await)).await;
        survey.look("hours", write(&db, then(), async move |tx| tx.system(SYSTEM).purge_hours(at).await)).await;
        survey.look("throttles", write(&db, then(), async |tx| tx.system(SYSTEM).purge_throttles(NOW.minus(DAY), 1).await)).await;
        survey.look("tenants", db.system(SYSTEM).tenants_after(None)).await;
    }
}
