//! Oneself: profile, password, sessions. No permission is needed for these.

use actix_web::web::Data;
use gatehouse_domain::{
    authz::{Oneself, ProveOneself, SeeOneself},
    id::SessionId,
    password::Password,
    text::{DisplayName, Email, Phone},
};

use crate::{
    app::{
        self, App,
        request::client::RequestMeta,
        sessions::list::{SessionFilter, SessionSort},
    },
    http::{
        api::{
            auth::Message,
            session::{OwnSessionQuery, SessionListItem, SessionPage, SessionResponse, SessionRevokeResponse},
            user::UserResponse,
        },
        conditional::Versioned,
        envelope::{Accepted, ApiResponse, ApiResult, NoContent},
        extract::{
            access::{Access, Me, Myself, PathId},
            page::Listing,
            valid::{Choosing, Faulty, NoBody, Valid},
        },
        idempotency::Idempotent,
        operation::Operations,
        request::ChangeRequest,
    },
    input::{Patch, input},
};

input! {
    /// What one may change of one's own profile.
    pub struct ProfilePatch {
        /// How to be addressed; null removes it.
        display_name: Patch<DisplayName>,
        /// Where to be called; null removes it.
        phone: Patch<Phone>,
    }

    /// A change of one's own e-mail address.
    pub struct EmailChange {
        /// The address from then on.
        email: Email,
        /// The password.
        current_password: Password,
    }

    /// A change of one's own password.
    pub struct PasswordChange {
        /// The password so far.
        current_password: Password,
        /// The password from now on.
        new_password: Password,
    }
}

pub(super) fn mount(operations: &mut Operations) {
    operations
        .get("/me", "me.get", get_me)
        .says("Get one's own profile", "The user whose token is presented, with the roles held and what they allow.");
    operations
        .patch("/me", "me.update", update_me)
        .says("Change one's own profile", "Fields that are absent stay as they are.");
    operations.post("/me/password", "me.change_password", change_password).says(
        "Change one's own password",
        "Every other session of the user ends. A wrong current password counts like a failed sign-in.",
    );
    operations.post("/me/email", "me.change_email", change_email).says(
        "Change one's own e-mail address",
        "A link is mailed to the new address. Whoever follows it makes that the address of the account; until then \
         the old one stays. A wrong password counts like a failed sign-in.",
    );
    operations
        .get("/me/sessions", "me.sessions.list", list_sessions)
        .says("List one's own sessions", "Newest first. The session of this very request is marked `is_current`.");
    operations
        .post("/me/sessions/revoke-all", "me.sessions.revoke_all", revoke_all_sessions)
        .says("End one's other sessions", "All but the session of this very request.");
    operations
        .get("/me/sessions/{session_id}", "me.sessions.get", get_session)
        .says("Get one of one's own sessions", "With its applications and how it began, also when it has ended.");
    operations.delete("/me/sessions/{session_id}", "me.sessions.revoke", revoke_session).says(
        "End one of one's own sessions",
        "Ending the session of this very request is the same as signing out. Ending one that has ended already is no \
         error.",
    );
}

async fn get_me(_access: Access<SeeOneself, Myself>, me: Me) -> ApiResult<Versioned<ApiResponse<UserResponse>>> {
    Ok(Versioned::one(&me.0.view, Into::into))
}

async fn update_me(
    access: Access<Oneself, Myself>,
    patch: Valid<ProfilePatch>,
    call: ChangeRequest,
    app: Data<App>,
) -> ApiResult<Versioned<ApiResponse<UserResponse>>> {
    let ProfilePatch { display_name, phone } = patch.0;
    let view = app.accounts().update_profile(&access, display_name.0, phone.0, &call.meta).await?;
    Ok(Versioned::one(&view, Into::into))
}

async fn change_password(
    access: Access<ProveOneself, Myself>,
    me: Me,
    change: Choosing<PasswordChange>,
    call: ChangeRequest,
    app: Data<App>,
) -> ApiResult<Idempotent<NoContent>> {
    let facts = app.session_states().tenant(me.0.view.user.tenant_id).await?.ok_or(app::Error::NotFound)?;
    let judge = async |_: &Faulty, password| {
        let user = &me.0.view.user;
        app.new_passwords().judge(&facts, password, Some(&user.username), Some(&user.email)).await
    };
    let PasswordChange { current_password, new_password } = change.valid("new_password", judge).await?;
    let change = async |meta: &RequestMeta| {
        app.accounts().change_password(&access, &facts, current_password, new_password, meta).await
    };
    call.idempotent(&app, change, |()| NoContent).await
}

async fn change_email(
    access: Access<ProveOneself, Myself>,
    me: Me,
    change: Valid<EmailChange>,
    call: ChangeRequest,
    app: Data<App>,
) -> ApiResult<Idempotent<Accepted<Message>>> {
    let facts = app.session_states().tenant(me.0.view.user.tenant_id).await?.ok_or(app::Error::NotFound)?;
    let EmailChange { email, current_password } = change.0;
    let change =
        async |meta: &RequestMeta| app.accounts().change_email(&access, &facts, email, current_password, meta).await;
    let told = |()| Accepted(Message { message: "Follow the link that is mailed to the new address." });
    call.idempotent(&app, change, told).await
}

async fn list_sessions(
    access: Access<SeeOneself, Myself>,
    me: Me,
    listing: Listing<OwnSessionQuery, SessionSort>,
    app: Data<App>,
) -> ApiResult<SessionPage> {
    let filter = SessionFilter { active_only: listing.filter.active_only.0, ..SessionFilter::default() };
    let page = app.sessions().list(&access, filter, listing.sort, listing.direction, &listing.request).await?;
    let (current, now) = (Some(me.0.session.id), app.env().now());
    Ok(listing.respond(&app, page, |view| SessionListItem::new(&view, current, now)))
}

async fn get_session(
    access: Access<SeeOneself, Myself>,
    me: Me,
    id: PathId<SessionId>,
    app: Data<App>,
) -> ApiResult<ApiResponse<SessionResponse>> {
    let (view, apps) = app.sessions().get(&access, id.0).await?;
    Ok(ApiResponse(SessionResponse::new(&view, apps, Some(me.0.session.id), app.env().now())))
}

async fn revoke_all_sessions(
    access: Access<Oneself, Myself>,
    _: NoBody,
    call: ChangeRequest,
    app: Data<App>,
) -> ApiResult<Idempotent<ApiResponse<SessionRevokeResponse>>> {
    let end = async |meta: &RequestMeta| app.sessions().end_own(&access, meta).await;
    call.idempotent(&app, end, |revoked| ApiResponse(revoked.into())).await
}

async fn revoke_session(
    access: Access<Oneself, Myself>,
    id: PathId<SessionId>,
    call: ChangeRequest,
    app: Data<App>,
) -> ApiResult<ApiResponse<SessionRevokeResponse>> {
    let ended = app.sessions().end(&access, id.0, &call.meta).await?;
    Ok(ApiResponse(SessionRevokeResponse {
        revoked_count: u64::from(ended),
        session_ids: if ended { vec![id.0] } else { Vec::new() },
    }))
}
