//! The outbox: work that is written down in the transaction of the change that causes it, and done afterwards, at least
//! once, by whoever is free.
//!
//! A new kind is a variant of [`JobKind`] and of [`Job`], and a handler that the [worker](crate::app::worker) calls.
//!
//! What a job is done with is sealed with a key of its own, for this job alone: a link in it lets its holder in, and
//! whoever reads the database must not be that. It is sealed as it will be done, so that a replica of another release can
//! do it. A kind whose matter has a table of its own seals nothing.

use std::sync::Arc;

use gatehouse_domain::{
    id::JobId,
    job::JobKind,
    mail,
    secret::Secret,
    text::Slug,
    time::Timestamp,
    user::{Issued, User},
};
use gatehouse_persistence::{ClaimedJob, NewJob, WriteScope};

use crate::{
    app::{Error, Result, mail::Waiting},
    env::Env,
    mail::Letter,
    security::keyring::Keyring,
};

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Job {
    /// A mail is sent.
    Mail(Waiting),
    /// The import with the id of the job reads its file.
    UserImport,
}

impl Job {
    const fn kind(&self) -> JobKind {
        match self {
            Self::Mail(_) => JobKind::Mail,
            Self::UserImport => JobKind::UserImport,
        }
    }
}

/// Writes jobs; goes along into transactions.
#[derive(Debug, Clone)]
pub(crate) struct Outbox {
    keyring: Arc<Keyring>,
    env: Env,
    /// The address that clients use. From the configuration alone: no request decides where a mailed link leads.
    links: Arc<str>,
}

impl Outbox {
    pub(crate) const fn new(keyring: Arc<Keyring>, env: Env, links: Arc<str>) -> Self {
        Self { keyring, env, links }
    }

    /// What a job is done with, sealed for it.
    pub(crate) fn sealed(&self, id: JobId, job: &Job) -> Result<Option<Vec<u8>>> {
        let plain = match job {
            Job::Mail(waiting) => serde_json::to_vec(waiting).map_err(|error| Error::Internal(Box::new(error)))?,
            Job::UserImport => return Ok(None),
        };
        Ok(Some(self.keyring.seal_job(job.kind(), id, &plain)))
    }

    /// A job to be written.
    pub(crate) fn job(&self, id: JobId, job: &Job, give_up_at: Option<Timestamp>) -> Result<NewJob> {
        Ok(NewJob { id, kind: job.kind(), sealed: self.sealed(id, job)?, give_up_at })
    }

    /// What a claimed job is to do; none if that cannot be read.
    pub(crate) fn open(&self, claim: &ClaimedJob) -> Option<Job> {
        let NewJob { id, kind, sealed, .. } = &claim.job;
        let plain = || self.keyring.open_job(*kind, *id, sealed.as_deref()?).ok();
        match kind {
            JobKind::Mail => serde_json::from_slice(&plain()?).ok().map(Job::Mail),
            JobKind::UserImport => Some(Job::UserImport),
        }
    }

    /// The link to a page with a token. What follows the fragment sign never leaves the browser.
    pub(crate) fn link(&self, page: &str, tenant: &Slug, token: &Secret<String>) -> String {
        format!("{}{page}#{tenant}/{}", self.links, token.expose())
    }

    pub(crate) fn mail(&self, waiting: Waiting, give_up_at: Timestamp) -> Result<NewJob> {
        self.job(self.env.id(JobId::from_parts), &Job::Mail(waiting), Some(give_up_at))
    }

    /// Writes a letter to or about a user.
    pub(crate) async fn post(&self, scope: &WriteScope<'_>, user: &User, letter: Letter, now: Timestamp) -> Result<()> {
        let mail = self.mail(Waiting::Letter(letter.into()), mail::give_up_at(now, None))?;
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
        let mail = self.mail(Waiting::Letter(letter.into()), mail::give_up_at(now, Some(issued.expires_at)))?;
        Ok(scope.enqueue(issued.user.tenant(), Some(issued.user.id), mail).await?)
    }
}
