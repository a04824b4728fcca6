//! Applications: OAuth clients of the platform, of partners and of tenants. Whoever sees one from below its owner may
//! use it, and cannot change it.

mod apis;
mod described;

use gatehouse_domain::{
    application::{
        Application, ApplicationPatch, ApplicationType, ClientMetadata, DocumentUrl, GrantType, LogoutUri,
        NewApplication, Owner, PreviousSecret,
    },
    authz::{
        Area, Authority, By, DeleteApplications, Denied, Grant, Permission, ReadApplications, SystemReason, TenantRef,
        WriteApplications,
    },
    id::{ApplicationId, PartnerId, TenantId},
    issue::Issue,
    key::Issuer,
    page::{Direction, Page, PageRequest},
    partner::Status,
    secret::Secret,
    session::{Effects, EndReason, RevokeMany, RevokeTarget},
    text::Name,
    time::Timestamp,
};
use gatehouse_persistence::{ChangeContext, Db, WriteScope, WriteTx};

pub use gatehouse_persistence::ApplicationFilter;

use crate::{
    app::{
        App, Error, Result,
        effects::{Deleted, Mode, change},
        platform::Keys,
        request::{Idempotency, client::RequestMeta},
        settings::Merge,
    },
    env::Env,
    outbound::Outbound,
    security::opaque_token,
};

/// Applications.
#[derive(Debug, Clone, Copy)]
pub struct Applications<'a> {
    db: &'a Db,
    env: &'a Env,
    idempotency: Idempotency<'a>,
    keys: Keys<'a>,
    outbound: &'a Outbound,
}

impl App {
    /// Applications.
    pub const fn applications(&self) -> Applications<'_> {
        Applications {
            db: &self.db,
            env: &self.env,
            idempotency: self.idempotency(),
            keys: self.keys(),
            outbound: &self.outbound,
        }
    }
}

/// Whose an application is to be.
#[derive(Debug, Clone, Copy)]
pub enum NamedOwner {
    /// The platform's.
    Platform,
    /// A partner's.
    Partner(PartnerId),
    /// A tenant's.
    Tenant(TenantId),
}

/// An application to be made.
#[derive(Debug, Clone)]
pub struct CreateApplication {
    /// Whose it is to be.
    pub owner: NamedOwner,
    /// Its name.
    pub name: Name,
    /// What kind of program it is.
    pub kind: ApplicationType,
    /// What it is to be registered with.
    pub metadata: ClientMetadata,
    /// The document that describes it, where one does.
    pub document: Option<DocumentUrl>,
}

/// What is to change of an application.
#[derive(Clone)]
pub struct ChangeApplication {
    /// The name.
    pub name: Option<Name>,
    /// Whether it may be used.
    pub status: Option<Status>,
    /// What it is registered with.
    pub metadata: Merge<ClientMetadata>,
}

/// An application with its new secret, which nobody is shown again; none if it has no secrets.
pub type WithSecret = (Application, Option<Secret<String>>);

impl Applications<'_> {
    /// Lists applications within the grant, and those above that can be used there.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn list(
        &self,
        grant: &Grant<ReadApplications>,
        filter: &ApplicationFilter,
        direction: Direction,
        page: &PageRequest,
    ) -> Result<Page<Application>> {
        Ok(self.db.scope(grant).applications(filter, direction, page).await?)
    }

    /// One application.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn get(&self, grant: &Grant<ReadApplications>, id: ApplicationId) -> Result<Application> {
        self.db.scope(grant).application(id).await?.ok_or(Error::NotFound)
    }

    /// Makes an application. Nobody makes one whose scopes open what they may not.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the grant shows no such owner or the metadata do not fit together, [`Error::Denied`],
    /// [`Error::LimitReached`], [`Error::Conflict`] when another application is the same API.
    pub async fn create(
        &self,
        grant: &Grant<WriteApplications>,
        new: CreateApplication,
        meta: &RequestMeta,
    ) -> Result<WithSecret> {
        let id = self.env.id(ApplicationId::from_parts);
        let secret = opaque_token::mint_client_secret(self.env);
        let metadata = described::registered(&new)?;
        may_be_told_at(self.outbound.allows_plain(), metadata.backchannel_logout_uri.as_ref())?;
        let (by, grant, base_url) = (grant.by(), grant.clone(), meta.base_url.clone());
        let work = async move |tx: &WriteTx<'_>| {
            let scope = tx.scope(&grant).await?;
            let owner = owner(tx, &scope, &grant, new.owner).await?;
            let (name, metadata) = (new.name.clone(), metadata.clone());
            if let Some(known) = described::let_in_before(tx, owner, new.document.as_ref()).await? {
                let added = known.add(name, &authority(&grant, owner), tx.now())?;
                return Ok((scope.update(added).await?, None));
            }
            let document = new.document.clone();
            let new = NewApplication { id, owner, name, kind: new.kind, metadata, secret: secret.hash, document };
            let made = Application::create(new, &authority(&grant, owner), tx.now())?;
            apis::judge(tx, &scope, None, made.value(), &base_url).await?;
            let application = scope.insert(made).await?;
            scope.put_resources(&application).await?;
            scope.put_origins(&application).await?;
            let shown = application.metadata.has_secrets().then(|| secret.text.clone());
            Ok((application, shown))
        };
        let made = self.idempotency.write(meta, work).await?;
        self.ask_for_keys(&made.0, &by, meta).await;
        Ok(made)
    }

    /// Changes an application. While it is suspended nothing of it works.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::Invalid`], [`Error::Conflict`], [`Error::Stale`].
    pub async fn update(
        &self,
        grant: &Grant<WriteApplications>,
        id: ApplicationId,
        to: ChangeApplication,
        mode: Mode,
        meta: &RequestMeta,
    ) -> Result<(Application, Effects)> {
        let (by, grant, base_url) = (grant.by(), grant.clone(), meta.base_url.clone());
        let allows_plain = self.outbound.allows_plain();
        let work = async move |tx: &WriteTx<'_>| {
            let scope = tx.scope(&grant).await?;
            let before = changeable(&scope, id).await?;
            let mut metadata = before.metadata.draft();
            (to.metadata)(&mut metadata);
            let metadata = described::changed(&before, metadata, to.name.as_ref())?;
            if metadata.backchannel_logout_uri != before.metadata.backchannel_logout_uri {
                may_be_told_at(allows_plain, metadata.backchannel_logout_uri.as_ref())?;
            }
            let metadata = Some(metadata);
            let patch = ApplicationPatch { name: to.name.clone(), status: to.status, metadata };
            let caller = authority(&grant, before.owner);
            let changed = before.clone().update(patch, &caller, tx.now())?;
            let names_apis = apis::judge(tx, &scope, Some(&before), changed.value(), &base_url).await?;
            let application = scope.update(changed).await?;
            if names_apis {
                scope.put_resources(&application).await?;
            }
            if application.metadata.allowed_origins != before.metadata.allowed_origins {
                scope.put_origins(&application).await?;
            }
            Ok((application, Effects::default()))
        };
        let (application, effects) = change(self.db, meta.ctx.clone(), mode, work).await?;
        if mode == Mode::Real {
            self.ask_for_keys(&application, &by, meta).await;
        }
        Ok((application, effects))
    }

    /// Publishes the keys that ID tokens of an application will need, as early as can be. Where that fails they are made
    /// when they are needed.
    async fn ask_for_keys(&self, application: &Application, by: &By, meta: &RequestMeta) {
        let metadata = &application.metadata;
        let signs_in = [GrantType::AuthorizationCode, GrantType::DeviceCode];
        let issuer = match application.owner {
            Owner::Platform => Issuer::Platform,
            Owner::Tenant(tenant) => Issuer::Tenant(tenant),
            // That of each tenant which it is used in.
            Owner::Partner(_) => return,
        };
        if !metadata.grant_types.iter().any(|grant| signs_in.contains(grant)) {
            return;
        }
        let ctx = ChangeContext { condition: None, ..meta.ctx.clone() };
        if let Err(error) = self.keys.ensure(issuer, metadata.id_token_signed_response_alg, by, ctx).await {
            tracing::warn!(%error, "a signing key cannot be made yet");
        }
    }

    /// Gives an application another secret. The one before works for as long as is asked, any other ends.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::Conflict`] when it has no secrets.
    pub async fn rotate_secret(
        &self,
        grant: &Grant<WriteApplications>,
        id: ApplicationId,
        previous: Option<PreviousSecret>,
        meta: &RequestMeta,
    ) -> Result<WithSecret> {
        let secret = opaque_token::mint_client_secret(self.env);
        let grant = grant.clone();
        let work = async move |tx: &WriteTx<'_>| {
            let scope = tx.scope(&grant).await?;
            let application = changeable(&scope, id).await?;
            if !application.metadata.has_secrets() {
                return Err(Error::Conflict("The application has no secrets.".into()));
            }
            let caller = authority(&grant, application.owner);
            let rotated = application.rotate_secret(secret.hash, previous, &caller, tx.now())?;
            Ok((scope.update(rotated).await?, Some(secret.text.clone())))
        };
        self.idempotency.write(meta, work).await
    }

    /// Ends every token that an application got until now, of whatever users. Returns how many families of tokens.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub async fn revoke_tokens(
        &self,
        grant: &Grant<WriteApplications>,
        id: ApplicationId,
        meta: &RequestMeta,
    ) -> Result<(u64, Timestamp)> {
        let grant = grant.clone();
        let work = async move |tx: &WriteTx<'_>| {
            let scope = tx.scope(&grant).await?;
            let application = changeable(&scope, id).await?;
            let (families, now) = (scope.end_families_of(&application).await?, tx.now());
            scope.revoke_many(&own_sessions(&application, EndReason::Admin, grant.by())).await?;
            scope.update(application.revoke_tokens(families, &grant.by(), now)).await?;
            Ok((families, now))
        };
        self.idempotency.write(meta, work).await
    }

    /// Deletes an application: nothing of it works any more.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::Stale`].
    pub async fn delete(
        &self,
        grant: &Grant<DeleteApplications>,
        id: ApplicationId,
        mode: Mode,
        meta: &RequestMeta,
    ) -> Result<Deleted<Application>> {
        let grant = grant.clone();
        let work = async move |tx: &WriteTx<'_>| {
            let scope = tx.scope(&grant).await?;
            let Some(application) = scope.application_even_deleted(id).await? else {
                return Err(refusal::<DeleteApplications>(&scope, id).await?);
            };
            if application.deleted_at.is_some() {
                return Ok((application, Effects::default()));
            }
            let caller = authority(&grant, application.owner);
            let application = scope.update(application.delete(&caller, tx.now())?).await?;
            scope.put_resources(&application).await?;
            scope.put_origins(&application).await?;
            scope.revoke_many(&own_sessions(&application, EndReason::Deleted, grant.by())).await?;
            Ok((application, Effects::default()))
        };
        change(self.db, meta.ctx.clone(), mode, work).await
    }
}

/// The end of the sessions that an application has of its own.
const fn own_sessions(application: &Application, reason: EndReason, by: By) -> RevokeMany {
    RevokeMany { target: RevokeTarget::OwnOf(application.owner, application.id), except: None, reason, by }
}

/// An application is told over http that a session has ended only where private addresses may be called at all.
fn may_be_told_at(allows_plain: bool, uri: Option<&LogoutUri>) -> Result<()> {
    match uri {
        Some(uri) if uri.is_plain() && !allows_plain => {
            let msg = "must be an https address, unless GATEHOUSE_OUTBOUND_ALLOW names private networks";
            Err(Error::Invalid(Issue::body("backchannel_logout_uri", "client_metadata", msg).into()))
        }
        _ => Ok(()),
    }
}

/// What the caller holds where an application belongs.
fn authority<P: Permission>(grant: &Grant<P>, owner: Owner) -> Authority {
    grant.authority(match owner {
        Owner::Tenant(tenant) => Some(tenant),
        Owner::Platform | Owner::Partner(_) => None,
    })
}

/// An application that may be changed from within, which nobody else changes meanwhile.
async fn changeable(scope: &WriteScope<'_>, id: ApplicationId) -> Result<Application> {
    match scope.application_locked(id).await? {
        Some(application) => Ok(application),
        None => Err(refusal::<WriteApplications>(scope, id).await?),
    }
}

/// Why an application cannot be changed from here: it is there, and another's, or it is not.
async fn refusal<P: Permission>(scope: &WriteScope<'_>, id: ApplicationId) -> Result<Error> {
    let seen = scope.application(id).await?;
    Ok(seen.map_or(Error::NotFound, |_| Error::Denied(Denied::Forbidden(P::NAME))))
}

/// The owner that is named, if the caller may make applications for it; it stays until the transaction ends.
async fn owner(
    tx: &WriteTx<'_>,
    scope: &WriteScope<'_>,
    grant: &Grant<WriteApplications>,
    named: NamedOwner,
) -> Result<Owner> {
    match named {
        NamedOwner::Platform => {
            grant.also::<WriteApplications>(&Area::Platform)?;
            Ok(Owner::Platform)
        }
        NamedOwner::Partner(id) => {
            let partner = scope.partner_locked(id).await?.ok_or_else(|| Error::unknown("partner_id"))?;
            Ok(Owner::Partner(partner.id))
        }
        NamedOwner::Tenant(id) => {
            let tenant = scope.tenant(id).await?.ok_or_else(|| Error::unknown("tenant_id"))?.reference();
            another_application_fits(tx, tenant).await?;
            Ok(Owner::Tenant(tenant))
        }
    }
}

/// A tenant has room for one more application, and keeps it until the transaction ends.
async fn another_application_fits(tx: &WriteTx<'_>, tenant: TenantRef) -> Result<()> {
    match tx.system(SystemReason::Quota).application_quota(tenant).await?.exhausted() {
        Some(most) => Err(Error::LimitReached(format!("The tenant may have {most} applications.").into())),
        None => Ok(()),
    }
}

/// Lets a tenant that has moved have no more applications than its partner allows, and no API that the partner has too:
/// tokens for one would be good at the other.
///
/// # Errors
/// [`Error::LimitReached`], [`Error::Conflict`].
pub(crate) async fn applications_fit(tx: &WriteTx<'_>, tenant: TenantRef) -> Result<()> {
    if let Some(most) = tx.system(SystemReason::Quota).application_quota(tenant).await?.exceeded() {
        let msg = format!("A tenant of the partner may have {most} applications.");
        return Err(Error::LimitReached(msg.into()));
    }
    let system = tx.system(SystemReason::Inheritance);
    system.lock_resources().await?;
    if system.resources_are_shared(tenant).await? {
        return Err(Error::Conflict("An application of the partner is an API that one of the tenant is too.".into()));
    }
    Ok(())
}
