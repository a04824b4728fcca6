//! Users come from another system: a file of them, a batch of lines in a transaction.
//!
//! A batch is in with everything that it did, the users, their events and how far the import has come, or it is not. So an import
//! that was stopped, however hard, goes on behind the last batch that is in; nothing comes twice, and nothing is lost.

mod batch;

use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use gatehouse_domain::{
    authz::{Actor, Area, Grant, SystemReason, TenantRef, WriteUsers, authorize},
    id::{JobId, UserId},
    import::{Import, OnConflict},
    user::ImportedUser,
};
use gatehouse_persistence::{ClaimedJob, RejectedLine, WriteScope, WriteTx};
use serde::{Deserialize, Serialize};

use self::batch::Batch;
use crate::app::{
    Error, Result,
    effects::{Mode, change},
    transfer::Imports,
};

pub use gatehouse_persistence::BATCH;

/// How often a batch is tried again that lost a name to somebody.
const ATTEMPTS: u32 = 5;

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineFault {
    /// With which field; empty if with the line as a whole.
    pub field: String,
    /// What, as a slug.
    pub code: String,
    /// What, in words.
    pub message: String,
}

impl LineFault {
    /// A fault of a field.
    #[must_use]
    pub fn new(field: &str, code: &str, message: impl Into<String>) -> Self {
        Self { field: field.to_owned(), code: code.to_owned(), message: message.into() }
    }

    fn taken(field: &str) -> Self {
        Self::new(field, "already_registered", "belongs to a user of the tenant, or to an earlier line")
    }
}

/// A line of a file.
#[derive(Debug, Clone)]
pub struct ImportLine {
    /// Its number, from 1.
    pub number: u64,
    /// Whom it describes, or why nobody.
    pub user: Result<ImportedUser, Vec<LineFault>>,
}

/// A line that was rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Its number.
    pub line: u64,
    /// Why.
    pub faults: Vec<LineFault>,
}

/// An import that is going on.
#[derive(Debug, Clone)]
pub struct Importing {
    grant: Grant<WriteUsers>,
    mode: Mode,
    import: Import,
    /// The claim under which it goes on; none if a command reads its file.
    claim: Option<ClaimedJob>,
    /// In a dry run the names of earlier batches, which are taken back, as digests.
    tried: Arc<HashSet<u64>>,
}

impl Importing {
    /// One that goes on under a grant.
    pub(crate) fn of(grant: Grant<WriteUsers>, import: Import) -> Self {
        Self { grant, mode: Mode::of(import.dry_run), import, claim: None, tried: Arc::default() }
    }

    /// The same under the claim of a job.
    pub(crate) fn under(claim: ClaimedJob, grant: Grant<WriteUsers>, import: Import) -> Self {
        Self { claim: Some(claim), ..Self::of(grant, import) }
    }

    /// Notes how far it has come, and keeps the job for another lease. A dry run that is taken up again begins anew, so it
    /// does not get on.
    async fn advance(
        &self,
        tx: &WriteTx<'_>,
        scope: &WriteScope<'_>,
        import: Import,
        lines: &[RejectedLine],
    ) -> Result<Import> {
        let import = scope.advance(import, lines).await?;
        if let Some(claim) = &self.claim {
            tx.system(SystemReason::Job).renew_job(claim, self.mode == Mode::Real).await?;
        }
        Ok(import)
    }

    /// Goes on under another grant.
    pub(crate) fn renew(&mut self, grant: Grant<WriteUsers>) {
        self.grant = grant;
    }

    /// How far it has come.
    #[must_use]
    pub const fn import(&self) -> &Import {
        &self.import
    }
}

fn digest(name: (&str, &str)) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}

fn names(user: &ImportedUser) -> [(&'static str, String); 2] {
    [("username", user.name().key()), ("email", user.email.key())]
}

/// The first so many lines, twice as many, and so on, have the database look at the users again: without statistics of a
/// table that grows, PostgreSQL reads the whole tenant for each name.
const ANALYZED_EVERY: u64 = 1_000;

/// The most faults of a line that are kept, and of each the most characters of the field: a line can have thousands.
const MOST_FAULTS: usize = 20;
const LONGEST_FIELD: usize = 128;

fn stored(rejected: &Rejected) -> Result<RejectedLine> {
    let short = |fault: &LineFault| LineFault {
        field: fault.field.chars().take(LONGEST_FIELD).collect(),
        code: fault.code.clone(),
        message: fault.message.chars().take(LONGEST_FIELD * 2).collect(),
    };
    let faults: Vec<_> = rejected.faults.iter().take(MOST_FAULTS).map(short).collect();
    let faults = serde_json::to_string(&faults).map_err(|error| Error::Internal(Box::new(error)))?;
    Ok(RejectedLine { line: rejected.line, faults })
}

/// What was kept of a line that was rejected.
pub(crate) fn rejected(line: RejectedLine) -> Result<Rejected> {
    let faults = serde_json::from_str(&line.faults).map_err(|error| Error::Internal(Box::new(error)))?;
    Ok(Rejected { line: line.line, faults })
}

impl Imports<'_> {
    /// Begins an import into a tenant, or goes on with the one that was stopped there. With `anew` that one is given up,
    /// and what it has brought stays. A dry run is always a new one and leaves nothing.
    ///
    /// # Errors
    /// [`Error::Conflict`] when the one that was stopped dealt with conflicts in another way, or is none of a command.
    pub async fn begin(
        &self,
        tenant: TenantRef,
        on_conflict: OnConflict,
        mode: Mode,
        anew: bool,
        reason: SystemReason,
    ) -> Result<Importing> {
        let grant: &Grant<WriteUsers> = &authorize(&Arc::new(Actor::System(reason)), &Area::Tenant(tenant))?;
        let id = self.env.id(JobId::from_parts);
        let acting = grant.clone();
        let work = async move |tx: &WriteTx<'_>| {
            let scope = tx.scope(&acting).await?;
            let (by, fresh) = (acting.by(), Import::start(id, tenant, on_conflict, &acting.by(), tx.now()));
            if mode == Mode::DryRun {
                return Ok(fresh.into_parts().0);
            }
            match scope.active_import(tenant.id).await? {
                Some(other) if other.format.is_some() => return Err(there_is_one(&other)),
                Some(stopped) if anew => {
                    scope.update(stopped.cancel(&by, tx.now())).await?;
                }
                Some(stopped) if stopped.on_conflict == on_conflict => return Ok(stopped),
                Some(stopped) => {
                    let text = format!(
                        "The import that was stopped there deals with conflicts by `{}`: go on with that, or begin anew.",
                        stopped.on_conflict
                    );
                    return Err(Error::Conflict(text.into()));
                }
                None => {}
            }
            Ok(scope.insert(fresh).await?)
        };
        let import = self.db.write(self.env.ctx(), work).await?;
        Ok(Importing { mode, ..Importing::of(grant.clone(), import) })
    }

    /// Takes the next lines in, all of them or none; returns those that were rejected. `so_far` is a digest of all lines up to
    /// and with these.
    ///
    /// # Errors
    /// [`Error::Stale`] when somebody else goes on with the same import, [`Error::Unavailable`].
    pub async fn take_batch(
        &self,
        importing: &mut Importing,
        lines: Vec<ImportLine>,
        so_far: Vec<u8>,
    ) -> Result<Vec<Rejected>> {
        let (mode, lines_taken) = (importing.mode, lines.len() as u64);
        let mut lost = 0;
        let done = loop {
            let (env, importing, lines, so_far) = (self.env.clone(), importing.clone(), lines.clone(), so_far.clone());
            let work = async move |tx: &WriteTx<'_>| {
                let scope = tx.scope(&importing.grant).await?;
                let mut batch = Batch::open(tx, &scope, &importing, &lines).await?;
                for line in &lines {
                    batch.take(line, || env.id(UserId::from_parts)).await?;
                }
                batch.flush().await?;
                let Batch { counts, rejected, tried, .. } = batch;
                let mut import = Import { counts, digest: so_far.clone(), ..importing.import.clone() };
                if mode == Mode::Real {
                    let lines = rejected.iter().map(stored).collect::<Result<Vec<_>>>()?;
                    import = importing.advance(tx, &scope, import, &lines).await?;
                }
                Ok((import, rejected, tried))
            };
            match change(self.db, self.env.ctx(), mode, work).await {
                // Somebody has taken one of the names between the question and the insertion: asked again, it is known.
                Err(Error::AlreadyRegistered) if lost < ATTEMPTS => lost += 1,
                other => break other?,
            }
        };
        let (mut import, rejected, tried) = done;
        if mode == Mode::DryRun && import.format.is_some() {
            // What was tried has been taken back, and what came of it is shown to whoever asked.
            import = self.note_tried(importing, import, &rejected).await?;
        }
        importing.import = import;
        Arc::make_mut(&mut importing.tried).extend(tried);
        if (importing.import.counts.lines() / ANALYZED_EVERY).is_power_of_two()
            && importing.import.counts.lines() % ANALYZED_EVERY < lines_taken
            && let Err(error) = self.db.analyze_users().await
        {
            tracing::debug!(%error, "the statistics of users could not be renewed");
        }
        Ok(rejected)
    }

    /// Every line has been taken in or rejected; returns the import as it has ended.
    ///
    /// # Errors
    /// [`Error::Stale`] when somebody else went on with it.
    pub async fn finish(&self, importing: Importing) -> Result<Import> {
        let Importing { grant, mode, import, .. } = importing;
        if mode == Mode::DryRun && import.format.is_none() {
            return Ok(import);
        }
        let work = async move |tx: &WriteTx<'_>| {
            let completed = import.clone().complete(&grant.by(), tx.now());
            Ok::<_, Error>(tx.scope(&grant).await?.update(completed).await?)
        };
        self.db.write(self.env.ctx(), work).await
    }

    /// Lines behind one that an import rejected before it was stopped, in their order; none at the end.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn rejected_lines(&self, importing: &Importing, after: u64) -> Result<Vec<Rejected>> {
        let lines = self.db.scope(&importing.grant).rejected_lines(&importing.import, after).await?;
        lines.into_iter().map(rejected).collect()
    }

    async fn note_tried(&self, importing: &Importing, import: Import, rejected: &[Rejected]) -> Result<Import> {
        let (importing, lines) = (importing.clone(), rejected.iter().map(stored).collect::<Result<Vec<_>>>()?);
        let work = async move |tx: &WriteTx<'_>| {
            importing.advance(tx, &tx.scope(&importing.grant).await?, import.clone(), &lines).await
        };
        self.db.write(self.env.ctx(), work).await
    }
}

/// A tenant has one import at a time, whoever asks for it.
pub(crate) fn there_is_one(import: &Import) -> Error {
    Error::Conflict(format!("The import {} into the tenant has not come to its end.", import.id).into())
}
