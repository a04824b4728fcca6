//! Something to look at: partners, tenants, users, and a month of sessions as they would have come about.

use std::time::Duration;

use gatehouse_domain::{
    application::{Application, ApplicationType, ClientMetadata, NewApplication, Owner},
    authz::{Authority, By, SystemReason},
    change::Changed,
    id::{ApplicationId, AssignmentId, PartnerId, SessionId, TenantId, UserId},
    issue::Parse,
    partner::{NewPartner, Partner},
    password::Password,
    role::{Anchor, AnyRole, Assignment, BuiltinRole, NewAssignment},
    secret::{PasswordHash, TokenHash},
    session::{EndReason, NewSession, Session, SessionStatus},
    settings::{Registration, Settings},
    sign_in::{Judgement, Proofs},
    tenant::{Branding, NewTenant, Tenant},
    text::{DisplayName, Email, Name, Slug, Username},
    time::{DAY, HOUR, Timestamp},
    user::{NewUser, PasswordSet, User},
};
use gatehouse_persistence::{ChangeContext, WriteTx};

use crate::{
    app::{Error, Result, account::password::password_issue, platform::Demo, sign_in::factor::Factor},
    security::opaque_token,
};

/// An account to try.
#[derive(Debug, Clone)]
pub struct DemoLogin {
    /// What it may do.
    pub what: &'static str,
    /// The slug of its tenant.
    pub tenant_slug: String,
    /// The id of its tenant.
    pub tenant_id: TenantId,
    /// Its user name.
    pub username: String,
}

const REASON: SystemReason = SystemReason::Setup;
const USERS_PER_TENANT: usize = 40;
const SESSIONS_PER_USER: usize = 10;
const TENANTS: [(&str, &str, usize); 5] = [
    ("Alder Bakery", "alder", 0),
    ("Birch Cycles", "birch", 0),
    ("Cedar Clinic", "cedar", 0),
    ("Dunes Travel", "dunes", 1),
    ("Elm Law", "elm", 1),
];
const NAMES: [&str; 20] = [
    "ada", "bruno", "carla", "dmitri", "elena", "farid", "greta", "hugo", "ines", "jonas", "kira", "luis", "mara",
    "nils", "olga", "pablo", "quinn", "rosa", "sven", "tara",
];
const APPLICATIONS: [(&str, ApplicationType); 2] = [("Wiki", ApplicationType::Web), ("Mail", ApplicationType::Spa)];
const AGENTS: [&str; 7] = [
    "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/605.1.15",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Linux; Android 14; SM-X710) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    "backup-agent/2.4",
];

fn own<T: Parse>(text: &str) -> Result<T> {
    T::parse(text).map_err(|fault| Error::Internal(fault.msg.into()))
}

/// A series of numbers that looks random and is the same every time.
struct Dice(u64);

impl Dice {
    /// A number below `n`.
    fn roll(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or(0) % Ord::max(n, 1)
    }
}

impl Demo<'_> {
    /// Fills an empty instance; every account has this password.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the password is too weak.
    pub async fn seed(&self, password: &str) -> Result<Vec<DemoLogin>> {
        let (now, by) = (self.env.now(), self.db.system(REASON).by());
        let password = Password::parse(password).map_err(|fault| password_issue("password", fault))?;
        password.check_length(15).map_err(|fault| password_issue("password", fault))?;
        let tenant = self.env.id(TenantId::from_parts);
        let hash = self
            .hasher
            .choose(tenant, password, vec!["demo".to_owned()])
            .await?
            .map_err(|fault| password_issue("password", fault))?;

        let mut partners = Vec::new();
        for (name, slug) in [("Northern Partners", "northern"), ("Southern Partners", "southern")] {
            let new = NewPartner {
                name: own(name)?,
                slug: own(slug)?,
                contact_email: Some(own(&format!("office@{slug}.example"))?),
                max_tenants: None,
                max_users_per_tenant: None,
                max_applications_per_tenant: None,
            };
            let created = now.minus(DAY * 60);
            partners.push(Partner::create(self.env.id(PartnerId::from_parts), new, &by, created));
        }
        let partner_ids: Vec<_> = partners.iter().map(|partner| partner.value().id).collect();
        let work = async move |tx: &WriteTx<'_>| {
            for partner in &partners {
                tx.system(REASON).insert(partner.clone()).await?;
            }
            tx.system(REASON).finish_setup().await?;
            Ok::<_, Error>(())
        };
        self.db.write(ChangeContext::at(now), work).await?;

        let mut logins = Vec::new();
        let mut dice = Dice(42);
        for (name, slug, partner) in TENANTS {
            let (tenant, users, apps) = self.demo_tenant(name, slug, partner_ids[partner], &hash, now).await?;
            self.demo_sessions(&tenant, &users, &apps, &mut dice, now).await?;
            if slug == "alder" {
                self.demo_administrators(&tenant, &users, partner_ids[partner], &mut logins, now).await?;
            }
        }
        Ok(logins)
    }

    async fn demo_tenant(
        &self,
        name: &str,
        slug: &str,
        partner: PartnerId,
        hash: &PasswordHash,
        now: Timestamp,
    ) -> Result<(Tenant, Vec<User>, Vec<Application>)> {
        let (by, created) = (self.db.system(REASON).by(), now.minus(DAY * 45));
        let settings = Settings { registration: Some(Registration::Open), ..Settings::default() };
        let new = NewTenant {
            partner_id: partner,
            name: own::<Name>(name)?,
            slug: own::<Slug>(slug)?,
            contact_email: None,
            settings,
            branding: Branding::default(),
        };
        let tenant = Tenant::create(self.env.id(TenantId::from_parts), new, &by, created);
        let keys = self.keys.new_keys(tenant.value().reference().into(), &by)?;
        let mut users = Vec::<Changed<PasswordSet>>::new();
        for i in 0..USERS_PER_TENANT {
            let first = NAMES[i % NAMES.len()];
            let username = if i < NAMES.len() { first.to_owned() } else { format!("{first}{}", i / NAMES.len() + 1) };
            let new = NewUser {
                tenant: tenant.value().reference(),
                username: own::<Username>(&username)?,
                email: own::<Email>(&format!("{username}@{slug}.example"))?,
                display_name: Some(own::<DisplayName>(&format!("{}{}", first[..1].to_uppercase(), &username[1..]))?),
                phone: None,
            };
            users.push(User::register(self.env.id(UserId::from_parts), new, hash.clone(), created));
        }
        let stored = tenant.value().clone();
        let people = users.iter().map(|user| user.value().user.clone()).collect();
        let owner = Owner::Tenant(stored.reference());
        let apps = APPLICATIONS.map(|(name, kind)| self.demo_application(name, kind, owner, slug, created));
        let apps = apps.into_iter().collect::<Result<Vec<_>>>()?;
        let made = apps.iter().map(|app| app.value().clone()).collect();
        let work = async move |tx: &WriteTx<'_>| {
            let system = tx.system(REASON);
            system.insert(tenant.clone()).await?;
            system.insert_many(keys.clone()).await?;
            for user in &users {
                system.insert(user.clone()).await?;
            }
            for app in &apps {
                system.insert(app.clone()).await?;
            }
            Ok::<_, Error>(())
        };
        self.db.write(ChangeContext::at(created), work).await?;
        Ok((stored, people, made))
    }

    fn demo_application(
        &self,
        name: &str,
        kind: ApplicationType,
        owner: Owner,
        slug: &str,
        created: Timestamp,
    ) -> Result<Changed<Application>> {
        let mut metadata = ClientMetadata::of(kind);
        metadata.redirect_uris = vec![own(&format!("https://{}.{slug}.example/callback", name.to_lowercase()))?];
        metadata.allowed_origins = metadata.origins();
        let new = NewApplication {
            id: ApplicationId::from_parts(created.unix_millis(), self.env.random()),
            owner,
            name: own(name)?,
            kind,
            metadata: metadata.register(kind)?,
            secret: opaque_token::mint_client_secret(self.env).hash,
            document: None,
        };
        Ok(Application::create(new, &Authority::system(REASON), created)?)
    }

    /// A month of sign-ins, most of them over by now.
    async fn demo_sessions(
        &self,
        tenant: &Tenant,
        users: &[User],
        apps: &[Application],
        dice: &mut Dice,
        now: Timestamp,
    ) -> Result<()> {
        let policy = tenant.settings.policy(self.defaults);
        for user in users {
            let proofs = Proofs::<Factor>::password();
            let Judgement::Complete(authentication) = proofs.judge(user, Vec::new(), &policy) else { continue };
            let mut sessions = Vec::new();
            for _ in 0..SESSIONS_PER_USER {
                let began = now.minus(
                    HOUR * u32::try_from(dice.roll(30 * 24)).unwrap_or(0)
                        + Duration::from_secs(dice.roll(3_600) as u64),
                );
                let agent = AGENTS[dice.roll(AGENTS.len())];
                let address = [203, 0, 113, u8::try_from(dice.roll(254)).unwrap_or(1) + 1];
                let declared = (agent.starts_with("backup")).then_some("app");
                let new = NewSession {
                    id: SessionId::from_parts(began.unix_millis(), self.env.random()),
                    tenant_id: tenant.id,
                    partner_id: tenant.partner_id,
                    user_id: user.id,
                    administers: false,
                    client: self.clients.describe(Some(address.into()), Some(agent), declared),
                    authentication: authentication.clone(),
                    refresh_hash: TokenHash::new(self.env.random()),
                    cookie: None,
                };
                let session = Session::start(new, &policy, began);
                let ends = began.plus(HOUR * u32::try_from(1 + dice.roll(200)).unwrap_or(1));
                let reason = [EndReason::Logout, EndReason::Logout, EndReason::User, EndReason::Admin][dice.roll(4)];
                let used = apps.get(dice.roll(apps.len())).cloned();
                sessions.push((session, (ends < now).then_some((ends, reason)), used));
            }
            let by_user = By::oneself(user.id, None);
            let tenant = tenant.reference();
            let work = async move |tx: &WriteTx<'_>| {
                for (started, end, used) in &sessions {
                    let session = tx.system(REASON).insert(started.clone()).await?;
                    if let Some(application) = used {
                        tx.system(REASON).add_session_application(tenant, session.id, application).await?;
                    }
                    if let Some((at, reason)) = end
                        && session.status(*at) == SessionStatus::Active
                        && let Ok(ended) = session.revoke(*reason, &by_user, *at)
                    {
                        tx.system(REASON).end(ended).await?;
                    }
                }
                Ok::<_, Error>(())
            };
            self.db.write(ChangeContext::at(now), work).await?;
        }
        Ok(())
    }

    async fn demo_administrators(
        &self,
        tenant: &Tenant,
        users: &[User],
        partner: PartnerId,
        logins: &mut Vec<DemoLogin>,
        now: Timestamp,
    ) -> Result<()> {
        let levels = [
            ("user", None),
            ("tenant administrator", Some((BuiltinRole::TenantAdmin, Anchor::Tenant(tenant.id)))),
            ("partner administrator", Some((BuiltinRole::PartnerAdmin, Anchor::Partner(partner)))),
            ("platform administrator", Some((BuiltinRole::SuperAdmin, Anchor::Platform))),
        ];
        for ((what, role), user) in levels.into_iter().zip(users) {
            logins.push(DemoLogin {
                what,
                tenant_slug: tenant.slug.to_string(),
                tenant_id: tenant.id,
                username: user.username.to_string(),
            });
            let Some((role, anchor)) = role else { continue };
            let new = NewAssignment {
                id: self.env.id(AssignmentId::from_parts),
                tenant: tenant.reference(),
                user_id: user.id,
                role: AnyRole::Builtin(role),
                anchor,
                expires_at: None,
            };
            let assignment = Assignment::create(new, &Authority::system(REASON), now)?;
            let work = async move |tx: &WriteTx<'_>| {
                Ok::<_, Error>(tx.system(REASON).insert(assignment.clone()).await.map(drop)?)
            };
            self.db.write(ChangeContext::at(now), work).await?;
        }
        Ok(())
    }
}
