//! The import of a file of users: how far it has come, so that it can go on where it was stopped.

use crate::{
    audit::{Action, Fields, Resource, ResourceKind},
    authz::{By, TenantRef},
    change::Changed,
    id::JobId,
    settings::words,
    time::Timestamp,
};

words! {
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
        /// It has not come to its end; it may have been stopped.
        Running = "running",
        /// It has.
        Completed = "completed",
        /// Nobody wants the rest.
        Discarded = "discarded",
    }
}

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

/// An import of users into a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// Its id.
    pub id: JobId,
    /// The tenant.
    pub tenant: TenantRef,
    /// What happens where a name is taken.
    pub on_conflict: OnConflict,
    /// Where it stands.
    pub state: ImportState,
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
    /// Begins one.
    pub fn start(id: JobId, tenant: TenantRef, on_conflict: OnConflict, by: &By, now: Timestamp) -> Changed<Self> {
        let import = Self {
            id,
            tenant,
            on_conflict,
            state: ImportState::Running,
            digest: Vec::new(),
            counts: Counts::default(),
            created_at: now,
            updated_at: now,
            version: 0,
        };
        let mut fields = Fields::default();
        fields.set("on_conflict", on_conflict);
        let resource = import.resource();
        Changed::new(import, Action::UserImportStarted, resource, by).with(fields)
    }

    fn resource(&self) -> Resource {
        Resource::of(ResourceKind::Job, self.id.uuid()).in_tenant(self.tenant.partner_id, self.tenant.id)
    }

    fn end(self, state: ImportState, action: Action, by: &By, now: Timestamp) -> Changed<Self> {
        let mut fields = Fields::default();
        let Counts { created, updated, skipped, rejected } = self.counts;
        fields.set("created", created).set("updated", updated).set("skipped", skipped).set("rejected", rejected);
        let resource = self.resource();
        Changed::new(Self { state, updated_at: now, ..self }, action, resource, by).with(fields)
    }

    /// Every line has been read.
    pub fn complete(self, by: &By, now: Timestamp) -> Changed<Self> {
        self.end(ImportState::Completed, Action::UserImportCompleted, by, now)
    }

    /// The rest is given up; what has come stays.
    pub fn discard(self, by: &By, now: Timestamp) -> Changed<Self> {
        self.end(ImportState::Discarded, Action::UserImportDiscarded, by, now)
    }
}
