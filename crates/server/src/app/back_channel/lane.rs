//! What one application is told.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use gatehouse_domain::{
    application::{Application, Owner, SigningAlgorithm},
    id::{ApplicationId, TenantId},
    job::{Failure, Next},
    logout::{MOST_CLAIMS, Refusal, judge},
    time::Timestamp,
};
use gatehouse_persistence::{ClaimedDelivery, WriteTx};
use tokio::sync::SemaphorePermit;
use url::Url;

use crate::{
    app::{
        Error, Result,
        back_channel::{BackChannel, JOB, token::Signing},
    },
    measure,
    outbound::Unanswered,
};

/// What became of deliveries that were made at the same time.
#[derive(Debug, Clone, Default)]
struct Outcomes {
    /// Those of which nothing is left to be done.
    done: Vec<ClaimedDelivery>,
    /// Those that are made again, by when.
    later: BTreeMap<Timestamp, Vec<ClaimedDelivery>>,
    /// Those that are not.
    given_up: Vec<(ClaimedDelivery, Failure)>,
}

/// Why there was no answer, as operators see it. What may not be called now may not be called later.
const fn failure(unanswered: Unanswered) -> Failure {
    match unanswered {
        Unanswered::NotAllowed => Failure::never("address_not_allowed"),
        Unanswered::Unresolved => Failure::again("name_not_known"),
        Unanswered::Unreachable | Unanswered::TooLong => Failure::again("no_answer"),
        Unanswered::Untrusted => Failure::again("certificate_not_good"),
        Unanswered::TooSlow => Failure::again("too_slow"),
    }
}

impl BackChannel<'_> {
    /// Tells an application what is due; returns how often it was told.
    pub(super) async fn lane(&self, application: ApplicationId) -> Result<usize> {
        let mut told = 0;
        loop {
            let slots = self.slots(self.lanes.width(application)).await?;
            let most = slots.num_permits();
            let claim =
                async move |tx: &WriteTx<'_>| Ok::<_, Error>(tx.system(JOB).claim_deliveries(application, most).await?);
            let claims = self.db.write(self.env.ctx(), claim).await?;
            if claims.is_empty() {
                return Ok(told);
            }
            told += self.tell(application, claims).await?;
        }
    }

    /// As many slots as are free, at least one: nothing is claimed that would have to wait for one.
    async fn slots(&self, most: usize) -> Result<SemaphorePermit<'_>> {
        let closed = |error| Error::Internal(Box::new(error));
        let mut slots = self.lanes.slots.acquire().await.map_err(closed)?;
        for _ in 1..most {
            match self.lanes.slots.try_acquire() {
                Ok(slot) => slots.merge(slot),
                Err(_) => break,
            }
        }
        Ok(slots)
    }

    async fn tell(&self, id: ApplicationId, claims: Vec<ClaimedDelivery>) -> Result<usize> {
        let known = self.db.system(JOB).applications_by_id(&[id]).await?.pop();
        let known = known.filter(|application| application.deleted_at.is_none());
        let target = known.and_then(|application| Some((target(&application)?, application)));
        let (mut outcomes, mut told) = (Outcomes::default(), 0);
        match target {
            // Nobody wants to be told any more.
            None => outcomes.done = claims,
            Some((url, application)) => {
                let answers = self.send(&url, &application, &claims).await?;
                let now = self.env.now();
                told = answers.iter().filter(|answer| answer.is_ok()).count();
                self.lanes.learn(id, answers.iter().any(|answer| !matches!(answer, Err((_, false)))));
                for (claim, answer) in claims.into_iter().zip(answers) {
                    outcomes.add(claim, answer.map_err(|(refusal, _)| refusal), now);
                }
            }
        }
        let work = async move |tx: &WriteTx<'_>| {
            let system = tx.system(JOB);
            system.drop_deliveries(&outcomes.done).await?;
            for (at, claims) in &outcomes.later {
                system.postpone_deliveries(claims, *at).await?;
            }
            for (claim, why) in &outcomes.given_up {
                system.give_delivery_up(claim, *why).await?;
            }
            Ok::<_, Error>(())
        };
        self.db.write(self.env.ctx(), work).await?;
        Ok(told)
    }

    /// Makes deliveries at the same time; of each that failed, why, and whether there was an answer.
    async fn send(
        &self,
        url: &Url,
        application: &Application,
        claims: &[ClaimedDelivery],
    ) -> Result<Vec<Result<(), (Refusal, bool)>>> {
        let algorithm = application.metadata.id_token_signed_response_alg;
        let of_platform = match application.owner {
            Owner::Platform => Some(self.signing_of_platform(algorithm).await?),
            Owner::Partner(_) | Owner::Tenant(_) => None,
        };
        let signings = if of_platform.is_some() { BTreeMap::new() } else { self.signings(claims, algorithm).await? };
        let mut forms = Vec::with_capacity(claims.len());
        for claim in claims {
            let signing = of_platform.as_ref().or_else(|| signings.get(&claim.delivery.tenant.id));
            forms.push(match signing {
                _ if claim.lease > MOST_CLAIMS => Err(Failure::never("too_often")),
                None => Err(Failure::never("no_key")),
                // A key that cannot be opened now may be again: the master key is being replaced.
                Some(signing) => self.token(signing, claim).map_err(|_| Failure::again("unsigned")),
            });
        }
        let sending = forms.into_iter().map(async |form: Result<String, Failure>| match form {
            Err(failure) => Err((failure.into(), true)),
            Ok(token) => match self.outbound.post_form(url, format!("logout_token={token}")).await {
                Ok(answer) => {
                    judge(answer.status, answer.retry_after(self.env.now())).map_err(|refusal| (refusal, true))
                }
                Err(unanswered) => Err((failure(unanswered).into(), false)),
            },
        });
        Ok(join_all(sending).await)
    }

    /// What tokens of each tenant are signed with.
    async fn signings(
        &self,
        claims: &[ClaimedDelivery],
        algorithm: SigningAlgorithm,
    ) -> Result<BTreeMap<TenantId, Signing>> {
        let mut signings = BTreeMap::new();
        for claim in claims {
            let tenant = claim.delivery.tenant;
            if !signings.contains_key(&tenant.id)
                && let Some(signing) = self.signing(tenant, algorithm).await?
            {
                signings.insert(tenant.id, signing);
            }
        }
        Ok(signings)
    }
}

fn target(application: &Application) -> Option<Url> {
    Url::parse(application.metadata.backchannel_logout_uri.as_ref()?.as_str()).ok()
}

impl Outcomes {
    fn add(&mut self, claim: ClaimedDelivery, answer: Result<(), Refusal>, now: Timestamp) {
        let refusal = match answer {
            Ok(()) => {
                measure::logout_delivery("delivered");
                return self.done.push(claim);
            }
            Err(refusal) => refusal,
        };
        let delivery = claim.delivery;
        let (reason, application) = (refusal.failure.reason, delivery.application);
        match delivery.after(refusal, now) {
            Next::At(at) => {
                measure::logout_delivery("postponed");
                tracing::debug!(%application, attempt = delivery.attempts + 1, reason, "an application was not told");
                self.later.entry(at).or_default().push(claim);
            }
            Next::Never => {
                measure::logout_delivery("given_up");
                tracing::warn!(%application, attempt = delivery.attempts + 1, reason, "an application is not told");
                self.given_up.push((claim, refusal.failure));
            }
        }
    }
}
