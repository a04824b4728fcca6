//! Requests that applications push before a browser brings them (RFC 9126).

use gatehouse_domain::{
    application::{Application, ClientAuthMethod},
    oauth::{PUSHED_LIFETIME, PUSHED_WAITING, Params},
    secret::Secret,
};
use gatehouse_persistence::{PushedRequest, WriteTx};

use crate::{
    app::{
        Error, Result,
        directory::issuers::IssuerFacts,
        oauth::{Authorization, authorization::NotAsked, tokens::AUTH},
        request::{client::RequestMeta, waiting::OFTEN},
    },
    security::{keyring::token_hash, opaque_token},
};

impl Authorization<'_> {
    /// Whether an application that pushes now has so few requests waiting that they need not be counted. One that pushes
    /// often has them counted once in a second, and not with each.
    async fn has_far_fewer(&self, application: &Application) -> Result<bool> {
        let (waiting, pushed) = self.admission.push(application.id);
        if pushed == OFTEN {
            waiting.count(self.db.system(AUTH).pushed_waiting(application.id, self.env.now()).await?);
        }
        Ok(waiting.are_fewer_than(PUSHED_WAITING / 2, pushed))
    }

    /// Keeps a request that an application pushes, which is checked as a whole. Returns what names it.
    ///
    /// # Errors
    /// What is wrong with the request; [`Error::Overloaded`] when too many of the application wait already.
    pub async fn push(
        &self,
        at: &IssuerFacts,
        application: &Application,
        params: &Params,
        meta: &RequestMeta,
    ) -> Result<Secret<String>, NotAsked> {
        if application.metadata.token_endpoint_auth_method == ClientAuthMethod::None {
            self.admission.start(meta.ctx.ip, self.env.now())?;
        }
        let asked = params.to_push(&application.client_id());
        let token = opaque_token::mint_request(self.env);
        // It is read as it will be when it is brought.
        let brought = Params::brought_by(asked.pairs().to_vec(), token.text.expose());
        self.read(at, &brought, meta).await?;
        let plain = serde_json::to_vec(asked.pairs()).map_err(|error| Error::Internal(Box::new(error)))?;
        let request = PushedRequest {
            hash: token.hash,
            tenant_id: at.tenant_id(),
            application_id: application.id,
            sealed: self.keyring.seal_request(at.issuer(), &plain),
            expires_at: self.env.now().plus(PUSHED_LIFETIME),
        };
        let few = self.has_far_fewer(application).await?;
        let work = async move |tx: &WriteTx<'_>| Ok::<_, Error>(tx.system(AUTH).push_request(&request, few).await?);
        match self.db.write(meta.ctx.clone(), work).await? {
            true => Ok(token.text),
            false => Err(Error::Overloaded.into()),
        }
    }

    /// The parameters of a request: those that were pushed, where a browser brings a name of these. None where it names
    /// nothing that its application pushed of late.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn brought(&self, at: &IssuerFacts, params: &Params) -> Result<Option<Params>> {
        let Some(token) = params.pushed() else { return Ok(Some(params.clone())) };
        let found = self.db.system(AUTH).pushed_request(token_hash(token), self.env.now()).await?;
        let Some(request) = found.filter(|request| request.tenant_id == at.tenant_id()) else { return Ok(None) };
        let plain = self.keyring.open_request(at.issuer(), &request.sealed).ok();
        let pairs = plain.and_then(|plain| serde_json::from_slice(&plain).ok());
        let pushed = pairs.map(|pairs| Params::brought_by(pairs, token));
        let client_id = params.get("client_id").filter(|_| !params.repeats("client_id"));
        Ok(pushed.filter(|pushed| client_id.is_some() && pushed.get("client_id") == client_id))
    }

    /// Uses up the pushed request that was brought, if one was: it is answered without a code.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn use_up_pushed(&self, params: &Params, meta: &RequestMeta) -> Result<()> {
        let Some(hash) = params.pushed().map(token_hash) else { return Ok(()) };
        let work =
            async move |tx: &WriteTx<'_>| Ok::<_, Error>(tx.system(AUTH).spend_pushed_request(hash).await.map(drop)?);
        self.db.write(meta.ctx.clone(), work).await
    }
}
