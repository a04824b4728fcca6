//! What the check of the audit trail asks of several tables at once.

use sea_orm::FromQueryResult;
use uuid::Uuid;

use crate::{
    error::Result,
    repo::{
        audit_chain::{number, uuid},
        audit_root::Past,
        audit_verify::Check,
        list::signed,
    },
};

impl Check<'_> {
    /// The first tenant behind another one for which there is anything.
    pub(crate) async fn tenant_behind(&self, last: Option<Uuid>) -> Result<Option<Uuid>> {
        // Text: SQLite takes a LIMIT inside of a UNION only in a subquery. Plan:
        // `what_is_swept_and_purged_is_found_by_an_index`.
        let mut sql = self.system.unscoped("SELECT tenant_id FROM (");
        for (i, table) in ["audit_chains", "audit_seals", "audit_events"].into_iter().enumerate() {
            sql.push(if i == 0 { "" } else { " UNION ALL " }).push("SELECT * FROM (SELECT tenant_id FROM ").push(table);
            sql.push(" WHERE tenant_id ").push(if last.is_some() { "> " } else { ">= " });
            sql.bind(last.unwrap_or_default()).push(" ORDER BY tenant_id LIMIT 1) first_");
            sql.push(table);
        }
        sql.push(") tenants ORDER BY tenant_id LIMIT 1");
        let next = sql.all(self.system.exec).await?.first().map(|row| uuid(row, "tenant_id"));
        Ok(next.filter(|next| last.is_none_or(|last| *next > last)))
    }

    /// The numbers of the first seals of a tenant that are outside of its chain.
    pub(in crate::repo) async fn seals_of_no_chain(&self, id: Uuid, most: usize) -> Result<Vec<i64>> {
        // Text: a UNION, as an OR would read every seal of the tenant. Plan: `what_is_swept_and_purged_is_found_by_an_index`.
        let mut sql = self.system.unscoped("");
        for (i, (beyond, none)) in [("s.seq <= ", "cut_seq"), ("s.seq > ", "seq")].into_iter().enumerate() {
            sql.push(if i == 0 { "" } else { " UNION ALL " })
                .push("SELECT s.seq FROM audit_seals s WHERE s.tenant_id = ");
            sql.bind(id).push(" AND ").push(beyond).push("COALESCE((SELECT c.").push(none);
            sql.push(" FROM audit_chains c WHERE c.tenant_id = ").bind(id).push("), 0)");
        }
        sql.push(" LIMIT ").bind(signed(most as u64));
        Ok(sql.all(self.system.exec).await?.iter().map(|row| number(row, "seq")).collect())
    }

    /// Roots that are kept and that the root says are none of its past.
    pub(in crate::repo) async fn roots_of_no_history(&self) -> Result<Vec<Past>> {
        // Text: a UNION, as an OR would read every root. Plan: `what_is_swept_and_purged_is_found_by_an_index`.
        let mut sql = self.system.unscoped("SELECT h.* FROM audit_roots h, audit_root r WHERE h.version > r.version");
        sql.push(" UNION ALL SELECT h.* FROM audit_roots h, audit_root r WHERE h.version <= r.cut_version LIMIT 20");
        let rows = sql.all(self.system.exec).await?;
        Ok(rows.iter().map(|row| Past::from_query_result(row, "")).collect::<Result<_, _>>()?)
    }
}
