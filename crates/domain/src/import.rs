//! The import of a file of users: how far it has come, so that it can go on where it was stopped.
//!
//! A command reads its file itself. The file of an import that was asked for over the network waits for a job to read it, in
//! the name of who asked.

use std::time::Duration;

use crate::{
    audit::{Action, Fields, Resource, ResourceKind},
    authz::{Actor, ActorId, By, Grant, Permission, PermissionSet, TenantRef},
    change::Changed,
    id::{ApplicationId, JobId, SessionId, UserId},
    time::{DAY, Timestamp},
    word::words,
};

words! {
    /// A form of a file of users.
    Format {
        /// A line of JSON for every user.
        Ndjson = "ndjson",
        /// A table with a head (RFC 4180).
        Csv = "csv",
    }

    /// What happens to a line whose user name or address is taken.
    OnConflict {
        /// It is rejected.
        Fail = "fail",
        /// It is passed over.
        Skip = "skip",
        /// The user who is there becomes what it says.
        Update = "update",
    }

    /// Where an import stands.
    ImportState {
        /// Nobody has taken it up.
        Queued = "queued",
        /// It has not come to its end; it may have been stopped.
        Running = "running",
        /// It has.
        Completed = "completed",
        /// It cannot go on.
        Failed = "failed",
        /// Nobody wants the rest.
        Cancelled = "cancelled",
    }

    /// Why an import cannot go on.
    ImportFailure {
        /// Who asked for it may not do so any more.
        NotAllowed = "not_allowed",
        /// So many lines were rejected that the file is not what it was taken for.
        TooManyRejected = "too_many_rejected",
        /// The table has a column that is not known.
        ColumnUnknown = "column_unknown",
        /// The table has a row that does not end.
        RowUnending = "row_unending",
        /// The file cannot be read.
        FileUnreadable = "file_unreadable",
    }
}

/// How long is kept which lines an import rejected, from its end.
const REJECTS_KEPT: Duration = Duration::from_secs(7 * DAY.as_secs());

/// What became of the lines so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Made a user.
    pub created: u64,
    /// Changed a user.
    pub updated: u64,
    /// Were passed over: the user is there, or is so already.
    pub skipped: u64,
    /// Were rejected.
    pub rejected: u64,
}

impl Counts {
    /// All of them.
    #[must_use]
    pub const fn lines(&self) -> u64 {
        self.created + self.updated + self.skipped + self.rejected
    }
}

/// Who asked for an import, and with what it goes on when they are not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asker {
    /// A user.
    User {
        /// The user; none where the reader is not shown who it was. Nobody acts in such a name.
        user_id: Option<UserId>,
        /// The session that the user acted through.
        session_id: SessionId,
        /// The application that got the token, if one did, and what that opened of what the user may do.
        narrowed: Option<(ApplicationId, PermissionSet)>,
    },
    /// An application, with what its token opened.
    Application(ApplicationId, PermissionSet),
}

impl Asker {
    /// Who it is, where that is shown.
    #[must_use]
    pub fn actor(&self) -> Option<ActorId> {
        match self {
            Self::User { user_id, .. } => user_id.map(ActorId::User),
            Self::Application(id, _) => Some(ActorId::Application(*id)),
        }
    }

    /// Whoever acts by a grant; none for Gatehouse itself, which commands act as.
    #[must_use]
    pub fn of(actor: &Actor) -> Option<Self> {
        match actor {
            Actor::User(user) => Some(Self::User {
                user_id: Some(user.user_id),
                session_id: user.session_id,
                narrowed: user.scope.as_ref().map(|scope| (scope.application_id, scope.permissions.clone())),
            }),
            Actor::Application(it) => {
                let permissions = PermissionSet::union(it.rights.iter().map(|right| &right.permissions));
                Some(Self::Application(it.application_id, permissions))
            }
            Actor::System(_) => None,
        }
    }
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// The form of the file.
    pub format: Format,
    /// What happens where a name is taken.
    pub on_conflict: OnConflict,
    /// Whether it is only tried.
    pub dry_run: bool,
}

/// An import of users into a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// Its id.
    pub id: JobId,
    /// The tenant.
    pub tenant: TenantRef,
    /// What happens where a name is taken.
    pub on_conflict: OnConflict,
    /// The form of its file; none if a command reads it.
    pub format: Option<Format>,
    /// Whether it is only tried.
    pub dry_run: bool,
    /// Who asked for it; none if that was an operator.
    pub asker: Option<Asker>,
    /// Where it stands.
    pub state: ImportState,
    /// Why it cannot go on, if it cannot.
    pub failure: Option<ImportFailure>,
    /// When the lines that it rejected are forgotten, once it has come to its end.
    pub forget_at: Option<Timestamp>,
    /// A digest of the lines so far: who goes on must have the same ones.
    pub digest: Vec<u8>,
    /// What became of them.
    pub counts: Counts,
    /// When it began.
    pub created_at: Timestamp,
    /// When it last got on.
    pub updated_at: Timestamp,
    /// Counts the steps.
    pub version: i64,
}

impl Import {
    fn new(id: JobId, tenant: TenantRef, on_conflict: OnConflict, asker: Option<Asker>, now: Timestamp) -> Self {
        Self {
            id,
            tenant,
            on_conflict,
            format: None,
            dry_run: false,
            asker,
            state: ImportState::Running,
            failure: None,
            forget_at: None,
            digest: Vec::new(),
            counts: Counts::default(),
            created_at: now,
            updated_at: now,
            version: 0,
        }
    }

    fn asked(self, by: &By) -> Changed<Self> {
        let mut fields = Fields::default();
        fields.set("on_conflict", self.on_conflict).set("dry_run", self.dry_run.then_some(true));
        let resource = self.resource();
        Changed::new(self, Action::UserImportStarted, resource, by).with(fields)
    }

    /// Begins one that a command runs.
    pub fn start(id: JobId, tenant: TenantRef, on_conflict: OnConflict, by: &By, now: Timestamp) -> Changed<Self> {
        Self::new(id, tenant, on_conflict, None, now).asked(by)
    }

    /// Asks for one, whose file is here; a [job](crate::job::JobKind::UserImport) of the same id reads it.
    pub fn queue<P: Permission>(
        id: JobId,
        tenant: TenantRef,
        order: Order,
        grant: &Grant<P>,
        now: Timestamp,
    ) -> Changed<Self> {
        let Order { format, on_conflict, dry_run } = order;
        let new = Self::new(id, tenant, on_conflict, Asker::of(grant.actor()), now);
        Self { state: ImportState::Queued, format: Some(format), dry_run, ..new }.asked(&grant.by())
    }

    /// Whether it has not come to its end.
    #[must_use]
    pub const fn is_active(&self) -> bool {
        matches!(self.state, ImportState::Queued | ImportState::Running)
    }

    fn resource(&self) -> Resource {
        Resource::of(ResourceKind::Job, self.id.uuid()).in_tenant(self.tenant.partner_id, self.tenant.id)
    }

    fn end(self, state: ImportState, action: Action, by: &By, now: Timestamp) -> Changed<Self> {
        let mut fields = Fields::default();
        let Counts { created, updated, skipped, rejected } = self.counts;
        fields.set("created", created).set("updated", updated).set("skipped", skipped).set("rejected", rejected);
        let resource = self.resource();
        let forget_at = (rejected > 0).then(|| now.plus(REJECTS_KEPT));
        Changed::new(Self { state, forget_at, updated_at: now, ..self }, action, resource, by).with(fields)
    }

    /// Every line has been read.
    pub fn complete(self, by: &By, now: Timestamp) -> Changed<Self> {
        self.end(ImportState::Completed, Action::UserImportCompleted, by, now)
    }

    /// The rest is given up; what has come stays.
    pub fn cancel(self, by: &By, now: Timestamp) -> Changed<Self> {
        self.end(ImportState::Cancelled, Action::UserImportCancelled, by, now)
    }

    /// It cannot go on; what has come stays.
    pub fn fail(self, why: ImportFailure, by: &By, now: Timestamp) -> Changed<Self> {
        let failed = Self { failure: Some(why), ..self };
        failed.end(ImportState::Failed, Action::UserImportFailed, by, now).because(why.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        authz::{Area, Presence, Right, SystemReason, UserActor, WriteUsers, authorize},
        id::{PartnerId, TenantId},
        role::Anchor,
    };

    const NOW: Timestamp = Timestamp::from_micros(1_000_000);
    const USER: UserId = UserId::from_uuid(uuid::Uuid::from_u128(1));
    const SESSION: SessionId = SessionId::from_uuid(uuid::Uuid::from_u128(2));

    fn tenant() -> TenantRef {
        TenantRef { id: TenantId::from_parts(1, [1; 10]), partner_id: PartnerId::from_parts(1, [2; 10]) }
    }

    fn by() -> By {
        By::oneself(USER, Some(SESSION))
    }

    fn grant() -> Grant<WriteUsers> {
        let actor = Actor::User(UserActor {
            user_id: USER,
            tenant_id: tenant().id,
            partner_id: tenant().partner_id,
            session_id: SESSION,
            presence: Presence::SignedIn,
            rights: vec![Right { anchor: Anchor::Platform, permissions: PermissionSet::any(), expires_at: None }],
            scope: None,
        });
        authorize(&Arc::new(actor), &Area::Tenant(tenant())).unwrap()
    }

    fn queued() -> Import {
        let order = Order { format: Format::Csv, on_conflict: OnConflict::Skip, dry_run: false };
        Import::queue(JobId::from_parts(1, [3; 10]), tenant(), order, &grant(), NOW).into_parts().0
    }

    #[test]
    fn import_that_is_asked_for_waits_and_knows_who_asked() {
        let import = queued();
        let asker = Asker::User { user_id: Some(USER), session_id: SESSION, narrowed: None };
        assert_eq!((import.state, import.forget_at, import.asker), (ImportState::Queued, None, Some(asker)));
    }

    #[test]
    fn import_of_a_command_runs_at_once() {
        let operator = By::system(SystemReason::Cli);
        let import = Import::start(JobId::from_parts(1, [3; 10]), tenant(), OnConflict::Fail, &operator, NOW);
        let import = import.into_parts().0;
        assert_eq!((import.state, import.forget_at, import.asker), (ImportState::Running, None, None));
    }

    #[test]
    fn import_that_has_ended_keeps_what_it_rejected_for_a_week() {
        let ends: [fn(Import) -> Changed<Import>; 3] = [
            |import| import.complete(&by(), NOW),
            |import| import.cancel(&by(), NOW),
            |import| import.fail(ImportFailure::NotAllowed, &by(), NOW),
        ];
        for end in ends {
            let ended = end(queued()).into_parts().0;
            assert!(!ended.is_active() && ended.forget_at.is_none(), "{}", ended.state);
            let counts = Counts { rejected: 1, ..Counts::default() };
            let ended = end(Import { counts, ..queued() }).into_parts().0;
            assert_eq!(ended.forget_at, Some(NOW.plus(DAY * 7)), "{}", ended.state);
        }
    }

    #[test]
    fn import_that_cannot_go_on_says_why() {
        let (import, event) = queued().fail(ImportFailure::ColumnUnknown, &by(), NOW).into_parts();
        assert_eq!((import.failure, event.reason), (Some(ImportFailure::ColumnUnknown), Some("column_unknown")));
    }
}
