//! Giving roles to users and taking them away. Nobody gives or takes away what they do not hold, where they do not hold
//! it, or gives it for longer than they hold it.

use gatehouse_domain::{
    authz::{
        Authority, DeleteAssignments, Grant, Permission, ReadAssignments, SystemReason, TenantRef, WriteAssignments,
        ends_later,
    },
    id::{AssignmentId, RoleId, UserId},
    page::{Direction, Page, PageRequest},
    role::{Anchor, AnyRole, Assignment, BuiltinRole, MOST_ROLES, NewAssignment},
    session::Effects,
    time::Timestamp,
};
use gatehouse_persistence::{Db, WriteScope, WriteTx};

use crate::{
    app::{
        App, Error, Result,
        effects::{Deleted, Mode, change},
        request::{Idempotency, client::RequestMeta},
    },
    env::Env,
};

pub use gatehouse_persistence::AssignmentFilter;

/// What is needed to give a role.
#[derive(Debug, Clone, Copy)]
pub struct Assign {
    /// Who gets it.
    pub user_id: UserId,
    /// The role.
    pub role_id: RoleId,
    /// Where it holds.
    pub anchor: Anchor,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
}

/// Who holds which role where.
#[derive(Debug, Clone, Copy)]
pub struct Assignments<'a> {
    db: &'a Db,
    env: &'a Env,
    idempotency: Idempotency<'a>,
}

impl App {
    /// Who holds which role where.
    pub const fn assignments(&self) -> Assignments<'_> {
        Assignments { db: &self.db, env: &self.env, idempotency: self.idempotency() }
    }
}

impl Assignments<'_> {
    /// Lists assignments of users within the grant.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn list(
        &self,
        grant: &Grant<ReadAssignments>,
        filter: &AssignmentFilter,
        direction: Direction,
        page: &PageRequest,
    ) -> Result<Page<Assignment>> {
        Ok(self.db.scope(grant).assignments(filter, direction, page).await?)
    }

    /// One assignment.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn get(&self, grant: &Grant<ReadAssignments>, id: AssignmentId) -> Result<Assignment> {
        self.db.scope(grant).assignment(id).await?.ok_or(Error::NotFound)
    }

    /// Gives a role. Sessions that the user has are from now on as short as those of anyone who may administer.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the grant shows no such user, role or anchor, or the role does not fit the anchor;
    /// [`Error::Denied`] when the caller does not hold what the role allows, or not for so long; [`Error::Conflict`];
    /// [`Error::LimitReached`].
    pub async fn create(
        &self,
        grant: &Grant<WriteAssignments>,
        assign: Assign,
        meta: &RequestMeta,
    ) -> Result<Assignment> {
        let id = self.env.id(AssignmentId::from_parts);
        let grant = grant.clone();
        let work = async move |tx: &WriteTx<'_>| {
            let scope = tx.scope(&grant).await?;
            // Users are locked before what they belong to, as in every other change. Who is locked keeps both.
            let user = scope.user_locked(assign.user_id).await?.ok_or_else(|| Error::unknown("user_id"))?;
            let lock = !assign.anchor.includes(user.tenant());
            let caller = authority_at(&grant, &scope, assign.anchor, lock).await?;
            let caller = caller.ok_or_else(|| Error::unknown("anchor"))?;
            let role = match BuiltinRole::by_id(assign.role_id) {
                Some(role) => AnyRole::Builtin(role),
                None => {
                    AnyRole::Custom(scope.role_locked(assign.role_id).await?.ok_or_else(|| Error::unknown("role_id"))?)
                }
            };
            let new = NewAssignment {
                id,
                tenant: user.tenant(),
                user_id: user.id,
                role,
                anchor: assign.anchor,
                expires_at: assign.expires_at,
            };
            let created = Assignment::create(new, &caller, tx.now())?;
            if let Some(same) = scope.same_assignment(created.value()).await?
                && let Some(cleared) = same.clear_away(&grant.by(), tx.now())
            {
                scope.update(cleared).await?;
            }
            // Exact: the row of the user is locked.
            if tx.system(SystemReason::Quota).roles_given(user.id).await? >= MOST_ROLES {
                let most = format!("A user may hold {MOST_ROLES} roles, those that have run out among them.");
                return Err(Error::LimitReached(most.into()));
            }
            let assignment = scope.insert(created).await?;
            scope.shorten_sessions(user.tenant(), user.id).await?;
            Ok::<_, Error>(assignment)
        };
        self.idempotency.write(meta, work).await
    }

    /// Moves or removes the end of an assignment. Nobody moves it beyond the end of what they hold themselves.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::Stale`], [`Error::Conflict`] for the last administrator of the platform.
    pub async fn update(
        &self,
        grant: &Grant<WriteAssignments>,
        id: AssignmentId,
        expires_at: Option<Option<Timestamp>>,
        meta: &RequestMeta,
    ) -> Result<Assignment> {
        let grant = grant.clone();
        let work = async move |tx: &WriteTx<'_>| {
            let scope = tx.scope(&grant).await?;
            let assignment = scope.assignment(id).await?.ok_or(Error::NotFound)?;
            let expires_at = expires_at.unwrap_or(assignment.expires_at);
            let is_longer = ends_later(expires_at, assignment.expires_at);
            let (role, caller) = about(&grant, &scope, &assignment).await?;
            let changed = assignment.set_expiry(role.as_ref(), expires_at, &caller, tx.now())?;
            let assignment = scope.update(changed).await?;
            if is_longer {
                // It may have ended before, and with it the reason for short sessions.
                let tenant = TenantRef { id: assignment.tenant_id, partner_id: assignment.partner_id };
                scope.shorten_sessions(tenant, assignment.user_id).await?;
            }
            Ok::<_, Error>(assignment)
        };
        self.db.write(meta.ctx.clone(), work).await
    }

    /// Takes a role away.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::Conflict`] for the platform's last administrator.
    pub async fn delete(
        &self,
        grant: &Grant<DeleteAssignments>,
        id: AssignmentId,
        mode: Mode,
        meta: &RequestMeta,
    ) -> Result<Deleted<Assignment>> {
        let grant = grant.clone();
        let work = async move |tx: &WriteTx<'_>| {
            let scope = tx.scope(&grant).await?;
            let assignment = scope.assignment_even_deleted(id).await?.ok_or(Error::NotFound)?;
            if assignment.deleted_at.is_some() {
                return Ok((assignment, Effects::default()));
            }
            let (role, caller) = about(&grant, &scope, &assignment).await?;
            let gone = scope.update(assignment.delete(role.as_ref(), &caller, tx.now())?).await?;
            Ok((gone, Effects::default()))
        };
        change(self.db, meta.ctx.clone(), mode, work).await
    }
}

/// What the caller holds, to be compared at an anchor; `None` where the caller cannot see it. It can be locked, so that
/// something can be made below it.
async fn authority_at<P: Permission>(
    grant: &Grant<P>,
    scope: &WriteScope<'_>,
    anchor: Anchor,
    lock: bool,
) -> Result<Option<Authority>> {
    let tenant = match (anchor, lock) {
        (Anchor::Tenant(id), true) => scope.tenant_locked(id).await?.map(|tenant| Some(tenant.reference())),
        (Anchor::Tenant(id), false) => scope.tenant(id).await?.map(|tenant| Some(tenant.reference())),
        (Anchor::Partner(id), true) => scope.partner_locked(id).await?.map(|_| None),
        (Anchor::Partner(id), false) => scope.partner(id).await?.map(|_| None),
        (Anchor::Platform, _) => Some(None),
    };
    Ok(tenant.map(|tenant| grant.authority(tenant)))
}

/// The role that is assigned, if the caller sees it, and what the caller holds where it is. As the caller sees the
/// assignment, which tells its anchor, one out of reach is no secret; the caller just holds nothing there.
async fn about<P: Permission>(
    grant: &Grant<P>,
    scope: &WriteScope<'_>,
    assignment: &Assignment,
) -> Result<(Option<AnyRole>, Authority)> {
    let role = match BuiltinRole::by_id(assignment.role_id) {
        Some(role) => Some(AnyRole::Builtin(role)),
        None => scope.role(assignment.role_id).await?.map(AnyRole::Custom),
    };
    let caller = authority_at(grant, scope, assignment.anchor, false).await?;
    Ok((role, caller.unwrap_or_else(|| grant.authority([]))))
}
