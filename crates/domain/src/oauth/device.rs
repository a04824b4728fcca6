//! Devices without a browser (RFC 8628): they show a code, with which somebody signs them in from elsewhere.

use std::{fmt, net::IpAddr, time::Duration};

use crate::{
    application::{Application, GrantType, Owner},
    audit::{Action, Fields, Resource, ResourceKind},
    authz::{By, TenantRef},
    change::Changed,
    id::{ApplicationId, SessionId},
    key::Issuer,
    oauth::{Audience, AuthorizationRequest, ErrorCode, Params, RequestFault},
    secret::TokenHash,
    session::Session,
    time::{MINUTE, Timestamp},
};

use super::{Scopes, request::of_program};

/// How long somebody has to sign the device in.
pub const DEVICE_LIFETIME: Duration = MINUTE.saturating_mul(10);
/// How long a request is remembered after that.
pub const DEVICE_REMEMBERED: Duration = DEVICE_LIFETIME;
/// The most requests of one application that wait.
pub const DEVICES_WAITING: u64 = 10_000;
/// The time that a device lets pass between two questions, at first.
const INTERVAL: Duration = Duration::from_secs(5);
/// How much longer that gets each time it asks too soon.
const SLOWER: Duration = Duration::from_secs(5);

/// What somebody types who signs a device in: `WDJB-MJHT`, in letters that make no words (RFC 8628, section 6.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserCode(String);

impl UserCode {
    const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
    const LENGTH: usize = 8;

    /// A code of random bytes; none where these are too few that can be used evenly.
    #[must_use]
    pub fn of(random: &[u8]) -> Option<Self> {
        // 240 is the greatest multiple of 20 that a byte holds: what lies above would make some letters likelier.
        let letters = random.iter().filter(|byte| **byte < 240).map(|byte| Self::LETTERS[usize::from(*byte % 20)]);
        let code: String = letters.take(Self::LENGTH).map(char::from).collect();
        (code.len() == Self::LENGTH).then_some(Self(code))
    }

    /// Takes what somebody typed: in small letters or capitals, with any dashes and blanks.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let mut code = String::with_capacity(Self::LENGTH);
        for letter in
            text.chars().filter(|letter| !letter.is_whitespace() && !matches!(letter, '-' | '\u{2010}'..='\u{2015}'))
        {
            let letter = letter.to_ascii_uppercase();
            let is_one = u8::try_from(letter).is_ok_and(|letter| Self::LETTERS.contains(&letter));
            if !is_one || code.len() == Self::LENGTH {
                return None;
            }
            code.push(letter);
        }
        (code.len() == Self::LENGTH).then_some(Self(code))
    }

    /// The letters alone.
    #[must_use]
    pub fn letters(&self) -> &str {
        &self.0
    }
}

/// As it is shown.
impl fmt::Display for UserCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, second) = self.0.split_at(Self::LENGTH / 2);
        write!(f, "{first}-{second}")
    }
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceAnswer {
    /// The user of the session that opened it signs the device in.
    Approved,
    /// Nobody is signed in there.
    Refused,
}

/// A device that waits for somebody to sign it in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceRequest {
    /// A digest of what the device asks with.
    pub hash: TokenHash,
    /// What somebody types.
    pub user_code: UserCode,
    /// The tenant. None at the platform's issuer, until a session of one opens it.
    pub tenant: Option<TenantRef>,
    /// The application on the device.
    pub application_id: ApplicationId,
    /// Whose that application is.
    pub owner: Owner,
    /// What it would be given.
    pub scopes: Scopes,
    /// Whom its access tokens would be for.
    pub audience: Audience,
    /// Where the device is.
    pub ip: Option<IpAddr>,
    /// The time that it lets pass between two questions.
    pub interval: Duration,
    /// When it last asked.
    pub polled_at: Option<Timestamp>,
    /// The session that opened it: that one alone may answer.
    pub opened_by: Option<SessionId>,
    /// The answer.
    pub answer: Option<DeviceAnswer>,
    /// Whether it has been exchanged for tokens.
    pub is_spent: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// Until when somebody may answer, and the device ask.
    pub expires_at: Timestamp,
}

/// What is needed to begin a request.
#[derive(Debug)]
pub struct NewDeviceRequest<'a> {
    /// A digest of what the device asks with.
    pub hash: TokenHash,
    /// What somebody types.
    pub user_code: UserCode,
    /// The issuer that the device asks.
    pub issuer: Issuer,
    /// The application on the device.
    pub application: &'a Application,
    /// Where the device is.
    pub ip: Option<IpAddr>,
}

/// What a device is told that asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Polled {
    /// It gets tokens.
    Exchange,
    /// Nobody has answered yet.
    Pending,
    /// The same, and it asks too often.
    TooSoon,
    /// It gets none.
    Refused(RequestFault),
}

impl DeviceRequest {
    /// Begins a request of an application. `api` is the application that is the API which the request names.
    ///
    /// # Errors
    /// What the application is told.
    pub fn start(
        new: NewDeviceRequest<'_>,
        params: &Params,
        api: Option<&Application>,
        now: Timestamp,
    ) -> Result<Self, RequestFault> {
        let NewDeviceRequest { hash, user_code, issuer, application, ip } = new;
        if !application.metadata.grant_types.contains(&GrantType::DeviceCode) {
            let description = "the application does not use this grant";
            return Err(RequestFault::new(ErrorCode::UnauthorizedClient, description));
        }
        let (scopes, resource) = of_program(params, application, api)?;
        Ok(Self {
            hash,
            user_code,
            tenant: issuer.tenant(),
            application_id: application.id,
            owner: application.owner,
            audience: Audience::of(application, resource.as_deref(), &scopes),
            scopes,
            ip,
            interval: INTERVAL,
            polled_at: None,
            opened_by: None,
            answer: None,
            is_spent: false,
            created_at: now,
            expires_at: now.plus(DEVICE_LIFETIME),
        })
    }

    /// Whether the device asked an issuer.
    #[must_use]
    pub fn is_at(&self, issuer: Issuer) -> bool {
        match issuer {
            Issuer::Platform => self.owner == Owner::Platform,
            Issuer::Tenant(tenant) => self.owner != Owner::Platform && self.tenant.is_some_and(|it| it.id == tenant.id),
        }
    }

    /// Whether somebody may still answer.
    #[must_use]
    pub fn waits(&self, now: Timestamp) -> bool {
        self.answer.is_none() && !self.is_spent && self.expires_at > now
    }

    /// What the device is told that asks, which an application does that has proved who it is (RFC 8628, section 3.5).
    #[must_use]
    pub fn judge(&self, application: &Application, now: Timestamp) -> Polled {
        let refused = |error, description| Polled::Refused(RequestFault::new(error, description));
        if self.application_id != application.id {
            return refused(ErrorCode::InvalidGrant, "the device code was given to another application");
        }
        if self.is_spent {
            return refused(ErrorCode::InvalidGrant, "the device code has been used");
        }
        if self.expires_at <= now {
            return refused(ErrorCode::ExpiredToken, "the device code has expired");
        }
        match (self.answer, self.polled_at) {
            (Some(DeviceAnswer::Approved), _) => Polled::Exchange,
            (Some(DeviceAnswer::Refused), _) => refused(ErrorCode::AccessDenied, "the user refused"),
            (None, Some(before)) if now < before.plus(self.interval) => Polled::TooSoon,
            (None, _) => Polled::Pending,
        }
    }

    /// The same after the device has asked.
    #[must_use]
    pub fn polled(self, verdict: Polled, now: Timestamp) -> Self {
        let more = if verdict == Polled::TooSoon { SLOWER } else { Duration::ZERO };
        Self { interval: self.interval + more, polled_at: Some(now), ..self }
    }

    /// The user of the session that opened it answers.
    pub fn answer(self, answer: DeviceAnswer, session: &Session) -> Changed<Self> {
        let action = match answer {
            DeviceAnswer::Approved => Action::DeviceApproved,
            DeviceAnswer::Refused => Action::DeviceRefused,
        };
        let resource = Resource::of(ResourceKind::Application, self.application_id.uuid());
        let resource = resource.at(Some(session.tenant()));
        let mut fields = Fields::default();
        fields.set("scope", self.scopes.to_string()).set("audience", self.audience.to_string());
        let by = By::oneself(session.user_id, Some(session.id));
        Changed::new(Self { answer: Some(answer), ..self }, action, resource, &by).with(fields)
    }

    /// The same as a request that a browser could have brought: what the pages say of it.
    #[must_use]
    pub fn as_request(&self) -> AuthorizationRequest {
        AuthorizationRequest::of_device(self.scopes.clone(), self.audience.resource().map(str::to_owned))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_code_is_eight_letters_that_make_no_words_and_each_letter_is_as_likely() {
        let code = UserCode::of(&[0, 250, 1, 255, 19, 20, 39, 40, 41, 239]).unwrap();
        assert_eq!(code.to_string(), "BCZB-ZBCZ");
        assert_eq!(UserCode::of(&[255; 64]), None);
        let counted = (0..=u8::MAX).filter_map(|byte| UserCode::of(&[byte; 8])).fold([0; 256], |mut counted, code| {
            counted[usize::from(code.letters().as_bytes()[0])] += 1;
            counted
        });
        assert!(UserCode::LETTERS.iter().all(|letter| counted[usize::from(*letter)] == 12));
    }

    #[test]
    fn user_code_is_read_however_it_is_typed() {
        let code = UserCode::of(&[0, 1, 2, 3, 4, 5, 6, 7]).unwrap();
        for text in ["BCDF-GHJK", "bcdf ghjk", "  bcdfghjk ", "B C D F – G H J K", "Bcdf-\u{2011}ghJK"] {
            assert_eq!(UserCode::read(text), Some(code.clone()), "{text}");
        }
        for text in ["", "BCDF-GHJ", "BCDF-GHJKL", "BCDA-GHJK", "BCDF-GHJ0", "ВCDF-GHJK", "BCDF_GHJK"] {
            assert_eq!(UserCode::read(text), None, "{text}");
        }
    }
}
