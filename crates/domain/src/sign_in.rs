//! Signing in as a state machine: proofs are collected until they are enough.
//!
//! Whoever signs in shows one proof after another, in several requests if need be. After each, [`Proofs::judge`] says what
//! becomes of it. Only its judgement makes an [`Authentication`], and only with one does a session begin: so none begins
//! with less than what the policy and the user ask for.

use crate::{session::AuthMethod, settings::Policy, user::User};

/// Something that a user enrolled beside the password, to sign in with both.
pub trait Factor: Clone + PartialEq {
    /// What it proves (RFC 8176).
    fn method(&self) -> AuthMethod;
}

/// What was shown once in a sign-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof<F> {
    /// The right password.
    Password,
    /// A factor.
    Factor(F),
}

/// Everything that has been shown in a sign-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proofs<F>(Vec<Proof<F>>);

/// What becomes of a sign-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement<F> {
    /// It is enough: a session may begin.
    Complete(Authentication),
    /// One of these has to be shown besides.
    Needs(Vec<F>),
    /// Nothing more that could be shown would be enough.
    Refused(Refusal),
}

/// Why whoever proved enough may not sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The tenant wants a verified e-mail address.
    EmailNotVerified,
}

/// Who signs in is who they say: a sign-in that is complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authentication {
    methods: Vec<AuthMethod>,
}

impl Authentication {
    #[cfg(test)]
    pub(crate) fn with_password() -> Self {
        Self { methods: vec![AuthMethod::Password] }
    }

    /// How it was proved, without repetition; the claim `amr`.
    #[must_use]
    pub fn into_methods(self) -> Vec<AuthMethod> {
        self.methods
    }
}

impl<F: Factor> Proofs<F> {
    /// A sign-in begins with a password.
    #[must_use]
    pub fn password() -> Self {
        Self(vec![Proof::Password])
    }

    /// The same with a factor that has been proved.
    #[must_use]
    pub fn and(mut self, factor: F) -> Self {
        self.0.push(Proof::Factor(factor));
        self
    }

    /// What becomes of the sign-in of a user who enrolled these factors.
    #[must_use]
    pub fn judge(&self, user: &User, enrolled: Vec<F>, policy: &Policy) -> Judgement<F> {
        if policy.require_verified_email && !user.email_verified {
            return Judgement::Refused(Refusal::EmailNotVerified);
        }
        let has_proved = |factor: &F| self.0.contains(&Proof::Factor(factor.clone()));
        if !enrolled.is_empty() && !enrolled.iter().any(has_proved) {
            return Judgement::Needs(enrolled);
        }
        let mut methods = Vec::new();
        for proof in &self.0 {
            let method = match proof {
                Proof::Password => AuthMethod::Password,
                Proof::Factor(factor) => factor.method(),
            };
            if !methods.contains(&method) {
                methods.push(method);
            }
        }
        Judgement::Complete(Authentication { methods })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        authz::TenantRef,
        id::{PartnerId, TenantId, UserId},
        issue::Parse,
        secret::PasswordHash,
        settings::{Bounded, Defaults, Settings},
        text::{Email, Username},
        time::Timestamp,
        user::NewUser,
    };

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Own {
        Key,
        Card,
    }

    impl Factor for Own {
        fn method(&self) -> AuthMethod {
            AuthMethod::Password
        }
    }

    fn policy(require_verified_email: bool) -> Policy {
        let settings = Settings { require_verified_email: Some(require_verified_email), ..Settings::default() };
        settings.policy(&Defaults {
            access_token_minutes: Bounded::new(15).unwrap(),
            refresh_token_days: Bounded::new(7).unwrap(),
        })
    }

    fn user() -> User {
        let tenant = TenantRef { id: TenantId::from_parts(1, [0; 10]), partner_id: PartnerId::from_parts(1, [0; 10]) };
        let new = NewUser {
            tenant,
            username: Username::parse("ada").unwrap(),
            email: Email::parse("ada@example.com").unwrap(),
            display_name: None,
            phone: None,
        };
        let hash = PasswordHash::new("x".to_owned());
        User::register(UserId::from_parts(1, [0; 10]), new, hash, Timestamp::from_micros(1)).into_parts().0.user
    }

    #[test]
    fn password_is_enough_for_who_enrolled_nothing_else() {
        let judged = Proofs::<Own>::password().judge(&user(), Vec::new(), &policy(false));
        assert_eq!(judged, Judgement::Complete(Authentication::with_password()));
    }

    #[test]
    fn who_enrolled_factors_shows_one_of_them_besides() {
        let (user, policy, enrolled) = (user(), policy(false), vec![Own::Key, Own::Card]);
        let proofs = Proofs::password();
        assert_eq!(proofs.judge(&user, enrolled.clone(), &policy), Judgement::Needs(enrolled.clone()));
        assert!(matches!(proofs.clone().and(Own::Card).judge(&user, enrolled, &policy), Judgement::Complete(_)));
        // One that is not enrolled any more proves nothing.
        let judged = proofs.and(Own::Card).judge(&user, vec![Own::Key], &policy);
        assert_eq!(judged, Judgement::Needs(vec![Own::Key]));
    }

    #[test]
    fn address_that_is_not_verified_is_refused_before_anything_else_is_asked_for() {
        let (mut user, policy) = (user(), policy(true));
        let proofs = Proofs::password();
        let judged = proofs.judge(&user, vec![Own::Key], &policy);
        assert_eq!(judged, Judgement::Refused(Refusal::EmailNotVerified));
        user.email_verified = true;
        assert_eq!(proofs.judge(&user, vec![Own::Key], &policy), Judgement::Needs(vec![Own::Key]));
    }
}
