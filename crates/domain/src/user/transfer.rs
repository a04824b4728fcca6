//! Users who come from another system, or are taken to one.

use super::{Attributes, User, UserPatch, UserStatus};
use crate::{
    audit::{Action, Event, Fields, Resource, ResourceKind},
    authz::{By, TenantRef},
    change::Changed,
    id::{JobId, UserId},
    import::Import,
    role::HeldRole,
    secret::PasswordHash,
    session::RevokeMany,
    text::{DisplayName, Email, Phone, Username},
    time::Timestamp,
};

/// A user as another system describes one.
#[derive(Debug, Clone)]
pub struct ImportedUser {
    /// The user name; the address if there is none.
    pub username: Option<Username>,
    /// What the other system calls the user where that cannot be a user name here.
    pub original_username: Option<String>,
    /// The e-mail address.
    pub email: Email,
    /// Whether the mailbox is known to be the user's.
    pub email_verified: Option<bool>,
    /// How the user is addressed.
    pub display_name: Option<DisplayName>,
    /// Where to call.
    pub phone: Option<Phone>,
    /// Where the user stands; by default `ACTIVE` with a password, else `INVITED`.
    pub status: Option<UserStatus>,
    /// Free data.
    pub attributes: Option<Attributes>,
    /// The hash of the password, as it is.
    pub hash: Option<PasswordHash>,
    /// When the account was opened.
    pub created_at: Option<Timestamp>,
}

/// The attribute that keeps a name that cannot be a user name here.
pub const ORIGINAL_USERNAME: &str = "original_username";

impl ImportedUser {
    /// The name under which the user is looked for.
    #[must_use]
    pub fn name(&self) -> Username {
        self.username.clone().unwrap_or_else(|| (&self.email).into())
    }
}

/// The attributes with the name that could not be a user name here.
fn with_original(mut attributes: Attributes, name: Option<String>) -> Attributes {
    if let Some(name) = name {
        attributes.entry(ORIGINAL_USERNAME.to_owned()).or_insert(name);
    }
    attributes
}

/// The user holds a role: what a list could take away or give there is decided one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Administers;

/// A user with the password, if there is one; it travels nowhere else.
#[derive(Debug, Clone)]
pub struct UserCredentials {
    /// The user.
    pub user: User,
    /// The hash.
    pub hash: Option<PasswordHash>,
}

impl UserCredentials {
    /// A user comes from another system.
    pub fn import(id: UserId, import: &Import, new: ImportedUser, by: &By, now: Timestamp) -> Changed<Self> {
        // Nobody is active without a password.
        let status = match (new.status, new.hash.is_some()) {
            (Some(UserStatus::Active) | None, false) => UserStatus::Invited,
            (None, true) => UserStatus::Active,
            (Some(status), _) => status,
        };
        let username = new.name().beside(&new.email);
        let attributes = with_original(new.attributes.unwrap_or_default(), new.original_username);
        let user = User {
            id,
            tenant_id: import.tenant.id,
            partner_id: import.tenant.partner_id,
            username,
            email: new.email,
            email_verified: new.email_verified.unwrap_or(false),
            display_name: new.display_name,
            phone: new.phone,
            status,
            attributes,
            created_at: new.created_at.unwrap_or(now),
            updated_at: now,
            last_login_at: None,
            deleted_at: None,
            version: 0,
        };
        let mut fields = Fields::default();
        fields
            .set("username", &user.username)
            .set("email", &user.email)
            .set("email_verified", user.email_verified)
            .set("display_name", &user.display_name)
            .set("phone", &user.phone)
            .set("status", user.status)
            .set("import_id", import.id);
        if !user.attributes.is_empty() {
            fields.set("attributes", &user.attributes);
        }
        let resource = user.resource();
        Changed::new(Self { user, hash: new.hash }, Action::UserImported, resource, by).with(fields)
    }

    /// What another system says of a user who is here already. What it does not mention stays. The password is taken
    /// over only until its owner has signed in: from then on the one here is the newer one.
    ///
    /// # Errors
    /// [`Administers`] when the user holds one of these roles.
    pub fn import_over(
        self,
        import: JobId,
        new: ImportedUser,
        roles: &[HeldRole],
        by: &By,
        now: Timestamp,
    ) -> Result<(Changed<Self>, Option<RevokeMany>), Administers> {
        if !roles.is_empty() {
            return Err(Administers);
        }
        let hash = new.hash.filter(|_| self.user.last_login_at.is_none());
        let takes_password = hash.is_some() && hash != self.hash;
        let was_invited = self.user.status == UserStatus::Invited;
        let patch = UserPatch {
            username: new.username,
            email: Some(new.email),
            email_verified: new.email_verified,
            display_name: new.display_name.map(Some),
            phone: new.phone.map(Some),
            status: new.status.or((takes_password && was_invited).then_some(UserStatus::Active)),
            attributes: new.attributes.map(|attributes| with_original(attributes, new.original_username)),
        };
        // The same status once more would forget failed sign-ins, which no list from elsewhere can know of.
        let patch = UserPatch { status: patch.status.filter(|status| *status != self.user.status), ..patch };
        let has_password = hash.is_some() || self.hash.is_some();
        let (changed, ends) = self.user.apply(patch, has_password, by, now);
        let (mut user, mut event) = changed.into_parts();
        if takes_password {
            user.updated_at = now;
            event.fields.set("password_imported", true);
        }
        if !event.fields.is_empty() {
            event.fields.set("import_id", import);
        }
        let hash = if takes_password { hash } else { self.hash };
        Ok((Changed::of(Self { user, hash }, event), ends))
    }
}

/// The event of the users of a tenant being read out as a file.
#[must_use]
pub fn exported(tenant: TenantRef, with_password_hashes: bool, by: By) -> Event {
    let resource = Resource::set(ResourceKind::User).in_tenant(tenant.partner_id, tenant.id);
    let mut fields = Fields::default();
    fields.set("password_hashes", with_password_hashes);
    Event { action: Action::UserExported, resource, by, failure: None, reason: None, fields }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{authz::SystemReason, import::OnConflict, issue::Parse, user::tests::user};

    const BY: By = By::system(SystemReason::Cli);

    fn foreign() -> ImportedUser {
        ImportedUser {
            username: Some(Username::parse("ada").unwrap()),
            original_username: None,
            email: Email::parse("ada@example.com").unwrap(),
            email_verified: None,
            display_name: None,
            phone: None,
            status: None,
            attributes: None,
            hash: None,
            created_at: None,
        }
    }

    fn hash(text: &str) -> Option<PasswordHash> {
        Some(PasswordHash::new(text.into()))
    }

    fn over(here: UserCredentials, new: ImportedUser) -> (UserCredentials, Event) {
        let over = here.import_over(JobId::from_parts(1, [1; 10]), new, &[], &BY, Timestamp::from_micros(9));
        over.unwrap().0.into_parts()
    }

    #[test]
    fn account_with_a_password_is_active_and_one_without_waits_for_its_owner() {
        let import =
            Import::start(JobId::from_parts(1, [1; 10]), user().tenant(), OnConflict::Fail, &BY, Timestamp::default());
        let status = |new| {
            let id = UserId::from_parts(1, [2; 10]);
            UserCredentials::import(id, import.value(), new, &BY, Timestamp::default()).value().user.status
        };
        assert_eq!(status(ImportedUser { hash: hash("x"), ..foreign() }), UserStatus::Active);
        assert_eq!(status(foreign()), UserStatus::Invited);
        assert_eq!(status(ImportedUser { status: Some(UserStatus::Active), ..foreign() }), UserStatus::Invited);
        assert_eq!(status(ImportedUser { status: Some(UserStatus::Suspended), ..foreign() }), UserStatus::Suspended);
    }

    #[test]
    fn password_is_taken_over_until_the_owner_has_signed_in() {
        let new = || ImportedUser { hash: hash("theirs"), ..foreign() };
        let (taken, event) = over(UserCredentials { user: user(), hash: hash("ours") }, new());
        assert!(taken.hash == hash("theirs") && !event.is_idle());
        let signed_in = User { last_login_at: Some(Timestamp::default()), ..user() };
        let (kept, event) = over(UserCredentials { user: signed_in, hash: hash("ours") }, new());
        assert!(kept.hash == hash("ours") && event.is_idle());
    }

    #[test]
    fn same_user_once_more_changes_nothing() {
        let new = ImportedUser { hash: hash("theirs"), status: Some(UserStatus::Active), ..foreign() };
        let (_, event) = over(UserCredentials { user: user(), hash: hash("theirs") }, new);
        assert!(event.is_idle());
    }

    #[test]
    fn event_of_an_imported_password_does_not_show_it() {
        let (_, event) =
            over(UserCredentials { user: user(), hash: None }, ImportedUser { hash: hash("$2b$secret"), ..foreign() });
        assert!(!format!("{event:?}").contains("secret"));
    }
}
