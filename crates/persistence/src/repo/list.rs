//! Pages of ordinary lists: a scoped select, sorted by one column and the id, counted exactly.

use gatehouse_domain::{
    page::{Direction, Key, KeyValue, Page, PageRequest},
    time::Timestamp,
};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, ExprTrait, FromQueryResult, ModelTrait, Order, QueryFilter, QueryOrder,
    QuerySelect, Select, Value,
    sea_query::{Expr, Func},
};
use uuid::Uuid;

use crate::{
    db::Exec,
    error::{Error, Result},
    scope::Owned,
};

#[derive(Debug, FromQueryResult)]
struct Count {
    n: i64,
}

pub(crate) fn unsigned(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}

pub(crate) fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// The value of a key, as it is stored.
pub(crate) fn stored(value: &KeyValue) -> Value {
    match value {
        KeyValue::At(at) => at.micros().into(),
        KeyValue::Text(text) => text.clone().into(),
        KeyValue::Number(number) => signed(*number).into(),
    }
}

/// How many rows that were searched for are sorted, rather than looked for in the order of the list.
const FEW: u64 = 1_000;

/// Fetches one page of a select. `column` is the sort column; the id breaks ties.
pub(crate) async fn page<E>(
    exec: Exec<'_>,
    select: Select<E>,
    column: E::Column,
    direction: Direction,
    request: &PageRequest,
) -> Result<Page<E::Model>>
where
    E: Owned,
    E::Model: FromQueryResult + Send + Sync,
{
    page_of(exec, select, column, false, direction, request).await
}

/// The same of a select that finds its rows by other indexes than that of the order, which is that of a number.
pub(crate) async fn page_of_found<E>(
    exec: Exec<'_>,
    select: Select<E>,
    column: E::Column,
    direction: Direction,
    request: &PageRequest,
) -> Result<Page<E::Model>>
where
    E: Owned,
    E::Model: FromQueryResult + Send + Sync,
{
    page_of(exec, select, column, true, direction, request).await
}

async fn page_of<E>(
    exec: Exec<'_>,
    select: Select<E>,
    column: E::Column,
    is_found: bool,
    direction: Direction,
    request: &PageRequest,
) -> Result<Page<E::Model>>
where
    E: Owned,
    E::Model: FromQueryResult + Send + Sync,
{
    let total = select
        .clone()
        .select_only()
        .expr_as(Func::count(Expr::col((E::default(), E::id()))), "n")
        .into_model::<Count>()
        .one(&exec)
        .await?
        .map_or(0, |count| unsigned(count.n));

    let order = match direction {
        Direction::Ascending => Order::Asc,
        Direction::Descending => Order::Desc,
    };
    let per_page = request.per_page.get();
    // SQLite takes an index that has the order, and would walk a whole tenant for a handful of rows. What is calculated has
    // no index.
    let by = if is_found && total <= FEW { Expr::expr(column.into_expr()).add(0) } else { column.into_expr() };
    let mut select =
        select.order_by(by, order.clone()).order_by(E::id(), order).limit(per_page + 1).offset(request.offset());
    if let Some(key) = request.after() {
        let place = Expr::tuple([column.into_expr(), E::id().into_expr()]);
        let last = Expr::tuple([Expr::value(stored(&key.value)), Expr::value(key.id)]);
        let beyond = match direction {
            Direction::Ascending => place.gt(last),
            Direction::Descending => place.lt(last),
        };
        select = select.filter(Condition::all().add(beyond));
    }
    let mut items = select.all(&exec).await?;
    let more = items.len() as u64 > per_page;
    items.truncate(usize::try_from(per_page).unwrap_or(usize::MAX));
    let next = if more { items.last().map(|item| key_of::<E>(item, column)).transpose()? } else { None };
    Ok(Page { items, total, next })
}

fn key_of<E: Owned>(item: &E::Model, column: E::Column) -> Result<Key> {
    let value = match item.get(column) {
        Value::BigInt(Some(micros)) => KeyValue::At(Timestamp::from_micros(micros)),
        Value::String(Some(text)) => KeyValue::Text(text),
        _ => return Err(Error::Corrupt("sort key")),
    };
    match item.get(E::id()) {
        Value::Uuid(Some(id)) => Ok(Key { value, id }),
        _ => Err(Error::Corrupt("id")),
    }
}

/// The same page with each row made into a domain value.
pub(crate) fn convert<R, T>(page: Page<R>, domain: impl FnMut(R) -> Result<T>) -> Result<Page<T>> {
    Ok(Page { items: page.items.into_iter().map(domain).collect::<Result<_>>()?, total: page.total, next: page.next })
}

/// The ids as they are stored.
pub(crate) fn uuids<I: Copy>(ids: &[I], uuid: impl Fn(I) -> Uuid) -> Vec<Uuid> {
    ids.iter().map(|id| uuid(*id)).collect()
}

/// A filter on a column, or none where nothing is asked for.
pub(crate) fn any_of<E: EntityTrait, V: Into<Value> + Clone>(
    select: Select<E>,
    column: E::Column,
    values: &[V],
) -> Select<E> {
    if values.is_empty() { select } else { select.filter(column.is_in(values.iter().cloned())) }
}
