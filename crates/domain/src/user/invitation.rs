//! How an account that an administrator made comes to its owner.

use super::{Issued, NotChanged, PasswordSet, Purpose, User, UserStatus};
use crate::{
    audit::{Action, Event, Fields, Resource, ResourceKind},
    authz::{Authority, By, TenantRef},
    change::Changed,
    role::HeldRole,
    secret::PasswordHash,
    text::{DisplayName, Email, Username},
    time::Timestamp,
};

/// The account is not waiting for its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotInvited;

/// What the owner of an account chooses when accepting the invitation.
#[derive(Debug, Clone, Default)]
pub struct Acceptance {
    /// Another user name.
    pub username: Option<Username>,
    /// How to be addressed.
    pub display_name: Option<DisplayName>,
}

impl User {
    fn invited(self) -> Result<Self, NotInvited> {
        if self.status == UserStatus::Invited { Ok(self) } else { Err(NotInvited) }
    }

    /// A link is made with which the owner sets the first password. It is mailed, or handed over by whoever asked for it:
    /// whoever has it can become the user. The roles are those that the user holds.
    ///
    /// # Errors
    /// [`NotInvited`] when the account has its owner, else [`crate::authz::Denied`] when the user may do more than the
    /// caller, or for longer.
    pub fn invite(
        self,
        is_mailed: bool,
        expires_at: Timestamp,
        roles: &[HeldRole],
        caller: &Authority,
    ) -> Result<Changed<Issued>, NotChanged<NotInvited>> {
        let user = self.invited().map_err(NotChanged::State)?;
        caller.could_be(user.id, roles)?;
        let mut fields = Fields::default();
        fields.set("invitation_expires_at", expires_at).set("delivery", if is_mailed { "email" } else { "link" });
        let (resource, mailed_to) = (user.resource(), is_mailed.then(|| user.email.clone()));
        let issued = Issued { user, purpose: Purpose::Invitation, mailed_to, expires_at };
        Ok(Changed::new(issued, Action::UserInvited, resource, caller.by()).with(fields))
    }

    /// The link stops working.
    ///
    /// # Errors
    /// [`NotInvited`] when the account has its owner.
    pub fn cancel_invitation(self, by: &By) -> Result<Changed<Self>, NotInvited> {
        let user = self.invited()?;
        let resource = user.resource();
        Ok(Changed::new(user, Action::UserInvitationCancelled, resource, by))
    }

    /// The owner sets the first password. That shows that the mailbox is the owner's if the link was mailed there, and
    /// nothing about it if the link came another way.
    ///
    /// # Errors
    /// [`NotInvited`] when the account has its owner, or another address than the link was mailed to.
    pub fn accept_invitation(
        self,
        mailed_to: Option<&Email>,
        chosen: Acceptance,
        hash: PasswordHash,
        now: Timestamp,
    ) -> Result<Changed<PasswordSet>, NotInvited> {
        let user = self.invited()?;
        if mailed_to.is_some_and(|email| email.key() != user.email.key()) {
            return Err(NotInvited);
        }
        let mut fields = Fields::default();
        let username = chosen.username.unwrap_or_else(|| user.username.clone()).beside(&user.email);
        let display_name = chosen.display_name.or_else(|| user.display_name.clone());
        let email_verified = user.email_verified || mailed_to.is_some();
        fields
            .change("username", &user.username, &username)
            .change("email_verified", user.email_verified, email_verified)
            .change("display_name", &user.display_name, &display_name)
            .change("status", user.status, UserStatus::Active);
        let (resource, by) = (user.resource(), By::oneself(user.id, None));
        let user = Self { username, email_verified, display_name, status: UserStatus::Active, updated_at: now, ..user };
        Ok(Changed::new(PasswordSet { user, hash }, Action::UserInvitationAccepted, resource, &by).with(fields))
    }
}

/// The event of invitations being asked for, of all users of a tenant who wait for one.
#[must_use]
pub fn invitations_requested(tenant: TenantRef, by: By) -> Event {
    let resource = Resource::set(ResourceKind::User).in_tenant(tenant.partner_id, tenant.id);
    let (action, fields) = (Action::UserInvitationsRequested, Fields::default());
    Event { action, resource, by, failure: None, reason: None, fields }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{authz::SystemReason, issue::Parse, user::tests::user};

    fn hash() -> PasswordHash {
        PasswordHash::new("hash".into())
    }

    #[test]
    fn account_that_has_its_owner_is_neither_invited_nor_taken_over() {
        let by = By::system(SystemReason::Cli);
        let none = Acceptance::default;
        let invited = user().invite(true, Timestamp::default(), &[], &Authority::system(SystemReason::Cli));
        assert_eq!(invited.err(), Some(NotChanged::State(NotInvited)));
        assert_eq!(user().cancel_invitation(&by).err(), Some(NotInvited));
        assert_eq!(user().accept_invitation(None, none(), hash(), Timestamp::default()).err(), Some(NotInvited));
    }

    #[test]
    fn accepting_activates_the_account_and_proves_the_mailbox_that_the_link_was_mailed_to() {
        for is_mailed in [true, false] {
            let invited = User { status: UserStatus::Invited, ..user() };
            let mailed_to = is_mailed.then(|| invited.email.clone());
            let accepted =
                invited.accept_invitation(mailed_to.as_ref(), Acceptance::default(), hash(), Timestamp::default());
            let user = accepted.unwrap().into_parts().0.user;
            assert_eq!((user.status, user.email_verified), (UserStatus::Active, is_mailed));
        }
    }

    #[test]
    fn invitation_to_another_address_is_of_no_use() {
        let invited = User { status: UserStatus::Invited, ..user() };
        let elsewhere = Email::parse("eve@example.com").unwrap();
        let accepted = invited.accept_invitation(Some(&elsewhere), Acceptance::default(), hash(), Timestamp::default());
        assert_eq!(accepted.err(), Some(NotInvited));
    }
}
