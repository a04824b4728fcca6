//! Client ID metadata documents (draft-ietf-oauth-client-id-metadata-document): a program that nobody registered names the
//! address of a document as its `client_id`, and the document says what it is.

use std::{collections::BTreeMap, time::Duration};

use serde::Deserialize;
use serde_json::Value;

use crate::{
    application::{
        Application, ApplicationType, ClientAuthMethod, ClientMetadata, ClientSecrets, DocumentUrl, GrantType, Jwks,
        Owner, RedirectUri, RegisteredMetadata, RegistrationKind, ScopeName, SigningAlgorithm,
    },
    audit::{Action, Fields},
    authz::{Authority, By, Denied},
    change::Changed,
    id::ApplicationId,
    issue::Parse,
    partner::Status,
    tenant::HttpsUrl,
    text::Name,
    time::{DAY, Timestamp},
    word::Word,
};

/// The most bytes of a document.
pub const DOCUMENT_BYTES: usize = 8 * 1_024;
/// The most applications of a tenant that users let in by their documents.
pub const MOST_DESCRIBED: u64 = 1_000;
/// How long such an application is remembered that nobody uses.
pub const KEPT_WITHOUT_USE: Duration = DAY.saturating_mul(90);
/// The most redirect URIs of a document.
const REDIRECTS: usize = 50;
/// What these applications may ask for, besides what open APIs have.
const SCOPES: [&str; 4] = ["openid", "profile", "email", "offline_access"];

/// What a document says that counts. What else is there is of no use here.
#[derive(Deserialize)]
struct Document {
    client_id: String,
    client_name: String,
    redirect_uris: Vec<String>,
    token_endpoint_auth_method: Option<String>,
    grant_types: Option<Vec<String>>,
    response_types: Option<Vec<String>>,
    id_token_signed_response_alg: Option<String>,
    jwks: Option<Keys>,
    jwks_uri: Option<String>,
    client_uri: Option<String>,
    policy_uri: Option<String>,
    tos_uri: Option<String>,
    client_secret: Option<Value>,
    client_secret_expires_at: Option<Value>,
}

#[derive(Deserialize)]
struct Keys {
    keys: Vec<BTreeMap<String, Value>>,
}

/// What an application is by its document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// The name that it gives itself.
    pub name: Name,
    /// What kind of program it is: a public one, as one on a device where one of its redirect URIs leads there.
    pub kind: ApplicationType,
    /// What it would be registered with.
    pub metadata: RegisteredMetadata,
}

impl Described {
    /// Reads what is at an address.
    ///
    /// # Errors
    /// Why it describes no application that could be used.
    pub fn read(url: &DocumentUrl, body: &[u8]) -> Result<Self, &'static str> {
        if body.len() > DOCUMENT_BYTES {
            return Err("the document is longer than 8 KiB");
        }
        // A list would be read as the members in their order.
        if body.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
            return Err("the document is no JSON object");
        }
        let document: Document = serde_json::from_slice(body)
            .map_err(|_| "the document is no JSON object with client_id, client_name and redirect_uris")?;
        if document.client_id != url.as_str() {
            return Err("client_id is not the address of the document");
        }
        if document.client_secret.is_some() || document.client_secret_expires_at.is_some() {
            return Err("the document has a secret");
        }
        let name = Name::parse(&document.client_name).map_err(|_| "client_name is none")?;
        let redirect_uris = redirects(&document.redirect_uris)?;
        let has =
            |list: &Option<Vec<String>>, word: &str| list.as_ref().is_none_or(|all| all.iter().any(|it| it == word));
        if !has(&document.grant_types, GrantType::AuthorizationCode.as_str()) || !has(&document.response_types, "code")
        {
            return Err("the application asks for no codes");
        }
        let kind = match redirect_uris.iter().any(RedirectUri::is_on_device) {
            true => ApplicationType::Native,
            false => ApplicationType::Spa,
        };
        let mut metadata = undescribed(kind);
        if !has(&document.grant_types, GrantType::RefreshToken.as_str()) {
            metadata.grant_types.retain(|grant| *grant != GrantType::RefreshToken);
        }
        metadata.redirect_uris = redirect_uris;
        metadata.allowed_origins = metadata.origins();
        if let Some(word) = &document.id_token_signed_response_alg {
            let algorithm = SigningAlgorithm::from_word(word);
            metadata.id_token_signed_response_alg =
                algorithm.map_err(|_| "id_token_signed_response_alg is none of ours")?;
        }
        // Nobody has said that an address elsewhere has to do with it.
        let own = |text: &Option<String>| {
            let page = HttpsUrl::parse(text.as_deref()?).ok()?;
            let host = page.as_str().strip_prefix("https://").and_then(|rest| rest.split('/').next());
            (host == Some(url.host())).then_some(page)
        };
        metadata.client_uri = own(&document.client_uri);
        metadata.policy_uri = own(&document.policy_uri);
        metadata.tos_uri = own(&document.tos_uri);
        authentication(document, &mut metadata)?;
        Ok(Self { name, kind, metadata: RegisteredMetadata::from_stored(metadata) })
    }
}

/// What holds for an application that a document describes, whatever that says.
fn undescribed(kind: ApplicationType) -> ClientMetadata {
    ClientMetadata {
        allowed_scopes: SCOPES.map(ScopeName::known).to_vec(),
        require_consent: true,
        ..ClientMetadata::of(kind)
    }
}

fn redirects(texts: &[String]) -> Result<Vec<RedirectUri>, &'static str> {
    if texts.is_empty() || texts.len() > REDIRECTS {
        return Err("redirect_uris are none, or more than 50");
    }
    let mut uris = Vec::with_capacity(texts.len());
    for text in texts {
        let uri = RedirectUri::parse(text).map_err(|_| "redirect_uris have one that cannot be used")?;
        if !uris.contains(&uri) {
            uris.push(uri);
        }
    }
    Ok(uris)
}

/// How it proves who it is: not at all, or with a signature.
fn authentication(document: Document, metadata: &mut ClientMetadata) -> Result<(), &'static str> {
    let keys = document.jwks.map(|set| set.keys);
    let is_private = |key: &BTreeMap<String, Value>| key.keys().any(|member| Jwks::is_private(member));
    if keys.iter().flatten().any(is_private) {
        return Err("jwks have a key that is not public");
    }
    match document.token_endpoint_auth_method.as_deref() {
        None | Some("none") => return Ok(()),
        Some("private_key_jwt") => metadata.token_endpoint_auth_method = ClientAuthMethod::PrivateKeyJwt,
        Some(_) => return Err("token_endpoint_auth_method is neither none nor private_key_jwt"),
    }
    match (keys, document.jwks_uri) {
        (Some(keys), None) => {
            let text = |(name, value): (String, Value)| value.as_str().map(|text| (name, text.to_owned()));
            let keys = keys.into_iter().map(|key| key.into_iter().filter_map(text).collect()).collect();
            metadata.jwks = Some(Jwks::of_published(keys).ok_or("jwks have no key that could be used")?);
        }
        (None, Some(uri)) => {
            metadata.jwks_uri = Some(HttpsUrl::parse(&uri).map_err(|_| "jwks_uri is no https address")?);
        }
        _ => return Err("private_key_jwt needs jwks or jwks_uri, and not both"),
    }
    Ok(())
}

impl RegisteredMetadata {
    /// What holds for an application that an administrator added by the address of its document, until that is read.
    #[must_use]
    pub fn of_document(kind: ApplicationType) -> Self {
        Self::from_stored(undescribed(kind))
    }
}

impl Application {
    /// What OAuth calls it.
    #[must_use]
    pub fn client_id(&self) -> String {
        self.document.as_ref().map_or_else(|| self.id.to_string(), ToString::to_string)
    }

    /// Whether it may ask for an API of others by one of its URIs: because it is registered with that, or because the API is
    /// open to programs that nobody registered.
    #[must_use]
    pub fn may_use(&self, api: &Self, resource: &str) -> bool {
        let is_open = || self.document.is_some() && api.metadata.open_resource && api.resource_uri(resource).is_some();
        self.may_ask_for(resource) || is_open()
    }

    /// The one that a document describes and that nobody has let in yet.
    #[must_use]
    pub fn of_document(
        id: ApplicationId,
        owner: Owner,
        document: DocumentUrl,
        described: Described,
        now: Timestamp,
    ) -> Self {
        let Described { name, kind, metadata } = described;
        Self {
            id,
            owner,
            name,
            registration: RegistrationKind::MetadataDocument,
            document: Some(document),
            kind,
            status: Status::Active,
            metadata,
            secrets: ClientSecrets::default(),
            last_used_at: None,
            noted_at: None,
            tokens_revoked_at: None,
            created_at: now,
            updated_at: now,
            deleted_at: None,
            version: 0,
        }
    }

    /// The same as its document describes it now. A name that an administrator gave it stays.
    #[must_use]
    pub fn described(self, now_as: &Described, now: Timestamp) -> Self {
        let Described { name, kind, metadata } = now_as.clone();
        let name = match self.registration {
            RegistrationKind::Manual => self.name.clone(),
            RegistrationKind::MetadataDocument => name,
        };
        let next = Self { name, kind, metadata, ..self.clone() };
        let updated_at = if self.is_described_as(&next) { self.updated_at } else { now };
        Self { updated_at, ..next }
    }

    /// Whether a consent still counts: not for a program that calls itself something else since, or whose answers go
    /// elsewhere.
    #[must_use]
    pub fn is_as_it_was(&self, consented_at: Timestamp) -> bool {
        self.document.is_none() || consented_at >= self.updated_at
    }

    /// Whether nobody who administers here knows it: a user let it in, or is about to.
    #[must_use]
    pub fn is_of_stranger(&self) -> bool {
        self.registration == RegistrationKind::MetadataDocument
    }

    /// Whether a consent may be remembered. Any program on the device could be the one that a document describes (RFC 8252,
    /// section 8.6), and who consents is shown one of the places that its answers may go to.
    #[must_use]
    pub fn can_be_remembered(&self) -> bool {
        let mut hosts = self.metadata.redirect_uris.iter().map(|uri| RedirectUri::who(uri.as_str()));
        let first = hosts.next();
        let is_one = hosts.all(|host| first.as_ref() == Some(&host));
        self.document.is_none() || is_one && !self.metadata.redirect_uris.iter().any(RedirectUri::is_on_device)
    }

    /// Whether it is described as another one is.
    #[must_use]
    pub fn is_described_as(&self, other: &Self) -> bool {
        self.name == other.name && self.kind == other.kind && self.metadata == other.metadata
    }

    /// Whether it is to be written down that it is used: once a day will do.
    #[must_use]
    pub fn is_use_to_be_noted(&self, now: Timestamp) -> bool {
        self.noted_at.is_none_or(|at| at > now || now.since(at) >= DAY)
    }

    /// A user lets it in, as the first of the tenant.
    pub fn let_in(self, by: &By, now: Timestamp) -> Changed<Self> {
        let mut fields = Fields::default();
        fields
            .set("name", &self.name)
            .set("client_id", self.document.as_ref().map(DocumentUrl::as_str))
            .set("application_type", self.kind)
            .set("scope_level", self.owner.level());
        self.metadata.record(None, &mut fields);
        let resource = self.resource();
        let new = Self { noted_at: Some(now), created_at: now, updated_at: now, ..self };
        Changed::new(new, Action::ApplicationCreated, resource, by).with(fields)
    }

    /// Its document describes it in another way than before.
    pub fn redescribe(self, as_it_is: &Self, by: &By, now: Timestamp) -> Changed<Self> {
        let mut fields = Fields::default();
        let name = match self.registration {
            RegistrationKind::Manual => &self.name,
            RegistrationKind::MetadataDocument => &as_it_is.name,
        };
        fields.change("name", &self.name, name).change("application_type", self.kind, as_it_is.kind);
        as_it_is.metadata.record(Some(&self.metadata), &mut fields);
        let resource = self.resource();
        let next = Self {
            name: name.clone(),
            kind: as_it_is.kind,
            metadata: as_it_is.metadata.clone(),
            updated_at: now,
            ..self
        };
        Changed::new(next, Action::ApplicationUpdated, resource, by).with(fields)
    }

    /// An administrator adds one that a user had let in: it stays, and works where only those may that were added.
    ///
    /// # Errors
    /// [`Denied`] when the caller may not.
    pub fn add(self, name: Name, caller: &Authority, now: Timestamp) -> Result<Changed<Self>, Denied> {
        caller.holds_both(Some(&self.right()), Some(&self.right()))?;
        let mut fields = Fields::default();
        fields.change("registration", self.registration, RegistrationKind::Manual).change("name", &self.name, &name);
        let resource = self.resource();
        let next = Self { name, registration: RegistrationKind::Manual, updated_at: now, ..self };
        Ok(Changed::new(next, Action::ApplicationUpdated, resource, caller.by()).with(fields))
    }

    /// Nobody has used it for so long that it is forgotten.
    pub fn forget(self, by: &By, now: Timestamp) -> Changed<Self> {
        let (resource, mut fields) = (self.resource(), Fields::default());
        fields.set("client_id", self.document.as_ref().map(DocumentUrl::as_str));
        let next = Self { updated_at: now, deleted_at: Some(now), ..self };
        Changed::new(next, Action::ApplicationDeleted, resource, by).with(fields)
    }
}

#[cfg(test)]
mod tests;
