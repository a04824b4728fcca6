//! What administrators and users themselves change of an account.

use super::{Attributes, User, UserStatus};
use crate::{
    audit::{Action, Fields},
    authz::{Authority, By, Denied},
    change::Changed,
    role::{HeldRole, administers_platform},
    session::{EndReason, RevokeMany, RevokeTarget},
    text::{DisplayName, Email, Phone, Username},
    time::Timestamp,
};

/// What may change of a user; an outer `None` leaves it as it is, an inner one removes it.
#[derive(Debug, Clone, Default)]
pub struct UserPatch {
    /// The user name; one that is an address becomes that of the user.
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

impl User {
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
        has_password: bool,
        roles: &[HeldRole],
        caller: &Authority,
        now: Timestamp,
    ) -> Result<(Changed<Self>, Option<RevokeMany>), Denied> {
        if patch.email.is_some() || patch.email_verified == Some(true) {
            caller.could_be(self.id, roles)?;
        }
        if patch.username.is_some() || patch.email_verified.is_some() || patch.status.is_some() {
            caller.equals(roles)?;
        }
        let was_verified = self.email_verified;
        let (changed, ends) = self.apply(patch, has_password, caller.by(), now);
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
        self.apply(UserPatch { display_name, phone, ..UserPatch::default() }, true, by, now).0
    }

    /// Nobody becomes active without a password: such an account waits for its owner, who can be invited. One that is active
    /// and has lost its password, because an administrator asked for another, stays so: a link that sets one is on its way.
    pub(super) fn apply(
        self,
        patch: UserPatch,
        has_password: bool,
        by: &By,
        now: Timestamp,
    ) -> (Changed<Self>, Option<RevokeMany>) {
        let mut next = self.clone();
        if let Some(email) = patch.email {
            next.email_verified &= email.key() == next.email.key();
            next.email = email;
        }
        next.username = patch.username.unwrap_or(next.username).beside(&next.email);
        next.email_verified = patch.email_verified.unwrap_or(next.email_verified);
        next.display_name = patch.display_name.unwrap_or(next.display_name);
        next.phone = patch.phone.unwrap_or(next.phone);
        next.status = match patch.status {
            Some(UserStatus::Active) if !has_password && self.status != UserStatus::Active => UserStatus::Invited,
            status => status.unwrap_or(next.status),
        };
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
            (_, UserStatus::Active) | (UserStatus::Suspended, UserStatus::Invited) => Action::UserActivated,
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{authz::SystemReason, issue::Parse, user::tests::user};

    fn update(user: User, patch: UserPatch) -> (Changed<User>, Option<RevokeMany>) {
        user.update(patch, true, &[], &Authority::system(SystemReason::Cli), Timestamp::default()).unwrap()
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
    fn account_without_a_password_does_not_become_active_and_one_that_is_waits_for_its_link() {
        let patch = |status| UserPatch { status: Some(status), ..UserPatch::default() };
        let caller = Authority::system(SystemReason::Cli);
        let update = |user: User, status| {
            user.update(patch(status), false, &[], &caller, Timestamp::default()).unwrap().0.into_parts()
        };
        let invited = User { status: UserStatus::Invited, ..user() };
        let (same, event) = update(invited.clone(), UserStatus::Active);
        assert!(same.status == UserStatus::Invited && event.is_idle());
        let (suspended, _) = update(invited, UserStatus::Suspended);
        let (back, event) = update(suspended, UserStatus::Active);
        assert_eq!((back.status, event.action), (UserStatus::Invited, Action::UserActivated));
        // An administrator has taken the password away and mailed a link that sets another.
        assert_eq!(update(user(), UserStatus::Active).0.status, UserStatus::Active);
    }

    #[test]
    fn another_email_address_counts_as_unverified() {
        let verified = User { email_verified: true, ..user() };
        let patch = |email| UserPatch { email: Some(Email::parse(email).unwrap()), ..UserPatch::default() };
        let same = update(verified.clone(), patch("ADA@example.com")).0.into_parts().0;
        let other = update(verified, patch("eve@example.com")).0.into_parts().0;
        assert!(same.email_verified && !other.email_verified);
    }
}
