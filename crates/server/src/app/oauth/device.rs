//! Devices without a browser (RFC 8628): they wait here until somebody has signed them in elsewhere.
//!
//! A device that asks costs two statements while nobody has answered, and six when it gets its tokens.

use std::time::Duration;

use gatehouse_domain::{
    application::Application,
    id::FamilyId,
    key::Issuer,
    oauth::{
        ClaimsRequest, DEVICE_LIFETIME, DeviceAnswer, DeviceRequest, ErrorCode, NewDeviceRequest, NewFamily, Params,
        Polled, TokenFamily, Unanswerable, UserCode,
    },
    partner::Status,
    secret::Secret,
    session::{Session, SessionKind},
    settings::Policy,
    time::Timestamp,
};
use gatehouse_persistence::{Error as Storage, Exchanged, SessionState, WriteTx};

use crate::{
    app::{
        App, Error, Result,
        directory::issuers::IssuerFacts,
        oauth::{
            Authorization, NotGiven, TokenEndpoint,
            authorization::{Asked, NotAsked},
            issue::{Issued, Of, OfUser},
            key_proof::KeyProof,
            own_session::Beginning,
            tokens::{AUTH, Asking},
        },
        request::client::RequestMeta,
    },
    security::opaque_token,
};

/// How often another code is made when somebody else's device shows the same.
const ROUNDS: usize = 5;

/// What a device is given that waits.
#[derive(Debug)]
pub struct Waits {
    /// What it asks with.
    pub device_code: Secret<String>,
    /// What it shows.
    pub user_code: UserCode,
    /// How long it may wait.
    pub lifetime: Duration,
    /// The time that it lets pass between two questions.
    pub interval: Duration,
}

impl TokenEndpoint<'_> {
    /// Has a device of an application wait.
    ///
    /// # Errors
    /// What the application is told; [`Error::Overloaded`] when too many of its devices wait already.
    pub async fn await_device(
        &self,
        at: &IssuerFacts,
        application: &Application,
        params: &Params,
        meta: &RequestMeta,
    ) -> Result<Waits, NotGiven> {
        if !at.is_active() {
            return Err(NotGiven::invalid_grant("the tenant is suspended"));
        }
        let now = self.env.now();
        self.admission.start(meta.ctx.ip, now)?;
        let api = match params.get("resource") {
            Some(uri) => self.clients.api(at, uri).await?,
            None => None,
        };
        for _ in 0..ROUNDS {
            let Some(user_code) = UserCode::of(&self.env.random::<64>()) else { continue };
            let token = opaque_token::mint_device_code(self.keyring, self.env);
            let new =
                NewDeviceRequest { hash: token.hash, user_code, issuer: at.issuer(), application, ip: meta.ctx.ip };
            let request = DeviceRequest::start(new, params, api.as_deref(), now).map_err(NotGiven::Fault)?;
            let (user_code, interval) = (request.user_code.clone(), request.interval);
            let work = async move |tx: &WriteTx<'_>| tx.system(AUTH).await_device(&request).await;
            match self.db.write(meta.ctx.clone(), work).await {
                Ok(true) => {
                    return Ok(Waits { device_code: token.text, user_code, lifetime: DEVICE_LIFETIME, interval });
                }
                Ok(false) => return Err(Error::Overloaded.into()),
                Err(Storage::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::Overloaded.into())
    }

    /// Gives a device its tokens, once somebody has signed it in.
    pub(super) async fn device(&self, asking: &Asking<'_>) -> Result<Issued, NotGiven> {
        let &Asking { at, application, params, meta, .. } = asking;
        let missing = NotGiven::fault(ErrorCode::InvalidRequest, "device_code is missing");
        let text = params.get("device_code").ok_or(missing)?;
        let unknown = || NotGiven::invalid_grant("the device code is none of ours");
        let hash = opaque_token::read_device_code(self.keyring, text).ok_or_else(unknown)?;
        let now = self.env.now();
        let found = self.db.system(AUTH).device_state(hash, now).await?;
        let (request, state) = found.filter(|(request, _)| request.is_at(at.issuer())).ok_or_else(unknown)?;
        let verdict = request.judge(application, now);
        match verdict {
            Polled::Refused(fault) => return Err(NotGiven::Fault(fault)),
            Polled::Pending | Polled::TooSoon => {
                let polled = request.polled(verdict, now);
                let work = async move |tx: &WriteTx<'_>| tx.system(AUTH).device_polled(&polled).await;
                self.db.write::<_, Storage, _>(meta.ctx.clone(), work).await?;
                return Err(match verdict {
                    Polled::TooSoon => NotGiven::fault(ErrorCode::SlowDown, "the device asks too often"),
                    _ => NotGiven::fault(ErrorCode::AuthorizationPending, "nobody has signed the device in yet"),
                });
            }
            Polled::Exchange => {}
        }
        request.audience.agrees(params).map_err(NotGiven::Fault)?;
        let state = state.ok_or_else(unknown)?;
        let home = self.home(at, &state, now).await?;
        let policy = &home.layers().policy(self.defaults);
        let used = NotGiven::invalid_grant("the device code has been used, or the session of its user has ended");
        Box::pin(self.sign_device_in(asking, policy, &request, &state, now)).await?.ok_or(used)
    }

    async fn sign_device_in(
        &self,
        asking: &Asking<'_>,
        policy: &Policy,
        request: &DeviceRequest,
        state: &SessionState,
        now: Timestamp,
    ) -> Result<Option<Issued>, NotGiven> {
        let &Asking { at, application, proof, meta, .. } = asking;
        let scopes = self.clients.still_allowed(at, application, &request.audience, &request.scopes).await?;
        let session = self.own_session(SessionKind::Device, application, state, policy, meta, now);
        let (under, family_id) = (session.value(), self.env.id(FamilyId::from_parts));
        let refresh = opaque_token::mint_of_family(self.keyring, self.env, family_id, 0);
        let new = NewFamily {
            id: family_id,
            sid: under.id,
            scopes: &request.scopes,
            claims: &ClaimsRequest::default(),
            audience: &request.audience,
            session: under,
            application,
            auth_time: state.session.authenticated_at,
            dpop_jkt: proof.map(KeyProof::key),
            refresh_hash: refresh.hash,
        };
        let family = TokenFamily::start(&new, policy, now);
        let of = Of { at, application, policy, audience: &request.audience, scopes, proof };
        let (family_now, refresh_token) = (family.value(), Some(&refresh.text));
        let user = OfUser { state, session: under, family: family_now, nonce: None, refresh_token };
        let issued = self.issue(&of, &user, meta, now).await?;
        let exchanged = Exchanged::Device(request.hash);
        let is_stored =
            self.begin_own(Beginning { session, family, application, state, policy, exchanged }, meta).await?;
        Ok(is_stored.then_some(issued))
    }
}

impl App {
    /// Where a device is, as far as its address tells.
    #[must_use]
    pub fn place_of(&self, request: &DeviceRequest) -> Option<String> {
        self.clients.describe(request.ip, None, None).location
    }
}

impl Authorization<'_> {
    /// What a device asks for that shows a code.
    ///
    /// # Errors
    /// [`Unanswerable::CodeUnknown`] when it does not wait any more, and others.
    pub(super) async fn read_device(&self, at: &IssuerFacts, code: &UserCode) -> Result<Asked, NotAsked> {
        let nowhere = |why| Err(NotAsked::Unanswerable(why));
        let found = self.db.system(AUTH).device_request(code).await.map_err(Error::from)?;
        let waiting = found.filter(|it| it.waits(self.env.now()) && it.is_at(at.issuer()));
        let Some(device) = waiting else { return nowhere(Unanswerable::CodeUnknown) };
        let application = self.clients.application(at, &device.application_id.to_string()).await?;
        let Some(application) = application else { return nowhere(Unanswerable::ApplicationUnknown) };
        if application.status != Status::Active {
            return nowhere(Unanswerable::ApplicationSuspended);
        }
        let api = match device.audience.resource() {
            Some(uri) => self.clients.api(at, uri).await?,
            None => None,
        };
        Ok(Asked { application, api, request: device.as_request(), expected: None, device: Some(device) })
    }

    /// The device of an issuer, or of any, that shows a code and still waits. Whoever tries codes that no device shows is
    /// held up, by address and by browser.
    ///
    /// # Errors
    /// [`Error::RateLimited`], [`Error::Unavailable`].
    pub async fn device(
        &self,
        code: Option<&UserCode>,
        issuer: Option<Issuer>,
        browser: &str,
        meta: &RequestMeta,
    ) -> Result<Option<DeviceRequest>> {
        let now = self.env.now();
        let tried = self.admission.try_user_code(meta.ctx.ip, browser, now)?;
        let found = match code {
            Some(code) => self.db.system(AUTH).device_request(code).await?,
            None => None,
        };
        let found = found.filter(|request| request.waits(now) && issuer.is_none_or(|issuer| request.is_at(issuer)));
        if found.is_some() {
            self.admission.was_right(tried);
        }
        Ok(found)
    }

    /// What a device waits for, on behalf of the session that opens it, if no other one has.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn open_device(&self, request: &DeviceRequest, session: &Session, meta: &RequestMeta) -> Result<bool> {
        let (request, session) = (request.clone(), session.clone());
        let work = async move |tx: &WriteTx<'_>| Ok::<_, Error>(tx.system(AUTH).open_device(&request, &session).await?);
        self.db.write(meta.ctx.clone(), work).await
    }

    /// Leaves it to another session of the same browser.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn leave_device(&self, request: &DeviceRequest, session: &Session, meta: &RequestMeta) -> Result<bool> {
        let (request, session) = (request.clone(), session.clone());
        let work =
            async move |tx: &WriteTx<'_>| Ok::<_, Error>(tx.system(AUTH).leave_device(&request, &session).await?);
        self.db.write(meta.ctx.clone(), work).await
    }

    /// Answers for the user of the session that opened it; whether nobody had.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn answer_device(
        &self,
        request: &DeviceRequest,
        answer: DeviceAnswer,
        session: &Session,
        meta: &RequestMeta,
    ) -> Result<bool> {
        let (request, session) = (request.clone(), session.clone());
        let work = async move |tx: &WriteTx<'_>| {
            let answered = request.clone().answer(answer, &session);
            Ok::<_, Error>(tx.system(AUTH).answer_device(answered, &session).await?)
        };
        self.db.write(meta.ctx.clone(), work).await
    }
}
