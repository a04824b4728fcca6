//! Mail: a [job](crate::app::jobs). It is sealed with the address: those of people who never had an account are nobody's
//! business.
//!
//! What strangers ask for waits as the request that it is: who it concerns is looked up when it is sent. So asking does
//! the same work for every address, whether anybody has it or not.

pub mod letters;
pub mod requests;

use gatehouse_domain::{
    id::MailId,
    job::{Failure, Next},
};
use gatehouse_persistence::ClaimedJob;
use serde::{Deserialize, Serialize};

use crate::{
    app::{App, mail::requests::Request},
    mail::{Letter, Mailer},
    measure,
};

/// What waits to be sent.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Waiting {
    /// A letter, ready to be sent.
    Letter(Box<Letter>),
    /// Something that a stranger asked for.
    Request(Request),
}

/// Sends mails.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mails<'a> {
    mailer: &'a Mailer,
}

impl App {
    /// Sends mails.
    pub(crate) const fn mails(&self) -> Mails<'_> {
        Mails { mailer: &self.mailer }
    }
}

impl Mails<'_> {
    /// Sends a mail.
    pub(crate) async fn send(&self, claim: &ClaimedJob, letter: &Letter) -> Result<(), Failure> {
        self.mailer.send(id(claim), letter, claim.created_at).await?;
        measure::mail("sent");
        Ok(())
    }
}

fn id(claim: &ClaimedJob) -> MailId {
    MailId::from_uuid(claim.job.id.uuid())
}

/// Says that a mail could not be sent.
pub(crate) fn was_not_sent(claim: &ClaimedJob, Failure { reason, .. }: Failure, next: Next) {
    let (id, tenant) = (id(claim), claim.tenant.id);
    match next {
        Next::At(_) => {
            tracing::warn!(mail = %id, tenant_id = %tenant, reason, "a mail could not be sent; it is tried again");
            measure::mail("postponed");
        }
        Next::Never => {
            tracing::error!(mail = %id, tenant_id = %tenant, reason, "a mail was given up");
            measure::mail("given_up");
        }
    }
}
