//! The applications that one is signed in to or lets have something.

use actix_web::web::Data;
use gatehouse_domain::{
    authz::{Oneself, SeeOneself},
    id::ApplicationId,
    page::{self, Direction},
    time::Timestamp,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    app::{App, account::authorized_apps::AuthorizedApp},
    http::{
        envelope::{ApiResult, NoContent, PaginatedResponse},
        extract::{
            access::{Access, Myself, PathId},
            page::{Listing, Sort},
        },
        operation::Operations,
        request::ChangeRequest,
    },
};

/// A page of applications.
pub type AuthorizedAppPage = PaginatedResponse<AuthorizedAppResponse>;

/// An application that has something of the user.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuthorizedAppResponse {
    /// The application.
    #[schema(inline)]
    pub application_id: ApplicationId,
    /// Its name.
    #[schema(max_length = 100, example = "Wiki")]
    pub application_name: String,
    /// Where it is found.
    #[schema(required = true, format = "uri", max_length = 2048, example = "https://wiki.example")]
    pub client_uri: Option<String>,
    /// What its tokens open, or may, in alphabetical order.
    #[schema(max_items = 1000, example = json!(["email", "openid"]))]
    pub scopes: Vec<String>,
    /// The APIs of others that its tokens are for, or may be.
    #[schema(max_items = 1000)]
    pub resources: Vec<String>,
    /// When the user last consented; null where nobody was asked.
    #[schema(required = true, inline)]
    pub consented_at: Option<Timestamp>,
    /// When it last got tokens that can still be used; null without any.
    #[schema(required = true, inline)]
    pub last_used_at: Option<Timestamp>,
    /// How many times it is signed in.
    #[schema(minimum = 0, example = 1)]
    pub families: u64,
}

impl From<AuthorizedApp> for AuthorizedAppResponse {
    fn from(app: AuthorizedApp) -> Self {
        let AuthorizedApp { application, scopes, resources, consented_at, last_used_at, families } = app;
        Self {
            application_id: application.id,
            application_name: application.name.to_string(),
            client_uri: application.metadata.client_uri.as_ref().map(|uri| uri.as_str().to_owned()),
            scopes: scopes.names().map(str::to_owned).collect(),
            resources: resources.into_iter().collect(),
            consented_at,
            last_used_at,
            families,
        }
    }
}

/// The only order: by the id, which is by when the application was registered.
#[derive(Debug, Clone, Copy)]
pub struct ByApplication;

impl Sort for ByApplication {
    const FIELDS: &'static [(&'static str, Self)] = &[("application_id", Self)];
    const DIRECTION: Direction = Direction::Ascending;
}

pub(super) fn mount(operations: &mut Operations) {
    operations.get("/me/authorized-apps", "me.authorized_apps.list", list).says(
        "List the applications that have something of oneself",
        "Those that one is signed in to, and those that one consented to. What an application may have ends with \
         `DELETE`; one that asks for consent asks anew.",
    );
    operations.delete("/me/authorized-apps/{application_id}", "me.authorized_apps.delete", withdraw).says(
        "Take back what an application may have",
        "Consent is forgotten, and the tokens of the application end within a second. One stays signed in here, and in \
         other applications.",
    );
}

async fn list(
    access: Access<SeeOneself, Myself>,
    listing: Listing<(), ByApplication>,
    app: Data<App>,
) -> ApiResult<AuthorizedAppPage> {
    let all = app.accounts().authorized_apps(&access).await?;
    let page = page::of(all.into_iter(), listing.direction, &listing.request, |it| it.application.id.to_string());
    Ok(listing.respond(&app, page, AuthorizedAppResponse::from))
}

async fn withdraw(
    access: Access<Oneself, Myself>,
    id: PathId<ApplicationId>,
    call: ChangeRequest,
    app: Data<App>,
) -> ApiResult<NoContent> {
    app.accounts().withdraw(&access, id.0, &call.meta).await?;
    Ok(NoContent)
}
