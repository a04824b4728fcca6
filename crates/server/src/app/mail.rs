//! Mail: a [job](crate::app::jobs). It is sealed with the address: those of people who never had an account are nobody's
//! business.
//!
//! What strangers ask for waits as the request that it is: who it concerns is looked up when it is sent. So asking does
//! the same work for every address, whether anybody has it or not.

pub mod letters;
pub mod requests;

use gatehouse_domain::{
    id::{JobId, MailId},
    job::{Failure, Next},
    mail,
    secret::Secret,
    time::Timestamp,
    user::{Issued, User},
};
use gatehouse_persistence::{ClaimedJob, NewJob, WriteScope};
use serde::{Deserialize, Serialize};

use crate::{
    app::{
        App, Result,
        jobs::{Job, Outbox, Outcome},
        mail::requests::Request,
    },
    mail::Letter,
};

/// What waits to be sent.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Waiting {
    /// A letter, ready to be sent.
    Letter(Letter),
    /// Something that a stranger asked for.
    Request(Request),
}

impl Outbox {
    /// The link to a page with a token. What follows the fragment sign never leaves the browser.
    pub(crate) fn link(&self, page: &str, tenant: &gatehouse_domain::text::Slug, token: &Secret<String>) -> String {
        format!("{}{page}#{tenant}/{}", self.links, token.expose())
    }

    pub(crate) fn mail(&self, waiting: Waiting, give_up_at: Timestamp) -> Result<NewJob> {
        self.job(self.env.id(JobId::from_parts), &Job::Mail(waiting), Some(give_up_at))
    }

    /// Writes a letter to or about a user.
    pub(crate) async fn post(&self, scope: &WriteScope<'_>, user: &User, letter: Letter, now: Timestamp) -> Result<()> {
        let mail = self.mail(Waiting::Letter(letter), mail::give_up_at(now, None))?;
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
        let mail = self.mail(Waiting::Letter(letter), mail::give_up_at(now, Some(issued.expires_at)))?;
        Ok(scope.enqueue(issued.user.tenant(), Some(issued.user.id), mail).await?)
    }
}

impl App {
    /// The mail as a letter. A request becomes one, or nothing.
    pub(crate) async fn written(&self, claim: &ClaimedJob, waiting: Waiting) -> Result<Option<Waiting>> {
        match waiting {
            Waiting::Letter(_) => Ok(Some(waiting)),
            Waiting::Request(request) => Ok(self.recovery().letter(claim, request).await?.map(Waiting::Letter)),
        }
    }

    /// Sends a mail.
    pub(crate) async fn send_mail(&self, claim: &ClaimedJob, waiting: Waiting) -> Result<Outcome> {
        let Some(Waiting::Letter(letter)) = self.written(claim, waiting).await? else { return Ok(Outcome::Idle) };
        Ok(match self.mailer.send(id(claim), &letter, claim.created_at).await {
            Ok(()) => {
                count("sent");
                Outcome::Done
            }
            Err(failure) => Outcome::Failed(failure),
        })
    }
}

fn id(claim: &ClaimedJob) -> MailId {
    MailId::from_uuid(claim.job.id.uuid())
}

fn count(result: &'static str) {
    metrics::counter!("gatehouse_mails_total", "result" => result).increment(1);
}

/// Says that a mail could not be sent.
pub(crate) fn was_not_sent(claim: &ClaimedJob, Failure { reason, .. }: Failure, next: Next) {
    let (id, tenant) = (id(claim), claim.tenant.id);
    match next {
        Next::At(_) => {
            tracing::warn!(mail = %id, tenant_id = %tenant, reason, "a mail could not be sent; it is tried again");
            count("postponed");
        }
        Next::Never => {
            tracing::error!(mail = %id, tenant_id = %tenant, reason, "a mail was given up");
            count("given_up");
        }
    }
}
