//! The outbox: work that is written down in the transaction of the change that causes it, and done afterwards, at least
//! once, by whoever is free.
//!
//! A new kind is a variant of [`JobKind`], and a handler that the [worker](crate::app::worker) calls.
//!
//! What a job is done with is sealed with a key of its own, for this job alone: a link in it lets its holder in, and
//! whoever reads the database must not be that. It is sealed as it will be done, so that a replica of another release can
//! do it. A kind whose matter has a table of its own seals nothing.

use std::sync::Arc;

use gatehouse_domain::{
    id::JobId,
    import::Import,
    job::JobKind,
    mail,
    secret::Secret,
    text::Slug,
    time::Timestamp,
    user::{Issued, User},
};
use gatehouse_persistence::{ClaimedJob, NewJob, WriteScope};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    app::{Error, Result, mail::Waiting},
    env::Env,
    mail::Letter,
    security::keyring::Keyring,
};

/// When those were made whom an import has brought, in microseconds since 1970.
#[derive(Serialize, Deserialize)]
struct Brought {
    since: i64,
    until: i64,
}

/// Writes jobs; goes along into transactions.
#[derive(Debug, Clone)]
pub(crate) struct Outbox {
    keyring: Arc<Keyring>,
    env: Env,
    /// The address that clients use, if it is known. No request decides where a mailed link leads.
    links: Option<Arc<str>>,
}

impl Outbox {
    pub(crate) const fn new(keyring: Arc<Keyring>, env: Env, links: Option<Arc<str>>) -> Self {
        Self { keyring, env, links }
    }

    /// What a job is done with, sealed for it.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub(crate) fn seal(&self, id: JobId, kind: JobKind, matter: &impl Serialize) -> Result<Vec<u8>> {
        let plain = serde_json::to_vec(matter).map_err(|error| Error::Internal(Box::new(error)))?;
        Ok(self.keyring.seal_job(kind, id, &plain))
    }

    /// What a claimed job is done with; none if that cannot be read.
    pub(crate) fn open<T: DeserializeOwned>(&self, claim: &ClaimedJob) -> Option<T> {
        let NewJob { id, kind, sealed, .. } = &claim.job;
        let plain = self.keyring.open_job(*kind, *id, sealed.as_deref()?).ok()?;
        serde_json::from_slice(&plain).ok()
    }

    /// The link to a page with a token. What follows the fragment sign never leaves the browser.
    ///
    /// # Errors
    /// [`Error::Conflict`] when it is not known where the server is found.
    pub(crate) fn link(&self, page: &str, tenant: &Slug, token: &Secret<String>) -> Result<String> {
        self.link_of(self.links.as_deref().unwrap_or_default(), page, tenant, token)
    }

    /// The same where somebody asks who has reached the server at an address.
    ///
    /// # Errors
    /// [`Error::Conflict`] when it is not known where the server is found.
    pub(crate) fn link_of(&self, url: &str, page: &str, tenant: &Slug, token: &Secret<String>) -> Result<String> {
        let unknown =
            "It is not known where a link would have to lead: start the server once, or set GATEHOUSE_PUBLIC_URL.";
        let known = self.links.as_ref().map(|_| format!("{url}{page}#{tenant}/{}", token.expose()));
        known.ok_or_else(|| Error::Conflict(unknown.into()))
    }

    /// Has links lead elsewhere.
    pub(crate) fn set_links(&mut self, links: Option<String>) {
        self.links = links.map(Into::into);
    }

    pub(crate) fn mail(&self, waiting: &Waiting, give_up_at: Timestamp) -> Result<NewJob> {
        let (id, kind) = (self.env.id(JobId::from_parts), JobKind::Mail);
        Ok(NewJob { id, kind, sealed: Some(self.seal(id, kind, waiting)?), give_up_at: Some(give_up_at) })
    }

    /// Invitations to those who wait, or to those of them whom an import has brought.
    pub(crate) fn invitations(&self, import: Option<&Import>) -> Result<NewJob> {
        let (id, kind) = (self.env.id(JobId::from_parts), JobKind::Invitations);
        let brought = |by: &Import| Brought { since: by.created_at.micros(), until: by.updated_at.micros() };
        let sealed = import.map(|import| self.seal(id, kind, &brought(import))).transpose()?;
        Ok(NewJob { id, kind, sealed, give_up_at: None })
    }

    /// From when to when those were made for whom invitations are asked for, if not for all; none if that cannot be read.
    pub(crate) fn invited(&self, claim: &ClaimedJob) -> Option<Option<[Timestamp; 2]>> {
        if claim.job.sealed.is_none() {
            return Some(None);
        }
        let Brought { since, until } = self.open(claim)?;
        Some(Some([since, until].map(Timestamp::from_micros)))
    }

    /// Writes a letter to or about a user.
    pub(crate) async fn post(&self, scope: &WriteScope<'_>, user: &User, letter: Letter, now: Timestamp) -> Result<()> {
        let mail = self.mail(&Waiting::Letter(letter.into()), mail::give_up_at(now, None))?;
        Ok(scope.enqueue(user.tenant(), Some(user.id), mail).await?)
    }

    /// Writes a letter with a link that has been made for a user.
    pub(crate) async fn post_link(
        &self,
        scope: &WriteScope<'_>,
        issued: &Issued,
        letter: Letter,
        now: Timestamp,
    ) -> Result<()> {
        let mail = self.mail(&Waiting::Letter(letter.into()), mail::give_up_at(now, Some(issued.expires_at)))?;
        Ok(scope.enqueue(issued.user.tenant(), Some(issued.user.id), mail).await?)
    }
}
