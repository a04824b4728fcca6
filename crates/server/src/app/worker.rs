//! The worker, which does [jobs](crate::app::jobs): so many of each kind at the same time, and no kind waits for another.

use gatehouse_domain::{
    authz::SystemReason,
    job::{Failure, JobKind, Next},
    time::Timestamp,
};
use gatehouse_persistence::{ClaimedJob, Db, WriteTx};

use crate::{
    app::{
        App, Error, Result,
        account::Recovery,
        directory::invitations::Invitations,
        jobs::Outbox,
        mail::{self, Mails, Waiting},
        transfer::{Imports, import_jobs::Run},
    },
    env::Env,
    mail::Letter,
};

const JOB: SystemReason = SystemReason::Job;
/// How many rounds one run makes at most; the next goes on.
const ROUNDS: usize = 100;

/// Does jobs.
#[derive(Debug, Clone, Copy)]
pub struct Worker<'a> {
    db: &'a Db,
    env: &'a Env,
    outbox: &'a Outbox,
    mails: Mails<'a>,
    recovery: Recovery<'a>,
    imports: Imports<'a>,
    invitations: Invitations<'a>,
}

/// What a job is to do.
enum Task {
    Mail(Box<Letter>),
    UserImport,
    /// Whoever waits, or was made from one instant to another.
    Invitations(Option<[Timestamp; 2]>),
}

/// What became of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// It is done.
    Done,
    /// There was nothing to be done.
    Idle,
    /// It is done, and has left the queue with what it did.
    Left,
    /// It was not done.
    Failed(Failure),
    /// Somebody else has it by now, or nobody wants it any more.
    Lost,
}

impl App {
    /// Does jobs.
    pub fn worker(&self) -> Worker<'_> {
        Worker {
            db: &self.db,
            env: &self.env,
            outbox: &self.outbox,
            mails: self.mails(),
            recovery: self.recovery(),
            imports: self.imports(),
            invitations: self.invitations(),
        }
    }
}

impl Worker<'_> {
    /// Does the jobs of a kind that are due; returns how many were done.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer. What was done meanwhile is done once more after its
    /// lease.
    pub async fn run_due(&self, kind: JobKind) -> Result<usize> {
        let mut done = 0;
        for _ in 0..ROUNDS {
            let claims = self.claim(kind).await?;
            if claims.is_empty() {
                break;
            }
            let mut tasks = Vec::with_capacity(claims.len());
            for claim in &claims {
                tasks.push(self.prepare(claim).await);
            }
            let doing = claims.iter().zip(tasks).map(|(claim, task)| self.finish(claim, task));
            // All are looked at before the first that failed ends it.
            for result in futures_util::future::join_all(doing).await {
                done += usize::from(result?);
            }
        }
        Ok(done)
    }

    /// Takes jobs of a kind that are due, as many as are done at the same time, in the order in which they were asked
    /// for: of two links to one user the later one is good.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn claim(&self, kind: JobKind) -> Result<Vec<ClaimedJob>> {
        if !self.db.system(JOB).has_job(kind, self.env.now()).await? {
            return Ok(Vec::new());
        }
        let claim = async move |tx: &WriteTx<'_>| Ok::<_, Error>(tx.system(JOB).claim_jobs(kind).await?);
        let mut claims = self.db.write(self.env.ctx(), claim).await?;
        claims.sort_by_key(|claim| (claim.created_at, claim.job.id));
        Ok(claims)
    }

    /// What a job is to do, once everything has been done whose order matters: that comes one job after the other.
    async fn prepare(&self, claim: &ClaimedJob) -> Result<Result<Task, Outcome>> {
        if let Some(over) = claim.patience().is_over(self.env.now()) {
            return Ok(Err(Outcome::Failed(over)));
        }
        Ok(match claim.job.kind {
            JobKind::Mail => match self.outbox.open(claim) {
                None => Err(Outcome::Failed(Failure::again("unreadable"))),
                Some(Waiting::Letter(letter)) => Ok(Task::Mail(letter)),
                Some(Waiting::Request(request)) => {
                    let letter = self.recovery.letter(claim, request).await?;
                    letter.map(|letter| Task::Mail(letter.into())).ok_or(Outcome::Idle)
                }
            },
            JobKind::UserImport => Ok(Task::UserImport),
            JobKind::Invitations => {
                let made = self.outbox.invited(claim);
                made.map(Task::Invitations).ok_or(Outcome::Failed(Failure::never("unreadable")))
            }
        })
    }

    /// Does a job, and notes what became of it; whether it is done.
    async fn finish(&self, claim: &ClaimedJob, task: Result<Result<Task, Outcome>>) -> Result<bool> {
        let outcome = match task? {
            Ok(Task::Mail(letter)) => match self.mails.send(claim, &letter).await {
                Ok(()) => Outcome::Done,
                Err(failure) => Outcome::Failed(failure),
            },
            Ok(Task::UserImport) => match Box::pin(self.imports.run(claim)).await? {
                Run::Ended => Outcome::Left,
                Run::Lost => Outcome::Lost,
            },
            Ok(Task::Invitations(made)) => {
                if self.invitations.run(claim, made).await? {
                    Outcome::Left
                } else {
                    Outcome::Lost
                }
            }
            Err(outcome) => outcome,
        };
        match outcome {
            Outcome::Done | Outcome::Idle => self.drop(claim).await?,
            Outcome::Failed(failure) => self.not_done(claim, failure).await?,
            Outcome::Left | Outcome::Lost => {}
        }
        Ok(matches!(outcome, Outcome::Done | Outcome::Left))
    }

    async fn not_done(&self, claim: &ClaimedJob, failure: Failure) -> Result<()> {
        let next = claim.patience().after(failure, self.env.now());
        match claim.job.kind {
            JobKind::Mail => mail::was_not_sent(claim, failure, next),
            JobKind::UserImport | JobKind::Invitations => {}
        }
        let at = match next {
            Next::At(at) => at,
            Next::Never => return self.give_up(claim, failure).await,
        };
        let claim = claim.clone();
        let work = async move |tx: &WriteTx<'_>| {
            tx.system(JOB).postpone_job(&claim, failure, at).await?;
            Ok::<_, Error>(())
        };
        self.db.write(self.env.ctx(), work).await
    }

    async fn give_up(&self, claim: &ClaimedJob, failure: Failure) -> Result<()> {
        match claim.job.kind {
            JobKind::Mail => {
                let claim = claim.clone();
                let work = async move |tx: &WriteTx<'_>| {
                    tx.system(JOB).give_mail_up(&claim, failure).await?;
                    Ok::<_, Error>(())
                };
                self.db.write(self.env.ctx(), work).await
            }
            JobKind::UserImport => self.imports.give_up(claim).await,
            JobKind::Invitations => self.drop(claim).await,
        }
    }

    async fn drop(&self, claim: &ClaimedJob) -> Result<()> {
        let claim = claim.clone();
        let work = async move |tx: &WriteTx<'_>| Ok::<_, Error>(tx.system(JOB).drop_job(&claim).await?);
        self.db.write(self.env.ctx(), work).await.map(drop)
    }
}
