//! Whether the database takes what is asked of it.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use gatehouse_domain::time::Timestamp;
use sea_orm::{ConnectionTrait, DbErr, RuntimeErr, Statement};
use tokio::{sync::Mutex, time::timeout};

use super::{ChangeContext, Db, WriteTx, deadline};
use crate::error::{Error, Result};

/// How long a result is good for.
const GOOD_FOR: Duration = Duration::from_secs(1);
/// How long a probe may take. Whoever waits for one that is under way waits no longer than for an own one.
const PROBE: Duration = Duration::from_secs(4);
/// How often the server is asked for a sign of life while a long statement runs.
const WATCH_EVERY: Duration = Duration::from_secs(1);

/// What the last probe found, and when; locked while one is under way.
pub(super) type Probed = Mutex<Option<(Instant, bool)>>;

impl Db {
    /// Whether the database reads and writes. However often this is asked, one probe runs in a second. The key is this
    /// process' own, so that no other process is waited for.
    pub async fn is_ready(&self, key: [u8; 16]) -> bool {
        let shared = async {
            let mut probed = self.0.probed.lock().await;
            match *probed {
                Some((at, is_ready)) if at.elapsed() < GOOD_FOR => is_ready,
                _ => {
                    let is_ready = deadline::until(Instant::now() + PROBE, self.probe(key)).await.is_ok();
                    *probed = Some((Instant::now(), is_ready));
                    is_ready
                }
            }
        };
        timeout(deadline::REQUEST, shared).await.unwrap_or(false)
    }

    /// Reads something, and commits a change that leaves nothing behind: a commit is what a full disk, a lost standby or a
    /// lock of somebody else refuses.
    async fn probe(&self, key: [u8; 16]) -> Result<()> {
        let (read, backend) = ("SELECT version FROM seaql_migrations LIMIT 1", self.backend());
        self.reader().query_one_raw(Statement::from_string(backend, read)).await?;
        let work = async move |tx: &WriteTx<'_>| {
            for sql in [
                "INSERT INTO throttles (key, failures, since, blocked_until, updated_at) VALUES ($1, 0, 0, 0, 0)",
                "DELETE FROM throttles WHERE key = $1",
            ] {
                let statement = Statement::from_sql_and_values(backend, sql, [key.to_vec().into()]);
                tx.writing().execute_raw(statement).await?;
            }
            Ok::<_, Error>(())
        };
        self.write(ChangeContext::at(Timestamp::default()), work).await
    }

    /// Has PostgreSQL take statistics of the users, of whom many have come.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn analyze_users(&self) -> Result<()> {
        if !self.is_sqlite() {
            self.reader().execute_unprepared("ANALYZE users").await?;
        }
        Ok(())
    }

    /// Has SQLite write its log into the file and empty it, so that nothing is left there of what is gone. Where readers are
    /// in the way it does so later by itself.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn empty_log(&self) -> Result<()> {
        if self.is_sqlite() {
            // This one waits for nobody. Only if no reader was in the way is there nothing left that the next could wait for.
            let passive = Statement::from_string(self.backend(), "PRAGMA wal_checkpoint(PASSIVE)");
            let row = self.reader().query_one_raw(passive).await?;
            let pages = |at| row.as_ref().and_then(|row| row.try_get_by_index::<i64>(at).ok());
            if pages(1).is_some() && pages(1) == pages(2) {
                self.reader().execute_unprepared("PRAGMA wal_checkpoint(TRUNCATE)").await?;
            }
        }
        Ok(())
    }

    /// Runs a transaction that changes as many rows as there may be. It may take longer than other requests, but only
    /// while the database answers others.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer, otherwise as the work.
    pub fn at_length<'w, T: 'w, E: From<Error> + 'w>(
        &'w self,
        work: impl Future<Output = Result<T, E>> + 'w,
    ) -> impl Future<Output = Result<T, E>> + 'w {
        // Rare, and too large to be carried along by every request.
        self.while_it_answers(Box::pin(deadline::bulk(work)))
    }

    /// Runs work until the server does not answer. A SQLite file has no server.
    pub(super) async fn while_it_answers<T, E: From<Error>>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let silence = async {
            loop {
                tokio::time::sleep(WATCH_EVERY).await;
                if let Err(error) = deadline::until(Instant::now() + PROBE, self.ping()).await {
                    return error;
                }
            }
        };
        tokio::select! {
            result = work => result,
            error = silence, if !self.is_sqlite() => Err(error.into()),
        }
    }

    async fn ping(&self) -> Result<()> {
        let pinged = self.0.pool.take().await?.ping().await;
        pinged.map_err(|error| Error::from(DbErr::Conn(RuntimeErr::SqlxError(std::sync::Arc::new(error)))))
    }
}
