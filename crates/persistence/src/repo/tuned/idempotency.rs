//! Requests that may have been sent before.

use gatehouse_domain::authz::ActorId;
use sea_orm::QueryResult;

use crate::{
    error::{Error, Result},
    repo::{
        idempotency::{EarlierRequest, IdempotencyKey},
        list::signed,
    },
    scope::system::System,
};

impl System<'_> {
    /// The answer that is kept for a request, and how many are kept for whoever asks; what is older does not count.
    pub(in crate::repo) async fn earlier_request_row(&self, key: &IdempotencyKey, since: i64) -> Result<QueryResult> {
        // Text: a count up to a limit beside a row, in one exchange for every change that is asked for. Plan:
        // `signing_in_and_being_known_are_found_by_an_index`.
        let mut sql = self.unscoped(
            "SELECT k.fingerprint, k.answer, c.n FROM (SELECT COUNT(*) AS n FROM (SELECT 1 FROM idempotency_keys WHERE tenant_id = ",
        );
        let caller = match key.actor {
            ActorId::User(_) => " AND user_id = ",
            ActorId::Application(_) => " AND application_id = ",
        };
        sql.bind(key.tenant.uuid()).push(caller).bind(key.actor.uuid());
        sql.push(" AND kept_at > ").bind(since).push(" LIMIT ").bind(signed(EarlierRequest::MOST));
        sql.push(") live) c LEFT JOIN idempotency_keys k ON k.key_hash = ").bind(key.key.to_vec());
        sql.push(" AND k.kept_at > ").bind(since);
        sql.one(self.exec).await?.ok_or(Error::Corrupt("count"))
    }
}
