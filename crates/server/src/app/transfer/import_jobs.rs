//! Imports that are asked for over the network: their file waits for a [job](crate::app::jobs) to read it in, in the name of
//! who asked and only for as long as that one may.
//!
//! Taking one up is a compare-and-set on its version, and so is every batch, which also renews the lease of the job.
//! Whoever was thought to be dead and is not finds that somebody else goes on, and has changed nothing. The job leaves
//! the queue with the end of its import, by a trigger, whoever ends it.

use std::sync::Arc;

use gatehouse_domain::{
    authz::{
        Actor, Area, Grant, PermissionSet, Presence, ReadUsers, SystemReason, TokenScope, UserActor, WriteUsers,
        authorize,
    },
    id::{ApplicationId, JobId, TenantId},
    import::{Asker, Import, ImportFailure, Order},
    job::JobKind,
    page::{Direction, Page, PageRequest},
    partner::Status,
    role::HeldRole,
    user::UserStatus,
};
use gatehouse_persistence::{BATCH, ClaimedJob, NewJob, WriteTx};

use crate::{
    app::{
        Error, Result,
        request::client::RequestMeta,
        transfer::{
            Imports,
            imports::{Importing, Rejected, rejected, there_is_one},
            uploads::Upload,
        },
    },
    transfer::{Feed, ReadError},
};

const JOB: SystemReason = SystemReason::Job;
/// The most lines that may be rejected: what is kept of a file must not become more than the file.
const MOST_REJECTED: u64 = 10_000;
/// How often somebody who ends an import tries that while it gets on.
const CANCEL_TRIES: u32 = 20;

/// An import that this process has taken up.
#[derive(Debug)]
pub struct ImportJob {
    importing: Importing,
    feed: Feed,
    /// How many pieces of the file have been read; none are left if there is none.
    next_piece: Option<u64>,
    /// Whether it is somebody else's by now.
    is_lost: bool,
}

/// How reading a file in came to an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Run {
    /// The import has ended, and its job with it.
    Ended,
    /// The import is somebody else's by now, or over.
    Lost,
}

impl Imports<'_> {
    /// Asks for an import of a file that has come.
    ///
    /// # Errors
    /// [`Error::Conflict`] while there is another one.
    pub async fn queue(&self, upload: &Upload, order: Order, meta: &RequestMeta) -> Result<Import> {
        let (grant, tenant, id) = (upload.grant.clone(), upload.tenant, upload.id);
        let job = NewJob { id, kind: JobKind::UserImport, sealed: None, give_up_at: None };
        let work = async move |tx: &WriteTx<'_>| {
            let scope = tx.scope(&grant).await?;
            let import = scope.insert(Import::queue(id, tenant, order, &grant, tx.now())).await?;
            scope.enqueue(tenant, None, job.clone()).await?;
            Ok(import)
        };
        match self.idempotency.write(meta, work).await {
            // Nothing else can be in the way than another import.
            Err(Error::Conflict(why)) => {
                let other = self.db.scope(&upload.grant).active_import(tenant.id).await?;
                Err(other.map_or(Error::Conflict(why), |other| there_is_one(&other)))
            }
            other => other,
        }
    }

    /// Lists the imports of a tenant.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub async fn list(
        &self,
        grant: &Grant<ReadUsers>,
        tenant: TenantId,
        direction: Direction,
        page: &PageRequest,
    ) -> Result<Page<Import>> {
        let (grant, tenant) = self.states.within(grant, tenant).await?;
        Ok(self.db.scope(&grant).imports(tenant.id, direction, page).await?)
    }

    /// An import of a tenant.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub async fn get(&self, grant: &Grant<ReadUsers>, tenant: TenantId, id: JobId) -> Result<Import> {
        let (grant, _) = self.states.within(grant, tenant).await?;
        self.db.scope(&grant).import(id).await?.ok_or(Error::NotFound)
    }

    /// Lists what an import rejected.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub async fn list_rejected(
        &self,
        grant: &Grant<ReadUsers>,
        (tenant, id): (TenantId, JobId),
        direction: Direction,
        page: &PageRequest,
    ) -> Result<Page<Rejected>> {
        let (grant, _) = self.states.within(grant, tenant).await?;
        let scope = self.db.scope(&grant);
        let import = scope.import(id).await?.ok_or(Error::NotFound)?;
        let Page { items, total, next } = scope.rejected_page(&import, direction, page).await?;
        Ok(Page { items: items.into_iter().map(rejected).collect::<Result<_>>()?, total, next })
    }

    /// Ends an import; what it has brought stays. One that has ended stays as it is.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::Stale`] when it got on meanwhile, however often that was tried.
    pub async fn cancel(
        &self,
        grant: &Grant<WriteUsers>,
        tenant: TenantId,
        id: JobId,
        meta: &RequestMeta,
    ) -> Result<Import> {
        let (grant, _) = self.states.within(grant, tenant).await?;
        let mut tries = 0;
        loop {
            let grant = grant.clone();
            let work = async move |tx: &WriteTx<'_>| {
                let scope = tx.scope(&grant).await?;
                let import = scope.import(id).await?.ok_or(Error::NotFound)?;
                if !import.is_active() {
                    return Ok(import);
                }
                Ok(scope.update(import.cancel(&grant.by(), tx.now())).await?)
            };
            tries += 1;
            match self.idempotency.write(meta, work).await {
                Err(Error::Stale) if tries < CANCEL_TRIES => {}
                other => return other,
            }
        }
    }

    /// Reads in the file of an import, to its end.
    pub(crate) async fn run(&self, claim: &ClaimedJob) -> Result<Run> {
        let Some(mut job) = self.take_up(claim).await? else { return Ok(Run::Lost) };
        while self.step(&mut job).await? {}
        Ok(if job.is_lost { Run::Lost } else { Run::Ended })
    }

    /// Takes up the import of a job; none if it has ended, or is somebody else's by now.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn take_up(&self, claim: &ClaimedJob) -> Result<Option<ImportJob>> {
        let of = claim.clone();
        let take_up = async move |tx: &WriteTx<'_>| Ok::<_, Error>(tx.system(JOB).take_up_import(&of).await?);
        let Some(mut import) = self.db.write(self.env.ctx(), take_up).await? else { return Ok(None) };
        // Only imports with a file have a job.
        let Some(format) = import.format else { return Ok(None) };
        if import.dry_run && import.counts.lines() > 0 {
            // The names that were tried are forgotten with whoever tried them.
            import = self.try_anew(import).await?;
        }
        let feed = Feed::open(format, import.counts.lines(), import.digest.clone());
        let grant = authorize(&Arc::new(Actor::System(JOB)), &Area::Tenant(import.tenant))?;
        let importing = Importing::under(claim.clone(), grant, import);
        Ok(Some(ImportJob { importing, feed, next_piece: Some(0), is_lost: false }))
    }

    /// Nobody gets on with an import: whatever its file is, it is not read.
    pub(crate) async fn give_up(&self, claim: &ClaimedJob) -> Result<()> {
        let Some(job) = self.take_up(claim).await? else {
            // There is none that it could be of any use to.
            let claim = claim.clone();
            let work = async move |tx: &WriteTx<'_>| Ok::<_, Error>(tx.system(JOB).drop_job(&claim).await?);
            return self.db.write(self.env.ctx(), work).await.map(drop);
        };
        match self.fail(job.importing.import().clone(), ImportFailure::FileUnreadable).await {
            Ok(_) | Err(Error::Stale) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Takes the next batch in; false when the import has come to its end, or is somebody else's by now.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn step(&self, job: &mut ImportJob) -> Result<bool> {
        match Box::pin(self.next_batch(job)).await {
            Err(Error::Stale) => {
                job.is_lost = true;
                Ok(false)
            }
            other => other,
        }
    }

    async fn next_batch(&self, job: &mut ImportJob) -> Result<bool> {
        let import = job.importing.import().clone();
        match self.authority(&import).await? {
            Some(grant) => job.importing.renew(grant),
            None => return self.fail(import, ImportFailure::NotAllowed).await,
        }
        let next_piece = &mut job.next_piece;
        let more = async || self.piece(&import, next_piece).await;
        let (lines, digest) = match job.feed.next(more).await {
            Ok(Ok(batch)) => batch,
            Ok(Err(error)) => return self.fail(import, failure(&error)).await,
            Err(Error::Internal(_)) => return self.fail(import, ImportFailure::FileUnreadable).await,
            Err(error) => return Err(error),
        };
        if lines.is_empty() {
            self.finish(job.importing.clone()).await?;
            return Ok(false);
        }
        match self.take_batch(&mut job.importing, lines, digest).await {
            // The right ended after it was looked at.
            Err(Error::SessionRevoked | Error::Denied(_)) => {
                return self.fail(import, ImportFailure::NotAllowed).await;
            }
            other => other?,
        };
        if job.importing.import().counts.rejected > MOST_REJECTED {
            return self.fail(job.importing.import().clone(), ImportFailure::TooManyRejected).await;
        }
        Ok(true)
    }

    /// The next piece of the file. When the import has ended it is not there, which whoever then goes on finds out.
    async fn piece(&self, import: &Import, next: &mut Option<u64>) -> Result<Option<Vec<u8>>> {
        let Some(number) = *next else { return Ok(None) };
        let sealed = self.db.system(JOB).piece(import, number).await?;
        let sealed = sealed.ok_or_else(|| Error::Internal("a piece of a file is missing".into()))?;
        let opened = self.keyring.open_piece(import.id, number, &sealed);
        let (piece, is_last) = opened.map_err(|error| Error::Internal(Box::new(error)))?;
        *next = (!is_last).then_some(number + 1);
        Ok(Some(piece))
    }

    /// What who asked for an import may do now; none if that is no longer enough.
    async fn authority(&self, import: &Import) -> Result<Option<Grant<WriteUsers>>> {
        let Some(tenant) = self.states.tenant(import.tenant.id).await? else { return Ok(None) };
        let place = Area::Tenant(tenant.reference());
        let (user_id, session_id, narrowed) = match &import.asker {
            None => return Ok(authorize(&Arc::new(Actor::System(SystemReason::Cli)), &place).ok()),
            Some(Asker::Application(id, permissions)) => {
                return match self.states.actor_of_application(*id, Some(import.tenant.id), permissions).await {
                    Ok(actor) => Ok(authorize(&Arc::new(actor), &place).ok()),
                    Err(Error::SessionRevoked) => Ok(None),
                    Err(error) => Err(error),
                };
            }
            Some(Asker::User { user_id: None, .. }) => return Ok(None),
            Some(Asker::User { user_id: Some(id), session_id, narrowed }) => (*id, *session_id, narrowed.clone()),
        };
        let view = self.db.system(JOB).user_view(user_id, self.env.now()).await?;
        let Some(view) = view.filter(|view| view.user.status == UserStatus::Active) else { return Ok(None) };
        // Signing out takes nothing away. A session that somebody had a reason to end does: it may have been stolen.
        let session = self.db.system(JOB).session(session_id).await?;
        if session.and_then(|session| session.ended).is_some_and(|end| !end.reason.is_harmless()) {
            return Ok(None);
        }
        let home = self.states.tenant(view.user.tenant_id).await?;
        if !home.is_some_and(|home| home.is_active()) {
            return Ok(None);
        }
        let scope = match narrowed {
            Some((id, permissions)) => match self.through(import, id, permissions).await? {
                Some(scope) => Some(scope),
                None => return Ok(None),
            },
            None => None,
        };
        let rights: Vec<_> = view.roles.iter().map(HeldRole::right).collect();
        let actor = Actor::User(UserActor {
            user_id: view.user.id,
            tenant_id: view.user.tenant_id,
            partner_id: view.user.partner_id,
            session_id,
            presence: Presence::Absent,
            rights: scope.as_ref().map_or(rights.clone(), |scope| scope.narrow(rights)),
            scope,
        });
        Ok(authorize(&Arc::new(actor), &place).ok())
    }

    /// What an application opens now by which a user asked for an import; none if it may not be used any more, or its tokens
    /// were ended since.
    async fn through(
        &self,
        import: &Import,
        id: ApplicationId,
        permissions: PermissionSet,
    ) -> Result<Option<TokenScope>> {
        let Some(facts) = self.states.tenant(import.tenant.id).await? else { return Ok(None) };
        let application =
            self.states.application_for(facts.reference(), id).await?.filter(|it| it.status == Status::Active);
        let Some(application) = application else { return Ok(None) };
        if application.tokens_revoked_at.is_some_and(|at| at >= import.created_at) {
            return Ok(None);
        }
        let permissions = permissions.and(&application.metadata.permissions());
        let (within, tenant) = (application.owner.anchor(), facts.reference());
        Ok(Some(TokenScope {
            application_id: id,
            within,
            tenant,
            permissions,
            reads_account: false,
            changes_account: false,
        }))
    }

    async fn fail(&self, import: Import, why: ImportFailure) -> Result<bool> {
        let (id, tenant) = (import.id, import.tenant.id);
        tracing::warn!(job = %id, tenant_id = %tenant, reason = why.as_str(), "an import cannot go on");
        let work = async move |tx: &WriteTx<'_>| {
            let system = tx.system(JOB);
            system.update(import.clone().fail(why, &system.by(), tx.now())).await?;
            Ok::<_, Error>(false)
        };
        self.db.write(self.env.ctx(), work).await
    }

    async fn try_anew(&self, import: Import) -> Result<Import> {
        loop {
            let of = import.clone();
            let forget = async move |tx: &WriteTx<'_>| Ok::<_, Error>(tx.system(JOB).forget_rejected_lines(&of).await?);
            if self.db.write(self.env.ctx(), forget).await? < BATCH {
                break;
            }
        }
        let anew = Import { counts: Default::default(), digest: Vec::new(), ..import };
        let begin = async move |tx: &WriteTx<'_>| Ok::<_, Error>(tx.system(JOB).advance(anew.clone(), &[]).await?);
        self.db.write(self.env.ctx(), begin).await
    }
}

const fn failure(error: &ReadError) -> ImportFailure {
    match error {
        ReadError::Columns(_) => ImportFailure::ColumnUnknown,
        ReadError::Endless(_) => ImportFailure::RowUnending,
        ReadError::File(_) | ReadError::Empty => ImportFailure::FileUnreadable,
    }
}
