//! Users, of all tenants and of one. A password is never among what is asked or shown.

mod fields;

use actix_web::web::Data;
use gatehouse_domain::{
    authz::{DeleteUsers, ReadUsers, WriteUsers},
    id::{PartnerId, RoleId, TenantId, UserId},
    search::Search,
    text::{DisplayName, Email, Phone, Username},
    time::Timestamp,
    user::{UserPatch, UserStatus},
};

use crate::{
    app::{
        App,
        directory::{
            invitations::Delivery,
            users::{CreateUser, UserFilter, UserSort},
        },
        effects::Mode,
        request::client::RequestMeta,
    },
    http::{
        api::{
            session::SessionRevokeResponse,
            user::{AdminUserResponse, InvitationResponse, UserCreatedResponse, UserPage},
        },
        conditional::Versioned,
        envelope::{ApiResponse, ApiResult, Created, NoContent, Removal, WithEffects},
        extract::{
            access::{Access, Anywhere, Directory, InTenant, PathId},
            filtered::Filtered,
            page::{Listing, Narrow},
            valid::{NoBody, Valid, ValidOrDry},
        },
        idempotency::Idempotent,
        operation::Operations,
        request::ChangeRequest,
    },
    input::{AttributesField, Flag, Patch, Set, input},
};

pub use fields::{DeliveryField, SettableStatus};

input! {
    /// Whose users.
    pub struct UsersOfQuery {
        /// Only users in these tenants.
        tenant_id: Vec<TenantId>,
        /// Only users in tenants of these partners.
        partner_id: Vec<PartnerId>,
    }

    /// Filters of users.
    pub struct UserQuery {
        /// Only users with a user name, e-mail address or display name in which words begin like each of these, without
        /// regard to case and accents. The parts of the host of an address are words, but for the last.
        search: Option<Search>,
        /// Only users with one of these states.
        status: Vec<UserStatus>,
        /// Only users that hold one of these roles.
        role: Vec<RoleId>,
        /// Only users who signed in, and for the last time before this instant.
        last_login_before: Option<Timestamp>,
    }
}

input! {
    /// How a user is deleted.
    pub struct UserDeletionQuery {
        /// Whether only to say what the deletion would do: `data` is what would be, `meta.effects` what would end.
        dry_run: Flag<false>,
        /// Whether what is personal about the user goes as well.
        erase: Flag<false>,
    }
}

impl UserDeletionQuery {
    /// Whether it is made, and whether it erases.
    pub(in crate::http::api) const fn parts(&self) -> (Mode, bool) {
        (Mode::of(self.dry_run.0), self.erase.0)
    }
}

input! {
    /// An account to be made in the tenant. Its owner sets the password.
    pub struct TenantUserCreateRequest {
        /// What to sign in with besides the e-mail address.
        username: Username,
        /// The e-mail address.
        email: Email,
        /// How to be addressed.
        display_name: Option<DisplayName>,
        /// Where to be called.
        phone: Option<Phone>,
        /// How the owner gets the invitation; absent, it is mailed.
        delivery: Option<DeliveryField<true>>,
    }

    /// An account to be made. Its owner sets the password.
    pub struct UserCreateRequest {
        /// The tenant.
        tenant_id: TenantId,
        /// What to sign in with besides the e-mail address.
        username: Username,
        /// The e-mail address.
        email: Email,
        /// How to be addressed.
        display_name: Option<DisplayName>,
        /// Where to be called.
        phone: Option<Phone>,
        /// How the owner gets the invitation; absent, it is mailed.
        delivery: Option<DeliveryField<true>>,
    }

    /// How the owner of an account gets the invitation.
    pub struct InvitationRequest {
        /// The way; absent, it is mailed.
        delivery: Option<DeliveryField<false>>,
    }

    /// What changes of a user; what is absent stays.
    pub struct UserPatchRequest {
        /// What to sign in with besides the e-mail address.
        username: Set<Username>,
        /// The e-mail address; a new one counts as unverified.
        email: Set<Email>,
        /// Whether the mailbox is known to be the user's.
        email_verified: Set<bool>,
        /// How to be addressed.
        display_name: Patch<DisplayName>,
        /// Where to be called.
        phone: Patch<Phone>,
        /// Whether the user may sign in; suspending ends all sessions, activating forgets failed sign-ins.
        status: Set<SettableStatus>,
        /// Free data for applications, replaced as a whole: at most 50 texts of at most 512 characters.
        attributes: Set<AttributesField>,
    }
}

impl Narrow<UserFilter> for UserQuery {
    fn narrow(&self) -> UserFilter {
        let UserQuery { search, status, role, last_login_before } = self;
        UserFilter {
            search: search.clone(),
            statuses: status.clone(),
            roles: role.clone(),
            last_login_before: *last_login_before,
            ..UserFilter::default()
        }
    }
}

impl Narrow<UserFilter> for (UsersOfQuery, UserQuery) {
    fn narrow(&self) -> UserFilter {
        let (UsersOfQuery { tenant_id, partner_id }, query) = self;
        UserFilter { tenants: tenant_id.clone(), partners: partner_id.clone(), ..query.narrow() }
    }
}

impl From<UserPatchRequest> for UserPatch {
    fn from(patch: UserPatchRequest) -> Self {
        let UserPatchRequest { username, email, email_verified, display_name, phone, status, attributes } = patch;
        Self {
            username: username.0,
            email: email.0,
            email_verified: email_verified.0,
            display_name: display_name.0,
            phone: phone.0,
            status: status.0.map(|status| status.0),
            attributes: attributes.0.map(AttributesField::into_inner),
        }
    }
}

const INVITES_ALL: &str = "Whoever is `INVITED`, has no link that works and holds no role is mailed an invitation: ten \
    users a second, and an event for each. While that goes on, asking again adds nothing.";

pub(super) fn mount(operations: &mut Operations) {
    operations
        .get("/admin/users", "admin.users.list", list::<Directory, (UsersOfQuery, UserQuery)>)
        .says("List users", "Of all tenants, or of those of the caller's partners; newest first.");
    operations.post("/admin/users", "admin.users.create", create).says(
        "Make an account",
        "It is `INVITED` until its owner has set a password. The owner is mailed an invitation, unless `delivery` \
         says otherwise.",
    );
    operations
        .get("/admin/users/{user_id}", "admin.users.get", get_one::<Directory>)
        .says("Get a user", "With the roles held.");
    operations.patch("/admin/users/{user_id}", "admin.users.update", update::<Directory>).says(
        "Change a user",
        "Suspending a user ends all the user's sessions. With `dry_run=true` nothing changes, and the answer says \
         what would.",
    );
    operations.delete("/admin/users/{user_id}", "admin.users.delete", delete_one::<Directory>).says(
        "Delete a user",
        "Ends the user's sessions; user name and address are free for another account. With `erase=true` what is \
         personal goes as well, now or of a user deleted before; what the account did stays in the audit trail. \
         Deleting again changes nothing. With `dry_run=true` nothing changes, and the answer says what would end.",
    );
    operations.post("/admin/users/{user_id}/invitation", "admin.users.invitation.create", invite::<Directory>).says(
        "Invite the owner of an account",
        "An earlier link stops working. It is mailed, or with `\"delivery\": \"link\"` the answer has it, once.",
    );
    operations
        .delete("/admin/users/{user_id}/invitation", "admin.users.invitation.delete", cancel_invitation::<Directory>)
        .says("Cancel an invitation", "The link stops working; the account stays.");
    operations
        .post("/admin/tenants/{tenant_id}/users/invite-all", "admin.tenants.users.invite_all", invite_all::<Directory>)
        .says("Invite all users of any tenant who wait for it", INVITES_ALL);
    operations.post("/admin/users/{user_id}/unlock", "admin.users.unlock", unlock::<Directory>).says(
        "Unlock an account",
        "Failed sign-ins are forgotten: the next attempt neither waits nor is refused for them.",
    );
    operations
        .post("/admin/users/{user_id}/password-reset", "admin.users.password_reset.create", reset_password::<Directory>)
        .says(
            "Make a user set another password",
            "The password stops working, every session ends, and the user is mailed a link to set another.",
        );
    operations
        .get("/tenants/{tenant_id}/users", "tenants.users.list", list::<InTenant, UserQuery>)
        .says("List the users of a tenant", "Newest first.");
    operations.post("/tenants/{tenant_id}/users", "tenants.users.create", create_in_tenant).says(
        "Make an account in a tenant",
        "It is `INVITED` until its owner has set a password. The owner is mailed an invitation, unless `delivery` \
         says otherwise.",
    );
    operations
        .get("/tenants/{tenant_id}/users/{user_id}", "tenants.users.get", get_one::<InTenant>)
        .says("Get a user of a tenant", "With the roles held.");
    operations.patch("/tenants/{tenant_id}/users/{user_id}", "tenants.users.update", update::<InTenant>).says(
        "Change a user of a tenant",
        "Suspending a user ends all the user's sessions. With `dry_run=true` nothing changes, and the answer says \
         what would.",
    );
    operations.delete("/tenants/{tenant_id}/users/{user_id}", "tenants.users.delete", delete_one::<InTenant>).says(
        "Delete a user of a tenant",
        "Ends the user's sessions; user name and address are free for another account. With `erase=true` what is \
         personal goes as well, now or of a user deleted before; what the account did stays in the audit trail. \
         Deleting again changes nothing. With `dry_run=true` nothing changes, and the answer says what would end.",
    );
    operations
        .post("/tenants/{tenant_id}/users/{user_id}/invitation", "tenants.users.invitation.create", invite::<InTenant>)
        .says(
            "Invite the owner of an account of a tenant",
            "An earlier link stops working. It is mailed, or with `\"delivery\": \"link\"` the answer has it, once.",
        );
    operations
        .delete(
            "/tenants/{tenant_id}/users/{user_id}/invitation",
            "tenants.users.invitation.delete",
            cancel_invitation::<InTenant>,
        )
        .says("Cancel an invitation into a tenant", "The link stops working; the account stays.");
    operations
        .post("/tenants/{tenant_id}/users/invite-all", "tenants.users.invite_all", invite_all::<InTenant>)
        .says("Invite all users of a tenant who wait for it", INVITES_ALL);
    operations.post("/tenants/{tenant_id}/users/{user_id}/unlock", "tenants.users.unlock", unlock::<InTenant>).says(
        "Unlock an account of a tenant",
        "Failed sign-ins are forgotten: the next attempt neither waits nor is refused for them.",
    );
    operations
        .post(
            "/tenants/{tenant_id}/users/{user_id}/password-reset",
            "tenants.users.password_reset.create",
            reset_password::<InTenant>,
        )
        .says(
            "Make a user of a tenant set another password",
            "The password stops working, every session ends, and the user is mailed a link to set another.",
        );
}

async fn list<L: Anywhere, Q: Narrow<UserFilter> + 'static>(
    access: Access<ReadUsers, L>,
    listing: Listing<Q, UserSort>,
    app: Data<App>,
) -> ApiResult<UserPage> {
    let filter = listing.filter.narrow();
    let page = app.users().list(&access, &filter, listing.sort, listing.direction, &listing.request).await?;
    Ok(listing.respond(&app, page, |view| AdminUserResponse::from(&view)))
}

async fn create(
    access: Access<WriteUsers, Directory>,
    new: Valid<UserCreateRequest>,
    call: ChangeRequest,
    app: Data<App>,
) -> ApiResult<Idempotent<Created<UserCreatedResponse>>> {
    let UserCreateRequest { tenant_id, username, email, display_name, phone, delivery } = new.0;
    let new = CreateUser { tenant_id, username, email, display_name, phone, delivery: DeliveryField::of(delivery) };
    call.idempotent(&app, async |meta| app.users().create(&access, new, meta).await, |made| Created(made.into())).await
}

async fn create_in_tenant(
    access: Access<WriteUsers, InTenant>,
    tenant: PathId<TenantId>,
    new: Valid<TenantUserCreateRequest>,
    call: ChangeRequest,
    app: Data<App>,
) -> ApiResult<Idempotent<Created<UserCreatedResponse>>> {
    let TenantUserCreateRequest { username, email, display_name, phone, delivery } = new.0;
    let new =
        CreateUser { tenant_id: tenant.0, username, email, display_name, phone, delivery: DeliveryField::of(delivery) };
    call.idempotent(&app, async |meta| app.users().create(&access, new, meta).await, |made| Created(made.into())).await
}

async fn invite<L: Anywhere>(
    access: Access<WriteUsers, L>,
    id: PathId<UserId>,
    request: Valid<InvitationRequest>,
    call: ChangeRequest,
    app: Data<App>,
) -> ApiResult<Idempotent<Created<InvitationResponse>>> {
    let delivery = DeliveryField::of(request.0.delivery).unwrap_or(Delivery::Email);
    let invite = async |meta: &RequestMeta| app.invitations().create(&access, id.0, delivery, meta).await;
    call.idempotent(&app, invite, |made| Created(made.into())).await
}

async fn invite_all<L: Anywhere>(
    access: Access<WriteUsers, L>,
    tenant: PathId<TenantId>,
    _: NoBody,
    call: ChangeRequest,
    app: Data<App>,
) -> ApiResult<Idempotent<NoContent>> {
    let invite = async |meta: &RequestMeta| app.invitations().invite_all(&access, tenant.0, None, meta).await;
    call.idempotent(&app, invite, |()| NoContent).await
}

async fn cancel_invitation<L: Anywhere>(
    access: Access<WriteUsers, L>,
    id: PathId<UserId>,
    call: ChangeRequest,
    app: Data<App>,
) -> ApiResult<NoContent> {
    app.invitations().cancel(&access, id.0, &call.meta).await?;
    Ok(NoContent)
}

async fn reset_password<L: Anywhere>(
    access: Access<WriteUsers, L>,
    id: PathId<UserId>,
    _: NoBody,
    call: ChangeRequest,
    app: Data<App>,
) -> ApiResult<Idempotent<ApiResponse<SessionRevokeResponse>>> {
    let reset = async |meta: &RequestMeta| app.recovery().force_reset(&access, id.0, meta).await;
    call.idempotent(&app, reset, |revoked| ApiResponse(revoked.into())).await
}

async fn get_one<L: Anywhere>(
    access: Access<ReadUsers, L>,
    id: PathId<UserId>,
    app: Data<App>,
) -> ApiResult<Versioned<ApiResponse<AdminUserResponse>>> {
    Ok(Versioned::one(app.users().get(&access, id.0).await?, |user| (&user).into()))
}

async fn update<L: Anywhere>(
    access: Access<WriteUsers, L>,
    id: PathId<UserId>,
    patch: ValidOrDry<UserPatchRequest>,
    call: ChangeRequest,
    app: Data<App>,
) -> ApiResult<Versioned<WithEffects<AdminUserResponse>>> {
    let (user, effects) = app.users().update(&access, id.0, patch.0.into(), patch.1, &call.meta).await?;
    Ok(Versioned::changed(user, effects, |user| (&user).into()))
}

async fn unlock<L: Anywhere>(
    access: Access<WriteUsers, L>,
    id: PathId<UserId>,
    _: NoBody,
    call: ChangeRequest,
    app: Data<App>,
) -> ApiResult<Idempotent<ApiResponse<AdminUserResponse>>> {
    let unlock = async |meta: &RequestMeta| app.users().unlock(&access, id.0, meta).await;
    call.idempotent(&app, unlock, |user| ApiResponse((&user).into())).await
}

async fn delete_one<L: Anywhere>(
    access: Access<DeleteUsers, L>,
    id: PathId<UserId>,
    how: Filtered<UserDeletionQuery>,
    call: ChangeRequest,
    app: Data<App>,
) -> ApiResult<Removal<AdminUserResponse>> {
    let (mode, erase) = how.0.parts();
    let (view, effects) = app.users().delete(&access, id.0, erase, mode, &call.meta).await?;
    Ok(Removal::of(mode, (&view, effects)))
}
