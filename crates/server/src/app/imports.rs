//! Users come from another system: a file of them, a batch of lines in a transaction.
//!
//! A batch is in with everything that it did, the users, their events and how far the import has come, or it is not. So an import
//! that was stopped, however hard, goes on behind the last batch that is in; nothing comes twice, and nothing is lost.

use std::{
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use gatehouse_domain::{
    authz::{Actor, Area, Grant, SystemReason, TenantRef, WriteUsers, authorize},
    id::{JobId, UserId},
    import::{Counts, Import, OnConflict},
    user::{ForeignUser, Portable},
};
use gatehouse_persistence::{RejectedLine, WriteScope, WriteTx};
use serde::{Deserialize, Serialize};

use crate::app::{
    App, Error, Result,
    effects::{Mode, end},
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
        Self::new(field, "already_registered", "belongs to a user of the tenant")
    }
}

/// A line of a file.
#[derive(Debug, Clone)]
pub struct ImportLine {
    /// Its number, from 1.
    pub number: u64,
    /// Whom it describes, or why nobody.
    pub user: Result<ForeignUser, Vec<LineFault>>,
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
    /// In a dry run the names of earlier batches, which are taken back, as digests.
    tried: Arc<HashSet<u64>>,
}

impl Importing {
    /// One that goes on under a grant.
    pub(crate) fn of(grant: Grant<WriteUsers>, import: Import) -> Self {
        Self { grant, mode: Mode::of(import.dry_run), import, tried: Arc::default() }
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

fn names(user: &ForeignUser) -> [(&'static str, String); 2] {
    [("username", user.username.key()), ("email", user.email.key())]
}

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

impl App {
    /// Begins an import into a tenant, or goes on with the one that was stopped there. With `anew` that one is given up,
    /// and what it has brought stays. A dry run is always a new one and leaves nothing.
    ///
    /// # Errors
    /// [`Error::Conflict`] when the one that was stopped dealt with conflicts in another way, or is none of a command.
    pub async fn begin_import(
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
        let import = self.db.write(self.ctx(), work).await?;
        Ok(Importing { mode, ..Importing::of(grant.clone(), import) })
    }

    /// Takes the next lines in, all of them or none; returns those that were rejected. `so_far` is a digest of all lines up to
    /// and with these.
    ///
    /// # Errors
    /// [`Error::Stale`] when somebody else goes on with the same import, [`Error::Unavailable`].
    pub async fn import_batch(
        &self,
        importing: &mut Importing,
        lines: Vec<ImportLine>,
        so_far: Vec<u8>,
    ) -> Result<Vec<Rejected>> {
        let mode = importing.mode;
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
                    import = scope.advance(import, &lines).await?;
                }
                Ok((import, rejected, tried))
            };
            match self.change(self.ctx(), mode, work).await {
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
        Ok(rejected)
    }

    /// Every line has been taken in or rejected.
    ///
    /// # Errors
    /// [`Error::Stale`] when somebody else went on with it.
    pub async fn finish_import(&self, importing: Importing) -> Result<Counts> {
        let Importing { grant, mode, import, .. } = importing;
        let counts = import.counts;
        if mode == Mode::DryRun && import.format.is_none() {
            return Ok(counts);
        }
        let work = async move |tx: &WriteTx<'_>| {
            tx.scope(&grant).await?.update(import.clone().complete(&grant.by(), tx.now())).await?;
            Ok::<_, Error>(())
        };
        self.db.write(self.ctx(), work).await?;
        Ok(counts)
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
        let (grant, lines) = (importing.grant.clone(), rejected.iter().map(stored).collect::<Result<Vec<_>>>()?);
        let work = async move |tx: &WriteTx<'_>| {
            Ok::<_, Error>(tx.scope(&grant).await?.advance(import.clone(), &lines).await?)
        };
        self.db.write(self.ctx(), work).await
    }
}

/// A tenant has one import at a time, whoever asks for it.
pub(crate) fn there_is_one(import: &Import) -> Error {
    Error::Conflict(format!("The import {} into the tenant has not come to its end.", import.id).into())
}

/// Lines on their way into one transaction.
struct Batch<'t> {
    tx: &'t WriteTx<'t>,
    scope: &'t WriteScope<'t>,
    importing: &'t Importing,
    /// How many more users the tenant may have.
    room: u64,
    /// Whose the names are, those of this batch among them.
    taken: HashMap<(&'static str, String), UserId>,
    new: Vec<gatehouse_domain::change::Changed<Portable>>,
    counts: Counts,
    rejected: Vec<Rejected>,
    tried: Vec<u64>,
}

impl<'t> Batch<'t> {
    async fn open(
        tx: &'t WriteTx<'t>,
        scope: &'t WriteScope<'t>,
        importing: &'t Importing,
        lines: &[ImportLine],
    ) -> Result<Self> {
        let tenant = importing.import.tenant;
        // Under this lock nobody else makes users in the tenant.
        let quota = tx.system(SystemReason::Quota).user_quota(tenant).await?;
        let made = if importing.mode == Mode::DryRun { importing.import.counts.created } else { 0 };
        let room = quota.most.map_or(u64::MAX, |most| u64::from(most.get()).saturating_sub(quota.used + made));
        let users = || lines.iter().filter_map(|line| line.user.as_ref().ok());
        let usernames: Vec<_> = users().map(|user| user.username.key()).collect();
        let emails: Vec<_> = users().map(|user| user.email.key()).collect();
        let taken = scope.taken(tenant.id, &usernames, &emails).await?;
        let taken = taken.into_iter().map(|taken| ((taken.field, taken.key), taken.id)).collect();
        let (counts, rejected) = (importing.import.counts, Vec::new());
        Ok(Self { tx, scope, importing, room, taken, new: Vec::new(), counts, rejected, tried: Vec::new() })
    }

    fn reject(&mut self, line: &ImportLine, faults: Vec<LineFault>) {
        self.counts.rejected += 1;
        self.rejected.push(Rejected { line: line.number, faults });
    }

    async fn take(&mut self, line: &ImportLine, id: impl FnOnce() -> UserId) -> Result<()> {
        let user = match &line.user {
            Ok(user) => user,
            Err(faults) => {
                self.reject(line, faults.clone());
                return Ok(());
            }
        };
        if user.created_at.is_some_and(|at| at > self.tx.now()) {
            self.reject(line, vec![LineFault::new("created_at", "date_in_future", "lies in the future")]);
            return Ok(());
        }
        let names = names(user);
        let owners: Vec<_> = names.iter().filter_map(|name| Some((name.0, *self.taken.get(name)?))).collect();
        let tried = |name: &&(&str, String)| self.importing.tried.contains(&digest((name.0, &name.1)));
        let earlier: Vec<_> = names.iter().filter(tried).map(|name| name.0).collect();
        let fields: Vec<_> = if owners.is_empty() { earlier } else { owners.iter().map(|owner| owner.0).collect() };
        match (self.importing.import.on_conflict, owners.first()) {
            _ if fields.is_empty() => self.create(line, user, id()),
            (OnConflict::Fail, _) => self.reject(line, fields.into_iter().map(LineFault::taken).collect()),
            (OnConflict::Skip, _) => self.counts.skipped += 1,
            (OnConflict::Update, Some((_, owner))) if owners.iter().all(|(_, other)| other == owner) => {
                self.update(line, user, *owner).await?;
            }
            (OnConflict::Update, Some(_)) => {
                let message = "the user name belongs to one user of the tenant, the address to another";
                self.reject(line, vec![LineFault::new("email", "already_registered", message)]);
            }
            (OnConflict::Update, None) => self.counts.updated += 1,
        }
        Ok(())
    }

    fn create(&mut self, line: &ImportLine, user: &ForeignUser, id: UserId) {
        if self.room == 0 {
            let message = "the tenant has as many users as its partner allows";
            return self.reject(line, vec![LineFault::new("", "limit_reached", message)]);
        }
        self.room -= 1;
        self.counts.created += 1;
        for name in names(user) {
            if self.importing.mode == Mode::DryRun {
                self.tried.push(digest((name.0, &name.1)));
            }
            self.taken.insert(name, id);
        }
        let (import, by) = (&self.importing.import, self.importing.grant.by());
        self.new.push(Portable::import(id, import, user.clone(), &by, self.tx.now()));
    }

    /// Whoever holds a role is not changed by a list: what that could take away or give is decided one by one.
    async fn update(&mut self, line: &ImportLine, user: &ForeignUser, id: UserId) -> Result<()> {
        self.flush().await?;
        let (scope, now) = (self.scope, self.tx.now());
        let here = scope.portable_user(id).await?.ok_or(Error::Stale)?;
        let roles = scope.user_view(id, now).await?.map(|view| view.roles).unwrap_or_default();
        if !roles.is_empty() {
            let message = "holds a role: administrators are changed one by one";
            self.reject(line, vec![LineFault::new("username", "administers", message)]);
            return Ok(());
        }
        let old = [("username", here.user.username.key()), ("email", here.user.email.key())];
        let (version, by) = (here.user.version, self.importing.grant.by());
        let (changed, ends) = here.import_over(self.importing.import.id, user.clone(), &by, now);
        let saved = scope.update(changed).await?;
        if let Some(ends) = ends {
            end(self.tx, scope, &ends, self.importing.mode).await?;
        }
        if saved.user.version == version {
            self.counts.skipped += 1;
            return Ok(());
        }
        self.counts.updated += 1;
        for name in old {
            self.taken.remove(&name);
        }
        for name in names(user) {
            self.taken.insert(name, id);
        }
        Ok(())
    }

    /// Stores the new users.
    async fn flush(&mut self) -> Result<()> {
        self.scope.insert_many(std::mem::take(&mut self.new)).await?;
        Ok(())
    }
}
