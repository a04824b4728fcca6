//! Registering, signing in, refreshing, signing out. The path names the tenant by its slug.

use actix_web::web::Data;
use gatehouse_domain::{
    password::Password,
    text::{DisplayName, Email, Phone, Username},
    user::{Acceptance, Purpose},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    app::{
        self, App,
        account::registration::Register,
        sessions::tokens::TokenPair as Pair,
        sign_in::complete::{Opens, SignedIn},
    },
    http::{
        api::{
            login_form::{LoginForm, LoginRequest},
            user::UserResponse,
        },
        envelope::{ApiResponse, ApiResult, Bare, Created},
        extract::{
            access::PathTenant,
            form::Form,
            valid::{Choosing, Faulty, Valid},
        },
        operation::{CONFLICT, FORBIDDEN, INVALID_CREDENTIALS, INVALID_LINK, Operations, RATE_LIMITED},
        request::ChangeRequest,
    },
    input::{Opaque, input},
};

input! {
    /// What a person gives to open an account. A role cannot be chosen.
    pub struct RegisterRequest {
        /// What to sign in with besides the e-mail address.
        username: Username,
        /// The e-mail address.
        email: Email,
        /// The password: at least 15 characters unless the tenant wants more, and not easy to guess.
        password: Password,
        /// How to be addressed.
        display_name: Option<DisplayName>,
        /// Where to be called.
        phone: Option<Phone>,
    }

    /// What the owner of an account gives to accept an invitation.
    pub struct InvitationAcceptRequest {
        /// The token of the invitation.
        token: Opaque<4096>,
        /// The password: at least 15 characters unless the tenant wants more, and not easy to guess.
        password: Password,
        /// Another user name than the one that the account was made with.
        username: Option<Username>,
        /// How to be addressed.
        display_name: Option<DisplayName>,
    }

    /// A refresh token.
    pub struct RefreshRequest {
        /// The refresh token.
        refresh_token: Opaque<4096>,
    }
}

/// What signing in and refreshing answer.
#[derive(Debug, Serialize, ToSchema)]
pub struct TokenPair {
    /// A JWT (RFC 9068), to be sent as `Authorization: Bearer …`.
    #[schema(max_length = 8192, example = "eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJFUzI1NiJ9.e30.c2ln")]
    pub access_token: String,
    /// Good for one use at `refresh`.
    #[schema(max_length = 4096, example = "ghr_AZjF0uj0e3ydChssPU5fYAAAAAA")]
    pub refresh_token: String,
    /// How to send the access token.
    #[schema(max_length = 16, example = "bearer")]
    pub token_type: &'static str,
    /// Lifetime of the access token in seconds.
    #[schema(minimum = 1, example = 900)]
    pub expires_in: u64,
    /// Lifetime of the refresh token in seconds.
    #[schema(minimum = 0, example = 604_800)]
    pub refresh_expires_in: u64,
    /// Only in the answer to a sign-in with a `device_token` that is not known (any more): the one to keep on this device
    /// in its place, as safely as a refresh token. It is good for 90 days, until the password changes or the account is
    /// suspended.
    #[schema(nullable = false, max_length = 256, example = "ghd_47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_token: Option<String>,
}

impl From<Pair> for TokenPair {
    fn from(Pair { access_token, refresh_token, expires_in, refresh_expires_in }: Pair) -> Self {
        Self { access_token, refresh_token, token_type: "bearer", expires_in, refresh_expires_in, device_token: None }
    }
}

impl TryFrom<SignedIn> for TokenPair {
    type Error = app::Error;

    fn try_from(mut signed_in: SignedIn) -> Result<Self, app::Error> {
        let device_token = signed_in.device_token.take().map(|token| token.expose().clone());
        Ok(Self { device_token, ..signed_in.tokens()?.into() })
    }
}

/// A message.
#[derive(Debug, Serialize, ToSchema)]
pub struct Message {
    /// The message.
    #[schema(max_length = 200, example = "Signed out")]
    pub message: &'static str,
}

pub(super) fn mount(operations: &mut Operations) {
    operations.post("/auth/tenants/{tenant_slug}/refresh", "auth.refresh", refresh).says(
        "Exchange a refresh token",
        "The token is spent at once; the answer has the next one. Using a token twice ends the session, unless it is \
         a race within the tenant's `refresh_reuse_window_seconds`. A session is refreshed so often a minute, 30 \
         times unless the installation decides otherwise; whoever has to wait keeps the token.",
    ).fails(&[INVALID_CREDENTIALS, RATE_LIMITED]);
    operations.post("/auth/tenants/{tenant_slug}/login", "auth.login", login).says(
        "Sign in",
        "With user name or e-mail address and password, as a form. The answer to a failed attempt is the same whether \
         the user exists or not. `X-Device: app` declares a native client. A client that sends `device_token` gets one \
         to keep, with which the failures of strangers do not make it wait.",
    ).fails(&[INVALID_CREDENTIALS, FORBIDDEN, CONFLICT, RATE_LIMITED]);
    operations.post("/auth/tenants/{tenant_slug}/logout", "auth.logout", logout).says(
        "Sign out",
        "Ends the session of a refresh token, spent or not, and its access tokens. Unknown tokens are no error.",
    );
    operations
        .post("/auth/tenants/{tenant_slug}/register", "auth.register", register)
        .says(
            "Open an account",
            "Where the tenant's setting `registration` is `open`; the account may sign in at once. Where it is `invite`, \
             an open invitation of the address is needed and enough: one that was mailed is mailed once more, with a \
             new link, and the answer has the account that waits for its owner (`INVITED`), without its profile. The \
             owner sets the password with the link, as knowing an address is no proof of having its mailbox; the \
             password and the names given here are not used. Without an invitation, and where it is `closed`, nobody registers.",
        )
        .fails(&[FORBIDDEN, CONFLICT, RATE_LIMITED]);
    operations
        .post("/auth/tenants/{tenant_slug}/invitations/accept", "auth.invitations.accept", accept_invitation)
        .says(
            "Accept an invitation",
            "The owner of an account sets the first password, and may then sign in. The invitation works once.",
        )
        .fails(&[INVALID_LINK, FORBIDDEN, CONFLICT]);
}

async fn register(
    tenant: PathTenant,
    new: Choosing<RegisterRequest>,
    call: ChangeRequest,
    app: Data<App>,
) -> ApiResult<Created<UserResponse>> {
    let judge = async |faulty: &Faulty, password| {
        let (username, email) = (faulty.text("username"), faulty.text("email"));
        let accounts = app.accounts();
        let judged = accounts.judge_registration(&tenant.0, password, username.as_ref(), email.as_ref(), &call.meta);
        call.judged(judged.await)
    };
    let RegisterRequest { username, email, password, display_name, phone } = new.valid("password", judge).await?;
    let new = Register { username, email, password, display_name, phone };
    let view = call.limited(app.accounts().register(&tenant.0, new, &call.meta).await)?;
    Ok(Created((&view).into()))
}

async fn accept_invitation(
    tenant: PathTenant,
    acceptance: Choosing<InvitationAcceptRequest>,
    call: ChangeRequest,
    app: Data<App>,
) -> ApiResult<ApiResponse<UserResponse>> {
    let judge = async |faulty: &Faulty, password| {
        let Some(Opaque::<4096>(token)) = faulty.text("token") else { return Ok(None) };
        let (link, username) = ((Purpose::Invitation, token.as_str()), faulty.text("username"));
        app.new_passwords().judge_with_link(&tenant.0, link, password, username.as_ref(), &call.meta).await
    };
    let acceptance = acceptance.valid("password", judge).await?;
    let InvitationAcceptRequest { token, password, username, display_name } = acceptance;
    let chosen = Acceptance { username, display_name };
    let view = app.invitations().accept(&tenant.0, &token.0, chosen, password, &call.meta).await?;
    Ok(ApiResponse((&view).into()))
}

async fn login(
    tenant: PathTenant,
    form: Form<LoginForm>,
    call: ChangeRequest,
    app: Data<App>,
) -> ApiResult<Bare<TokenPair>> {
    let LoginRequest { username, password, device_token } = form.0.0;
    let device = device_token.as_ref().map(|device| device.0.expose().as_str());
    let step = app.sign_in().password(&tenant.0, &username, password, device, &Opens::Tokens, &call.meta).await;
    let signed_in = call.limited(step)?.signed_in()?;
    call.subject.set(Some((tenant.0.tenant.id, signed_in.user)));
    Ok(Bare(signed_in.try_into()?))
}

async fn refresh(
    tenant: PathTenant,
    token: Valid<RefreshRequest>,
    call: ChangeRequest,
    app: Data<App>,
) -> ApiResult<Bare<TokenPair>> {
    let pair = call.limited(app.refresh_tokens().exchange(&tenant.0, &token.0.refresh_token.0, &call.meta).await)?;
    Ok(Bare(pair.into()))
}

async fn logout(
    tenant: PathTenant,
    token: Valid<RefreshRequest>,
    call: ChangeRequest,
    app: Data<App>,
) -> ApiResult<Bare<Message>> {
    app.refresh_tokens().sign_out(&tenant.0, &token.0.refresh_token.0, &call.meta).await?;
    Ok(Bare(Message { message: "Signed out" }))
}
