//! How an account that an administrator made comes to its owner.

use std::time::Duration;

use super::{User, UserStatus, WithPassword};
use crate::{
    audit::{Action, Fields},
    authz::By,
    change::Changed,
    secret::PasswordHash,
    text::{DisplayName, Username},
    time::{DAY, Timestamp},
};

/// How long an invitation can be accepted.
pub const INVITATION_LIFETIME: Duration = DAY.saturating_mul(7);

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

    /// A link is made with which the owner sets the first password; an earlier one stops working.
    ///
    /// # Errors
    /// [`NotInvited`] when the account has its owner.
    pub fn invite(self, expires_at: Timestamp, by: &By) -> Result<Changed<Self>, NotInvited> {
        let user = self.invited()?;
        let mut fields = Fields::default();
        fields.set("invitation_expires_at", expires_at);
        let resource = user.resource();
        Ok(Changed::new(user, Action::UserInvited, resource, by).with(fields))
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

    /// The owner sets the first password. That shows nothing about the mailbox: the link may have come another way.
    ///
    /// # Errors
    /// [`NotInvited`] when the account has its owner.
    pub fn accept_invitation(
        self,
        chosen: Acceptance,
        hash: PasswordHash,
        now: Timestamp,
    ) -> Result<Changed<WithPassword>, NotInvited> {
        let user = self.invited()?;
        let mut fields = Fields::default();
        let username = chosen.username.unwrap_or_else(|| user.username.clone());
        let display_name = chosen.display_name.or_else(|| user.display_name.clone());
        fields
            .change("username", &user.username, &username)
            .change("display_name", &user.display_name, &display_name)
            .change("status", user.status, UserStatus::Active);
        let (resource, by) = (user.resource(), By::oneself(user.id, None));
        let user = Self { username, display_name, status: UserStatus::Active, updated_at: now, ..user };
        Ok(Changed::new(WithPassword { user, hash }, Action::UserInvitationAccepted, resource, &by).with(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{authz::SystemReason, user::tests::user};

    #[test]
    fn account_that_has_its_owner_is_neither_invited_nor_taken_over() {
        let by = By::system(SystemReason::Cli);
        let hash = PasswordHash::new("hash".into());
        assert_eq!(user().invite(Timestamp::default(), &by).err(), Some(NotInvited));
        assert_eq!(user().cancel_invitation(&by).err(), Some(NotInvited));
        assert_eq!(user().accept_invitation(Acceptance::default(), hash, Timestamp::default()).err(), Some(NotInvited));
    }

    #[test]
    fn accepting_activates_the_account_and_proves_no_mailbox() {
        let invited = User { status: UserStatus::Invited, ..user() };
        let hash = PasswordHash::new("hash".into());
        let accepted = invited.accept_invitation(Acceptance::default(), hash, Timestamp::default()).unwrap();
        let user = &accepted.value().user;
        assert_eq!((user.status, user.email_verified), (UserStatus::Active, false));
    }
}
