//! Pages of ordinary lists: a scoped select, sorted by one column and the id, counted exactly.

use gatehouse_domain::{
    page::{Direction, Key, KeyValue, Page, PageRequest},
    time::Timestamp,
};
use sea_orm::{
    ColumnTrait, ColumnType, Condition, EntityTrait, ExprTrait, ModelTrait, Order, QueryFilter, QueryOrder,
    QuerySelect, Select, Value,
    sea_query::{BinOper, Expr, Func, LockType},
};
use uuid::Uuid;

use crate::{
    db::Exec,
    error::{Error, Result},
    repo::Row,
    scope::{Owned, Scope, WriteScope},
};

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

/// What is stored as one row, and read by its id or a page at a time.
pub trait Stored: Row {
    /// The value of a row.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when the row is none that was stored.
    fn read(row: <Self::Entity as EntityTrait>::Model) -> Result<Self>;
}

/// The column that a list is sorted by; the id breaks ties.
#[derive(Clone, Copy)]
pub(crate) enum By<C> {
    /// An index has the rows in this order.
    Index(C),
    /// The rows are found by other indexes than that of the order.
    Found(C),
}

impl<C> From<C> for By<C> {
    fn from(column: C) -> Self {
        Self::Index(column)
    }
}

impl Scope<'_> {
    /// What has an id, unless it was deleted.
    pub(crate) async fn one<T: Stored>(&self, id: Uuid) -> Result<Option<T>> {
        let row = self.select::<T::Entity>().filter(<T::Entity as Owned>::id().eq(id)).one(&self.exec).await?;
        row.map(T::read).transpose()
    }

    /// What has an id, deleted or not.
    pub(crate) async fn one_even_deleted<T: Stored>(&self, id: Uuid) -> Result<Option<T>> {
        let select = self.select_even_deleted::<T::Entity>().filter(<T::Entity as Owned>::id().eq(id));
        select.one(&self.exec).await?.map(T::read).transpose()
    }

    /// A page of what a select finds.
    pub(crate) async fn page<T: Stored>(
        &self,
        select: Select<T::Entity>,
        by: impl Into<By<<T::Entity as EntityTrait>::Column>>,
        direction: Direction,
        request: &PageRequest,
    ) -> Result<Page<T>> {
        convert(page(self.exec, select, by, direction, request).await?, T::read)
    }
}

impl WriteScope<'_> {
    /// What has an id, unless it was deleted. It is locked, so that nobody deletes it before the transaction ends: nothing
    /// is made below what is being deleted. On SQLite there is one writer, and that is this transaction.
    pub(crate) async fn locked<T: Stored>(&self, id: Uuid, lock: LockType) -> Result<Option<T>> {
        let row = self.select::<T::Entity>().filter(<T::Entity as Owned>::id().eq(id)).lock(lock);
        row.one(&self.exec).await?.map(T::read).transpose()
    }
}

/// How many rows a select finds.
pub(crate) async fn count<E: Owned>(exec: Exec<'_>, select: Select<E>) -> Result<u64> {
    let count = select.select_only().expr(Func::count(Expr::col((E::default(), E::id()))));
    Ok(count.into_tuple::<i64>().one(&exec).await?.map_or(0, unsigned))
}

/// What rows are sorted by: those without a value come before those with the least one.
pub(crate) fn sorted_by<C: ColumnTrait>(column: C) -> Expr {
    if column.def().is_null() {
        Func::coalesce([column.into_expr(), Expr::cust("0")]).into()
    } else {
        column.into_expr()
    }
}

/// The same, as something that is calculated.
fn calculated<C: ColumnTrait>(column: C) -> Expr {
    match column.def().get_column_type() {
        ColumnType::String(_) | ColumnType::Text => sorted_by(column).binary(BinOper::Custom("||"), Expr::cust("''")),
        _ => sorted_by(column).add(0),
    }
}

/// Fetches one page of a select.
pub(crate) async fn page<E: Owned>(
    exec: Exec<'_>,
    select: Select<E>,
    by: impl Into<By<E::Column>>,
    direction: Direction,
    request: &PageRequest,
) -> Result<Page<E::Model>> {
    let (column, is_found) = match by.into() {
        By::Index(column) => (column, false),
        By::Found(column) => (column, true),
    };
    let total = count(exec, select.clone()).await?;

    let order = match direction {
        Direction::Ascending => Order::Asc,
        Direction::Descending => Order::Desc,
    };
    let per_page = request.per_page.get();
    // SQLite takes an index that has the order, and would walk a whole tenant for a handful of rows. What is calculated has
    // no index.
    let by = if is_found && total <= FEW { calculated(column) } else { sorted_by(column) };
    let mut select =
        select.order_by(by, order.clone()).order_by(E::id(), order).limit(per_page + 1).offset(request.offset());
    if let Some(key) = request.after() {
        let place = Expr::tuple([sorted_by(column), E::id().into_expr()]);
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
        Value::BigInt(micros) => KeyValue::At(Timestamp::from_micros(micros.unwrap_or_default())),
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

/// The condition that a column has one of some values, or none where nothing is asked for. They are repeated to a power of
/// two, so that a handful of prepared statements serve every number of them.
pub(crate) fn any<V: Into<Value>>(column: impl ColumnTrait, values: impl IntoIterator<Item = V>) -> Option<Expr> {
    let values: Vec<Value> = values.into_iter().map(Into::into).collect();
    let padded = values.len().next_power_of_two();
    (!values.is_empty()).then(|| column.is_in(values.iter().cycle().take(padded).cloned()))
}
