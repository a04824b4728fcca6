//! Signing keys: for each algorithm one that signs and one that signs next, replaced by age, withdrawn by an operator.

use gatehouse_domain::{
    application::SigningAlgorithm,
    authz::{By, SystemReason},
    change::Changed,
    id::KeyId,
    key::{Issuer, KeyState, ROTATE_AFTER, SigningKey},
};
use gatehouse_persistence::{ChangeContext, Error as Storage, WriteTx};
use serde::Serialize;
use serde_json::json;

use crate::{
    app::{Error, Result, platform::Keys},
    security::{
        key_pair::{KeyPair, published},
        token::BadKey,
    },
};

const SIGNING: SystemReason = SystemReason::Authentication;

/// When the next key may begin to sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// When it was published for long enough.
    Published,
    /// Whoever has read the keys before or not.
    AtOnce,
}

/// The keys of an issuer with one algorithm, of which one signs.
struct Pair {
    current: Option<SigningKey>,
    next: Option<SigningKey>,
}

impl Keys<'_> {
    fn sealed(&self, issuer: Issuer, pair: KeyPair, by: &By, signs: bool) -> Changed<SigningKey> {
        let id = self.env.id(KeyId::from_parts);
        let material = self.tokens.seal(issuer, id, pair);
        let make = if signs { SigningKey::create } else { SigningKey::publish };
        make(id, issuer, material, by, self.env.now())
    }

    /// A new key. Those of RS256 take a while, so they are made where nobody waits for the thread.
    async fn generate(
        &self,
        issuer: Issuer,
        algorithm: SigningAlgorithm,
        by: &By,
        signs: bool,
    ) -> Result<Changed<SigningKey>> {
        let pair = tokio::task::spawn_blocking(move || KeyPair::generate(algorithm)).await;
        let pair = pair.map_err(|error| Error::Internal(Box::new(error)))??;
        Ok(self.sealed(issuer, pair, by, signs))
    }

    /// The first keys of an issuer, for access tokens; to be inserted.
    pub(crate) fn new_keys(&self, issuer: Issuer, by: &By) -> Result<Vec<Changed<SigningKey>>> {
        let pair = || KeyPair::generate(SigningAlgorithm::Es256);
        Ok(vec![self.sealed(issuer, pair()?, by, true), self.sealed(issuer, pair()?, by, false)])
    }

    /// Makes sure that an issuer has keys of an algorithm, because an application asks for it: once, whoever asks at the
    /// same time.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn ensure(&self, issuer: Issuer, algorithm: SigningAlgorithm, by: &By, ctx: ChangeContext) -> Result<()> {
        let has_one = async || Ok::<_, Error>(self.pair(issuer, algorithm, SIGNING).await?.current.is_some());
        if has_one().await? {
            return Ok(());
        }
        let _others_wait = self.making.lock().await;
        if has_one().await? {
            return Ok(());
        }
        let keys =
            vec![self.generate(issuer, algorithm, by, true).await?, self.generate(issuer, algorithm, by, false).await?];
        let work =
            async move |tx: &WriteTx<'_>| Ok::<_, Error>(tx.system(SIGNING).insert_many(keys.clone()).await.map(drop)?);
        but_for_another(self.db.write(ctx, work).await).map(drop)
    }

    /// Signs claims as a JWT of a type, for an issuer with an algorithm; `known` are its keys that verify. Keys are made if
    /// there are none; who can foresee that lets [`Self::ensure`] do so earlier, so that they are published everywhere.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn sign(
        &self,
        issuer: Issuer,
        known: &[SigningKey],
        algorithm: SigningAlgorithm,
        typ: &str,
        claims: &impl Serialize,
    ) -> Result<String> {
        if let Some(key) = SigningKey::signer(known, algorithm, self.env.now()) {
            return Ok(self.tokens.sign(key, typ, claims)?);
        }
        Ok(self.tokens.sign(&self.made(issuer, algorithm).await?, typ, claims)?)
    }

    /// The key that signs for an issuer with an algorithm; as in [`Self::sign`].
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub(crate) async fn signer(
        &self,
        issuer: Issuer,
        known: &[SigningKey],
        algorithm: SigningAlgorithm,
    ) -> Result<SigningKey> {
        match SigningKey::signer(known, algorithm, self.env.now()) {
            Some(key) => Ok(key.clone()),
            None => self.made(issuer, algorithm).await,
        }
    }

    /// Signs claims as a JWT of a type with a key.
    ///
    /// # Errors
    /// [`BadKey`] when the key cannot be opened.
    pub(crate) fn sign_with(&self, key: &SigningKey, typ: &str, claims: &impl Serialize) -> Result<String, BadKey> {
        self.tokens.sign(key, typ, claims)
    }

    /// The key that signs for an issuer with an algorithm, which is made if there is none.
    async fn made(&self, issuer: Issuer, algorithm: SigningAlgorithm) -> Result<SigningKey> {
        self.ensure(issuer, algorithm, &self.db.system(SIGNING).by(), self.env.ctx()).await?;
        let made = self.pair(issuer, algorithm, SIGNING).await?.current;
        made.ok_or_else(|| Error::Internal("the issuer has no signing key".into()))
    }

    /// The keys of an issuer, newest first, at most 100.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn list(&self, issuer: Issuer, reason: SystemReason) -> Result<Vec<SigningKey>> {
        Ok(self.db.system(reason).keys(issuer).await?)
    }

    /// The keys of an issuer that everybody may know, as a JWK set (RFC 7517): those that verify, and those that sign next.
    #[must_use]
    pub fn published(&self, known: &[SigningKey]) -> String {
        let now = self.env.now();
        let keys = known.iter().filter(|key| key.verifies(now));
        let keys: Vec<_> = keys.map(|key| published(&key.public_jwk, &key.id.to_string(), key.algorithm)).collect();
        json!({ "keys": keys }).to_string()
    }

    async fn pair(&self, issuer: Issuer, algorithm: SigningAlgorithm, reason: SystemReason) -> Result<Pair> {
        let keys = self.db.system(reason).signing_keys(issuer, algorithm).await?;
        let in_state = |state| keys.iter().find(|key| key.state == state).cloned();
        Ok(Pair { current: in_state(KeyState::Current), next: in_state(KeyState::Next) })
    }

    /// Lets an issuer's next key sign, and publishes another. Tokens that the one before signed stay valid until they
    /// expire.
    ///
    /// # Errors
    /// [`Error::NotFound`] when it has none of the algorithm, [`Error::Conflict`] when the next one was not
    /// published for long enough, [`Error::Stale`] when it was replaced meanwhile.
    pub async fn rotate(
        &self,
        issuer: Issuer,
        algorithm: SigningAlgorithm,
        when: Activation,
        reason: SystemReason,
    ) -> Result<SigningKey> {
        let Pair { current, next } = self.pair(issuer, algorithm, reason).await?;
        let (current, now) = (current.ok_or(Error::NotFound)?, self.env.now());
        if when == Activation::Published {
            let from = next.as_ref().map(SigningKey::signs_from);
            match from {
                Some(from) if from <= now => {}
                Some(from) => return Err(Error::Conflict(format!("The next key can sign from {from}.").into())),
                None => return Err(Error::Conflict("The next key is not published yet.".into())),
            }
        }
        let by = self.db.system(reason).by();
        self.replace(issuer, current.retire(&by, now), next, reason).await.map(|(_, signing)| signing)
    }

    /// Stores what has become of a key that signed; lets the next one sign, or a new one where there is none, and
    /// publishes another.
    async fn replace(
        &self,
        issuer: Issuer,
        former: Changed<SigningKey>,
        next: Option<SigningKey>,
        reason: SystemReason,
    ) -> Result<(SigningKey, SigningKey)> {
        let (by, algorithm) = (self.db.system(reason).by(), former.value().algorithm);
        let published = self.generate(issuer, algorithm, &by, false).await?;
        let first = if next.is_none() { Some(self.generate(issuer, algorithm, &by, true).await?) } else { None };
        let activated = next.map(|next| next.activate(&by, self.env.now()));
        let work = async move |tx: &WriteTx<'_>| {
            let system = tx.system(reason);
            let former = system.update(former.clone()).await?;
            let signing = match (&activated, &first) {
                (Some(next), _) => system.update(next.clone()).await?,
                (None, Some(first)) => system.insert(first.clone()).await?,
                (None, None) => return Err(Error::NotFound),
            };
            system.insert(published.clone()).await?;
            Ok((former, signing))
        };
        self.db.write(self.env.ctx(), work).await
    }

    /// Withdraws a key: everything it signed is invalid at once. One that signs, or will next, is replaced in the same
    /// step.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such key, [`Error::Stale`] when it was changed meanwhile.
    pub async fn withdraw(&self, id: KeyId, reason: SystemReason) -> Result<SigningKey> {
        let key = self.db.system(reason).key(id).await?.ok_or(Error::NotFound)?;
        let by = self.db.system(reason).by();
        let (issuer, state, algorithm) = (key.issuer, key.state, key.algorithm);
        let replacement = match state {
            KeyState::Withdrawn => return Ok(key),
            KeyState::Current => {
                let next = self.pair(issuer, algorithm, reason).await?.next;
                let withdrawn = key.withdraw(&by, self.env.now());
                return self.replace(issuer, withdrawn, next, reason).await.map(|(withdrawn, _)| withdrawn);
            }
            KeyState::Next => Some(self.generate(issuer, algorithm, &by, false).await?),
            KeyState::Retired => None,
        };
        let withdrawn = key.withdraw(&by, self.env.now());
        let work = async move |tx: &WriteTx<'_>| {
            let key = tx.system(reason).update(withdrawn.clone()).await?;
            if let Some(replacement) = &replacement {
                tx.system(reason).insert(replacement.clone()).await?;
            }
            Ok::<_, Error>(key)
        };
        self.db.write(self.env.ctx(), work).await
    }

    /// Replaces keys that have come of age, and publishes what is missing to take the place of others; returns how many
    /// were replaced.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn rotate_due(&self) -> Result<usize> {
        const JOB: SystemReason = SystemReason::Job;
        // An installation of before has none for the platform.
        self.ensure(Issuer::Platform, SigningAlgorithm::Es256, &self.db.system(JOB).by(), self.env.ctx()).await?;
        for (issuer, algorithm) in self.db.system(JOB).without_next_key().await? {
            let published = self.generate(issuer, algorithm, &self.db.system(JOB).by(), false).await?;
            let work =
                async move |tx: &WriteTx<'_>| Ok::<_, Error>(tx.system(JOB).insert(published.clone()).await.map(drop)?);
            but_for_another(self.db.write(self.env.ctx(), work).await)?;
        }
        let due = self.db.system(JOB).keys_older_than(self.env.now().minus(ROTATE_AFTER)).await?;
        let mut rotated = 0;
        for key in due {
            let replaced = self.rotate(key.issuer, key.algorithm, Activation::Published, JOB).await;
            rotated += usize::from(but_for_another(replaced)?.is_some());
        }
        Ok(rotated)
    }
}

/// Nothing, where another replica was faster, or it is too early.
fn but_for_another<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Error::Stale | Error::NotFound | Error::Conflict(_)) => Ok(None),
        Err(Error::Internal(error)) if matches!(error.downcast_ref(), Some(Storage::Conflict(_))) => Ok(None),
        Err(error) => Err(error),
    }
}
