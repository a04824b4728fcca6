//! Signing keys of issuers and their lifecycle, for each algorithm: next → current → retired → gone, or withdrawn at any
//! time.

use std::time::Duration;

use uuid::Uuid;

use crate::{
    application::SigningAlgorithm,
    audit::{Action, Fields, Resource, ResourceKind},
    authz::{By, TenantRef},
    change::Changed,
    id::KeyId,
    time::{DAY, HOUR, Timestamp},
    word::words,
};

words! {
    /// Where a key stands.
    KeyState {
        /// Signs and verifies. A tenant has exactly one for each algorithm that it signs with.
        Current = "current",
        /// Is published and verifies, as a replica may not know yet that it signs. Signs when it has taken the place of
        /// the current one.
        Next = "next",
        /// Verifies what it signed, until the last of that has expired.
        Retired = "retired",
        /// Does nothing any more.
        Withdrawn = "withdrawn",
    }
}

/// How long a retired key goes on verifying: longer than any access token lives.
pub const OVERLAP: Duration = HOUR;
/// How long a key signs before it is replaced.
pub const ROTATE_AFTER: Duration = Duration::from_secs(90 * 86_400);
/// For how long a key is published before it signs: longer than anybody is told to keep the keys that were read.
pub const PUBLISHED: Duration = Duration::from_secs(600);
/// The same for a key that does not wait for readers, as the first of its kind: a replica may not know it yet for a second.
pub const KNOWN_AFTER: Duration = Duration::from_secs(2);
const _: () = assert!(ROTATE_AFTER.as_secs() > DAY.as_secs());

/// Whose tokens a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Issuer {
    /// The platform's.
    Platform,
    /// A tenant's.
    Tenant(TenantRef),
}

impl Issuer {
    /// The tenant.
    #[must_use]
    pub const fn tenant(self) -> Option<TenantRef> {
        match self {
            Self::Platform => None,
            Self::Tenant(tenant) => Some(tenant),
        }
    }

    /// What stands for it where keys are stored: the id of the tenant, nil for the platform.
    #[must_use]
    pub fn uuid(self) -> Uuid {
        self.tenant().map_or(Uuid::nil(), |tenant| tenant.id.uuid())
    }
}

impl From<TenantRef> for Issuer {
    fn from(tenant: TenantRef) -> Self {
        Self::Tenant(tenant)
    }
}

/// A signing key; the private part is sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningKey {
    /// Its id; the JWK `kid`.
    pub id: KeyId,
    /// Whose tokens it signs.
    pub issuer: Issuer,
    /// The JWS algorithm (RFC 7518), fixed for the key's life.
    pub algorithm: SigningAlgorithm,
    /// The public part as a JWK (RFC 7517).
    pub public_jwk: String,
    /// The private part, sealed with the master key.
    pub private_sealed: Vec<u8>,
    /// Where it stands.
    pub state: KeyState,
    /// When it was made, and published.
    pub created_at: Timestamp,
    /// When it began to sign.
    pub activated_at: Option<Timestamp>,
    /// When it stopped signing.
    pub retired_at: Option<Timestamp>,
    /// When it stopped verifying.
    pub withdrawn_at: Option<Timestamp>,
    /// Counts the changes.
    pub version: i64,
}

/// Freshly made key material.
#[derive(Debug, Clone)]
pub struct KeyMaterial {
    /// The JWS algorithm.
    pub algorithm: SigningAlgorithm,
    /// The public part as a JWK.
    pub public_jwk: String,
    /// The private part, sealed.
    pub private_sealed: Vec<u8>,
}

impl SigningKey {
    fn changed(self, action: Action, by: &By) -> Changed<Self> {
        let mut resource = Resource::of(ResourceKind::Key, self.id.uuid());
        if let Some(tenant) = self.issuer.tenant() {
            resource = resource.in_tenant(tenant.partner_id, tenant.id);
        }
        let mut fields = Fields::default();
        fields.set("algorithm", self.algorithm);
        Changed::new(self, action, resource, by).with(fields)
    }

    /// Makes a key that signs at once, because there is no other: the first of its kind.
    pub fn create(id: KeyId, issuer: Issuer, material: KeyMaterial, by: &By, now: Timestamp) -> Changed<Self> {
        Self { state: KeyState::Current, activated_at: Some(now), ..Self::new(id, issuer, material, now) }
            .changed(Action::KeyCreated, by)
    }

    /// Makes a key that is published, and signs when it takes the place of the current one.
    pub fn publish(id: KeyId, issuer: Issuer, material: KeyMaterial, by: &By, now: Timestamp) -> Changed<Self> {
        Self::new(id, issuer, material, now).changed(Action::KeyCreated, by)
    }

    fn new(id: KeyId, issuer: Issuer, material: KeyMaterial, now: Timestamp) -> Self {
        Self {
            id,
            issuer,
            algorithm: material.algorithm,
            public_jwk: material.public_jwk,
            private_sealed: material.private_sealed,
            state: KeyState::Next,
            created_at: now,
            activated_at: None,
            retired_at: None,
            withdrawn_at: None,
            version: 0,
        }
    }

    /// Begins to sign.
    pub fn activate(self, by: &By, now: Timestamp) -> Changed<Self> {
        Self { state: KeyState::Current, activated_at: Some(now), ..self }.changed(Action::KeyActivated, by)
    }

    /// From when it may sign: whoever has read the keys before must have read them again.
    #[must_use]
    pub fn signs_from(&self) -> Timestamp {
        self.created_at.plus(PUBLISHED)
    }

    /// Replaces it; what it signed stays valid.
    pub fn retire(self, by: &By, now: Timestamp) -> Changed<Self> {
        Self { state: KeyState::Retired, retired_at: Some(now), ..self }.changed(Action::KeyRetired, by)
    }

    /// Withdraws it; everything it signed is invalid at once.
    pub fn withdraw(self, by: &By, now: Timestamp) -> Changed<Self> {
        Self { state: KeyState::Withdrawn, withdrawn_at: Some(now), ..self }.changed(Action::KeyWithdrawn, by)
    }

    /// Whether it verifies.
    #[must_use]
    pub fn verifies(&self, now: Timestamp) -> bool {
        match self.state {
            KeyState::Current | KeyState::Next => true,
            KeyState::Retired => self.retired_at.is_some_and(|at| now < at.plus(OVERLAP)),
            KeyState::Withdrawn => false,
        }
    }

    /// Which of the keys of an issuer signs with an algorithm: the current one, as soon as every replica knows it. Until
    /// then the one before signs, if it still verifies.
    #[must_use]
    pub fn signer(keys: &[Self], algorithm: SigningAlgorithm, now: Timestamp) -> Option<&Self> {
        let signs = |key: &&Self| key.algorithm == algorithm && key.state != KeyState::Next && key.verifies(now);
        let is_known = |key: &Self| now.since(key.created_at) >= KNOWN_AFTER;
        keys.iter().filter(signs).max_by_key(|key| (is_known(key), key.state == KeyState::Current, key.retired_at))
    }

    /// Which of the keys of an issuer signed with an algorithm until it was gone: none of them does anything any more, and
    /// none that was withdrawn before is among them.
    #[must_use]
    pub fn last_signer(keys: &[Self], algorithm: SigningAlgorithm, gone_at: Timestamp) -> Option<&Self> {
        let went_along = |key: &&Self| key.algorithm == algorithm && key.withdrawn_at.is_some_and(|at| at >= gone_at);
        let signed = |key: &&Self| (key.activated_at.is_some() && key.retired_at.is_none(), key.created_at);
        keys.iter().filter(went_along).max_by_key(signed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{authz::SystemReason, settings::AccessTokenMinutes};

    const NOW: Timestamp = Timestamp::from_micros(1_000_000_000_000);

    fn key() -> SigningKey {
        let material =
            KeyMaterial { algorithm: SigningAlgorithm::Es256, public_jwk: "{}".into(), private_sealed: vec![] };
        SigningKey::create(
            KeyId::from_parts(1, [0; 10]),
            Issuer::Platform,
            material,
            &By::system(SystemReason::Job),
            NOW,
        )
        .into_parts()
        .0
    }

    #[test]
    fn retired_key_verifies_longer_than_any_token_lives() {
        let longest = AccessTokenMinutes::new(15).unwrap().get();
        assert!(OVERLAP > Duration::from_secs(u64::from(longest) * 60 + 60));
        let retired = key().retire(&By::system(SystemReason::Job), NOW).into_parts().0;
        assert!(retired.verifies(NOW.plus(OVERLAP - Duration::from_secs(1))) && !retired.verifies(NOW.plus(OVERLAP)));
    }

    #[test]
    fn withdrawn_key_verifies_nothing() {
        assert!(key().verifies(NOW));
        assert!(!key().withdraw(&By::system(SystemReason::Cli), NOW).into_parts().0.verifies(NOW));
    }

    #[test]
    fn next_key_verifies_before_it_signs() {
        let current = key();
        let material = KeyMaterial { algorithm: current.algorithm, public_jwk: "{}".into(), private_sealed: vec![] };
        let by = By::system(SystemReason::Job);
        let next =
            SigningKey::publish(KeyId::from_parts(2, [0; 10]), Issuer::Platform, material, &by, NOW).into_parts().0;
        assert!(next.verifies(NOW) && next.signs_from() == NOW.plus(PUBLISHED));
        let signer =
            |keys: &[SigningKey], now| SigningKey::signer(keys, SigningAlgorithm::Es256, now).map(|key| key.id);
        assert_eq!(signer(&[current.clone(), next.clone()], NOW.plus(DAY)), Some(current.id));
        assert_eq!(signer(std::slice::from_ref(&next), NOW.plus(DAY)), None);
        let (activated, event) = next.activate(&by, NOW.plus(DAY)).into_parts();
        assert_eq!((event.action, activated.activated_at), (Action::KeyActivated, Some(NOW.plus(DAY))));
        let retired = current.retire(&by, NOW.plus(DAY)).into_parts().0;
        assert_eq!(signer(&[retired, activated.clone()], NOW.plus(DAY)), Some(activated.id));
    }

    #[test]
    fn key_that_does_not_wait_signs_when_every_replica_knows_it_or_there_is_no_other() {
        let (first, by) = (key(), By::system(SystemReason::Job));
        let signer =
            |keys: &[SigningKey], now| SigningKey::signer(keys, SigningAlgorithm::Es256, now).map(|key| key.id);
        assert_eq!(signer(std::slice::from_ref(&first), NOW), Some(first.id));
        let later = NOW.plus(DAY);
        let second = SigningKey { id: KeyId::from_parts(3, [0; 10]), created_at: later, ..first.clone() };
        let retired = first.clone().retire(&by, later).into_parts().0;
        let keys = [second.clone(), retired];
        assert_eq!(signer(&keys, later), Some(first.id));
        assert_eq!(signer(&keys, later.plus(KNOWN_AFTER)), Some(second.id));
        let withdrawn = first.withdraw(&by, later).into_parts().0;
        assert_eq!(signer(&[second.clone(), withdrawn], later), Some(second.id));
        assert_eq!(SigningKey::signer(&keys, SigningAlgorithm::Rs256, later), None);
    }

    #[test]
    fn issuer_that_is_gone_signed_last_with_the_key_that_went_along() {
        let (first, by, gone_at) = (key(), By::system(SystemReason::Job), NOW.plus(DAY));
        let with = |id: u8, state: KeyState, withdrawn_at: Timestamp| SigningKey {
            id: KeyId::from_parts(1, [id; 10]),
            activated_at: (state != KeyState::Next).then_some(NOW),
            retired_at: (state == KeyState::Retired).then_some(NOW),
            ..first.clone().withdraw(&by, withdrawn_at).into_parts().0
        };
        let last =
            |keys: &[SigningKey]| SigningKey::last_signer(keys, SigningAlgorithm::Es256, gone_at).map(|key| key.id);
        let leaked = with(1, KeyState::Current, NOW);
        let [retired, current, next] = [(2, KeyState::Retired), (3, KeyState::Current), (4, KeyState::Next)]
            .map(|(id, was)| with(id, was, gone_at));
        assert_eq!(last(&[next.clone(), retired, leaked.clone(), current.clone()]), Some(current.id));
        assert_eq!(last(&[leaked.clone(), next.clone()]), Some(next.id));
        assert_eq!(last(&[leaked, first]), None);
        assert_eq!(SigningKey::last_signer(&[current], SigningAlgorithm::Rs256, gone_at), None);
    }
}
