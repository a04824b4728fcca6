//! Users: people, each in exactly one tenant.

mod deletion;
mod invitation;
mod link;
mod mailbox;
mod patch;
mod recovery;
mod transfer;

use std::collections::BTreeMap;

use crate::{
    audit::{Action, Fields, Resource, ResourceKind},
    authz::{Authority, By, Denied, SystemReason, TenantRef},
    change::Changed,
    id::{PartnerId, SessionId, TenantId, UserId},
    role::HeldRole,
    search::Searchable,
    secret::PasswordHash,
    session::RevokeMany,
    text::{DisplayName, Email, Phone, Username},
    time::Timestamp,
    word::words,
};

pub use invitation::{Acceptance, NotInvited, invitations_requested};
pub use link::{INVITATION_LIFETIME, Issued, Purpose, RESET_LIFETIME, Useless, VERIFICATION_LIFETIME};
pub use patch::UserPatch;
pub use transfer::{Administers, ImportedUser, ORIGINAL_USERNAME, UserCredentials, exported};

words! {
    /// Where a user stands.
    UserStatus {
        /// Made by an administrator; has not yet set a password.
        Invited = "INVITED",
        /// May sign in.
        Active = "ACTIVE",
        /// May not sign in.
        Suspended = "SUSPENDED",
    }
}

/// Free data about a user, for applications: at most [`ATTRIBUTES_MAX`] short texts.
pub type Attributes = BTreeMap<String, String>;
/// How many attributes a user may have.
pub const ATTRIBUTES_MAX: usize = 50;
/// How many bytes the attributes of a user may take as JSON. The event of a change has them twice, the old and the new
/// ones, and is to fit into an answer of 64 KiB. Attributes of the greatest length that are all ASCII fit.
pub const ATTRIBUTES_BYTES: usize = 29_200;

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// Its tenant.
    pub tenant_id: TenantId,
    /// The partner of that tenant.
    pub partner_id: PartnerId,
    /// Unique in the tenant, without regard to case.
    pub username: Username,
    /// Unique in the tenant, without regard to case.
    pub email: Email,
    /// Whether the user has shown to read that mailbox.
    pub email_verified: bool,
    /// How the user is addressed.
    pub display_name: Option<DisplayName>,
    /// Where to call.
    pub phone: Option<Phone>,
    /// Where the user stands.
    pub status: UserStatus,
    /// Free data.
    pub attributes: Attributes,
    /// When the account was opened.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// When the user last signed in.
    pub last_login_at: Option<Timestamp>,
    /// When it was deleted; its names are free for another from then on.
    pub deleted_at: Option<Timestamp>,
    /// Counts the changes.
    pub version: i64,
}

/// A user with the roles the user holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserView {
    /// The user.
    pub user: User,
    /// The roles, expired ones left out.
    pub roles: Vec<HeldRole>,
}

/// A user as administrators see one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserDetail {
    /// The user and the roles held.
    pub view: UserView,
    /// How many sessions can be used now.
    pub sessions: u64,
    /// Whether so many sign-ins have failed that none is tried any more.
    pub locked: bool,
}

/// What is needed to make a user.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// The tenant to be in.
    pub tenant: TenantRef,
    /// The user name.
    pub username: Username,
    /// The e-mail address.
    pub email: Email,
    /// How the user is addressed.
    pub display_name: Option<DisplayName>,
    /// Where to call.
    pub phone: Option<Phone>,
}

/// A user together with a password hash that is to be stored; the hash travels nowhere else.
#[derive(Debug, Clone)]
pub struct PasswordSet {
    /// The user.
    pub user: User,
    /// The hash.
    pub hash: PasswordHash,
}

/// Why an administrator does not change an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotChanged<E> {
    /// It is not in a state for that.
    State(E),
    /// The user may do more than the caller.
    Denied(Denied),
}

impl<E> From<Denied> for NotChanged<E> {
    fn from(denied: Denied) -> Self {
        Self::Denied(denied)
    }
}

/// A user whose password is to be removed.
#[derive(Debug, Clone)]
pub struct PasswordRemoved {
    /// The user.
    pub user: User,
}

impl Searchable for User {
    fn texts(&self) -> impl Iterator<Item = &str> {
        let display_name = self.display_name.as_ref().map(DisplayName::as_str);
        [self.username.as_str(), self.email.as_str()].into_iter().chain(display_name)
    }
}

impl User {
    fn resource(&self) -> Resource {
        Resource::of(ResourceKind::User, self.id.uuid()).in_tenant(self.partner_id, self.tenant_id)
    }

    /// Failed sign-ins are forgotten, which lets somebody go on guessing. The roles are those that the user holds.
    ///
    /// # Errors
    /// [`Denied`] when another user may do more than the caller.
    pub fn unlock(self, roles: &[HeldRole], caller: &Authority) -> Result<Changed<Self>, Denied> {
        if caller.by().user_id() != Some(self.id) {
            caller.equals(roles)?;
        }
        let resource = self.resource();
        Ok(Changed::new(self, Action::UserUnlocked, resource, caller.by()))
    }

    /// The tenant the user is in.
    #[must_use]
    pub const fn tenant(&self) -> TenantRef {
        TenantRef { id: self.tenant_id, partner_id: self.partner_id }
    }

    fn new(id: UserId, new: NewUser, status: UserStatus, now: Timestamp) -> (Self, Fields) {
        let user = Self {
            id,
            tenant_id: new.tenant.id,
            partner_id: new.tenant.partner_id,
            username: new.username.beside(&new.email),
            email: new.email,
            email_verified: false,
            display_name: new.display_name,
            phone: new.phone,
            status,
            attributes: Attributes::new(),
            created_at: now,
            updated_at: now,
            last_login_at: None,
            deleted_at: None,
            version: 0,
        };
        let mut fields = Fields::default();
        fields
            .set("username", &user.username)
            .set("email", &user.email)
            .set("display_name", &user.display_name)
            .set("phone", &user.phone)
            .set("status", user.status);
        (user, fields)
    }

    /// An administrator makes an account; the user has yet to set a password.
    pub fn create(id: UserId, new: NewUser, by: &By, now: Timestamp) -> Changed<Self> {
        let (user, fields) = Self::new(id, new, UserStatus::Invited, now);
        let resource = user.resource();
        Changed::new(user, Action::UserCreated, resource, by).with(fields)
    }

    /// A person opens an account.
    pub fn register(id: UserId, new: NewUser, hash: PasswordHash, now: Timestamp) -> Changed<PasswordSet> {
        let (user, fields) = Self::new(id, new, UserStatus::Active, now);
        let resource = user.resource();
        Changed::new(PasswordSet { user, hash }, Action::UserRegistered, resource, &By::oneself(id, None)).with(fields)
    }

    /// The first administrator is made. Whoever sets the installation up vouches for the address.
    pub fn set_up(id: UserId, new: NewUser, hash: PasswordHash, by: &By, now: Timestamp) -> Changed<PasswordSet> {
        let (mut user, fields) = Self::new(id, new, UserStatus::Active, now);
        user.email_verified = true;
        let resource = user.resource();
        Changed::new(PasswordSet { user, hash }, Action::InstallationSetUp, resource, by).with(fields)
    }

    /// The hash of the same password is replaced by a better one. Nothing else changes, not even the version.
    pub fn rehash_password(self, hash: PasswordHash) -> Changed<PasswordSet> {
        let (resource, by) = (self.resource(), By::system(SystemReason::Authentication));
        Changed::new(PasswordSet { user: self, hash }, Action::UserPasswordRehashed, resource, &by)
    }

    /// The user sets another password; every other session ends.
    pub fn change_password(
        self,
        hash: PasswordHash,
        session: SessionId,
        now: Timestamp,
    ) -> (Changed<PasswordSet>, RevokeMany) {
        let by = By::oneself(self.id, Some(session));
        let ends = self.password_ends(&by);
        let resource = self.resource();
        let user = Self { updated_at: now, ..self };
        (Changed::new(PasswordSet { user, hash }, Action::UserPasswordChanged, resource, &by), ends)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::issue::Parse;

    pub(super) fn user() -> User {
        let new = NewUser {
            tenant: TenantRef { id: TenantId::from_parts(1, [1; 10]), partner_id: PartnerId::from_parts(1, [1; 10]) },
            username: Username::parse("ada").unwrap(),
            email: Email::parse("ada@example.com").unwrap(),
            display_name: None,
            phone: None,
        };
        User::new(UserId::from_parts(1, [1; 10]), new, UserStatus::Active, Timestamp::default()).0
    }

    #[test]
    fn event_names_old_and_new_values_and_never_the_password() {
        let (changed, _) = user().change_password(
            PasswordHash::new("$argon2id$secret".into()),
            SessionId::from_parts(1, [0; 10]),
            Timestamp::default(),
        );
        let (_, event) = changed.into_parts();
        assert!(event.fields.is_empty() && !format!("{event:?}").contains("argon2id"));
    }
}
