//! Mail: written with the change that causes it, sent afterwards, at least once.
//!
//! What waits is sealed with a key of its own. A link in it lets its holder in, and whoever reads the database must not
//! be that; the addresses of people who never had an account are nobody's business either. It is sealed as it will be
//! sent, so that a replica of another release can send it.
//!
//! What strangers ask for waits as the request that it is: who it concerns is looked up when it is sent. So asking does
//! the same work for every address, whether anybody has it or not.

use std::sync::Arc;

use gatehouse_domain::{
    authz::SystemReason,
    id::MailId,
    mail::{self, Failure, Next},
    secret::Secret,
    time::Timestamp,
    user::{Issued, User},
};
use gatehouse_persistence::{ClaimedMail, NewMail, WriteScope, WriteTx};
use serde::{Deserialize, Serialize};

use crate::{
    app::{App, Error, Result, recovery::Request},
    env::Env,
    mail::Letter,
    security::keyring::Keyring,
};

const JOB: SystemReason = SystemReason::Job;
/// How many mails are on their way at the same time.
const AT_ONCE: usize = 8;
/// How many rounds one run makes at most; the next goes on.
const ROUNDS: usize = 100;

/// What waits to be sent.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Waiting {
    /// A letter, ready to be sent.
    Letter(Letter),
    /// Something that a stranger asked for.
    Request(Request),
}

/// Writes mail; goes along into transactions.
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

    /// The link to a page with a token. What follows the fragment sign never leaves the browser.
    pub(crate) fn link(&self, page: &str, tenant: &gatehouse_domain::text::Slug, token: &Secret<String>) -> String {
        format!("{}{page}#{tenant}/{}", self.links, token.expose())
    }

    pub(crate) fn sealed(&self, id: MailId, waiting: &Waiting) -> Result<Vec<u8>> {
        let plain = serde_json::to_vec(waiting).map_err(|error| Error::Internal(Box::new(error)))?;
        Ok(self.keyring.seal_mail(id, &plain))
    }

    pub(crate) fn mail(&self, waiting: &Waiting, give_up_at: Timestamp) -> Result<NewMail> {
        let id = self.env.id(MailId::from_parts);
        Ok(NewMail { id, sealed: self.sealed(id, waiting)?, give_up_at })
    }

    /// Writes a letter to or about a user.
    pub(crate) async fn post(&self, scope: &WriteScope<'_>, user: &User, letter: Letter, now: Timestamp) -> Result<()> {
        let mail = self.mail(&Waiting::Letter(letter), mail::give_up_at(now, None))?;
        Ok(scope.post(user.tenant(), Some(user.id), mail).await?)
    }

    /// Writes a letter with a link that has been made for a user.
    pub(crate) async fn post_link(
        &self,
        scope: &WriteScope<'_>,
        issued: &Issued,
        letter: Letter,
        now: Timestamp,
    ) -> Result<()> {
        let mail = self.mail(&Waiting::Letter(letter), mail::give_up_at(now, Some(issued.expires_at)))?;
        Ok(scope.post(issued.user.tenant(), Some(issued.user.id), mail).await?)
    }
}

impl App {
    /// Sends the mail that is due; returns how many were sent.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer. What was sent meanwhile is sent once more then.
    pub async fn send_mail(&self) -> Result<usize> {
        let mut sent = 0;
        for _ in 0..ROUNDS {
            if !self.db.system(JOB).has_mail(self.env.now()).await? {
                break;
            }
            let claim = async |tx: &WriteTx<'_>| Ok::<_, Error>(tx.system(JOB).claim_mail(AT_ONCE, mail::LEASE).await?);
            let mut claims = self.db.write(self.ctx(), claim).await?;
            // In the order in which they were asked for: of two links to one user the later one is good.
            claims.sort_by_key(|claim| (claim.created_at, claim.mail.id));
            let mut letters = Vec::with_capacity(claims.len());
            for claim in &claims {
                letters.push(self.letter_of(claim).await);
            }
            let sending = claims.iter().zip(letters).map(|(claim, letter)| self.send_one(claim, letter));
            // All are looked at before the first that failed ends it.
            let results: Vec<_> = futures_util::future::join_all(sending).await;
            for result in results {
                sent += usize::from(result?);
            }
        }
        Ok(sent)
    }

    /// Sends one mail, or notes why not.
    async fn send_one(&self, claim: &ClaimedMail, letter: Result<Result<Option<Letter>, Failure>>) -> Result<bool> {
        let result = match letter? {
            Ok(Some(letter)) => self.mailer.send(claim.mail.id, &letter, claim.created_at).await.map(|()| true),
            Ok(None) => Ok(false),
            Err(failure) => Err(failure),
        };
        match result {
            Ok(sent) => {
                let claim = claim.clone();
                let work = async move |tx: &WriteTx<'_>| Ok::<_, Error>(tx.system(JOB).drop_mail(&claim).await?);
                self.db.write(self.ctx(), work).await?;
                if sent {
                    metrics::counter!("gatehouse_mails_total", "result" => "sent").increment(1);
                }
                Ok(sent)
            }
            Err(failure) => self.not_sent(claim, failure).await.map(|()| false),
        }
    }

    async fn not_sent(&self, claim: &ClaimedMail, failure: Failure) -> Result<()> {
        let now = self.env.now();
        let next = mail::after(failure, claim.attempt, claim.mail.give_up_at, now);
        let (id, tenant, reason) = (claim.mail.id, claim.tenant.id, failure.reason);
        match next {
            Next::At(_) => {
                tracing::warn!(mail = %id, tenant_id = %tenant, reason, "a mail could not be sent; it is tried again")
            }
            Next::Never => tracing::error!(mail = %id, tenant_id = %tenant, reason, "a mail was given up"),
        }
        let result = if next == Next::Never { "given_up" } else { "postponed" };
        metrics::counter!("gatehouse_mails_total", "result" => result).increment(1);
        let claim = claim.clone();
        let work = async move |tx: &WriteTx<'_>| {
            let system = tx.system(JOB);
            match next {
                Next::At(at) => system.postpone_mail(&claim, failure, at).await?,
                Next::Never => drop(system.give_mail_up(&claim, failure).await?),
            }
            Ok::<_, Error>(())
        };
        self.db.write(self.ctx(), work).await
    }

    /// The letter of a mail. A request becomes one, or nothing.
    async fn letter_of(&self, claim: &ClaimedMail) -> Result<Result<Option<Letter>, Failure>> {
        let id = claim.mail.id;
        let opened = self.keyring.open_mail(id, &claim.mail.sealed).ok();
        let Some(waiting) = opened.and_then(|plain| serde_json::from_slice(&plain).ok()) else {
            return Ok(Err(Failure { reason: "unreadable", is_final: true }));
        };
        if self.env.now() >= claim.mail.give_up_at {
            return Ok(Err(Failure { reason: "too_late", is_final: true }));
        }
        match waiting {
            Waiting::Letter(letter) => Ok(Ok(Some(letter))),
            Waiting::Request(request) => self.letter(claim, request).await.map(Ok),
        }
    }
}
