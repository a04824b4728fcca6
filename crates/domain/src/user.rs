//! Users: people, each in exactly one tenant.

mod deletion;
mod invitation;
mod link;
mod mailbox;
mod recovery;
mod transfer;

use std::collections::BTreeMap;

use crate::{
    audit::{Action, Fields, Resource, ResourceKind},
    authz::{Authority, By, Denied, SystemReason, TenantRef},
    change::Changed,
    id::{PartnerId, SessionId, TenantId, UserId},
    role::{HeldRole, administers_platform},
    search::Searchable,
    secret::PasswordHash,
    session::{EndReason, RevokeMany, RevokeTarget},
    text::{DisplayName, Email, Phone, Username},
    time::Timestamp,
    word::words,
};

pub use invitation::{Acceptance, NotInvited};
pub use link::{INVITATION_LIFETIME, Issued, Purpose, RESET_LIFETIME, Useless, VERIFICATION_LIFETIME};
pub use transfer::{Administers, ImportedUser, UserCredentials, exported};

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

/// What may change of a user; an outer `None` leaves it as it is, an inner one removes it.
#[derive(Debug, Clone, Default)]
pub struct UserPatch {
    /// The user name.
    pub username: Option<Username>,
    /// The e-mail address; a new one counts as unverified.
    pub email: Option<Email>,
    /// Whether the mailbox is known to be the user's.
    pub email_verified: Option<bool>,
    /// How the user is addressed.
    pub display_name: Option<Option<DisplayName>>,
    /// Where to call.
    pub phone: Option<Option<Phone>>,
    /// Where the user stands.
    pub status: Option<UserStatus>,
    /// Free data, replaced as a whole.
    pub attributes: Option<Attributes>,
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
            username: new.username,
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
        fields.set("username", &user.username).set("email", &user.email).set("status", user.status);
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

    /// An administrator changes a user. Suspending one also ends all the user's sessions. The roles are those that the
    /// user holds.
    ///
    /// Whoever reads the mail of an account can become its owner, a suspended account has no rights, and an owner who
    /// finds the account renamed, unverified or suspended is shut out: user name, address, its verification and status
    /// are changed by those only who may do whatever the owner may, an address and its verification by those only who
    /// may do so for as long. Ending the owner's sessions is not among this, and stays with whoever may end sessions
    /// there: it stops a stolen session, and the owner signs in again.
    ///
    /// # Errors
    /// [`Denied`] when the user may do more than the caller.
    pub fn update(
        self,
        patch: UserPatch,
        roles: &[HeldRole],
        caller: &Authority,
        now: Timestamp,
    ) -> Result<(Changed<Self>, Option<RevokeMany>), Denied> {
        if patch.email.is_some() || patch.email_verified == Some(true) {
            caller.could_be(roles)?;
        }
        if patch.username.is_some() || patch.email_verified.is_some() || patch.status.is_some() {
            caller.equals(roles)?;
        }
        let was_verified = self.email_verified;
        let (changed, ends) = self.apply(patch, caller.by(), now);
        let next = changed.value();
        let shut_out = next.status == UserStatus::Suspended || was_verified && !next.email_verified;
        Ok((changed.endangering_platform(shut_out && administers_platform(roles)), ends))
    }

    /// A user changes the own profile.
    pub fn update_profile(
        self,
        display_name: Option<Option<DisplayName>>,
        phone: Option<Option<Phone>>,
        by: &By,
        now: Timestamp,
    ) -> Changed<Self> {
        self.apply(UserPatch { display_name, phone, ..UserPatch::default() }, by, now).0
    }

    fn apply(self, patch: UserPatch, by: &By, now: Timestamp) -> (Changed<Self>, Option<RevokeMany>) {
        let mut next = self.clone();
        next.username = patch.username.unwrap_or(next.username);
        if let Some(email) = patch.email {
            next.email_verified &= email.key() == next.email.key();
            next.email = email;
        }
        next.email_verified = patch.email_verified.unwrap_or(next.email_verified);
        next.display_name = patch.display_name.unwrap_or(next.display_name);
        next.phone = patch.phone.unwrap_or(next.phone);
        next.status = patch.status.unwrap_or(next.status);
        next.attributes = patch.attributes.unwrap_or(next.attributes);
        let mut fields = Fields::default();
        fields
            .change("username", &self.username, &next.username)
            .change("email", &self.email, &next.email)
            .change("email_verified", self.email_verified, next.email_verified)
            .change("display_name", &self.display_name, &next.display_name)
            .change("phone", &self.phone, &next.phone)
            .change("status", self.status, next.status)
            .change("attributes", &self.attributes, &next.attributes);
        if patch.status == Some(UserStatus::Active) && self.status == UserStatus::Active {
            // An administrator's word that the failed sign-ins so far do not count: that is an event, too.
            fields.set("unlocked", true);
        }
        let action = match (self.status, next.status) {
            (old, new) if old == new => Action::UserUpdated,
            (_, UserStatus::Suspended) => Action::UserSuspended,
            (_, UserStatus::Active) => Action::UserActivated,
            (_, UserStatus::Invited) => Action::UserUpdated,
        };
        let target = RevokeTarget::User(self.tenant(), self.id);
        let ends = (action == Action::UserSuspended).then(|| RevokeMany::below(target, EndReason::Suspended, by));
        if !fields.is_empty() {
            next.updated_at = now;
        }
        let resource = next.resource();
        (Changed::new(next, action, resource, by).with(fields), ends)
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

    fn update(user: User, patch: UserPatch) -> (Changed<User>, Option<RevokeMany>) {
        user.update(patch, &[], &Authority::system(SystemReason::Cli), Timestamp::default()).unwrap()
    }

    #[test]
    fn suspending_a_user_ends_the_users_sessions_and_activating_does_not() {
        let patch = |status| UserPatch { status: Some(status), ..UserPatch::default() };
        let (changed, ends) = update(user(), patch(UserStatus::Suspended));
        assert_eq!(ends.unwrap().target, RevokeTarget::User(user().tenant(), user().id));
        let (_, ends) = update(changed.into_parts().0, patch(UserStatus::Active));
        assert!(ends.is_none());
    }

    #[test]
    fn another_email_address_counts_as_unverified() {
        let verified = User { email_verified: true, ..user() };
        let patch = |email| UserPatch { email: Some(Email::parse(email).unwrap()), ..UserPatch::default() };
        let same = update(verified.clone(), patch("ADA@example.com")).0.into_parts().0;
        let other = update(verified, patch("eve@example.com")).0.into_parts().0;
        assert!(same.email_verified && !other.email_verified);
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
