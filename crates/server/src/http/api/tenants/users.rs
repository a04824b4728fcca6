//! The users of a tenant.

use actix_web::web::Data;
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
            session::SessionRevokeResponse,
            user::{AdminUserResponse, InvitationResponse, NewUserResponse, UserPage},
        },
        conditional::Versioned,
        envelope::{ApiResponse, ApiResult, Created, NoContent, Removal, WithEffects},
        extract::{
            access::{Access, InTenant, PathId},
            filtered::Filtered,
            page::{ByCreation, Listing},
            valid::{NoBody, Valid, ValidOrDry},
        },
        input::body,
        once::Answered,
        operation::Operations,
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

pub(super) fn mount(operations: &mut Operations) {
    operations
        .get("/tenants/{tenant_id}/users", "tenants.users.list", list)
        .says("List the users of a tenant", "Newest first.");
    operations.post("/tenants/{tenant_id}/users", "tenants.users.create", create).says(
        "Make an account in a tenant",
        "It is `INVITED` until its owner has set a password. The owner is mailed an invitation, unless `delivery` \
         says otherwise.",
    );
    operations
        .get("/tenants/{tenant_id}/users/{user_id}", "tenants.users.get", get_one)
        .says("Get a user of a tenant", "With the roles held.");
    operations.patch("/tenants/{tenant_id}/users/{user_id}", "tenants.users.update", update).says(
        "Change a user of a tenant",
        "Suspending a user ends all the user's sessions. With `dry_run=true` nothing changes, and the answer says \
         what would.",
    );
    operations.delete("/tenants/{tenant_id}/users/{user_id}", "tenants.users.delete", delete_one).says(
        "Delete a user of a tenant",
        "Ends the user's sessions; user name and address are free for another account. With `erase=true` what is \
         personal goes as well, now or of a user deleted before; what the account did stays in the audit trail. \
         Deleting again changes nothing. With `dry_run=true` nothing changes, and the answer says what would end.",
    );
    operations.post("/tenants/{tenant_id}/users/{user_id}/invitation", "tenants.users.invitation.create", invite).says(
        "Invite the owner of an account of a tenant",
        "An earlier link stops working. It is mailed, or with `\"delivery\": \"link\"` the answer has it, once.",
    );
    operations
        .delete("/tenants/{tenant_id}/users/{user_id}/invitation", "tenants.users.invitation.delete", cancel_invitation)
        .says("Cancel an invitation into a tenant", "The link stops working; the account stays.");
    operations.post("/tenants/{tenant_id}/users/{user_id}/unlock", "tenants.users.unlock", unlock).says(
        "Unlock an account of a tenant",
        "Failed sign-ins are forgotten: the next attempt neither waits nor is refused for them.",
    );
    operations
        .post(
            "/tenants/{tenant_id}/users/{user_id}/password-reset",
            "tenants.users.password_reset.create",
            reset_password,
        )
        .says(
            "Make a user of a tenant set another password",
            "The password stops working, every session ends, and the user is mailed a link to set another.",
        );
}

async fn list(
    access: Access<ReadUsers, InTenant>,
    listing: Listing<UserQuery, ByCreation>,
    app: Data<App>,
) -> ApiResult<UserPage> {
    let page = app.list_users(&access, &(&listing.filter).into(), listing.direction, &listing.request).await?;
    Ok(listing.respond(&app, page, |view| AdminUserResponse::from(&view)))
}

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

async fn cancel_invitation(
    access: Access<WriteUsers, InTenant>,
    id: PathId<UserId>,
    asked: Asked,
    app: Data<App>,
) -> ApiResult<NoContent> {
    app.cancel_invitation(&access, id.0, &asked.origin).await?;
    Ok(NoContent)
}

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

async fn get_one(
    access: Access<ReadUsers, InTenant>,
    id: PathId<UserId>,
    app: Data<App>,
) -> ApiResult<Versioned<ApiResponse<AdminUserResponse>>> {
    Ok(Versioned::one(app.user(&access, id.0).await?, |user| (&user).into()))
}

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
