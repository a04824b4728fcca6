//! Links that can be used once.

use gatehouse_domain::{
    authz::{By, TenantRef},
    change::Changed,
    id::UserId,
    secret::TokenHash,
    text::Email,
    time::Timestamp,
    user::{Issued, Purpose, User, UserStatus, invitations_requested},
};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    sea_query::{Expr, OnConflict, Query},
};
use uuid::Uuid;

use crate::{
    entity::{
        assignment, user,
        user_token::{Column, Entity, Model},
    },
    error::Result,
    repo::{Home, Row, list::Stored, sweep::BATCH},
    scope::{
        Scope, WriteScope,
        system::{System, WriteSystem},
    },
};

/// A link that has been used up.
#[derive(Debug, Clone)]
pub struct SpentToken {
    /// Whose it was.
    pub user_id: UserId,
    /// The address it was mailed to; none if it was handed over.
    pub mailed_to: Option<Email>,
}

/// A link that could be used now.
fn usable(tenant: TenantRef, purpose: Purpose, hash: TokenHash, now: Timestamp) -> Condition {
    Condition::all()
        .add(Column::TokenHash.eq(hash.as_bytes().to_vec()))
        .add(Column::Purpose.eq(purpose.as_str()))
        .add(Column::TenantId.eq(tenant.id.uuid()))
        .add(Column::ExpiresAt.gt(now.micros()))
}

impl Scope<'_> {
    /// The first users of a tenant, or of those made from one instant to another, who wait to be invited: no link of theirs
    /// can be used, and they hold no role.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn uninvited(
        &self,
        tenant: TenantRef,
        made: Option<[Timestamp; 2]>,
        now: Timestamp,
        most: u64,
    ) -> Result<Vec<User>> {
        let mut links = Query::select();
        links.column(Column::UserId).from(Entity).and_where(Column::TenantId.eq(tenant.id.uuid()));
        links.and_where(Expr::col((Entity, Column::UserId)).equals((user::Entity, user::Column::Id)));
        links.and_where(Column::Purpose.eq(Purpose::Invitation.as_str()));
        links.and_where(Column::ExpiresAt.gt(now.micros()));
        let held = (assignment::Entity, assignment::Column::UserId);
        let mut roles = Query::select();
        roles.column(held.1).from(held.0).and_where(Expr::col(held).equals((user::Entity, user::Column::Id)));
        roles.and_where(assignment::Column::DeletedAt.is_null());
        // Ids begin with the millisecond; when an account was made elsewhere is another matter.
        let id = |at: Timestamp, rest| UserId::from_parts(at.unix_millis(), rest).uuid();
        let made = made.map(|[first, last]| user::Column::Id.between(id(first, [0; 10]), id(last, [u8::MAX; 10])));
        let waiting = Condition::all()
            .add(user::Column::TenantId.eq(tenant.id.uuid()))
            .add(user::Column::Status.eq(UserStatus::Invited.as_str()))
            .add_option(made)
            .add(Expr::exists(links).not())
            .add(Expr::exists(roles).not());
        let users = self.select::<user::Entity>().filter(waiting).order_by_asc(user::Column::Id).limit(most);
        users.all(&self.exec).await?.into_iter().map(Stored::read).collect()
    }
}

impl WriteScope<'_> {
    /// Stores the event of invitations being asked for.
    ///
    /// # Errors
    /// [`crate::Error::ScopeViolation`] when the tenant lies outside the scope.
    pub async fn note_invitations(&self, tenant: TenantRef, by: By) -> Result<()> {
        self.guard(&Home { partner: tenant.partner_id, tenant: Some(tenant.id), user: None })?;
        self.tx.record(invitations_requested(tenant, by)).await
    }

    /// Stores the digest of a user's link with the event; one of the same purpose stops working.
    ///
    /// # Errors
    /// [`crate::Error::ScopeViolation`] when the user lies outside the scope.
    pub async fn put_token(&self, changed: Changed<Issued>, hash: TokenHash) -> Result<Issued> {
        let (issued, event) = changed.into_parts();
        let Issued { user, purpose, mailed_to, expires_at } = &issued;
        let row = Model {
            token_hash: hash.as_bytes().to_vec(),
            tenant_id: user.tenant_id.uuid(),
            user_id: user.id.uuid(),
            purpose: purpose.as_str().to_owned(),
            mailed_to: mailed_to.as_ref().map(Email::to_string),
            expires_at: expires_at.micros(),
        };
        // One statement: two links that are made at the same time take turns, and the later one stays.
        let mut earlier = OnConflict::columns([Column::TenantId, Column::UserId, Column::Purpose]);
        earlier.update_columns([Column::TokenHash, Column::MailedTo, Column::ExpiresAt]);
        let row = self.table_of::<Entity>(&user.home())?.insert(row).on_conflict(earlier);
        row.exec_without_returning(&self.tx.writing()).await?;
        self.tx.record(event).await?;
        Ok(issued)
    }

    /// Makes a user's link stop working, with the event; false, and nothing, if there is none.
    ///
    /// # Errors
    /// [`crate::Error::ScopeViolation`] when the user lies outside the scope.
    pub async fn drop_token(&self, changed: Changed<User>, purpose: Purpose) -> Result<bool> {
        let (user, event) = changed.into_parts();
        let links = self.table_of::<Entity>(&user.home())?.delete();
        let links = links.filter(Column::TenantId.eq(user.tenant_id.uuid())).filter(Column::UserId.eq(user.id.uuid()));
        let dropped = links.filter(Column::Purpose.eq(purpose.as_str())).exec(&self.tx.writing()).await?;
        if dropped.rows_affected == 0 {
            return Ok(false);
        }
        self.tx.record(event).await?;
        Ok(true)
    }
}

impl System<'_> {
    /// Whose link that is, if it could be used now.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn token_owner(
        &self,
        tenant: TenantRef,
        purpose: Purpose,
        hash: TokenHash,
        now: Timestamp,
    ) -> Result<Option<UserId>> {
        let links = self.table::<Entity>().select().filter(usable(tenant, purpose, hash, now));
        let owner = links.select_only().column(Column::UserId).into_tuple::<Uuid>().one(&self.exec).await?;
        Ok(owner.map(UserId::from_uuid))
    }
}

impl System<'_> {
    /// Until when a user's link can be used, if there is one that could be used now, and whether it was mailed.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn open_until(&self, user: &User, purpose: Purpose, now: Timestamp) -> Result<Option<(Timestamp, bool)>> {
        let links = self.table::<Entity>().select().filter(Column::TenantId.eq(user.tenant_id.uuid()));
        let links = links.filter(Column::UserId.eq(user.id.uuid())).filter(Column::Purpose.eq(purpose.as_str()));
        let links = links.filter(Column::ExpiresAt.gt(now.micros())).select_only();
        let links = links.columns([Column::ExpiresAt, Column::MailedTo]);
        let link = links.into_tuple::<(i64, Option<String>)>().one(&self.exec).await?;
        Ok(link.map(|(until, mailed_to)| (Timestamp::from_micros(until), mailed_to.is_some())))
    }
}

impl WriteSystem<'_> {
    /// Uses a link up; none if it is unknown, used, of another purpose or tenant, or too old.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn spend_token(
        &self,
        tenant: TenantRef,
        purpose: Purpose,
        hash: TokenHash,
    ) -> Result<Option<SpentToken>> {
        let links = self.table::<Entity>().delete().filter(usable(tenant, purpose, hash, self.tx.now()));
        let mut spent = links.into_query();
        spent.returning(Query::returning().columns([Column::UserId, Column::MailedTo]));
        let row = self.tx.writing().query_one(&spent).await?;
        row.map(|row| {
            Ok(SpentToken {
                user_id: UserId::from_uuid(row.try_get("", "user_id")?),
                mailed_to: row.try_get::<Option<String>>("", "mailed_to")?.map(Email::from_stored),
            })
        })
        .transpose()
    }

    /// Removes links that can be used no more, at most [`BATCH`]; returns how many.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn purge_tokens(&self) -> Result<usize> {
        let old = self.table::<Entity>().select().filter(Column::ExpiresAt.lte(self.tx.now().micros()));
        let old = old.select_only().column(Column::TokenHash).limit(BATCH as u64).into_query();
        let removed = self.table::<Entity>().delete().filter(Column::TokenHash.in_subquery(old));
        Ok(usize::try_from(removed.exec(&self.tx.writing()).await?.rows_affected).unwrap_or(usize::MAX))
    }
}
