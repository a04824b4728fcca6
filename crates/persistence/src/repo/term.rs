//! The terms that users, applications, tenants and partners are found by. A search is a range of one index for each of its words.

use gatehouse_domain::{
    authz::Reach,
    id::{PartnerId, TenantId, UserId},
    search::Search,
};
use sea_orm::{
    Condition, ConnectionTrait, ExprTrait, QuerySelect, QueryTrait, Select,
    sea_query::{Expr, OnConflict, Order, Query, SelectStatement},
};
use uuid::Uuid;

use crate::{
    db::WriteTx,
    entity::{application, tenant, user},
    error::{Error, Result},
    repo::{Row, list::any, sql::power_of_two},
    scope::{
        Owned, Scope,
        system::{System, WriteSystem},
    },
};

/// What something is found by, and where that is kept.
pub type Terms = (TermTable, Vec<String>);

/// Terms that one statement stores at most, as a power of two.
const MOST_AT_ONCE: u32 = 10;

/// Whose a term is.
#[derive(Clone, Copy)]
struct Owner {
    id: Uuid,
    tenant: Option<Uuid>,
}

/// Where the terms of a kind of things are kept.
#[derive(Debug, Clone, Copy)]
pub struct TermTable {
    name: &'static str,
    id: &'static str,
    of_tenant: bool,
}

pub(crate) const USER_TERMS: TermTable = TermTable { name: "user_terms", id: "user_id", of_tenant: true };
pub(crate) const APPLICATION_TERMS: TermTable =
    TermTable { name: "application_terms", id: "application_id", of_tenant: false };
pub(crate) const TENANT_TERMS: TermTable = TermTable { name: "tenant_terms", id: "tenant_id", of_tenant: false };
pub(crate) const PARTNER_TERMS: TermTable = TermTable { name: "partner_terms", id: "partner_id", of_tenant: false };

impl TermTable {
    /// The ids of what has a term with this beginning.
    fn beginning(self, prefix: &str) -> SelectStatement {
        // No byte of UTF-8 is 0xff, so it comes after whatever the prefix can go on with.
        let (from, to) = (prefix.as_bytes().to_vec(), [prefix.as_bytes(), &[0xff]].concat());
        let mut found = Query::select();
        found.column(self.id).from(self.name);
        found.and_where(Expr::col("term").gte(from)).and_where(Expr::col("term").lt(to));
        found
    }

    /// The condition that something of this kind is found.
    fn finds<E: Owned>(self, search: &Search, within: Option<&SelectStatement>) -> Condition {
        search.prefixes().fold(Condition::all(), |all, prefix| {
            let mut found = self.beginning(prefix);
            if let Some(tenants) = within {
                found.and_where(Expr::col("tenant_id").in_subquery(tenants.clone()));
            }
            all.add(Expr::col((E::default(), E::id())).in_subquery(found))
        })
    }
}

/// Those tenants or partners that are found, or all where nothing is searched for.
pub(crate) fn found<E: Owned>(select: Select<E>, terms: TermTable, search: Option<&Search>) -> Select<E> {
    use sea_orm::QueryFilter;
    match search {
        Some(search) => select.filter(terms.finds::<E>(search, None)),
        None => select,
    }
}

impl Scope<'_> {
    /// Those users that are found; in which tenants is said once more, because that is what the index begins with.
    pub(crate) fn found_users(
        &self,
        select: Select<user::Entity>,
        search: Option<&Search>,
        tenants: &[TenantId],
        partners: &[PartnerId],
    ) -> Select<user::Entity> {
        use sea_orm::QueryFilter;
        let Some(search) = search else { return select };
        let asked = Condition::all()
            .add_option(any(tenant::Column::Id, tenants.iter().map(|id| id.uuid())))
            .add_option(any(tenant::Column::PartnerId, partners.iter().map(|id| id.uuid())));
        let within = self.select::<tenant::Entity>().filter(asked);
        let within = within.select_only().column(tenant::Column::Id).into_query();
        select.filter(USER_TERMS.finds::<user::Entity>(search, Some(&within)))
    }
}

impl Scope<'_> {
    /// Those applications that are found. A partner and a tenant see few of all that there are: the terms of each of
    /// these are looked up, not all applications that have a term.
    pub(crate) fn found_applications(
        &self,
        select: Select<application::Entity>,
        search: Option<&Search>,
    ) -> Select<application::Entity> {
        use sea_orm::QueryFilter;
        let Some(search) = search.filter(|_| self.reach != Reach::Platform) else {
            return found(select, APPLICATION_TERMS, search);
        };
        let has = |prefix: &str| {
            let mut has = APPLICATION_TERMS.beginning(prefix);
            has.and_where(
                Expr::col((APPLICATION_TERMS.name, APPLICATION_TERMS.id))
                    .equals((application::Entity, application::Column::Id)),
            );
            Expr::exists(has)
        };
        select.filter(search.prefixes().fold(Condition::all(), |all, prefix| all.add(has(prefix))))
    }
}

impl WriteTx<'_> {
    /// Makes things of one kind be found by what they are called, and a thing that had terms by nothing else.
    pub(crate) async fn index<T: Row>(&self, values: &[T], had_terms: bool) -> Result<()> {
        let (mut table, mut rows) = (None, Vec::new());
        for value in values {
            let Some((of, terms)) = value.terms() else { continue };
            let owner =
                Owner { id: value.uuid(), tenant: value.home().tenant.filter(|_| of.of_tenant).map(TenantId::uuid) };
            if had_terms {
                self.remove_other_terms(of, owner, &terms).await?;
            }
            rows.extend(terms.into_iter().map(|term| (term.into_bytes(), owner)));
            table = Some(of);
        }
        let Some(table) = table else { return Ok(()) };
        let mut left = rows.as_slice();
        // By powers of two, so that a handful of prepared statements serve every number.
        while let Some(exponent) = left.len().checked_ilog2() {
            let (now, later) = left.split_at(1 << Ord::min(exponent, MOST_AT_ONCE));
            self.insert_terms(table, now).await?;
            left = later;
        }
        Ok(())
    }

    async fn remove_other_terms(&self, table: TermTable, owner: Owner, terms: &[String]) -> Result<()> {
        let mut others = Query::delete();
        others.from_table(table.name).and_where(Expr::col(table.id).eq(owner.id));
        if let Some(tenant) = owner.tenant {
            others.and_where(Expr::col("tenant_id").eq(tenant));
        }
        if !terms.is_empty() {
            let terms: Vec<_> = terms.iter().map(String::as_bytes).collect();
            others.and_where(Expr::col("term").is_not_in(power_of_two(&terms).map(<[u8]>::to_vec)));
        }
        self.writing().execute(&others).await?;
        Ok(())
    }

    async fn insert_terms(&self, table: TermTable, rows: &[(Vec<u8>, Owner)]) -> Result<()> {
        let mut insert = Query::insert();
        let columns = ["term", table.id].into_iter().chain(table.of_tenant.then_some("tenant_id"));
        insert.into_table(table.name).columns(columns).on_conflict(OnConflict::new().do_nothing().to_owned());
        for (term, owner) in rows {
            let values = [Expr::value(term.clone()), Expr::value(owner.id)];
            let values = values.into_iter().chain(owner.tenant.map(Expr::value));
            insert.values(values).map_err(|_| Error::Corrupt("terms"))?;
        }
        self.writing().execute(&insert).await?;
        Ok(())
    }
}

/// What can be searched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SearchKind {
    /// Users.
    Users,
    /// Tenants.
    Tenants,
    /// Partners.
    Partners,
}

impl SearchKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Users, Self::Tenants, Self::Partners];
    /// How many are looked at at once.
    const LOOK: usize = 5_000;
}

impl System<'_> {
    /// Those that have no terms, because they are older than searching, among the next few behind an id; and the id to go
    /// on behind.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn without_terms(&self, of: SearchKind, after: Option<Uuid>) -> Result<(Vec<Uuid>, Option<Uuid>)> {
        let (things, of) = match of {
            SearchKind::Users => ("users", USER_TERMS),
            SearchKind::Tenants => ("tenants", TENANT_TERMS),
            SearchKind::Partners => ("partners", PARTNER_TERMS),
        };
        let mut has = Query::select();
        has.expr(Expr::cust("1")).from(of.name).and_where(Expr::col((of.name, of.id)).equals((things, "id")));
        if of.of_tenant {
            has.and_where(Expr::col((of.name, "tenant_id")).equals((things, "tenant_id")));
        }
        let mut look = Query::select();
        look.column("id").expr_as(Expr::exists(has), "has").from(things).and_where(Expr::col("deleted_at").is_null());
        look.and_where(Expr::col("id").gt(after.unwrap_or(Uuid::nil())));
        look.order_by("id", Order::Asc).limit(SearchKind::LOOK as u64);
        let rows = self.exec.query_all(&look).await?;
        let (mut without, mut last) = (Vec::new(), None);
        for row in &rows {
            let id: Uuid = row.try_get("", "id")?;
            if !row.try_get::<bool>("", "has")? {
                without.push(id);
            }
            last = Some(id);
        }
        Ok((without, last.filter(|_| rows.len() == SearchKind::LOOK)))
    }
}

impl WriteSystem<'_> {
    /// Makes things be found that have no terms.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn add_terms(&self, of: SearchKind, ids: &[Uuid]) -> Result<()> {
        for id in ids.iter().copied() {
            match of {
                SearchKind::Users => self.add(self.user(UserId::from_uuid(id)).await?).await?,
                SearchKind::Tenants => self.add(self.tenant(TenantId::from_uuid(id)).await?).await?,
                SearchKind::Partners => self.add(self.partner(PartnerId::from_uuid(id)).await?).await?,
            }
        }
        Ok(())
    }

    async fn add<T: Row + Sync>(&self, value: Option<T>) -> Result<()> {
        match value {
            Some(value) => self.tx.index(&[value], false).await,
            None => Ok(()),
        }
    }
}
