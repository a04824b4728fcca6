//! Applications that nobody registered: a program names the address of a document as its `client_id`, and is what the
//! document says (draft-ietf-oauth-client-id-metadata-document).
//!
//! Whoever is asked to let such a program in has brought its document here, so a stranger decides what is fetched: as rarely
//! as can be, one after the other, and not at all where the tenant takes no documents. A row is made when a user lets it in.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use gatehouse_domain::{
    application::{Application, ClientAuthMethod, DOCUMENT_BYTES, Described, DocumentUrl, Owner, RegistrationKind},
    authz::{By, SystemReason, TenantRef},
    id::{ApplicationId, TenantId},
    issue::Parse,
    oauth::{ErrorCode, Unanswerable},
    partner::Status,
    session::Session,
    settings::MetadataDocuments,
    time::{DAY, MINUTE, Timestamp},
};
use gatehouse_persistence::{TenantFacts, WriteTx};
use hyper::{
    HeaderMap,
    header::{AGE, CACHE_CONTROL, CONTENT_TYPE, EXPIRES, HeaderName},
};
use moka::sync::Cache;
use tokio::sync::Mutex;
use url::Url;

use crate::{
    app::{
        Error, Result,
        directory::issuers::IssuerFacts,
        oauth::{Clients, NotGiven, authorization::NotAsked},
        request::client::RequestMeta,
    },
    outbound::Outbound,
    security::keyring::token_hash,
};

const AUTH: SystemReason = SystemReason::Authentication;
/// The least time for which a document counts.
const LEAST: Duration = MINUTE.saturating_mul(5);
/// The longest time for which a document counts.
const LONGEST: Duration = DAY;
/// How many documents are kept at most.
const MOST: u64 = 2_000;
/// How long a program that a user has let in is taken as it was, until its document is tried again.
const AGAIN: Duration = Duration::from_secs(30);

/// What was fetched from one address.
#[derive(Debug, Default)]
struct Fetched {
    described: Option<(Arc<Described>, Timestamp)>,
    failed_at: Option<Timestamp>,
}

#[derive(Debug, Default)]
struct Slot {
    /// How often it was fetched, or could not be.
    attempts: AtomicU64,
    fetched: Mutex<Fetched>,
}

/// Documents that were fetched, by the tenant that they were fetched for.
#[derive(Debug)]
pub struct Documents(Cache<(TenantId, DocumentUrl), Arc<Slot>>);

impl Default for Documents {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(MOST).time_to_idle(LONGEST).build())
    }
}

impl Documents {
    /// What a document describes, fetched unless it still counts. Whoever asks meanwhile waits for the same answer, whatever
    /// it is. `admit` says whether one may be fetched, and `again` after which time one that could not be is tried again.
    async fn of(
        &self,
        outbound: &Outbound,
        tenant: TenantId,
        url: &DocumentUrl,
        now: Timestamp,
        again: Duration,
        admit: impl FnOnce() -> Result<()>,
    ) -> Result<Option<Arc<Described>>> {
        let slot = self.0.get_with((tenant, url.clone()), Arc::default);
        let before = slot.attempts.load(Ordering::Acquire);
        let mut fetched = slot.fetched.lock().await;
        let current = |fetched: &Fetched| {
            let counts = |(_, until): &&(Arc<Described>, Timestamp)| now < *until && until.since(now) <= LONGEST;
            fetched.described.as_ref().filter(counts).map(|(described, _)| Arc::clone(described))
        };
        let is_answered = slot.attempts.load(Ordering::Acquire) != before;
        let has_failed = fetched.failed_at.is_some_and(|at| at <= now && now.since(at) < again);
        if let Some(described) = current(&fetched) {
            return Ok(Some(described));
        }
        if is_answered || has_failed {
            return Ok(None);
        }
        admit()?;
        *fetched = match fetch(outbound, url, now).await {
            Ok((described, kept)) => {
                Fetched { described: Some((Arc::new(described), now.plus(kept))), failed_at: None }
            }
            Err(why) => {
                tracing::warn!(tenant_id = %tenant, client_id = %url, why, "the document of a program cannot be used");
                Fetched { described: None, failed_at: Some(now) }
            }
        };
        slot.attempts.fetch_add(1, Ordering::AcqRel);
        Ok(current(&fetched))
    }
}

async fn fetch(outbound: &Outbound, url: &DocumentUrl, now: Timestamp) -> Result<(Described, Duration), String> {
    let address = Url::parse(url.as_str()).map_err(|error| error.to_string())?;
    let answer = outbound.get(&address, "application/json", DOCUMENT_BYTES).await.map_err(|error| error.to_string())?;
    if answer.status != 200 {
        return Err(format!("the answer has the status {}", answer.status));
    }
    if !is_json(&answer.headers) {
        return Err("the answer is no application/json".to_owned());
    }
    Ok((Described::read(url, &answer.body)?, kept(&answer.headers, now)))
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// Whether the answer says that it is JSON: what somebody uploads elsewhere as another kind of file describes nothing.
fn is_json(headers: &HeaderMap) -> bool {
    let media = text(headers, CONTENT_TYPE).and_then(|text| text.split(';').next()).unwrap_or_default();
    let media = media.trim().to_ascii_lowercase();
    media == "application/json" || media.starts_with("application/") && media.ends_with("+json")
}

/// For how long an answer counts (RFC 9111, section 4.2), within what is sensible here.
fn kept(headers: &HeaderMap, now: Timestamp) -> Duration {
    let control: Vec<_> = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok()).collect();
    let control = control.join(",").to_ascii_lowercase();
    let mut directives = control.split(',').map(str::trim);
    if directives.clone().any(|word| ["no-store", "no-cache"].contains(&word.split('=').next().unwrap_or_default())) {
        return LEAST;
    }
    let max_age = directives.find_map(|word| word.strip_prefix("max-age=")?.trim_matches('"').parse::<u64>().ok());
    let age = || text(headers, AGE).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    let until = || {
        let at: SystemTime = httpdate::parse_http_date(text(headers, EXPIRES)?).ok()?;
        let seconds = i64::try_from(at.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()?;
        u64::try_from(seconds.saturating_sub(now.unix_seconds())).ok()
    };
    let seconds = max_age.map(|seconds| seconds.saturating_sub(age())).or_else(until).unwrap_or(0);
    Duration::from_secs(seconds).clamp(LEAST, LONGEST)
}

/// The program that asks for something in a browser.
#[derive(Debug)]
pub(super) struct Asking {
    /// The program, as it is described now.
    pub(super) application: Arc<Application>,
    /// Whether somebody of here has let it in, or added it.
    pub(super) is_known: bool,
}

impl Clients<'_> {
    /// Whether programs of strangers may ask at an issuer, and which.
    fn taken(&self, facts: &TenantFacts) -> MetadataDocuments {
        facts.layers().policy(self.defaults).client_id_metadata_documents
    }

    /// Whether any document is taken at an issuer.
    #[must_use]
    pub fn takes_documents(&self, facts: &TenantFacts) -> bool {
        self.taken(facts) != MetadataDocuments::Off
    }

    /// The application that a document describes, as it was when a user last let it in: nothing is fetched. None where the
    /// tenant does not take it.
    pub(super) async fn known_by_document(&self, at: &IssuerFacts, id: &str) -> Result<Option<Arc<Application>>> {
        let Some(facts) = at.tenant() else { return Ok(None) };
        let taken = self.taken(facts);
        let url = DocumentUrl::parse(id).ok().filter(|_| taken != MetadataDocuments::Off);
        let Some(url) = url else { return Ok(None) };
        let key = (facts.tenant.id, *token_hash(url.as_str()).as_bytes());
        let known = match self.cache.documents.get(&key) {
            Some(known) => Some(known),
            None => {
                let load = async || self.db.system(AUTH).described_application(facts.reference(), &url).await;
                self.cache.documents.load(key, load).await?
            }
        };
        let is_taken = |it: &Arc<Application>| {
            it.owner.is_at(facts.reference().into())
                && (taken == MetadataDocuments::Any || it.registration == RegistrationKind::Manual)
        };
        Ok(known.filter(is_taken))
    }

    async fn described(
        &self,
        facts: &TenantFacts,
        url: &DocumentUrl,
        again: Duration,
    ) -> Result<Option<Arc<Described>>> {
        let (tenant, now) = (facts.tenant.id, self.env.now());
        let admit = || self.admission.fetch_document(tenant, now);
        self.documents.of(self.outbound, tenant, url, now, again, admit).await
    }

    /// The program that a browser brings a request of.
    ///
    /// # Errors
    /// That there is none, or that its document cannot be used; [`Error::RateLimited`] when too many documents were fetched.
    pub(super) async fn asking(&self, at: &IssuerFacts, id: &str) -> Result<Asking, NotAsked> {
        let nowhere = |why| Err(NotAsked::Unanswerable(why));
        let known = self.application(at, id).await?;
        let url = match &known {
            Some(application) => application.document.clone(),
            None => {
                // The platform's issuer knows none.
                let takes_any = at.tenant().is_some_and(|facts| self.taken(facts) == MetadataDocuments::Any);
                let Some(url) = DocumentUrl::parse(id).ok().filter(|_| takes_any) else {
                    return nowhere(Unanswerable::ApplicationUnknown);
                };
                Some(url)
            }
        };
        let (url, facts) = match (url.zip(at.tenant()), known.as_ref().map(|it| it.status)) {
            (Some(described), None | Some(Status::Active)) => described,
            // What no document describes, and what is suspended, has no need to be described.
            _ => {
                let unknown = NotAsked::Unanswerable(Unanswerable::ApplicationUnknown);
                return Ok(Asking { application: known.ok_or(unknown)?, is_known: true });
            }
        };
        let Some(described) = self.described(facts, &url, Duration::ZERO).await? else {
            return nowhere(Unanswerable::DocumentUnusable);
        };
        let is_known = known.is_some();
        let application = match known {
            Some(known) => Application::clone(&known).described(&described, self.env.now()),
            None => {
                let (id, owner) = (self.env.id(ApplicationId::from_parts), Owner::Tenant(facts.reference()));
                Application::of_document(id, owner, url, Described::clone(&described), self.env.now())
            }
        };
        Ok(Asking { application: Arc::new(application), is_known })
    }

    /// An application as its document describes it now. Where that cannot be fetched a public one is what it was: what it
    /// holds already says that a user let it in. One that signs is nobody then, as its keys may have been withdrawn.
    ///
    /// # Errors
    /// `invalid_client`.
    pub(super) async fn up_to_date(
        &self,
        at: &IssuerFacts,
        application: Arc<Application>,
    ) -> Result<Arc<Application>, NotGiven> {
        let document = application.document.as_ref().filter(|_| application.status == Status::Active);
        let Some((url, facts)) = document.zip(at.tenant()) else { return Ok(application) };
        match self.described(facts, url, AGAIN).await {
            Ok(Some(described)) => Ok(Arc::new(Application::clone(&application).described(&described, self.env.now()))),
            Ok(None) | Err(Error::RateLimited(_))
                if application.metadata.token_endpoint_auth_method == ClientAuthMethod::None =>
            {
                Ok(application)
            }
            Ok(None) => {
                Err(NotGiven::fault(ErrorCode::InvalidClient, "the document of the application cannot be fetched"))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The application that a user lets in, with its row, which says what its document says now.
    ///
    /// # Errors
    /// [`Error::LimitReached`] when the tenant has as many as it may.
    pub(super) async fn let_in(
        &self,
        application: &Arc<Application>,
        session: &Session,
        meta: &RequestMeta,
    ) -> Result<Arc<Application>> {
        let Some(url) = application.document.clone() else { return Ok(Arc::clone(application)) };
        let tenant = TenantRef { id: session.tenant_id, partner_id: session.partner_id };
        let known = self.db.system(AUTH).described_application(tenant, &url).await?;
        let is_kept =
            |known: &Application| known.is_described_as(application) && !known.is_use_to_be_noted(self.env.now());
        if let Some(known) = known.filter(is_kept) {
            return Ok(Arc::new(known));
        }
        // One that was deleted meanwhile keeps its id.
        let asks = Application { id: self.env.id(ApplicationId::from_parts), ..Application::clone(application) };
        let by = By::oneself(session.user_id, Some(session.id));
        let work = async move |tx: &WriteTx<'_>| {
            let (system, now) = (tx.system(AUTH), tx.now());
            let mut known = system.read().described_application(tenant, &url).await?;
            let has_room = known.is_some() || system.has_room_for_described(tenant).await?;
            if known.is_none() {
                // Under the lock of the tenant: somebody else may have let it in meanwhile.
                known = system.read().described_application(tenant, &url).await?;
            }
            let (kept, is_changed) = match known {
                None if !has_room => {
                    let msg = "Too many programs that nobody registered are used here.";
                    return Err(Error::LimitReached(msg.into()));
                }
                None => (system.insert(asks.clone().let_in(&by, now)).await?, true),
                Some(known) if known.is_described_as(&asks) => (known, false),
                Some(known) => (system.update(known.redescribe(&asks, &system.by(), now)).await?, true),
            };
            if is_changed {
                system.put_origins(&kept).await?;
            }
            system.note_use_of_described(&kept).await?;
            Ok(kept)
        };
        Ok(Arc::new(self.db.write(meta.ctx.clone(), work).await?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn document_counts_as_long_as_its_headers_say_within_bounds() {
        let hour = Duration::from_secs(3_600);
        for (pairs, expected) in [
            (&[][..], LEAST),
            (&[(CACHE_CONTROL, "max-age=3600")], hour),
            (&[(CACHE_CONTROL, "public, Max-Age=\"3600\"")], hour),
            (&[(CACHE_CONTROL, "max-age=4000"), (AGE, "400")], hour),
            (&[(CACHE_CONTROL, "max-age=1")], LEAST),
            (&[(CACHE_CONTROL, "max-age=99999999")], LONGEST),
            (&[(CACHE_CONTROL, "max-age=3600"), (CACHE_CONTROL, "no-store")], LEAST),
            (&[(CACHE_CONTROL, "max-age=3600, no-cache")], LEAST),
            (&[(CACHE_CONTROL, "max-age=soon")], LEAST),
            (&[(EXPIRES, "Tue, 14 Nov 2023 23:13:20 GMT")], hour),
            (&[(EXPIRES, "0")], LEAST),
        ] {
            assert_eq!(kept(&headers(pairs), NOW), expected, "{pairs:?}");
        }
    }

    #[test]
    fn answer_says_that_it_is_json() {
        for (media, expected) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/cimd+json", true),
            ("text/plain", false),
            ("text/json", false),
            ("application/jsonp", false),
        ] {
            assert_eq!(is_json(&headers(&[(CONTENT_TYPE, media)])), expected, "{media}");
        }
        assert!(!is_json(&HeaderMap::new()));
    }
}
