//! Partners, tenants, users and sessions to test with, made by the domain's own transitions.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use gatehouse_domain::{
    application::{
        Application, ApplicationType, ClientMetadata, Described, DocumentUrl, NewApplication, Owner, ResourceUri,
    },
    authz::{
        Actor, Area, Authority, By, Grant, Installation, Permission, RevokeSessions, SystemReason, TenantRef,
        WriteTenants, authorize,
    },
    change::Changed,
    id::*,
    issue::Parse,
    page::{PageNumber, PageRequest, PerPage, Start},
    partner::{NewPartner, Partner},
    secret::{PasswordHash, TokenHash},
    session::{AuthMethod, Client, Device, DeviceKind, NewSession, Session},
    settings::{Bounded, Defaults, Policy, Settings},
    sign_in::{Authentication, Factor, Judgement, Proofs},
    tenant::{Branding, NewTenant, Tenant},
    text::{Email, Name, Slug, Username},
    throttle::KnownDevice,
    time::Timestamp,
    user::{NewUser, PasswordSet, User},
};
use gatehouse_persistence::{AttemptKeys, ChangeContext, Db, Error, ThrottleKey, WriteTx};

pub const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);
pub const SYSTEM: SystemReason = SystemReason::Job;

/// Where attempts are counted.
pub const KEYS: AttemptKeys = AttemptKeys {
    account: ThrottleKey::Digest([1; 32]),
    known: None,
    networks: [
        Some(ThrottleKey::Digest([2; 32])),
        Some(ThrottleKey::Digest([3; 32])),
        Some(ThrottleKey::Digest([4; 32])),
    ],
    tenant: ThrottleKey::Digest([5; 32]),
};

static SERIAL: AtomicU64 = AtomicU64::new(1);

/// Ten bytes that no other call gets.
pub fn bytes() -> [u8; 10] {
    let mut bytes = [0; 10];
    bytes[2..].copy_from_slice(&SERIAL.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    bytes
}

pub fn by() -> By {
    By::system(SYSTEM)
}

pub fn caller() -> Authority {
    Authority::system(SYSTEM)
}

pub fn ctx(now: Timestamp) -> ChangeContext {
    ChangeContext::at(now)
}

pub fn policy() -> Policy {
    policy_of(&Settings::default())
}

pub fn policy_of(settings: &Settings) -> Policy {
    settings.policy(&Defaults {
        access_token_minutes: Bounded::new(15).unwrap(),
        refresh_token_days: Bounded::new(7).unwrap(),
    })
}

/// A grant of the system for a target.
pub fn grant<P: Permission>(target: &P::Target) -> Grant<P> {
    authorize(&Arc::new(Actor::System(SYSTEM)), target).unwrap()
}

pub fn in_tenant<P: Permission<Target = Area>>(tenant: &Tenant) -> Grant<P> {
    grant(&Area::Tenant(tenant.reference()))
}

pub fn page(number: u32, per_page: u16) -> PageRequest {
    PageRequest {
        start: Start::Page(PageNumber::parse(&number.to_string()).unwrap()),
        per_page: PerPage::parse(&per_page.to_string()).unwrap(),
    }
}

pub async fn write<T: Send + 'static>(
    db: &Db,
    now: Timestamp,
    work: impl AsyncFn(&WriteTx<'_>) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    db.write(ctx(now), work).await
}

pub async fn partner(db: &Db, slug: &str) -> Partner {
    let new = NewPartner {
        name: Name::parse(slug).unwrap(),
        slug: Slug::parse(slug).unwrap(),
        contact_email: None,
        max_tenants: None,
        max_users_per_tenant: None,
        max_applications_per_tenant: None,
    };
    let changed = Partner::create(PartnerId::from_parts(NOW.unix_millis(), bytes()), new, &by(), NOW);
    write(db, NOW, async move |tx| {
        tx.scope(&grant::<gatehouse_domain::authz::WritePartners>(&Installation)).await?.insert(changed.clone()).await
    })
    .await
    .unwrap()
}

pub async fn tenant(db: &Db, partner: &Partner, slug: &str) -> Tenant {
    tenant_with(db, partner, slug, Settings::default()).await
}

pub async fn tenant_with(db: &Db, partner: &Partner, slug: &str, settings: Settings) -> Tenant {
    let new = NewTenant {
        partner_id: partner.id,
        name: Name::parse(slug).unwrap(),
        slug: Slug::parse(slug).unwrap(),
        contact_email: None,
        settings,
        branding: Branding::default(),
    };
    let changed = Tenant::create(TenantId::from_parts(NOW.unix_millis(), bytes()), new, &by(), NOW);
    write(db, NOW, async move |tx| {
        tx.scope(&grant::<WriteTenants>(&Area::Directory)).await?.insert(changed.clone()).await
    })
    .await
    .unwrap()
}

pub const HASH: &str = "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaA";

pub fn new_user(tenant: TenantRef, name: &str) -> gatehouse_domain::change::Changed<PasswordSet> {
    let new = NewUser {
        tenant,
        username: Username::parse(name).unwrap(),
        email: Email::parse(&format!("{name}@example.com")).unwrap(),
        display_name: None,
        phone: None,
    };
    User::register(UserId::from_parts(NOW.unix_millis(), bytes()), new, PasswordHash::new(HASH.into()), NOW)
}

pub async fn user(db: &Db, tenant: &Tenant, name: &str) -> User {
    let changed = new_user(tenant.reference(), name);
    write(db, NOW, async move |tx| tx.system(SYSTEM).insert(changed.clone()).await).await.unwrap().user
}

/// A device that becomes known.
pub fn device(user: &User, hash: TokenHash, at: Timestamp) -> Changed<KnownDevice> {
    KnownDevice::add(DeviceId::from_parts(at.unix_millis(), bytes()), hash, &new_session(user, at), at)
}

/// Nobody has a factor here.
#[derive(Debug, Clone, PartialEq)]
enum NoFactor {}

impl Factor for NoFactor {
    fn method(&self) -> AuthMethod {
        match *self {}
    }
}

fn authentication(user: &User) -> Authentication {
    let complete = match Proofs::<NoFactor>::password().judge(user, Vec::new(), &policy()) {
        Judgement::Complete(authentication) => Some(authentication),
        _ => None,
    };
    complete.unwrap()
}

pub fn new_session(user: &User, now: Timestamp) -> NewSession {
    let mut hash = [0; 32];
    hash[..10].copy_from_slice(&bytes());
    NewSession {
        id: SessionId::from_parts(now.unix_millis(), bytes()),
        tenant_id: user.tenant_id,
        partner_id: user.partner_id,
        user_id: user.id,
        administers: false,
        cookie: None,
        client: Client {
            ip: Some("203.0.113.10".parse().unwrap()),
            user_agent: Some("test".into()),
            device: Device { kind: DeviceKind::Desktop, name: Some("Firefox on Linux".into()) },
            location: None,
        },
        authentication: authentication(user),
        refresh_hash: TokenHash::new(hash),
    }
}

/// An application that is an API of the same name.
pub fn new_application(owner: Owner, name: &str) -> Changed<Application> {
    let mut metadata = ClientMetadata::of(ApplicationType::Service);
    metadata.resource_uris = vec![ResourceUri::parse(&format!("urn:example:{name}")).unwrap()];
    let new = NewApplication {
        id: ApplicationId::from_parts(NOW.unix_millis(), bytes()),
        owner,
        name: Name::parse(name).unwrap(),
        kind: ApplicationType::Service,
        metadata: metadata.register(ApplicationType::Service).unwrap(),
        secret: TokenHash::new([9; 32]),
        document: None,
    };
    Application::create(new, &caller(), NOW).unwrap()
}

/// One that a document describes and that nobody has let in.
pub fn described_application(owner: Owner, number: usize) -> Application {
    let url = DocumentUrl::parse(&format!("https://tool.example/{number}.json")).unwrap();
    let body = format!(r#"{{"client_id": "{url}", "client_name": "Tool", "redirect_uris": ["http://localhost/cb"]}}"#);
    let described = Described::read(&url, body.as_bytes()).unwrap();
    Application::of_document(ApplicationId::from_parts(NOW.unix_millis(), bytes()), owner, url, described, NOW)
}

pub async fn application(db: &Db, owner: Owner, name: &str) -> Application {
    let changed = new_application(owner, name);
    write(db, NOW, async move |tx| tx.system(SYSTEM).insert(changed.clone()).await).await.unwrap()
}

pub async fn session(db: &Db, user: &User, now: Timestamp) -> Session {
    session_with(db, user, now, |_| {}).await
}

pub async fn session_with(db: &Db, user: &User, now: Timestamp, adapt: impl FnOnce(&mut NewSession)) -> Session {
    let mut new = new_session(user, now);
    adapt(&mut new);
    let changed = Session::start(new, &policy(), now);
    write(db, now, async move |tx| tx.system(SYSTEM).insert(changed.clone()).await).await.unwrap()
}

pub async fn end(db: &Db, session: &Session, reason: gatehouse_domain::session::EndReason, now: Timestamp) {
    let changed = session.clone().revoke(reason, &by(), now).unwrap();
    write(db, now, async move |tx| tx.system(SYSTEM).end(changed.clone()).await).await.unwrap();
}

pub fn revoking(tenant: &Tenant) -> Grant<RevokeSessions> {
    in_tenant(tenant)
}

pub const SECOND: Duration = Duration::from_secs(1);

pub fn partner_admin(
    partner: &gatehouse_domain::partner::Partner,
    user: &User,
) -> std::sync::Arc<gatehouse_domain::authz::Actor> {
    use gatehouse_domain::{
        authz::{Actor, PermissionSet, Presence, Right, UserActor},
        role::Anchor,
    };
    std::sync::Arc::new(Actor::User(UserActor {
        user_id: user.id,
        tenant_id: user.tenant_id,
        partner_id: user.partner_id,
        session_id: gatehouse_domain::id::SessionId::from_parts(0, [0; 10]),
        presence: Presence::SignedIn,
        rights: vec![Right {
            anchor: Anchor::Partner(partner.id),
            permissions: PermissionSet::any(),
            expires_at: None,
        }],
        scope: None,
    }))
}
