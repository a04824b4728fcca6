//! SQLite: one connection that writes, several that read, and commits that concurrent transactions share.
//!
//! An fsync per transaction is what limits a durable SQLite (`synchronous=FULL`), not its statements. So one thread
//! owns the writing connection and takes transactions from a bounded queue: it begins, runs the first, then whatever
//! has queued up meanwhile, commits once, and only then answers all of them. Alone, a transaction waits for nobody;
//! under load the commit's own duration is what collects the next batch.
//!
//! A transaction that fails after it has written something rolls the batch back; the others run again, each alone, so
//! one caller's failure is never another's. Work runs to its end even if the caller went away.

use std::{
    fs::OpenOptions,
    future::Future,
    panic::AssertUnwindSafe,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use sqlx::{
    ConnectOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use tokio::sync::{mpsc, oneshot};

use crate::{
    db::{Authentication, Change, Connection, Ctx, Lease, Observer, Pool, Server, Transaction, WriteTx},
    error::{Error, Result},
};

/// Transactions that may wait; beyond that the answer is "not now".
const QUEUE: usize = 1_024;
/// Transactions that share a commit.
const BATCH: usize = 64;
/// How long a batch goes on taking transactions in.
const BATCH_TIME: Duration = Duration::from_millis(20);
/// How long a batch of transactions that know of others to come waits for these.
const PATIENCE: Duration = Duration::from_millis(12);
/// And how many of them it waits for.
const COMPANIONS: usize = 4;

pub(crate) fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(5))
        .statement_cache_capacity(512)
        .pragma("temp_store", "MEMORY")
        .pragma("cache_size", "-8000")
        .pragma("journal_size_limit", "67108864")
        .disable_statement_logging()
}

fn unavailable(error: sqlx::Error) -> Error {
    Error::Unavailable(Some(sea_orm::DbErr::Conn(sea_orm::RuntimeErr::SqlxError(Arc::new(error)))))
}

pub(crate) async fn open(
    path: &Path,
    readers_at_most: u32,
    observer: &Observer,
    authentication: &Authentication,
    on_change: &Arc<dyn Fn(Change) + Send + Sync>,
) -> Result<(Pool, Writer)> {
    let place = Place { path: path.to_owned(), observer: observer.clone(), authentication: authentication.clone() };
    let writer = Box::pin(place.connect()).await?;
    let readers = Server::Sqlite(Box::new(options(path).pragma("query_only", "ON")));
    let readers = Pool::open(readers, readers_at_most, observer.clone()).await?;
    Ok((readers, Writer::start(place, writer, Arc::clone(on_change))?))
}

/// Where the one connection that writes leads.
struct Place {
    path: PathBuf,
    observer: Observer,
    authentication: Authentication,
}

impl Place {
    async fn connect(&self) -> Result<Lease> {
        let raw = options(&self.path).create_if_missing(true).connect().await.map_err(unavailable)?;
        Ok(Lease::own(Connection::sqlite(raw, self.observer.clone())))
    }
}

/// Holds the right to serve a SQLite file; given back when dropped, by a crash too.
#[derive(Debug)]
pub struct ServeLock(#[expect(dead_code, reason = "the open file is the lock")] std::fs::File);

impl ServeLock {
    /// Takes the right.
    ///
    /// # Errors
    /// [`Error::InUse`] when another process has it.
    pub fn take(database: &Path) -> Result<Self> {
        let mut path = database.as_os_str().to_owned();
        path.push(".lock");
        let path = PathBuf::from(path);
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|error| Error::File(path.clone(), error))?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(std::fs::TryLockError::WouldBlock) => Err(Error::InUse(database.to_owned())),
            Err(std::fs::TryLockError::Error(error)) => Err(Error::File(path, error)),
        }
    }
}

type Local<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// A transaction in the queue.
trait Job: Send {
    fn run<'a>(&'a mut self, tx: &'a WriteTx<'_>) -> Local<'a, ()>;
    fn ctx(&self) -> &Ctx;
    fn is_patient(&self) -> bool;
    fn failed(&self) -> bool;
    fn answer(self: Box<Self>, committed: Result<()>);
}

struct Queued<F, T, E> {
    ctx: Ctx,
    is_patient: bool,
    work: F,
    result: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<T, E>>,
}

impl<F, T, E> Job for Queued<F, T, E>
where
    F: AsyncFn(&WriteTx<'_>) -> Result<T, E> + Send,
    T: Send,
    E: From<Error> + Send,
{
    fn run<'a>(&'a mut self, tx: &'a WriteTx<'_>) -> Local<'a, ()> {
        Box::pin(async move {
            self.result = None;
            // A panic leaves no result, and the caller an internal error; the batch goes on without it.
            self.result = AssertUnwindSafe((self.work)(tx)).catch_unwind().await.ok();
        })
    }

    fn ctx(&self) -> &Ctx {
        &self.ctx
    }

    fn is_patient(&self) -> bool {
        self.is_patient
    }

    fn failed(&self) -> bool {
        !matches!(self.result, Some(Ok(_)))
    }

    fn answer(self: Box<Self>, committed: Result<()>) {
        let result = match (self.result, committed) {
            (Some(Err(error)), _) => Err(error),
            (Some(Ok(value)), Ok(())) => Ok(value),
            (_, Err(error)) => Err(error.into()),
            (None, Ok(())) => return,
        };
        // The caller may have gone away.
        drop(self.reply.send(result));
    }
}

enum Message {
    Write(Box<dyn Job>),
    Close(oneshot::Sender<()>),
}

pub(crate) struct Writer {
    queue: mpsc::Sender<Message>,
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
}

impl Writer {
    fn start(place: Place, connection: Lease, on_change: Arc<dyn Fn(Change) + Send + Sync>) -> Result<Self> {
        let (queue, messages) = mpsc::channel(QUEUE);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .map_err(|error| Error::File(PathBuf::from("runtime"), error))?;
        let thread = std::thread::Builder::new()
            .name("sqlite-writer".into())
            .spawn(move || runtime.block_on(Loop { place, connection: Some(connection), messages, on_change }.run()))
            .map_err(|error| Error::File(PathBuf::from("thread"), error))?;
        Ok(Self { queue, thread: Mutex::new(Some(thread)) })
    }

    pub(crate) async fn write<T, E, F>(&self, ctx: Ctx, is_patient: bool, work: F) -> Result<T, E>
    where
        F: AsyncFn(&WriteTx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Queued { ctx, is_patient, work, result: None, reply };
        self.queue.try_send(Message::Write(Box::new(job))).map_err(|_| Error::Unavailable(None))?;
        match answer.await {
            Ok(result) => result,
            Err(_) => Err(Error::Other(sea_orm::DbErr::Custom("a transaction panicked".into())).into()),
        }
    }

    pub(crate) async fn close(&self) {
        let (reply, answer) = oneshot::channel();
        if self.queue.send(Message::Close(reply)).await.is_ok() {
            drop(answer.await);
        }
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            drop(thread.join());
        }
    }
}

struct Loop {
    place: Place,
    /// None after a transaction did not begin or end as it should: SQLite ends one by itself when the disk is full, for
    /// example, and nobody can tell what the next statement would be part of.
    connection: Option<Lease>,
    messages: mpsc::Receiver<Message>,
    on_change: Arc<dyn Fn(Change) + Send + Sync>,
}

impl Loop {
    async fn run(mut self) {
        while let Some(message) = self.messages.recv().await {
            let mut next = Some(message);
            while let Some(message) = next.take() {
                match message {
                    Message::Write(job) => next = self.batch(job).await,
                    Message::Close(reply) => {
                        if let Some(connection) = self.connection.take() {
                            connection.close().await;
                        }
                        let _ = reply.send(());
                        return;
                    }
                }
            }
        }
    }

    /// Keeps the connection for the next transaction, or closes it, so that it lets go of whatever it holds.
    async fn keep(&mut self, connection: Lease, is_sound: bool) {
        if is_sound {
            self.connection = Some(connection);
        } else {
            connection.close().await;
        }
    }

    /// A transaction with those that it waits for: as long as all are patient, others to come make the commit cheaper
    /// for each. Whoever is in a hurry comes along at once.
    async fn company(&mut self, first: Box<dyn Job>) -> (Vec<Box<dyn Job>>, Option<Message>) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let mut jobs = vec![first];
        while jobs.len() < COMPANIONS && jobs.last().is_some_and(|job| job.is_patient()) {
            match tokio::time::timeout_at(deadline, self.messages.recv()).await {
                Ok(Some(Message::Write(job))) => jobs.push(job),
                Ok(other @ Some(Message::Close(_))) => return (jobs, other),
                Ok(None) | Err(_) => break,
            }
        }
        (jobs, None)
    }

    /// Runs one transaction and those that queue up behind it; returns a message that is no transaction.
    async fn batch(&mut self, first: Box<dyn Job>) -> Option<Message> {
        let (mut jobs, mut other) = self.company(first).await;
        if let Err(Broken { culprit }) = self.commit(&mut jobs, Some(&mut other)).await {
            jobs.remove(culprit).answer(Ok(()));
            for job in jobs {
                let mut alone = vec![job];
                if self.commit(&mut alone, None).await.is_err() {
                    alone.drain(..).for_each(|job| job.answer(Ok(())));
                }
            }
        }
        other
    }

    /// Runs the one job there is and, if `queue` is given, those that queue up behind it, in one transaction; then
    /// answers them all. If one failed after it wrote, everything is rolled back and nothing answered.
    async fn commit(
        &mut self,
        jobs: &mut Vec<Box<dyn Job>>,
        mut queue: Option<&mut Option<Message>>,
    ) -> Result<(), Broken> {
        let connection = match self.connection.take() {
            Some(connection) => Ok(connection),
            None => Box::pin(self.place.connect()).await,
        };
        let begun = match connection {
            Ok(connection) => match Transaction::begin(connection).await {
                Ok(transaction) => Ok(transaction),
                Err((connection, error)) => {
                    connection.close().await;
                    Err(Error::from(error))
                }
            },
            Err(error) => Err(error),
        };
        let transaction = match begun {
            Ok(transaction) => transaction,
            Err(error) => {
                // What has queued up meanwhile has waited as long; it must not wait for another attempt each.
                if let Some(other) = queue {
                    while other.is_none()
                        && let Ok(message) = self.messages.try_recv()
                    {
                        match message {
                            Message::Write(job) => jobs.push(job),
                            message => *other = Some(message),
                        }
                    }
                }
                refuse(jobs, error);
                return Ok(());
            }
        };
        let began = Instant::now();
        let mut changes = Vec::new();
        let mut at = 0;
        while at < jobs.len() {
            let ctx = jobs[at].ctx().clone();
            let tx = WriteTx::new(&transaction, &ctx, &self.place.authentication);
            jobs[at].run(&tx).await;
            let wrote = tx.wrote();
            changes.extend(tx.into_outcome().0);
            if wrote && jobs[at].failed() {
                let (connection, result) = transaction.rollback().await;
                self.keep(connection, result.is_ok()).await;
                return Err(Broken { culprit: at });
            }
            at += 1;
            let Some(other) = queue.as_deref_mut() else { break };
            if other.is_none() && jobs.len() < BATCH && began.elapsed() < BATCH_TIME {
                match self.messages.try_recv() {
                    Ok(Message::Write(job)) => jobs.push(job),
                    Ok(message) => *other = Some(message),
                    Err(_) => {}
                }
            }
        }
        let (connection, result) = transaction.commit().await;
        self.keep(connection, result.is_ok()).await;
        match result {
            Ok(()) => {
                changes.into_iter().for_each(|change| (self.on_change)(change));
                jobs.drain(..).for_each(|job| job.answer(Ok(())));
            }
            Err(error) => {
                refuse(jobs, Error::from(error));
            }
        }
        Ok(())
    }
}

/// A batch was rolled back because of one of its transactions.
struct Broken {
    culprit: usize,
}

/// Answers that nothing happened. The error is logged here, once, because each caller would need a copy of it.
fn refuse(jobs: &mut Vec<Box<dyn Job>>, error: Error) {
    tracing::error!(error = %error, cause = ?std::error::Error::source(&error), "a transaction could not be committed");
    jobs.drain(..).for_each(|job| job.answer(Err(Error::Unavailable(None))));
}

#[cfg(test)]
mod tests;
