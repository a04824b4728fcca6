//! Codes and families with the session that they are in.

use gatehouse_domain::{
    id::FamilyId,
    oauth::{AuthorizationCode, TokenFamily},
    secret::TokenHash,
    time::Timestamp,
};
use sea_orm::FromQueryResult;

use crate::{
    entity::{authorization_code, token_family},
    error::{Error, Result},
    repo::{
        authorization_code::domain,
        list::Stored,
        sql::{CODE, FAMILY},
        tuned::login::{SessionState, session_state},
    },
    scope::system::System,
};

const CODE_JOIN: &str = " JOIN authorization_codes c ON c.tenant_id = s.tenant_id AND c.session_id = s.id";
const FAMILY_JOIN: &str = " JOIN token_families f ON f.tenant_id = s.tenant_id AND f.session_id = s.id";

impl System<'_> {
    /// A code with its session, user and roles, in one statement.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn code_state(
        &self,
        hash: TokenHash,
        now: Timestamp,
    ) -> Result<Option<(AuthorizationCode, SessionState)>> {
        let columns = format!("{}, ", *CODE);
        let rows = self.state_rows(&columns, CODE_JOIN, ("c.digest", hash.as_bytes().to_vec().into())).await?;
        let Some(first) = rows.first() else { return Ok(None) };
        let code = domain(authorization_code::Model::from_query_result(first, "c_")?)?;
        Ok(Some((code, session_state(&rows, now)?.ok_or(Error::Corrupt("code"))?)))
    }

    /// A family with its session, user and roles, in one statement.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn family_state(&self, id: FamilyId, now: Timestamp) -> Result<Option<(TokenFamily, SessionState)>> {
        let columns = format!("{}, ", *FAMILY);
        let rows = self.state_rows(&columns, FAMILY_JOIN, ("f.id", id.uuid().into())).await?;
        let Some(first) = rows.first() else { return Ok(None) };
        let family = TokenFamily::read(token_family::Model::from_query_result(first, "f_")?)?;
        Ok(Some((family, session_state(&rows, now)?.ok_or(Error::Corrupt("family"))?)))
    }
}
