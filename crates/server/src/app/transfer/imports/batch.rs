//! Lines on their way into one transaction: whom they make, whom they change, and which of them are rejected.

use std::collections::HashMap;

use gatehouse_domain::{
    authz::SystemReason,
    id::UserId,
    import::{Counts, OnConflict},
    user::{ImportedUser, UserCredentials},
};
use gatehouse_persistence::{WriteScope, WriteTx};

use super::{ImportLine, Importing, LineFault, Rejected, digest, names};
use crate::app::{
    Error, Result,
    effects::{Mode, end},
};

/// Lines on their way into one transaction.
pub(crate) struct Batch<'t> {
    tx: &'t WriteTx<'t>,
    scope: &'t WriteScope<'t>,
    importing: &'t Importing,
    /// How many more users the tenant may have.
    room: u64,
    /// Whose the names are, those of this batch among them.
    taken: HashMap<(&'static str, String), UserId>,
    new: Vec<gatehouse_domain::change::Changed<UserCredentials>>,
    pub(crate) counts: Counts,
    pub(crate) rejected: Vec<Rejected>,
    pub(crate) tried: Vec<u64>,
}

impl<'t> Batch<'t> {
    pub(crate) async fn open(
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
        let usernames: Vec<_> = users().map(|user| user.name().key()).collect();
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

    pub(crate) async fn take(&mut self, line: &ImportLine, id: impl FnOnce() -> UserId) -> Result<()> {
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

    fn create(&mut self, line: &ImportLine, user: &ImportedUser, id: UserId) {
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
        self.new.push(UserCredentials::import(id, import, user.clone(), &by, self.tx.now()));
    }

    async fn update(&mut self, line: &ImportLine, user: &ImportedUser, id: UserId) -> Result<()> {
        self.flush().await?;
        let (scope, now) = (self.scope, self.tx.now());
        let here = scope.portable_user(id).await?.ok_or(Error::Stale)?;
        let roles = scope.user_view(id, now).await?.map(|view| view.roles).unwrap_or_default();
        let old = [("username", here.user.username.key()), ("email", here.user.email.key())];
        let (version, by) = (here.user.version, self.importing.grant.by());
        let over = here.import_over(self.importing.import.id, user.clone(), &roles, &by, now);
        let Ok((changed, ends)) = over else {
            let message = "holds a role: administrators are changed one by one";
            self.reject(line, vec![LineFault::new("username", "administers", message)]);
            return Ok(());
        };
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
        self.taken.insert(("username", saved.user.username.key()), id);
        self.taken.insert(("email", saved.user.email.key()), id);
        Ok(())
    }

    /// Stores the new users.
    pub(crate) async fn flush(&mut self) -> Result<()> {
        self.scope.insert_many(std::mem::take(&mut self.new)).await?;
        Ok(())
    }
}
