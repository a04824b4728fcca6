//! The pages that links of mails lead to. The secret of a link is behind `#` in the address, where only the browser reads
//! it; a script asks the API with it. As the server learns of the tenant only from the script, there are two addresses of
//! each page: the one of the link, and below the issuer the one of the tenant, in its colours.

use std::future::ready;

use actix_web::{HttpResponse, http::StatusCode, web::Data};
use askama::Template;
use gatehouse_domain::settings::PasswordLength;

use super::at_tenant;
use crate::{
    app::{App, directory::tenants::TenantFacts},
    http::{
        extract::access::{Anybody, PathTenant},
        hosted::{Frame, Look},
        oauth::{
            respond::{Policy, page},
            visit::Visit,
        },
        operation::Operations,
        problem::Failure,
    },
};

/// A page to which a link leads: its script takes the secret out of the address and asks the API.
#[derive(Template)]
#[template(path = "hosted/link.html")]
struct LinkPage<'a> {
    frame: Frame<'a>,
    kind: Kind,
    title: &'static str,
    lead: &'static str,
    /// What the API is asked for, below the tenant.
    action: &'static str,
    /// The field of a new password, where one is asked for.
    field: Option<&'static str>,
    /// What the script says in the end, unless the answer names a user.
    done: Option<&'static str>,
    button: &'static str,
    /// How many characters a password has at least.
    least: usize,
    /// Where another link can be asked for.
    another: Option<String>,
}

/// What a link is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// See [`crate::app::directory::invitations::PAGE`].
    Invitation,
    /// See [`crate::app::account::recovery::RESET_PAGE`].
    PasswordReset,
    /// See [`crate::app::account::recovery::EMAIL_PAGE`]. It takes a button: what looks at links before people do, such as
    /// a filter of mail, confirms nothing.
    Email,
}

impl LinkPage<'_> {
    fn hint(&self) -> String {
        let [before, after] = self.frame.t.account.password_hint;
        format!("{before}{}{after}", self.least)
    }

    /// What the script may have to say, by the code of what came of it.
    fn words(&self) -> Vec<(&'static str, String)> {
        let (t, account) = (self.frame.t, self.frame.t.account);
        let ([least, characters], [done, by_name]) = (account.too_short, account.may_sign_in);
        let stale = match self.kind {
            Kind::Invitation => account.stale_invitation,
            Kind::PasswordReset => account.stale_reset,
            Kind::Email => account.stale_address,
        };
        let mut words = vec![
            ("incomplete", account.incomplete.to_owned()),
            ("stale", stale.to_owned()),
            ("moment", account.moment.to_owned()),
            ("unreachable", account.unreachable.to_owned()),
            ("unreadable", account.unreadable.to_owned()),
            ("tenant_suspended", t.tenant_suspended.to_owned()),
            ("conflict", account.not_possible.to_owned()),
            ("overloaded", account.overloaded.to_owned()),
            ("internal", t.internal.to_owned()),
            ("may_sign_in", format!("{done}{{}}{by_name}")),
        ];
        if self.field.is_some() {
            words.extend([
                ("differ", account.differ.to_owned()),
                ("password_too_short", format!("{least}{}{characters}", self.least)),
                ("password_too_weak", account.too_weak.to_owned()),
                ("string_too_long", account.too_long.to_owned()),
            ]);
        }
        words
    }
}

impl Kind {
    fn page(self, frame: Frame<'_>, least: usize) -> LinkPage<'_> {
        let texts = frame.t.account;
        let invitation = LinkPage {
            frame,
            kind: self,
            title: texts.accept_invitation,
            lead: texts.accept_lead,
            action: "invitations/accept",
            field: Some("password"),
            done: None,
            button: texts.set_password,
            least,
            another: None,
        };
        match self {
            Self::Invitation => invitation,
            Self::PasswordReset => LinkPage {
                title: texts.reset,
                lead: texts.reset_lead,
                action: "password/reset",
                field: Some("new_password"),
                done: Some(texts.reset_done),
                ..invitation
            },
            Self::Email => LinkPage {
                title: texts.confirm_address,
                lead: texts.confirm_lead,
                action: "email/verify",
                field: None,
                done: Some(texts.confirm_done),
                button: texts.confirm,
                ..invitation
            },
        }
    }
}

/// The pages at the addresses that links have.
pub(super) fn mount(pages: &mut Operations) {
    for (path, kind) in
        [("/invitation", Kind::Invitation), ("/password-reset", Kind::PasswordReset), ("/email", Kind::Email)]
    {
        pages.page(path, move |_: Anybody, visit: Visit| ready(show(kind, None, &visit)));
    }
}

/// The same pages of a tenant.
pub(super) fn mount_at_issuers(pages: &mut Operations) {
    for (path, kind) in [
        (at_issuer!("/invitation"), Kind::Invitation),
        (at_issuer!("/password-reset"), Kind::PasswordReset),
        (at_issuer!("/email"), Kind::Email),
    ] {
        let show = move |tenant: PathTenant, visit: Visit, app: Data<App>| {
            ready(show(kind, Some((&tenant.0, app.new_passwords().least(&tenant.0))), &visit))
        };
        pages.page(path, show);
    }
}

fn show(kind: Kind, of: Option<(&TenantFacts, usize)>, visit: &Visit) -> Result<HttpResponse, Failure> {
    let look = Look::of(of.map(|(facts, _)| facts), visit.texts(None));
    let least = of.map_or(PasswordLength::LEAST as usize, |(_, least)| least);
    let policy = Policy { logo: look.logo(), is_scripted: true, ..Policy::default() };
    let another = of.filter(|_| kind == Kind::PasswordReset);
    let another = another.map(|(facts, _)| at_tenant(facts, "forgot"));
    page(&LinkPage { another, ..kind.page(look.frame(), least) }, StatusCode::OK, &policy)
}
