//! Giving roles to users and taking them away. Nobody gives what they do not hold, where they do not hold it, or
//! for longer than they hold it.

use gatehouse_domain::{
    authz::{
        DeleteAssignments, Denied, Grant, Permission, PermissionSet, ReadAssignments, SystemReason, TenantRef,
        WriteAssignments, ends_later,
    },
    id::{AssignmentId, RoleId, UserId},
    page::{Direction, Page, PageRequest},
    role::{Anchor, Assignment, BuiltinRole, HeldRole, NewAssignment},
    session::Effects,
    time::Timestamp,
};
use gatehouse_persistence::{WriteScope, WriteTx};

use crate::app::{
    App, Error, Result,
    directory::{deletion::Deleted, tenants::unknown},
    effects::{Mode, change},
    request::client::Origin,
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

impl App {
    /// Lists assignments of users within the grant.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn list_assignments(
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
    pub async fn assignment(&self, grant: &Grant<ReadAssignments>, id: AssignmentId) -> Result<Assignment> {
        self.db.scope(grant).assignment(id).await?.ok_or(Error::NotFound)
    }

    /// Gives a role. Sessions that the user has are from now on as short as those of anyone who may administer.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the grant shows no such user, role or anchor, or the role does not fit the anchor;
    /// [`Error::Denied`] when the caller does not hold what the role allows, or not for so long; [`Error::Conflict`].
    pub async fn assign(&self, grant: &Grant<WriteAssignments>, assign: Assign, origin: &Origin) -> Result<Assignment> {
        let id = self.env.id(AssignmentId::from_parts);
        let grant = grant.clone();
        let work = async move |tx: &WriteTx<'_>| {
            let scope = tx.scope(&grant).await?;
            let user = scope.user(assign.user_id).await?.ok_or_else(|| unknown("user_id"))?;
            let permissions = role_permissions(&scope, &assign).await?;
            may_give(&grant, &scope, assign.anchor, &permissions).await?;
            may_give_until(&grant, &scope, assign.anchor, &permissions, assign.expires_at).await?;
            let new = NewAssignment {
                id,
                tenant: user.tenant(),
                user_id: user.id,
                role_id: assign.role_id,
                anchor: assign.anchor,
                expires_at: assign.expires_at,
            };
            let assignment = scope.insert(Assignment::create(new, &grant.by(), tx.now())).await?;
            scope.shorten_sessions(user.tenant(), user.id).await?;
            Ok::<_, Error>(assignment)
        };
        self.idempotency().write(origin, work).await
    }

    /// Moves or removes the end of an assignment. Nobody moves it beyond the end of what they hold themselves.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::Stale`].
    pub async fn update_assignment(
        &self,
        grant: &Grant<WriteAssignments>,
        id: AssignmentId,
        expires_at: Option<Option<Timestamp>>,
        origin: &Origin,
    ) -> Result<Assignment> {
        let grant = grant.clone();
        let work = async move |tx: &WriteTx<'_>| {
            let scope = tx.scope(&grant).await?;
            let assignment = scope.assignment(id).await?.ok_or(Error::NotFound)?;
            let expires_at = expires_at.unwrap_or(assignment.expires_at);
            let assign = Assign {
                user_id: assignment.user_id,
                role_id: assignment.role_id,
                anchor: assignment.anchor,
                expires_at,
            };
            let permissions = role_permissions(&scope, &assign).await?;
            may_change(&grant, &scope, assignment.anchor, &permissions).await?;
            let is_longer = ends_later(expires_at, assignment.expires_at);
            if is_longer {
                may_give_until(&grant, &scope, assignment.anchor, &permissions, expires_at).await?;
            }
            let assignment = scope.update(assignment.set_expiry(expires_at, &grant.by(), tx.now())).await?;
            if is_longer {
                // It may have ended before, and with it the reason for short sessions.
                let tenant = TenantRef { id: assignment.tenant_id, partner_id: assignment.partner_id };
                scope.shorten_sessions(tenant, assignment.user_id).await?;
            }
            if expires_at.is_some() && assignment.role_id == BuiltinRole::SuperAdmin.id() {
                an_owner_stays(tx).await?;
            }
            Ok::<_, Error>(assignment)
        };
        self.db.write(origin.ctx.clone(), work).await
    }

    /// Takes a role away.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub async fn unassign(
        &self,
        grant: &Grant<DeleteAssignments>,
        id: AssignmentId,
        mode: Mode,
        origin: &Origin,
    ) -> Result<Deleted<Assignment>> {
        let grant = grant.clone();
        let work = async move |tx: &WriteTx<'_>| {
            let scope = tx.scope(&grant).await?;
            let assignment = scope.assignment_even_deleted(id).await?.ok_or(Error::NotFound)?;
            may_change(&grant, &scope, assignment.anchor, &PermissionSet::default()).await?;
            if assignment.deleted_at.is_some() {
                return Ok((assignment, Effects::default()));
            }
            let gone = scope.update(assignment.delete(&grant.by(), tx.now())).await?;
            if gone.role_id == BuiltinRole::SuperAdmin.id() {
                an_owner_stays(tx).await?;
            }
            Ok((gone, Effects::default()))
        };
        change(&self.db, origin.ctx.clone(), mode, work).await
    }
}

/// The platform keeps at least one administrator for good who can sign in, once it has one. To be asked after the change.
pub(crate) async fn an_owner_stays(tx: &WriteTx<'_>) -> Result<()> {
    let system = tx.system(SystemReason::Quota);
    if system.owners().await? > 0 {
        return Ok(());
    }
    let installation = system.read().installation().await?;
    if installation.is_some_and(|installation| installation.set_up_at.is_some()) {
        return Err(Error::Conflict("The last administrator of the platform stays.".into()));
    }
    Ok(())
}

/// What the role allows, if it may be given at that anchor at all.
async fn role_permissions(scope: &WriteScope<'_>, assign: &Assign) -> Result<PermissionSet> {
    if let Some(role) = BuiltinRole::by_id(assign.role_id) {
        return if role.fits(assign.anchor) { Ok(role.permissions()) } else { Err(misfit()) };
    }
    let role = scope.role(assign.role_id).await?.ok_or_else(|| unknown("role_id"))?;
    if assign.anchor == Anchor::Tenant(role.tenant_id) { Ok(role.permissions) } else { Err(misfit()) }
}

fn misfit() -> Error {
    let issue = gatehouse_domain::issue::Issue::body("anchor", "role_anchor", "is not where this role can be given");
    Error::Invalid(issue.into())
}

/// The caller reaches the anchor and holds there what is given.
async fn may_give<P: Permission>(
    grant: &Grant<P>,
    scope: &WriteScope<'_>,
    anchor: Anchor,
    permissions: &PermissionSet,
) -> Result<()> {
    let held = held_at(grant, scope, anchor, Held::Now).await?.ok_or_else(|| unknown("anchor"))?;
    enough::<P>(&held, permissions)
}

/// The same for an assignment that the caller sees: it tells its anchor, so one out of reach is no secret, but no.
async fn may_change<P: Permission>(
    grant: &Grant<P>,
    scope: &WriteScope<'_>,
    anchor: Anchor,
    permissions: &PermissionSet,
) -> Result<()> {
    enough::<P>(&held_at(grant, scope, anchor, Held::Now).await?.unwrap_or_default(), permissions)
}

fn enough<P: Permission>(held: &PermissionSet, permissions: &PermissionSet) -> Result<()> {
    if held.covers(P::NAME) && held.covers_all(permissions) {
        return Ok(());
    }
    Err(Error::Denied(Denied::Forbidden(P::NAME)))
}

/// What is given ends no later than what the caller holds there: else a role that ends by itself would not.
pub(crate) async fn may_give_until<P: Permission>(
    grant: &Grant<P>,
    scope: &WriteScope<'_>,
    anchor: Anchor,
    permissions: &PermissionSet,
    end: Option<Timestamp>,
) -> Result<()> {
    let held = held_at(grant, scope, anchor, Held::Until(end)).await?.unwrap_or_default();
    if held.covers_all(permissions) { Ok(()) } else { Err(Error::Denied(Denied::Forbidden(P::NAME))) }
}

/// How long the caller must hold something for it to count.
#[derive(Clone, Copy)]
enum Held {
    /// It holds now.
    Now,
    /// It holds until then; `None` is for ever.
    Until(Option<Timestamp>),
}

/// What the caller holds at an anchor; `None` where the caller cannot see it.
async fn held_at<P: Permission>(
    grant: &Grant<P>,
    scope: &WriteScope<'_>,
    anchor: Anchor,
    long: Held,
) -> Result<Option<PermissionSet>> {
    let tenant = match anchor {
        Anchor::Tenant(id) => match scope.tenant(id).await? {
            Some(tenant) => Some(tenant.reference()),
            None => return Ok(None),
        },
        Anchor::Partner(id) if scope.partner(id).await?.is_none() => return Ok(None),
        Anchor::Partner(_) | Anchor::Platform => None,
    };
    let partner_of = |id| tenant.filter(|tenant: &TenantRef| tenant.id == id).map(|tenant| tenant.partner_id);
    Ok(Some(match long {
        Held::Now => grant.actor().permissions_at(anchor, partner_of),
        Held::Until(end) => grant.actor().permissions_until(end, anchor, partner_of),
    }))
}

/// The caller holds everything that a user holds, wherever that is.
pub(crate) async fn may_do_as_much<P: Permission>(
    grant: &Grant<P>,
    scope: &WriteScope<'_>,
    roles: &[HeldRole],
) -> Result<()> {
    for role in roles {
        let held = held_at(grant, scope, role.anchor, Held::Now).await?.unwrap_or_default();
        if !held.covers_all(&role.permissions) {
            return Err(Error::Denied(Denied::Forbidden(P::NAME)));
        }
    }
    Ok(())
}

/// The same for as long as the user holds it: who could become the user gains nothing.
pub(crate) async fn may_become<P: Permission>(
    grant: &Grant<P>,
    scope: &WriteScope<'_>,
    roles: &[HeldRole],
) -> Result<()> {
    for role in roles {
        may_give_until(grant, scope, role.anchor, &role.permissions, role.expires_at).await?;
    }
    Ok(())
}
