//! Codes and families of tokens.

mod logouts;

use std::time::Duration;

use gatehouse_domain::{
    application::{Application, Owner},
    authz::{ApplicationActor, PermissionSet, Right},
    change::Changed,
    id::{FamilyId, SessionId},
    oauth::{
        Audience, AuthorizationCode, ClaimsRequest, DeviceAnswer, DeviceRequest, FamilyEnd, NewFamily, RevokedToken,
        Scopes, TokenFamily, UserCode, Withdrawal,
    },
    refresh::Presented,
    role::Anchor,
    session::{EndReason, NewOwnSession, RevokeMany, RevokeTarget, Session, SessionKind},
};
use gatehouse_persistence::{ApplicationUse, Error, Exchanged, PushedRequest, WriteTx, testing::analyze};

use super::*;

fn digest(n: u32) -> TokenHash {
    let mut bytes = [9; 32];
    bytes[..4].copy_from_slice(&n.to_be_bytes());
    TokenHash::new(bytes)
}

fn code(session: &Session, application: &Application) -> AuthorizationCode {
    AuthorizationCode {
        hash: TokenHash::new(random()),
        tenant: session.tenant(),
        session_id: session.id,
        application_id: application.id,
        owner: application.owner,
        family_id: FamilyId::from_parts(NOW.unix_millis(), bytes()),
        redirect_uri: "https://wiki.example/callback".to_owned(),
        challenge: None,
        dpop_jkt: None,
        nonce: None,
        scopes: Scopes::read("openid"),
        claims: ClaimsRequest::default(),
        audience: Audience::Application(application.id),
        auth_time: NOW,
        created_at: NOW,
        spent_at: None,
    }
}

/// The family that a code is exchanged for.
fn begin(code: &AuthorizationCode, session: &Session, application: &Application) -> Changed<TokenFamily> {
    let new = NewFamily {
        id: code.family_id,
        sid: session.id,
        scopes: &code.scopes,
        claims: &code.claims,
        audience: &code.audience,
        auth_time: NOW,
        session,
        application,
        dpop_jkt: None,
        refresh_hash: TokenHash::new(random()),
    };
    TokenFamily::start(&new, &policy(), NOW)
}

/// Fills sessions of two tenants with codes and families; returns one of each.
async fn fill(survey: &Survey) -> (AuthorizationCode, TokenFamily, Application) {
    let db = &survey.db;
    let other = user(db, &tenant(db, &partner(db, "oauth").await, "oauth").await, "zoe").await;
    let mut last = None;
    for (user, sessions) in [(other, 60), (survey.ada.clone(), 40)] {
        let owner = Owner::Tenant(user.tenant());
        let application = application(db, owner, "families").await;
        for _ in 0..sessions {
            let session = session(db, &user, NOW).await;
            let mut made = Vec::new();
            for _ in 0..20 {
                let code = code(&session, &application);
                made.push((code.clone(), begin(&code, &session, &application)));
            }
            last = made.last().map(|(code, family)| (code.clone(), family.value().clone(), application.clone()));
            let work = async move |tx: &WriteTx<'_>| {
                let system = tx.system(SYSTEM);
                for (code, family) in made.iter().cloned() {
                    system.issue_code(&code).await?;
                    system.insert(family).await?;
                }
                Ok(())
            };
            write(db, NOW, work).await.unwrap();
        }
    }
    if !db.is_sqlite() {
        analyze(db).await.unwrap();
    }
    last.unwrap()
}

fn random() -> [u8; 32] {
    let mut all = [0; 32];
    for piece in all.chunks_mut(10) {
        let length = piece.len();
        piece.copy_from_slice(&bytes()[..length]);
    }
    all
}

surveys! {
    async fn codes_and_families_are_found_by_an_index(survey) {
        let db = survey.db.clone();
        let (code, family, application) = fill(survey).await;
        let system = || db.system(SYSTEM);
        survey.look("sessions by their cookies", system().session_states_by_cookie(&[digest(1), digest(2), digest(3)], NOW)).await;
        let address = LoginName::parse("ada@acme.example").unwrap();
        survey.look("where an address last signed in", system().tenant_of_address(&address)).await;
        survey.look("a code", system().code_state(code.hash, NOW)).await;
        survey.look("a family with its session", system().family_state(family.id, NOW)).await;
        survey.look("a family", system().token_family(family.id)).await;
        let issuer = Some(survey.tenant.reference().into());
        survey.look("an origin", system().allows_origin(issuer, "https://wiki.example")).await;
        survey.look("an origin of any", system().allows_origin(None, "https://wiki.example")).await;
        let (hash, at) = (code.hash, family.tenant);
        let next = Some(Successor { hash: digest(2), replay: None });
        let (session, current) = (survey.session.clone(), Presented { generation: 0, hash: family.chain.current });
        let rotated = family.clone().rotate(next, &session, &application, &policy(), NOW);
        let family_id = FamilyId::from_parts(NOW.unix_millis(), bytes());
        let begun = begin(&AuthorizationCode { family_id, ..code.clone() }, &session, &application);
        let application_id = application.id;
        let change = write(&db, NOW, async move |tx| {
            let system = tx.system(SYSTEM);
            assert!(system.exchange_code(hash, &session, begun.clone()).await?);
            let family = system.rotate_family(current, rotated.clone()).await?;
            system.end_family(family.end(FamilyEnd::Revoked, &by(), NOW).unwrap()).await?;
            system.put_origins(&application).await?;
            system.leave_applications(at).await
        });
        survey.look("changes of codes and families", change).await;
        let used = system().application(application_id).await.unwrap().unwrap();
        let right = Right { anchor: Anchor::Tenant(at.id), permissions: PermissionSet::any(), expires_at: None };
        let actor =
            ApplicationActor { application_id, level: "tenant", tenant: Some(at), rights: vec![right] };
        let grant = authorize::<ReadUsers>(&Arc::new(Actor::Application(actor)), &Area::Tenant(at)).unwrap();
        let (session, application) = (survey.session.clone(), used.id);
        survey.look("a consent", system().consent(&session, application, None)).await;
        survey.look("consents of a user", system().consents_of(at.id, session.user_id)).await;
        survey.look("families of a user", system().families_of(at.id, session.user_id, NOW)).await;
        survey.look("applications by id", system().applications_by_id(&[application])).await;
        let user_id = session.user_id;
        let ending = used.clone();
        survey.look("tokens of an application that end", write(&db, NOW, async move |tx| {
            tx.system(SYSTEM).end_families_of(&ending).await.map(drop)
        })).await;
        let request = PushedRequest {
            hash: TokenHash::new(random()),
            tenant_id: Some(at.id),
            application_id: application,
            sealed: vec![1],
            expires_at: NOW.plus(DAY),
        };
        let hash = request.hash;
        survey.look("a request that is pushed", write(&db, NOW, async move |tx| {
            assert!(tx.system(SYSTEM).push_request(&request, false).await?);
            assert!(tx.system(SYSTEM).spend_pushed_request(hash).await?);
            Ok(())
        })).await;
        survey.look("how many pushed requests wait", system().pushed_waiting(application, NOW)).await;
        survey.look("a pushed request", system().pushed_request(hash, NOW)).await;
        let user_code = UserCode::of(&[1; 8]).unwrap();
        let device = DeviceRequest {
            hash: TokenHash::new(random()),
            user_code: user_code.clone(),
            tenant: Some(at),
            application_id: application,
            owner: used.owner,
            scopes: Scopes::read("openid"),
            audience: Audience::Application(application),
            ip: None,
            interval: Duration::from_secs(5),
            polled_at: Some(NOW),
            opened_by: None,
            answer: None,
            is_spent: false,
            created_at: NOW,
            expires_at: NOW.plus(DAY),
        };
        let (asked, by_whom, theirs) = (device.clone(), survey.session.clone(), used.clone());
        survey.look("a device that waits", write(&db, NOW, async move |tx| {
            let system = tx.system(SYSTEM);
            assert!(system.await_device(&asked).await?);
            assert!(system.open_device(&asked, &by_whom).await?);
            assert!(system.leave_device(&asked, &by_whom).await?);
            assert!(system.open_device(&asked, &by_whom).await?);
            system.device_polled(&asked).await?;
            assert!(system.answer_device(asked.clone().answer(DeviceAnswer::Approved, &by_whom), &by_whom).await?);
            let held = system.spend_within(Exchanged::Device(asked.hash), &by_whom).await?.unwrap();
            assert!(held.sessions > 0);
            let new = NewOwnSession {
                id: SessionId::from_parts(NOW.unix_millis(), bytes()),
                kind: SessionKind::Device,
                application_id: application,
                from: &by_whom,
                administers: false,
                client: by_whom.client.clone(),
                idle: DAY,
                refresh_hash: TokenHash::new(random()),
            };
            let session = Session::start_own(new, &policy(), NOW);
            let own = session.value().clone();
            let new = NewFamily {
                id: FamilyId::from_parts(NOW.unix_millis(), bytes()),
                sid: own.id,
                scopes: &asked.scopes,
                claims: &ClaimsRequest::default(),
                audience: &asked.audience,
                session: &own,
                application: &theirs,
                auth_time: NOW,
                dpop_jkt: None,
                refresh_hash: TokenHash::new(random()),
            };
            let family = TokenFamily::start(&new, &policy(), NOW);
            let begun = family.value().clone();
            system.begin_own(session, family, &theirs).await?;
            system.note_exchange(begun.clone().exchange(&theirs, &asked.audience, &asked.scopes)).await?;
            let ended = own.revoke(EndReason::Logout, &by(), NOW).unwrap();
            system.end_own(ended, begun.end(FamilyEnd::Revoked, &by(), NOW).unwrap()).await?;
            for target in [RevokeTarget::OwnFor(at, user_id, application), RevokeTarget::OwnOf(theirs.owner, application)] {
                system.revoke_many(&RevokeMany { target, except: None, reason: EndReason::Admin, by: by() }).await?;
            }
            Ok(())
        })).await;
        survey.look("a device by its code", system().device_request(&user_code)).await;
        survey.look("a device that asks", system().device_state(device.hash, NOW)).await;
        survey.look("a consent that is taken back", write(&db, NOW, async move |tx| {
            let withdrawn = Withdrawal { tenant: at, user_id, application_id: application };
            tx.system(SYSTEM).withdraw_consent(withdrawn.withdraw(&by())).await.map(drop)
        })).await;
        let key = IdempotencyKey {
            key: [5; 32],
            fingerprint: [6; 32],
            tenant: at.id,
            actor: ActorId::Application(application),
        };
        survey.look("receipts of an application", system().earlier_request(&key, NOW)).await;
        survey.look("a token that was taken back", system().is_revoked(uuid::Uuid::from_u128(1))).await;
        survey.look("an application that acts", write(&db, NOW, async move |tx| {
            let system = tx.system(SYSTEM);
            let token = RevokedToken { id: uuid::Uuid::from_u128(1), expires_at: NOW };
            system.revoke_token(token.revoke(&used, Some(at), None)).await?;
            system.use_application(used.noted_at, used.clone().use_itself(at.into(), "users:read", NOW).unwrap()).await?;
            system.note_uses(&[ApplicationUse { application, secret: None, at: NOW }]).await?;
            // It is registered with no such scope.
            assert!(matches!(tx.scope(&grant).await, Err(Error::Denied(_))));
            Ok(())
        })).await;
        let purge = write(&db, NOW.plus(DAY * 90), async move |tx| {
            tx.system(SYSTEM).spend_assertion(TokenHash::new(random()), NOW).await?;
            tx.system(SYSTEM).purge_assertions().await?;
            tx.system(SYSTEM).purge_pushed_requests().await?;
            tx.system(SYSTEM).purge_device_requests().await?;
            tx.system(SYSTEM).purge_revoked_tokens().await?;
            tx.system(SYSTEM).purge_codes().await?;
            tx.system(SYSTEM).purge_families().await
        });
        survey.look("what is purged of codes and families", purge).await;
    }
}
