//! OAuth 2.1 and OpenID Connect: what an application asks for, what it is given, and for how long.

mod audience;
mod challenge;
mod claims;
mod code;
mod consent;
mod device;
mod dpop;
mod exchange;
mod family;
mod params;
mod pushed;
mod request;
mod revoked;
mod scopes;
mod step;

pub use audience::Audience;
pub use challenge::{Challenge, Verifier};
pub use claims::{ACR, ClaimsRequest, claims, subject};
pub use code::{AuthorizationCode, CODE_LIFETIME, CODE_REMEMBERED, CodeVerdict, NewCode, Redeemed};
pub use consent::{Consent, Withdrawal};
pub use device::{
    DEVICE_LIFETIME, DEVICE_REMEMBERED, DEVICES_WAITING, DeviceAnswer, DeviceRequest, NewDeviceRequest, Polled,
    UserCode,
};
pub use dpop::{Confirmation, NoThumbprint, Thumbprint};
pub use exchange::Act;
pub use family::{FAMILIES_MAX, FamilyEnd, NewFamily, TokenFamily};
pub use params::Params;
pub use pushed::{PUSHED_LIFETIME, PUSHED_REMEMBERED, PUSHED_WAITING, pushed_uri};
pub use request::{
    AuthorizationRequest, Destination, ErrorCode, Prompt, RequestFault, ResponseMode, STATE_MAX, Unanswerable,
};
pub use revoked::RevokedToken;
pub use scopes::{OFFLINE_ACCESS, Scopes};
pub use step::{Answered, Before, Step};

#[cfg(test)]
mod tests;
