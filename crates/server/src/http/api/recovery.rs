//! For those who cannot sign in: another password, and showing that an address is one's own. The path names the tenant by
//! its slug.

use actix_web::web::Data;
use gatehouse_domain::{password::Password, text::Email, user::Purpose};

use crate::{
    app::{App, mail::requests::Wish},
    http::{
        api::auth::Message,
        envelope::{Accepted, ApiResult, NoContent},
        extract::{
            access::PathTenant,
            valid::{Choosing, Faulty, Valid},
        },
        operation::{CONFLICT, FORBIDDEN, INVALID_LINK, Operations, RATE_LIMITED},
        request::ChangeRequest,
    },
    input::{Opaque, input},
};

input! {
    /// Where to mail a link.
    pub struct MailRequest {
        /// The e-mail address of the account.
        email: Email,
    }

    /// Another password, set with a mailed link.
    pub struct PasswordResetRequest {
        /// The token in the link.
        token: Opaque<4096>,
        /// The password from now on: at least 15 characters unless the tenant wants more, and not easy to guess.
        new_password: Password,
    }

    /// A mailed link that was followed.
    pub struct EmailVerifyRequest {
        /// The token in the link.
        token: Opaque<4096>,
    }
}

const ASKED: Message = Message { message: "If that is the address of an account, a mail is on its way." };

pub(super) fn mount(operations: &mut Operations) {
    operations
        .post("/auth/tenants/{tenant_slug}/password/forgot", "auth.password.forgot", forgot)
        .says(
            "Ask for a link to set another password",
            "It is mailed if the address is that of an account that may sign in. The answer is the same for every \
         address.",
        )
        .fails(&[FORBIDDEN, RATE_LIMITED]);
    operations
        .post("/auth/tenants/{tenant_slug}/password/reset", "auth.password.reset", reset)
        .says(
            "Set another password with a mailed link",
            "The link works once, for an hour. Every session of the user ends, and nobody is signed in.",
        )
        .fails(&[INVALID_LINK, FORBIDDEN, CONFLICT]);
    operations
        .post("/auth/tenants/{tenant_slug}/email/resend", "auth.email.resend", resend)
        .says(
            "Ask for another link to confirm an address",
            "It is mailed if the address is that of an account and not confirmed yet. The answer is the same for every \
         address.",
        )
        .fails(&[FORBIDDEN, RATE_LIMITED]);
    operations
        .post("/auth/tenants/{tenant_slug}/email/verify", "auth.email.verify", verify)
        .says(
            "Confirm an address with a mailed link",
            "The address becomes the verified one of the account, in the place of another if the user asked for that.",
        )
        .fails(&[INVALID_LINK, FORBIDDEN, CONFLICT]);
}

async fn forgot(
    tenant: PathTenant,
    request: Valid<MailRequest>,
    call: ChangeRequest,
    app: Data<App>,
) -> ApiResult<Accepted<Message>> {
    call.limited(app.recovery().ask(&tenant.0, Wish::PasswordReset, request.0.email, &call.meta).await)?;
    Ok(Accepted(ASKED))
}

async fn reset(
    tenant: PathTenant,
    request: Choosing<PasswordResetRequest>,
    call: ChangeRequest,
    app: Data<App>,
) -> ApiResult<NoContent> {
    let judge = async |faulty: &Faulty, password| {
        let Some(Opaque::<4096>(token)) = faulty.text("token") else { return Ok(None) };
        let link = (Purpose::PasswordReset, token.as_str());
        app.new_passwords().judge_with_link(&tenant.0, link, password, None, &call.meta).await
    };
    let PasswordResetRequest { token, new_password } = request.valid("new_password", judge).await?;
    app.recovery().reset_password(&tenant.0, &token.0, new_password, &call.meta).await?;
    Ok(NoContent)
}

async fn resend(
    tenant: PathTenant,
    request: Valid<MailRequest>,
    call: ChangeRequest,
    app: Data<App>,
) -> ApiResult<Accepted<Message>> {
    call.limited(app.recovery().ask(&tenant.0, Wish::Verification, request.0.email, &call.meta).await)?;
    Ok(Accepted(ASKED))
}

async fn verify(
    tenant: PathTenant,
    request: Valid<EmailVerifyRequest>,
    call: ChangeRequest,
    app: Data<App>,
) -> ApiResult<NoContent> {
    app.accounts().verify_email(&tenant.0, &request.0.token.0, &call.meta).await?;
    Ok(NoContent)
}
