//! Users as the API shows them.

use gatehouse_domain::{
    authz::{PermissionPattern, PermissionSet},
    id::{PartnerId, RoleId, TenantId, UserId},
    role::{Anchor, HeldRole},
    time::Timestamp,
    user::{Attributes, User, UserDetail, UserView},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    app::directory::invitations::{HandedLink, Invitation},
    http::envelope::{ApiResponse, PaginatedResponse},
};

/// One user.
pub type OneUser = ApiResponse<UserResponse>;
/// A page of users.
pub type UserPage = PaginatedResponse<AdminUserResponse>;
/// One user, as administrators see it.
pub type OneAdminUser = ApiResponse<AdminUserResponse>;
/// One user that has just been made.
pub type OneNewUser = ApiResponse<UserCreatedResponse>;
/// One invitation.
pub type OneInvitation = ApiResponse<InvitationResponse>;

/// A user.
#[derive(Debug, Serialize, ToSchema)]
pub struct UserResponse {
    /// The id.
    #[schema(inline)]
    pub id: UserId,
    /// The tenant.
    #[schema(inline)]
    pub tenant_id: TenantId,
    /// The partner of the tenant.
    #[schema(inline)]
    pub partner_id: PartnerId,
    /// The user name.
    #[schema(max_length = 254, example = "ada")]
    pub username: String,
    /// The e-mail address.
    #[schema(max_length = 254, example = "ada@example.com")]
    pub email: String,
    /// Whether the mailbox is known to be the user's.
    pub email_verified: bool,
    /// How the user is addressed.
    #[schema(required = true, max_length = 400, example = "Ada Lovelace")]
    pub display_name: Option<String>,
    /// Where to call.
    #[schema(required = true, max_length = 32, example = "+34 600 000 000")]
    pub phone: Option<String>,
    /// Where the user stands: `INVITED`, `ACTIVE` or `SUSPENDED`.
    #[schema(max_length = 32, example = "ACTIVE")]
    pub status: &'static str,
    /// When the account was opened.
    #[schema(inline)]
    pub created_at: Timestamp,
    /// When it was last changed.
    #[schema(inline)]
    pub updated_at: Timestamp,
    /// When the user last signed in.
    #[schema(required = true, inline)]
    pub last_login_at: Option<Timestamp>,
    /// The roles held.
    #[schema(max_items = 1000)]
    pub roles: Vec<HeldRoleResponse>,
    /// What the roles allow together, each within its anchor.
    #[schema(max_items = 1000, example = json!(["sessions:read"]))]
    pub permissions: Vec<String>,
}

/// A user, as administrators see it.
#[derive(Debug, Serialize, ToSchema)]
pub struct AdminUserResponse {
    /// What the user sees.
    #[serde(flatten)]
    pub user: UserResponse,
    /// Free data for applications.
    #[schema(inline, example = json!({"department": "sales"}))]
    pub attributes: Attributes,
    /// How many sessions can be used now.
    #[schema(minimum = 0, example = 2)]
    pub session_count: u64,
    /// Whether so many sign-ins have failed in a row that no more are tried; unlocking forgets them.
    pub locked: bool,
}

/// A user that has just been made.
#[derive(Debug, Serialize, ToSchema)]
pub struct UserCreatedResponse {
    /// What administrators see.
    #[serde(flatten)]
    pub user: AdminUserResponse,
    /// The invitation, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = InvitationResponse, required = false)]
    pub invitation: Option<InvitationResponse>,
}

/// A link that makes its holder the owner of an account. Where it is not mailed it is shown, once.
#[derive(Debug, Serialize, ToSchema)]
pub struct InvitationResponse {
    /// The link to the page that asks for a password, if `delivery` was `link`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, max_length = 2000, example = "https://id.example.com/invitation#acme/ghi_AZjF0uj0e3ydChssPU5fYAAAAAA")]
    pub url: Option<String>,
    /// The token in it, for pages of one's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, max_length = 4096, example = "ghi_AZjF0uj0e3ydChssPU5fYAAAAAA")]
    pub token: Option<String>,
    /// When it stops working.
    #[schema(inline)]
    pub expires_at: Timestamp,
}

impl From<Invitation> for InvitationResponse {
    fn from(Invitation { handed, expires_at }: Invitation) -> Self {
        let (url, token) = match handed {
            Some(HandedLink { url, token }) => (Some(url.expose().clone()), Some(token.expose().clone())),
            None => (None, None),
        };
        Self { url, token, expires_at }
    }
}

impl From<(UserDetail, Option<Invitation>)> for UserCreatedResponse {
    fn from((user, invitation): (UserDetail, Option<Invitation>)) -> Self {
        Self { user: (&user).into(), invitation: invitation.map(Into::into) }
    }
}

/// A role that a user holds.
#[derive(Debug, Serialize, ToSchema)]
pub struct HeldRoleResponse {
    /// The role.
    #[schema(inline)]
    pub id: RoleId,
    /// Its name.
    #[schema(max_length = 400, example = "tenant_admin")]
    pub name: String,
    /// Where it holds.
    pub anchor: AnchorResponse,
    /// When it ends by itself.
    #[schema(required = true, inline)]
    pub expires_at: Option<Timestamp>,
}

/// Where a role holds.
#[derive(Debug, Serialize, ToSchema)]
pub struct AnchorResponse {
    /// `platform`, `partner` or `tenant`.
    #[schema(max_length = 32, example = "tenant")]
    pub level: &'static str,
    /// The partner, at that level.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(inline, value_type = PartnerId, required = false)]
    pub partner_id: Option<PartnerId>,
    /// The tenant, at that level.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(inline, value_type = TenantId, required = false)]
    pub tenant_id: Option<TenantId>,
}

impl From<Anchor> for AnchorResponse {
    fn from(anchor: Anchor) -> Self {
        let (partner_id, tenant_id) = match anchor {
            Anchor::Platform => (None, None),
            Anchor::Partner(id) => (Some(id), None),
            Anchor::Tenant(id) => (None, Some(id)),
        };
        Self { level: anchor.level(), partner_id, tenant_id }
    }
}

impl From<&HeldRole> for HeldRoleResponse {
    fn from(HeldRole { role_id, name, permissions: _, anchor, expires_at }: &HeldRole) -> Self {
        Self { id: *role_id, name: name.clone(), anchor: (*anchor).into(), expires_at: *expires_at }
    }
}

impl From<&UserView> for UserResponse {
    fn from(UserView { user, roles }: &UserView) -> Self {
        let User {
            id,
            tenant_id,
            partner_id,
            username,
            email,
            email_verified,
            display_name,
            phone,
            status,
            attributes: _,
            created_at,
            updated_at,
            last_login_at,
            deleted_at: _,
            version: _,
        } = user;
        let permissions = PermissionSet::union(roles.iter().map(|role| &role.permissions));
        Self {
            id: *id,
            tenant_id: *tenant_id,
            partner_id: *partner_id,
            username: username.to_string(),
            email: email.to_string(),
            email_verified: *email_verified,
            display_name: display_name.as_ref().map(ToString::to_string),
            phone: phone.as_ref().map(ToString::to_string),
            status: status.as_str(),
            created_at: *created_at,
            updated_at: *updated_at,
            last_login_at: *last_login_at,
            roles: roles.iter().map(HeldRoleResponse::from).collect(),
            permissions: permissions.iter().map(PermissionPattern::to_string).collect(),
        }
    }
}

impl From<&UserDetail> for AdminUserResponse {
    fn from(UserDetail { view, sessions, locked }: &UserDetail) -> Self {
        let attributes = view.user.attributes.clone();
        Self { user: view.into(), attributes, session_count: *sessions, locked: *locked }
    }
}
