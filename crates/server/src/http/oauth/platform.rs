//! Signing in at the issuer of the platform, where it is not known yet which tenant somebody is of: the address is asked for
//! first. What follows says nothing of what is known of that.

use actix_web::HttpResponse;
use gatehouse_domain::{
    issue::Parse,
    oauth::{Answered, Params},
    password::Password,
    text::{LoginName, Slug},
};

use crate::{
    app::{
        oauth::{authorization::Asked, browser::BrowserSessions},
        sign_in::complete::{Opens, Step},
    },
    http::{
        hosted::SignInFault,
        oauth::{authorize::fault, interaction::Interaction},
        problem::Failure,
        request::ChangeRequest,
    },
};

/// Takes the address, and then the password with the tenant, if that was named.
pub(super) async fn sign_in<'a>(
    it: &Interaction<'a>,
    asked: &'a Asked,
    answered: &Answered,
    browser: &BrowserSessions,
    form: &Params,
    call: &ChangeRequest,
) -> Result<HttpResponse, Failure> {
    let field = |name: &str| form.get(name).unwrap_or_default();
    let (address, tenant) = (field("username").trim(), field("tenant").trim());
    if form.get("language").is_some() {
        return it.sign_in(asked, answered, (browser, None), ("", None), None);
    }
    if address.is_empty() {
        return it.sign_in(asked, answered, (browser, None), ("", Some(SignInFault::MissingUsername)), None);
    }
    let again = |fault| it.password(asked, answered, (address, tenant), fault);
    // The second page says which it is: a field that is empty is as good as none.
    let password = match form.get("password") {
        Some(text) => text,
        None => return again(form.get("step").map(|_| SignInFault::MissingPassword)),
    };
    let slug = if tenant.is_empty() { Ok(None) } else { Slug::parse(&tenant.to_lowercase()).map(Some) };
    let (Ok(name), Ok(password), Ok(slug)) = (LoginName::parse(address), Password::parse(password), slug) else {
        return again(Some(SignInFault::Wrong));
    };
    let opens = |tenant| Opens::Cookie(browser.of_tenant(tenant).map(|former| Box::new(former.session.clone())));
    let step = it.app.sign_in().somewhere(&name, slug.as_ref(), password, opens, &call.meta).await;
    match call.judged(step).and_then(Step::signed_in) {
        Ok(signed_in) => it.enter(asked, answered, signed_in, call).await,
        Err(error) => again(Some(fault(error)?)),
    }
}
