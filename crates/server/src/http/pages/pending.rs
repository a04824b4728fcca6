//! The request of a sign-in that somebody leaves for another page, to go on with it afterwards. It goes from form to form,
//! sealed, and is in no address.

use actix_web::{HttpResponse, http::StatusCode};
use askama::Template;
use gatehouse_domain::oauth::{Answered, Params};

use crate::{
    app::{
        App,
        directory::issuers::IssuerFacts,
        oauth::authorization::{Asked, NotAsked, Page, Waiting},
        request::client::RequestMeta,
    },
    http::{
        oauth::{authorize::language, interaction::Interaction, visit::Visit},
        problem::Failure,
    },
};

/// Where the way back to the sign-in begins, below the endpoints of an issuer.
pub(super) const SIGN_IN: &str = "select-account";

/// A request that waits.
#[derive(Default)]
pub(super) struct Pending {
    pub(super) params: Params,
    /// The request, sealed.
    sealed: Option<String>,
    waiting: Option<(Waiting, Asked)>,
}

impl Pending {
    /// The request that is in a form; one that cannot be granted any more is none.
    pub(super) async fn of(app: &App, at: &IssuerFacts, form: &Params, meta: &RequestMeta) -> Result<Self, Failure> {
        let sealed = form.get("request").filter(|_| form.repeated().is_none());
        let Some((sealed, waiting)) = sealed.and_then(|it| Some((it, app.authorization().open(at, it)?))) else {
            return Ok(Self::default());
        };
        let language = language(form);
        let waiting = waiting.in_language(language);
        let sealed = match language {
            Some(_) => app.authorization().seal_again(at, &waiting)?,
            None => sealed.to_owned(),
        };
        let params = waiting.params();
        match app.authorization().read(at, &params, meta).await {
            Ok(asked) => Ok(Self { params, sealed: Some(sealed), waiting: Some((waiting, asked)) }),
            Err(NotAsked::App(error)) => Err(error.into()),
            Err(NotAsked::Told(..) | NotAsked::Unanswerable(_)) => Ok(Self { params, ..Self::default() }),
        }
    }
}

impl Pending {
    /// What is asked, and what was answered before, if the page of the sign-in still counts in this browser.
    pub(super) fn current<'p>(&'p self, it: &Interaction<'_>) -> Option<(&'p Asked, Answered)> {
        let (waiting, asked) = self.waiting.as_ref()?;
        let page = waiting.judge(it.visit.browser.id(), it.app.env().now());
        (page == Page::Current).then(|| (asked, waiting.answered()))
    }
}

/// Somebody at a page of a tenant's, with the request that waits for them.
pub(super) struct Visitor<'a> {
    pub(super) it: Interaction<'a>,
    pub(super) asked: Option<&'a Asked>,
    /// The request, sealed.
    pub(super) request: Option<&'a str>,
    /// Where the way back to the sign-in begins.
    pub(super) sign_in: String,
}

impl<'a> Visitor<'a> {
    pub(super) fn new(
        (at, app, meta): (&'a IssuerFacts, &'a App, &'a RequestMeta),
        visit: &'a Visit,
        pending: &'a Pending,
    ) -> Self {
        let asked = pending.waiting.as_ref().map(|(_, asked)| asked);
        let it = Interaction::new(at, app, visit, meta, &pending.params);
        let sign_in = it.action(SIGN_IN);
        Self { it, asked, request: pending.sealed.as_deref(), sign_in }
    }

    pub(super) fn page(&self, template: &impl Template, status: StatusCode) -> Result<HttpResponse, Failure> {
        self.it.page(template, status, self.asked)
    }
}
