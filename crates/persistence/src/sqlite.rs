//! SQLite: one connection that writes, several that read, and commits that concurrent transactions share.
//!
//! An fsync per transaction is what limits a durable SQLite (`synchronous=FULL`), not its statements. So one thread
//! owns the writing connection and takes transactions from a bounded queue: it begins, runs the first, then whatever
//! has queued up meanwhile, commits once, and only then answers all of them. Alone, a transaction waits for nobody;
//! under load the commit's own duration is what collects the next batch.
//!
//! A transaction that fails after it has written something rolls the batch back; the others run again, each alone, so
//! one caller's failure is never another's. Work that has begun runs to its end even if the caller went away, but not beyond
//! its deadline; what has not begun until then does not begin.

mod lock;

use std::{
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
    db::{
        self, Authentication, Change, ChangeContext, Lease, Observer, Pool, Server, Transaction, WriteTx, deadline,
        unavailable,
    },
    error::{Error, Result},
};

pub use lock::ServeLock;
pub(crate) use lock::migrating;

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
/// How long another program may hold the file. Whoever queues up behind waits as long at most, and less than a request may.
const BUSY_TIMEOUT: Duration = Duration::from_secs(3);

pub(crate) fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .statement_cache_capacity(512)
        .pragma("temp_store", "MEMORY")
        // What is erased is not left in free pages.
        .pragma("secure_delete", "ON")
        .pragma("cache_size", "-8000")
        .pragma("journal_size_limit", "67108864")
        .disable_statement_logging()
}

pub(crate) async fn open(
    path: &Path,
    readers_at_most: u32,
    observer: &Observer,
    authentication: &Authentication,
    on_change: &Arc<dyn Fn(Change) + Send + Sync>,
) -> Result<(Pool, Writer)> {
    let place =
        WriterTarget { path: path.to_owned(), observer: observer.clone(), authentication: authentication.clone() };
    let writer = Box::pin(place.connect()).await?;
    let readers = Server::Sqlite(Box::new(options(path).pragma("query_only", "ON")));
    let readers = Pool::open(readers, readers_at_most, observer.clone()).await?;
    Ok((readers, Writer::start(place, writer, Arc::clone(on_change))?))
}

/// Where the one connection that writes leads.
struct WriterTarget {
    path: PathBuf,
    observer: Observer,
    authentication: Authentication,
}

impl WriterTarget {
    async fn connect(&self) -> Result<Lease> {
        let options = options(&self.path).create_if_missing(true);
        Ok(Lease::own(db::sqlite(&options, &self.observer).await.map_err(unavailable)?))
    }
}

type Local<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// A transaction in the queue.
trait Job: Send {
    fn run<'a>(&'a mut self, tx: &'a WriteTx<'_>) -> Local<'a, ()>;
    fn ctx(&self) -> &ChangeContext;
    fn is_patient(&self) -> bool;
    fn deadline(&self) -> Instant;
    fn failed(&self) -> bool;
    fn answer(self: Box<Self>, committed: Result<()>);
}

struct Queued<F, T, E> {
    ctx: ChangeContext,
    is_patient: bool,
    deadline: Instant,
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

    fn ctx(&self) -> &ChangeContext {
        &self.ctx
    }

    fn is_patient(&self) -> bool {
        self.is_patient
    }

    fn deadline(&self) -> Instant {
        self.deadline
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
    fn start(place: WriterTarget, connection: Lease, on_change: Arc<dyn Fn(Change) + Send + Sync>) -> Result<Self> {
        let (queue, messages) = mpsc::channel(QUEUE);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .map_err(|error| Error::File(PathBuf::from("runtime"), error))?;
        let thread = std::thread::Builder::new()
            .name("sqlite-writer".into())
            .spawn(move || {
                let work = Loop { place, connection: Some(connection), messages, on_change };
                runtime.block_on(deadline::task(work.run()));
            })
            .map_err(|error| Error::File(PathBuf::from("thread"), error))?;
        Ok(Self { queue, thread: Mutex::new(Some(thread)) })
    }

    pub(crate) async fn write<T, E, F>(&self, ctx: ChangeContext, is_patient: bool, work: F) -> Result<T, E>
    where
        F: AsyncFn(&WriteTx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let deadline = Instant::now() + deadline::left();
        let job = Queued { ctx, is_patient, deadline, work, result: None, reply };
        self.queue.try_send(Message::Write(Box::new(job))).map_err(|_| Error::Unavailable(None))?;
        match deadline::wait(answer).await {
            Ok(Ok(result)) => result,
            Err(_) => Err(Error::Unavailable(None).into()),
            Ok(Err(_)) => Err(Error::Other(sea_orm::DbErr::Custom("a transaction panicked".into())).into()),
        }
    }

    pub(crate) async fn close(&self) {
        let (reply, answer) = oneshot::channel();
        let closed = async { self.queue.send(Message::Close(reply)).await.is_ok() && answer.await.is_ok() };
        // A writer that waits for the disk ends with the process.
        if deadline::task(deadline::wait(closed)).await.is_ok()
            && let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take()
        {
            drop(thread.join());
        }
    }
}

struct Loop {
    place: WriterTarget,
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

    /// Answers that nothing happened. The error is logged here, once, because each caller would need a copy of it.
    fn refuse(&self, jobs: &mut Vec<Box<dyn Job>>, error: &dyn std::error::Error) {
        self.place.observer.took_no_write(error);
        jobs.drain(..).for_each(|job| job.answer(Err(Error::Unavailable(None))));
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
                self.refuse(jobs, &error);
                return Ok(());
            }
        };
        let began = Instant::now();
        let (mut changes, mut has_written) = (Vec::new(), false);
        let mut at = 0;
        while at < jobs.len() {
            let (ctx, deadline) = (jobs[at].ctx().clone(), jobs[at].deadline());
            if deadline <= Instant::now() {
                jobs.remove(at).answer(Err(Error::Unavailable(None)));
            } else {
                let tx = WriteTx::new(&transaction, &ctx, &self.place.authentication);
                deadline::until(deadline, jobs[at].run(&tx)).await;
                let wrote = tx.wrote();
                changes.extend(tx.into_outcome().0);
                if jobs[at].failed() && (wrote || !transaction.lives().await) {
                    let (connection, result) = transaction.rollback().await;
                    self.keep(connection, result.is_ok()).await;
                    return Err(Broken { culprit: at });
                }
                has_written |= wrote;
                at += 1;
            }
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
        // Where the answer was lost, nobody knows whether it is so: then too it must be read anew.
        changes.into_iter().for_each(|change| (self.on_change)(change));
        match result {
            Ok(()) => {
                if has_written {
                    self.place.observer.took_write();
                }
                jobs.drain(..).for_each(|job| job.answer(Ok(())));
            }
            Err(error) => {
                self.refuse(jobs, &error);
            }
        }
        Ok(())
    }
}

/// A batch was rolled back because of one of its transactions.
struct Broken {
    culprit: usize,
}

#[cfg(test)]
mod tests;
