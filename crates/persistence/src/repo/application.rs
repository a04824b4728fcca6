//! Applications: OAuth clients.

use gatehouse_domain::{
    application::{
        Application, ApplicationType, ClientSecret, ClientSecrets, DocumentUrl, Owner, RegisteredMetadata,
        RegistrationKind, ResourceUri, ScopeLevel,
    },
    authz::TenantRef,
    id::{ApplicationId, PartnerId, TenantId},
    page::{Direction, Page, PageRequest},
    partner::Status,
    search::{Search, Searchable},
    secret::TokenHash,
    text::Name,
    time::Timestamp,
};
use sea_orm::{
    ColumnTrait, Condition, ExprTrait, QueryFilter, QuerySelect, QueryTrait, Set,
    sea_query::{Expr, LockType},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    entity::{
        application::{ActiveModel, Column, Entity, Model},
        application_resource as resource, authorization_code, consent, installation, session_application, tenant,
        token_family,
    },
    error::{Error, Result},
    repo::{
        Home, Row, Versioned, exists, from_json,
        list::{Stored, any, count},
        term::{APPLICATION_TERMS, Terms},
        to_json, word,
    },
    scope::{
        PLATFORM, Scope, WriteScope,
        system::{System, WriteSystem},
    },
};

/// The most APIs that are looked at for one application.
const APIS_MAX: u64 = 100;

/// Which applications are listed; what is empty is not asked for.
#[derive(Debug, Clone, Default)]
pub struct ApplicationFilter {
    /// Of these tenants.
    pub tenants: Vec<TenantId>,
    /// Of these partners and of their tenants.
    pub partners: Vec<PartnerId>,
    /// With one of these standings.
    pub statuses: Vec<Status>,
    /// Of one of these types.
    pub types: Vec<ApplicationType>,
    /// Of one of these levels.
    pub levels: Vec<ScopeLevel>,
    /// Found by this.
    pub search: Option<Search>,
}

pub(crate) fn owner_id(owner: Owner) -> Uuid {
    owner.tenant().map_or_else(|| partner_id(owner), TenantId::uuid)
}

fn partner_id(owner: Owner) -> Uuid {
    owner.partner().map_or(PLATFORM, PartnerId::uuid)
}

/// The owners of what can be used in a place: itself and those above.
fn above(owner: Owner) -> [Uuid; 3] {
    [owner_id(owner), partner_id(owner), PLATFORM]
}

/// A secret as it is stored. What is added needs a default: a row of before has not got it.
#[derive(Serialize, Deserialize)]
struct StoredSecret {
    /// In hexadecimal digits.
    digest: String,
    created_at: i64,
    expires_at: Option<i64>,
    #[serde(default)]
    last_used_at: Option<i64>,
}

fn stored(secret: &ClientSecret) -> StoredSecret {
    StoredSecret {
        digest: secret.hash.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect(),
        created_at: secret.created_at.micros(),
        expires_at: secret.expires_at.map(Timestamp::micros),
        last_used_at: secret.last_used_at.map(Timestamp::micros),
    }
}

fn secret(StoredSecret { digest, created_at, expires_at, last_used_at }: StoredSecret) -> Result<ClientSecret> {
    let mut bytes = [0; 32];
    for (at, byte) in bytes.iter_mut().enumerate() {
        let digits = digest.get(2 * at..2 * at + 2).ok_or(Error::Corrupt("client secret"))?;
        *byte = u8::from_str_radix(digits, 16).map_err(|_| Error::Corrupt("client secret"))?;
    }
    Ok(ClientSecret {
        hash: TokenHash::new(bytes),
        created_at: Timestamp::from_micros(created_at),
        expires_at: expires_at.map(Timestamp::from_micros),
        last_used_at: last_used_at.map(Timestamp::from_micros),
    })
}

pub(super) fn stored_secrets(secrets: &ClientSecrets) -> Result<String> {
    to_json(&secrets.iter().map(stored).collect::<Vec<_>>())
}

pub(super) fn read_secrets(stored: &str) -> Result<ClientSecrets> {
    let secrets: Vec<StoredSecret> = from_json(stored, "client secret")?;
    Ok(ClientSecrets::from_stored(secrets.into_iter().map(secret).collect::<Result<_>>()?))
}

impl Row for Application {
    type Entity = Entity;
    type Active = ActiveModel;

    fn home(&self) -> Home {
        Home { partner: PartnerId::from_uuid(partner_id(self.owner)), tenant: self.owner.tenant(), user: None }
    }

    fn terms(&self) -> Option<Terms> {
        Some((APPLICATION_TERMS, Searchable::terms(self)))
    }

    fn uuid(&self) -> Uuid {
        self.id.uuid()
    }

    fn insertable(&self) -> Result<ActiveModel> {
        Ok(ActiveModel {
            id: Set(self.id.uuid()),
            owner_id: Set(owner_id(self.owner)),
            partner_id: Set(partner_id(self.owner)),
            tenant_id: Set(self.owner.tenant().map(TenantId::uuid)),
            document_url: Set(self.document.as_ref().map(ToString::to_string)),
            noted_at: Set(self.noted_at.map(Timestamp::micros)),
            created_at: Set(self.created_at.micros()),
            ..self.updatable()?
        })
    }
}

impl Versioned for Application {
    fn version(&mut self) -> &mut i64 {
        &mut self.version
    }

    // Whose it is never changes, nor what it is unless its document says so; that it was used is no change of it.
    fn updatable(&self) -> Result<ActiveModel> {
        Ok(ActiveModel {
            name: Set(self.name.to_string()),
            registration: Set(self.registration.to_string()),
            application_type: Set(self.kind.to_string()),
            status: Set(self.status.to_string()),
            metadata: Set(to_json(&self.metadata.draft())?),
            backchannel_logout_uri: Set(self.metadata.backchannel_logout_uri.as_ref().map(ToString::to_string)),
            secrets: Set(stored_secrets(&self.secrets)?),
            tokens_revoked_at: Set(self.tokens_revoked_at.map(Timestamp::micros)),
            updated_at: Set(self.updated_at.micros()),
            deleted_at: Set(self.deleted_at.map(Timestamp::micros)),
            version: Set(self.version),
            ..ActiveModel::default()
        })
    }
}

impl Stored for Application {
    fn read(row: Model) -> Result<Self> {
        let partner = PartnerId::from_uuid(row.partner_id);
        let owner = match row.tenant_id {
            Some(id) => Owner::Tenant(TenantRef { id: TenantId::from_uuid(id), partner_id: partner }),
            None if row.partner_id == PLATFORM => Owner::Platform,
            None => Owner::Partner(partner),
        };
        Ok(Self {
            id: ApplicationId::from_uuid(row.id),
            owner,
            name: Name::from_stored(row.name),
            registration: word(&row.registration, "registration")?,
            document: row.document_url.map(DocumentUrl::from_stored),
            kind: word(&row.application_type, "application type")?,
            status: word(&row.status, "application status")?,
            metadata: RegisteredMetadata::from_stored(from_json(&row.metadata, "client metadata")?),
            secrets: read_secrets(&row.secrets)?,
            last_used_at: Ord::max(row.last_used_at, row.noted_at).map(Timestamp::from_micros),
            noted_at: row.noted_at.map(Timestamp::from_micros),
            tokens_revoked_at: row.tokens_revoked_at.map(Timestamp::from_micros),
            created_at: Timestamp::from_micros(row.created_at),
            updated_at: Timestamp::from_micros(row.updated_at),
            deleted_at: row.deleted_at.map(Timestamp::from_micros),
            version: row.version,
        })
    }
}

/// The condition that an application is of a level.
fn of_level(level: ScopeLevel) -> Expr {
    match level {
        ScopeLevel::Global => Column::OwnerId.eq(PLATFORM),
        ScopeLevel::Partner => Column::TenantId.is_null().and(Column::OwnerId.ne(PLATFORM)),
        ScopeLevel::Tenant => Column::TenantId.is_not_null(),
    }
}

impl Scope<'_> {
    /// One application, within or above.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn application(&self, id: ApplicationId) -> Result<Option<Application>> {
        let row = self.select_applications().filter(Column::Id.eq(id.uuid())).one(&self.exec).await?;
        row.map(Application::read).transpose()
    }

    /// One application within, deleted or not.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn application_even_deleted(&self, id: ApplicationId) -> Result<Option<Application>> {
        self.one_even_deleted(id.uuid()).await
    }

    /// Applications within and above, by creation.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn applications(
        &self,
        filter: &ApplicationFilter,
        direction: Direction,
        page: &PageRequest,
    ) -> Result<Page<Application>> {
        let levels = filter.levels.iter().map(|level| of_level(*level)).reduce(ExprTrait::or);
        let asked = Condition::all()
            .add_option(any(Column::TenantId, filter.tenants.iter().map(|id| id.uuid())))
            .add_option(any(Column::PartnerId, filter.partners.iter().map(|id| id.uuid())))
            .add_option(any(Column::Status, filter.statuses.iter().map(|status| status.as_str())))
            .add_option(any(Column::ApplicationType, filter.types.iter().map(|kind| kind.as_str())))
            .add_option(levels);
        let select = self.found_applications(self.select_applications().filter(asked), filter.search.as_ref());
        self.page(select, Column::CreatedAt, direction, page).await
    }
}

impl WriteScope<'_> {
    /// One application within, locked until the transaction ends.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn application_locked(&self, id: ApplicationId) -> Result<Option<Application>> {
        self.locked(id.uuid(), LockType::NoKeyUpdate).await
    }

    /// Makes an application be found by the APIs that it is.
    ///
    /// # Errors
    /// [`Error::ScopeViolation`] when the application lies outside the scope.
    pub async fn put_resources(&self, application: &Application) -> Result<()> {
        let (home, owner) = (application.home(), owner_id(application.owner));
        let former = self.table_of::<resource::Entity>(&home)?.delete();
        let former = former.filter(resource::Column::OwnerId.eq(owner));
        former.filter(resource::Column::ApplicationId.eq(application.id.uuid())).exec(&self.tx.writing()).await?;
        let uris = application.metadata.resource_uris.iter().filter(|_| application.deleted_at.is_none());
        let rows: Vec<_> = uris
            .map(|uri| resource::Model { owner_id: owner, uri: uri.key(), application_id: application.id.uuid() })
            .collect();
        if !rows.is_empty() {
            let rows = self.table_of::<resource::Entity>(&home)?.insert_many(rows);
            rows.exec_without_returning(&self.tx.writing()).await?;
        }
        Ok(())
    }

    /// Takes from the sessions of a tenant that moves the applications of the partner that it leaves, and from these what
    /// they were given there.
    ///
    /// # Errors
    /// [`Error::ScopeViolation`] when the tenant lies outside the scope.
    pub async fn leave_applications(&self, tenant: TenantRef) -> Result<()> {
        let of_partner = self.tx.table::<Entity>().select().select_only().column(Column::Id);
        let of_partner = of_partner.filter(Column::OwnerId.eq(tenant.partner_id.uuid())).into_query();
        let (home, db) = (tenant.into(), self.tx.writing());
        let theirs = Expr::col("tenant_id").eq(tenant.id.uuid());
        let theirs = theirs.and(Expr::col("application_id").in_subquery(of_partner));
        self.table_of::<session_application::Entity>(&home)?.delete().filter(theirs.clone()).exec(&db).await?;
        self.table_of::<authorization_code::Entity>(&home)?.delete().filter(theirs.clone()).exec(&db).await?;
        self.table_of::<consent::Entity>(&home)?.delete().filter(theirs.clone()).exec(&db).await?;
        self.table_of::<token_family::Entity>(&home)?.delete().filter(theirs).exec(&db).await?;
        Ok(())
    }
}

impl System<'_> {
    /// Applications by their ids, at most so many as are looked at for one user.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn applications_by_id(&self, ids: &[ApplicationId]) -> Result<Vec<Application>> {
        let named = self.select::<Entity>().filter(Column::Id.is_in(ids.iter().map(|id| id.uuid())));
        named.all(&self.exec).await?.into_iter().map(Application::read).collect()
    }

    /// The applications that are APIs with one of these URIs for an owner: its own, and those of the owners above.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn apis(&self, owner: Owner, uris: &[ResourceUri]) -> Result<Vec<Application>> {
        let ids = self.table::<resource::Entity>().select().select_only().column(resource::Column::ApplicationId);
        let ids = ids.filter(resource::Column::OwnerId.is_in(above(owner)));
        let ids =
            ids.filter(Condition::all().add_option(any(resource::Column::Uri, uris.iter().map(ResourceUri::key))));
        let apis = self.select::<Entity>().filter(Column::Id.in_subquery(ids.into_query())).limit(APIS_MAX);
        apis.all(&self.exec).await?.into_iter().map(Application::read).collect()
    }
}

impl WriteSystem<'_> {
    /// Lets one transaction at a time say which APIs there are: whether a URI is taken is asked across owners.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn lock_resources(&self) -> Result<()> {
        self.table::<installation::Entity>().select().lock(LockType::NoKeyUpdate).one(&self.exec).await?;
        Ok(())
    }

    /// Whether another application has one of the URIs of this one, where both can be used: with the same owner, above,
    /// or below.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn holder_of_resources(&self, application: &Application) -> Result<Option<ApplicationId>> {
        use resource::Column as Of;
        let uris = application.metadata.resource_uris.iter().map(ResourceUri::key);
        let others = self.table::<resource::Entity>().select().filter(Of::Uri.is_in(uris));
        let others = others.filter(Of::ApplicationId.ne(application.id.uuid()));
        let related = match application.owner {
            Owner::Platform => Condition::all(),
            Owner::Partner(partner) => {
                let tenants = self.table::<tenant::Entity>().select().select_only().column(tenant::Column::Id);
                let tenants = tenants.filter(tenant::Column::PartnerId.eq(partner.uuid())).into_query();
                Condition::any().add(Of::OwnerId.is_in(above(application.owner))).add(Of::OwnerId.in_subquery(tenants))
            }
            Owner::Tenant(_) => Condition::all().add(Of::OwnerId.is_in(above(application.owner))),
        };
        let holder = others.filter(related).select_only().column(Of::ApplicationId).into_tuple::<Uuid>();
        Ok(holder.one(&self.exec).await?.map(ApplicationId::from_uuid))
    }

    /// Whether a tenant has an API that its partner has too.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn resources_are_shared(&self, tenant: TenantRef) -> Result<bool> {
        use resource::Column as Of;
        let of = |owner: Uuid| self.table::<resource::Entity>().select().filter(Of::OwnerId.eq(owner));
        let of_partner = of(tenant.partner_id.uuid()).select_only().column(Of::Uri).into_query();
        exists(of(tenant.id.uuid()).filter(Of::Uri.in_subquery(of_partner)), self.exec).await
    }

    /// How many applications a tenant has, without those that users let in.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub(crate) async fn count_applications(&self, tenant: TenantId) -> Result<u64> {
        let own = self.select::<Entity>().filter(Column::OwnerId.eq(tenant.uuid()));
        let own = own.filter(Column::Registration.eq(RegistrationKind::Manual.as_str()));
        count(self.exec, own.filter(Column::DeletedAt.is_null())).await
    }
}
