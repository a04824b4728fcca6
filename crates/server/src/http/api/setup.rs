//! The first administrator.

use actix_web::web::Data;
use gatehouse_domain::{
    password::Password,
    secret::Secret,
    text::{Email, Username},
};

use crate::{
    app::{App, platform::setup::SetUp},
    http::{
        api::user::UserResponse,
        envelope::{ApiResult, Created},
        extract::{
            access::Anybody,
            valid::{Choosing, Faulty},
        },
        operation::{CONFLICT, INVALID_CREDENTIALS, Operations},
        request::ChangeRequest,
    },
    input::{Opaque, input},
};

input! {
    /// The first administrator, with the one-time token that the server prints at its start.
    pub struct SetupRequest {
        /// The setup token.
        token: Opaque<4096>,
        /// The e-mail address.
        email: Email,
        /// The user name.
        username: Username,
        /// The password: at least 15 characters, and not easy to guess.
        password: Password,
    }
}

pub(super) fn mount(operations: &mut Operations) {
    operations
        .post("/setup", "setup.create", create)
        .says("Make the first administrator", "In the tenant `default`, with the role `super_admin`. Works once.")
        .fails(&[INVALID_CREDENTIALS, CONFLICT]);
}

async fn create(
    _: Anybody,
    new: Choosing<SetupRequest>,
    call: ChangeRequest,
    app: Data<App>,
) -> ApiResult<Created<UserResponse>> {
    let judge = async |faulty: &Faulty, password| {
        let Some(Opaque::<4096>(token)) = faulty.text("token") else { return Ok(None) };
        let (username, email) = (faulty.text("username"), faulty.text("email"));
        app.setup().judge(&token, password, username.as_ref(), email.as_ref(), &call.meta).await
    };
    let SetupRequest { token, email, username, password } = new.valid("password", judge).await?;
    let view =
        app.setup().complete(SetUp { token: Secret::new(token.0), email, username, password }, &call.meta).await?;
    Ok(Created((&view).into()))
}
