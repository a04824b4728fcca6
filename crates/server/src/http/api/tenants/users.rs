//! The users of a tenant.

use actix_web::{delete, get, patch, post, web::Data};
use gatehouse_domain::{
    authz::{DeleteUsers, ReadUsers, WriteUsers},
    id::{TenantId, UserId},
    text::{DisplayName, Email, Phone, Username},
};

use crate::{
    app::{App, client::Origin, invitations::Delivery, users::CreateUser},
    http::{
        api::{
            admin::users::{DeliveryField, InvitationRequest, UserDeletionQuery, UserPatchRequest, UserQuery},
            session::{OneRevocation, SessionRevokeResponse},
            user::{
                AdminUserResponse, InvitationResponse, NewUserResponse, OneAdminUser, OneInvitation, OneNewUser,
                UserPage,
            },
        },
        conditional::Versioned,
        envelope::{ApiResponse, ApiResult, Created, NoContent, Removal, WithEffects},
        extract::{
            access::{Access, InTenant, PathId},
            filtered::Filtered,
            page::{ByCreation, Listing, Paged},
            valid::{DryRunQuery, NoBody, Valid, ValidOrDry},
        },
        input::body,
        mount::Mount,
        once::Answered,
        request::Asked,
    },
};

body! {
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
}

pub(super) fn mount(routes: &mut impl Mount) {
    routes
        .mount(list)
        .mount(create)
        .mount(get_one)
        .mount(update)
        .mount(delete_one)
        .mount(invite)
        .mount(cancel_invitation)
        .mount(unlock)
        .mount(reset_password);
}

/// List the users of a tenant
///
/// Newest first.
#[utoipa::path(tag = "tenants-users", operation_id = "tenants.users.list", params(("tenant_id" = inline(TenantId), Path, description = "The tenant."), UserQuery, Paged<ByCreation>), responses((status = 200, body = UserPage)))]
#[get("/tenants/{tenant_id}/users")]
async fn list(
    access: Access<ReadUsers, InTenant>,
    listing: Listing<UserQuery, ByCreation>,
    app: Data<App>,
) -> ApiResult<UserPage> {
    let page = app.list_users(&access, &(&listing.filter).into(), listing.direction, &listing.request).await?;
    Ok(listing.respond(&app, page, |view| AdminUserResponse::from(&view)))
}

/// Make an account in a tenant
///
/// It is `INVITED` until its owner has set a password. The owner is mailed an invitation, unless `delivery` says otherwise.
#[utoipa::path(tag = "tenants-users", operation_id = "tenants.users.create", params(("tenant_id" = inline(TenantId), Path, description = "The tenant.")), request_body = TenantUserCreateRequest, responses((status = 201, body = OneNewUser)))]
#[post("/tenants/{tenant_id}/users")]
async fn create(
    access: Access<WriteUsers, InTenant>,
    tenant: PathId<TenantId>,
    new: Valid<TenantUserCreateRequest>,
    asked: Asked,
    app: Data<App>,
) -> ApiResult<Answered<Created<NewUserResponse>>> {
    let TenantUserCreateRequest { username, email, display_name, phone, delivery } = new.0;
    let new =
        CreateUser { tenant_id: tenant.0, username, email, display_name, phone, delivery: DeliveryField::of(delivery) };
    asked.once(&app, async |origin| app.create_user(&access, new, origin).await, |made| Created(made.into())).await
}

/// Invite the owner of an account of a tenant
///
/// An earlier link stops working. It is mailed, or with `"delivery": "link"` the answer has it, once.
#[utoipa::path(tag = "tenants-users-invitation", operation_id = "tenants.users.invitation.create", params(("tenant_id" = inline(TenantId), Path, description = "The tenant."), ("user_id" = inline(UserId), Path, description = "The user.")), request_body = InvitationRequest, responses((status = 201, body = OneInvitation)))]
#[post("/tenants/{tenant_id}/users/{user_id}/invitation")]
async fn invite(
    access: Access<WriteUsers, InTenant>,
    id: PathId<UserId>,
    request: Valid<InvitationRequest>,
    asked: Asked,
    app: Data<App>,
) -> ApiResult<Answered<Created<InvitationResponse>>> {
    let delivery = DeliveryField::of(request.0.delivery).unwrap_or(Delivery::Email);
    let invite = async |origin: &Origin| app.invite(&access, id.0, delivery, origin).await;
    asked.once(&app, invite, |made| Created(made.into())).await
}

/// Cancel an invitation into a tenant
///
/// The link stops working; the account stays.
#[utoipa::path(tag = "tenants-users-invitation", operation_id = "tenants.users.invitation.delete", params(("tenant_id" = inline(TenantId), Path, description = "The tenant."), ("user_id" = inline(UserId), Path, description = "The user.")), responses((status = 204)))]
#[delete("/tenants/{tenant_id}/users/{user_id}/invitation")]
async fn cancel_invitation(
    access: Access<WriteUsers, InTenant>,
    id: PathId<UserId>,
    asked: Asked,
    app: Data<App>,
) -> ApiResult<NoContent> {
    app.cancel_invitation(&access, id.0, &asked.origin).await?;
    Ok(NoContent)
}

/// Make a user of a tenant set another password
///
/// The password stops working, every session ends, and the user is mailed a link to set another.
#[utoipa::path(tag = "tenants-users-password-reset", operation_id = "tenants.users.password_reset.create", params(("tenant_id" = inline(TenantId), Path, description = "The tenant."), ("user_id" = inline(UserId), Path, description = "The user.")), responses((status = 200, body = OneRevocation)))]
#[post("/tenants/{tenant_id}/users/{user_id}/password-reset")]
async fn reset_password(
    access: Access<WriteUsers, InTenant>,
    id: PathId<UserId>,
    _: NoBody,
    asked: Asked,
    app: Data<App>,
) -> ApiResult<Answered<ApiResponse<SessionRevokeResponse>>> {
    let reset = async |origin: &Origin| app.force_reset(&access, id.0, origin).await;
    asked.once(&app, reset, |revoked| ApiResponse(revoked.into())).await
}

/// Get a user of a tenant
///
/// With the roles held.
#[utoipa::path(tag = "tenants-users", operation_id = "tenants.users.get", params(("tenant_id" = inline(TenantId), Path, description = "The tenant."), ("user_id" = inline(UserId), Path, description = "The user.")), responses((status = 200, body = OneAdminUser)))]
#[get("/tenants/{tenant_id}/users/{user_id}")]
async fn get_one(
    access: Access<ReadUsers, InTenant>,
    id: PathId<UserId>,
    app: Data<App>,
) -> ApiResult<Versioned<ApiResponse<AdminUserResponse>>> {
    Ok(Versioned::one(app.user(&access, id.0).await?, |user| (&user).into()))
}

/// Change a user of a tenant
///
/// Suspending a user ends all the user's sessions. With `dry_run=true` nothing changes, and the answer says what would.
#[utoipa::path(tag = "tenants-users", operation_id = "tenants.users.update", params(("tenant_id" = inline(TenantId), Path, description = "The tenant."), ("user_id" = inline(UserId), Path, description = "The user."), DryRunQuery), request_body = UserPatchRequest, responses((status = 200, body = OneAdminUser)))]
#[patch("/tenants/{tenant_id}/users/{user_id}")]
async fn update(
    access: Access<WriteUsers, InTenant>,
    id: PathId<UserId>,
    patch: ValidOrDry<UserPatchRequest>,
    asked: Asked,
    app: Data<App>,
) -> ApiResult<Versioned<WithEffects<AdminUserResponse>>> {
    let (user, effects) = app.update_user(&access, id.0, patch.0.into(), patch.1, &asked.origin).await?;
    Ok(Versioned::changed(user, effects, |user| (&user).into()))
}

/// Unlock an account of a tenant
///
/// Failed sign-ins are forgotten: the next attempt neither waits nor is refused for them.
#[utoipa::path(tag = "tenants-users", operation_id = "tenants.users.unlock", params(("tenant_id" = inline(TenantId), Path, description = "The tenant."), ("user_id" = inline(UserId), Path, description = "The user.")), responses((status = 200, body = OneAdminUser)))]
#[post("/tenants/{tenant_id}/users/{user_id}/unlock")]
async fn unlock(
    access: Access<WriteUsers, InTenant>,
    id: PathId<UserId>,
    _: NoBody,
    asked: Asked,
    app: Data<App>,
) -> ApiResult<Answered<ApiResponse<AdminUserResponse>>> {
    let unlock = async |origin: &Origin| app.unlock_user(&access, id.0, origin).await;
    asked.once(&app, unlock, |user| ApiResponse((&user).into())).await
}

/// Delete a user of a tenant
///
/// Ends the user's sessions; user name and address are free for another account. With `erase=true` what is personal
/// goes as well, now or of a user deleted before; what the account did stays in the audit trail. Deleting again changes
/// nothing. With `dry_run=true` nothing changes, and the answer says what would end.
#[utoipa::path(tag = "tenants-users", operation_id = "tenants.users.delete", params(("tenant_id" = inline(TenantId), Path, description = "The tenant."), ("user_id" = inline(UserId), Path, description = "The user."), UserDeletionQuery), responses((status = 200, body = OneAdminUser), (status = 204)))]
#[delete("/tenants/{tenant_id}/users/{user_id}")]
async fn delete_one(
    access: Access<DeleteUsers, InTenant>,
    id: PathId<UserId>,
    how: Filtered<UserDeletionQuery>,
    asked: Asked,
    app: Data<App>,
) -> ApiResult<Removal<AdminUserResponse>> {
    let (mode, erase) = how.0.parts();
    let (view, effects) = app.delete_user(&access, id.0, erase, mode, &asked.origin).await?;
    Ok(Removal::of(mode, (&view, effects)))
}
