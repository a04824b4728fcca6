//! Signing keys of tenants and their lifecycle: current → retired → gone, or withdrawn at any time.

use std::time::Duration;

use crate::{
    audit::{Action, Fields, Resource, ResourceKind},
    authz::{By, TenantRef},
    change::Changed,
    id::{KeyId, PartnerId, TenantId},
    time::{DAY, HOUR, Timestamp},
    word::words,
};

words! {
    /// Where a key stands.
    KeyState {
        /// Signs and verifies. A tenant has exactly one.
        Current = "current",
        /// Verifies what it signed, until the last of that has expired.
        Retired = "retired",
        /// Does nothing any more.
        Withdrawn = "withdrawn",
    }
}

/// How long a retired key goes on verifying: longer than any access token lives.
pub const OVERLAP: Duration = HOUR;
/// For how long a key is there before it signs: a replica may not know it yet for a second.
pub const KNOWN_AFTER: Duration = Duration::from_secs(2);
/// How old a key gets before it is replaced.
pub const ROTATE_AFTER: Duration = Duration::from_secs(90 * 86_400);
const _: () = assert!(ROTATE_AFTER.as_secs() > DAY.as_secs());

/// A signing key; the private part is sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningKey {
    /// Its id; the JWK `kid`.
    pub id: KeyId,
    /// The tenant it signs for.
    pub tenant_id: TenantId,
    /// The partner of that tenant.
    pub partner_id: PartnerId,
    /// The JWS algorithm (RFC 7518), fixed for the key's life.
    pub algorithm: String,
    /// The public part as a JWK (RFC 7517).
    pub public_jwk: String,
    /// The private part, sealed with the master key.
    pub private_sealed: Vec<u8>,
    /// Where it stands.
    pub state: KeyState,
    /// When it was made.
    pub created_at: Timestamp,
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
    pub algorithm: String,
    /// The public part as a JWK.
    pub public_jwk: String,
    /// The private part, sealed.
    pub private_sealed: Vec<u8>,
}

impl SigningKey {
    fn changed(self, action: Action, by: &By) -> Changed<Self> {
        let resource = Resource::of(ResourceKind::Key, self.id.uuid()).in_tenant(self.partner_id, self.tenant_id);
        let mut fields = Fields::default();
        fields.set("algorithm", &self.algorithm);
        Changed::new(self, action, resource, by).with(fields)
    }

    /// Makes a tenant's current key.
    pub fn create(id: KeyId, tenant: TenantRef, material: KeyMaterial, by: &By, now: Timestamp) -> Changed<Self> {
        Self {
            id,
            tenant_id: tenant.id,
            partner_id: tenant.partner_id,
            algorithm: material.algorithm,
            public_jwk: material.public_jwk,
            private_sealed: material.private_sealed,
            state: KeyState::Current,
            created_at: now,
            retired_at: None,
            withdrawn_at: None,
            version: 0,
        }
        .changed(Action::KeyCreated, by)
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
            KeyState::Current => true,
            KeyState::Retired => self.retired_at.is_some_and(|at| now < at.plus(OVERLAP)),
            KeyState::Withdrawn => false,
        }
    }

    /// Which of the keys of a tenant signs: the newest that every replica knows. Where there is none, as after a key was
    /// withdrawn, the newest.
    #[must_use]
    pub fn signer(keys: &[Self], now: Timestamp) -> Option<&Self> {
        let is_known = |key: &&Self| key.verifies(now) && now.since(key.created_at) >= KNOWN_AFTER;
        keys.iter()
            .filter(is_known)
            .max_by_key(|key| (key.created_at, key.state == KeyState::Current))
            .or_else(|| keys.iter().find(|key| key.verifies(now)))
    }

    /// Whether it is old enough to be replaced.
    #[must_use]
    pub fn due(&self, now: Timestamp) -> bool {
        self.state == KeyState::Current && now.since(self.created_at) >= ROTATE_AFTER
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{authz::SystemReason, settings::AccessTokenMinutes};

    const NOW: Timestamp = Timestamp::from_micros(1_000_000_000_000);

    fn key() -> SigningKey {
        let tenant = TenantRef { id: TenantId::from_parts(1, [0; 10]), partner_id: PartnerId::from_parts(1, [0; 10]) };
        let material = KeyMaterial { algorithm: "ES256".into(), public_jwk: "{}".into(), private_sealed: vec![] };
        SigningKey::create(KeyId::from_parts(1, [0; 10]), tenant, material, &By::system(SystemReason::Job), NOW)
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
    fn key_is_due_after_ninety_days() {
        assert!(!key().due(NOW.plus(DAY * 89)) && key().due(NOW.plus(DAY * 90)));
    }
}
