//! Applications are told that sessions have ended (OpenID Connect Back-Channel Logout 1.0).
//!
//! What is owed to whom lies in a table that triggers fill, so this only has to empty it. Every application has a lane of
//! its own: one that says nothing holds up nobody else, however much there is to tell it. How much of a lane runs at the
//! same time depends on how the application behaves.

mod lane;
mod token;

use std::{
    collections::{HashMap, HashSet},
    panic::AssertUnwindSafe,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use futures_util::{FutureExt, StreamExt, future::join_all, stream::FuturesUnordered};
use gatehouse_domain::{authz::SystemReason, id::ApplicationId};
use gatehouse_persistence::Db;
use tokio::sync::Semaphore;

use crate::{
    app::{App, Result, platform::Keys},
    env::Env,
    outbound::{CONNECTIONS, Outbound},
};

const JOB: SystemReason = SystemReason::Job;
/// How often it is looked what is to be told: at half the time that the first attempt may take.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Deliveries that are made at the same time; some calls are left to others.
const AT_ONCE: usize = CONNECTIONS - 32;
/// Those to one application: at first, at most, and while it says nothing.
const FIRST_WIDTH: usize = 4;
const WIDEST: usize = 32;
const SILENT: usize = 1;

/// What is remembered of the lanes.
#[derive(Debug)]
pub struct Lanes {
    slots: Semaphore,
    widths: Mutex<HashMap<ApplicationId, usize>>,
}

impl Default for Lanes {
    fn default() -> Self {
        Self { slots: Semaphore::new(AT_ONCE), widths: Mutex::default() }
    }
}

impl Lanes {
    fn width(&self, application: ApplicationId) -> usize {
        let widths = self.widths.lock().unwrap_or_else(PoisonError::into_inner);
        widths.get(&application).copied().unwrap_or(FIRST_WIDTH)
    }

    /// Widens the lane of an application that answers, and leaves one path to one that does not.
    fn learn(&self, application: ApplicationId, answers: bool) {
        let mut widths = self.widths.lock().unwrap_or_else(PoisonError::into_inner);
        let width = widths.entry(application).or_insert(FIRST_WIDTH);
        *width = if answers { Ord::min(*width * 2, WIDEST) } else { SILENT };
    }

    /// Forgets the lanes of those that have nothing to be told: an application that was silent is asked anew.
    fn keep(&self, due: &HashSet<ApplicationId>) {
        let mut widths = self.widths.lock().unwrap_or_else(PoisonError::into_inner);
        widths.retain(|application, width| due.contains(application) || *width == SILENT);
        if widths.len() > AT_ONCE {
            widths.clear();
        }
    }
}

/// Tells applications that sessions have ended.
#[derive(Debug, Clone, Copy)]
pub struct BackChannel<'a> {
    db: &'a Db,
    env: &'a Env,
    keys: Keys<'a>,
    outbound: &'a Outbound,
    lanes: &'a Lanes,
    /// The address of the server, by which tokens name their issuer.
    base_url: &'a str,
}

impl App {
    /// Tells applications that sessions have ended.
    pub fn back_channel(&self) -> BackChannel<'_> {
        BackChannel {
            db: &self.db,
            env: &self.env,
            keys: self.keys(),
            outbound: &self.outbound,
            lanes: &self.lanes,
            base_url: &self.base_url,
        }
    }
}

impl BackChannel<'_> {
    /// The applications that are to be told something now.
    async fn due(&self) -> Result<Vec<ApplicationId>> {
        Ok(self.db.system(JOB).applications_to_tell(self.env.now()).await?)
    }

    /// Tells everything that is due; returns how often an application was told that a session has ended.
    ///
    /// # Errors
    /// [`crate::app::Error::Unavailable`] when the database does not answer. What was told meanwhile is told once more after
    /// its lease.
    pub async fn run_due(&self) -> Result<usize> {
        let mut told = 0;
        loop {
            let due = self.due().await?;
            if due.is_empty() {
                return Ok(told);
            }
            for result in join_all(due.into_iter().map(|application| self.lane(application))).await {
                told += result?;
            }
        }
    }

    /// Goes on telling what becomes due, until the future is dropped.
    pub async fn run(&self) {
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut running, mut lanes) = (HashSet::new(), FuturesUnordered::new());
        loop {
            // Whoever looks does not keep the lanes from going on.
            let look = async {
                ticks.tick().await;
                AssertUnwindSafe(self.due()).catch_unwind().await
            };
            let mut look = Box::pin(look);
            let due = loop {
                tokio::select! {
                    due = &mut look => break due,
                    Some((application, result)) = lanes.next(), if !lanes.is_empty() => {
                        running.remove(&application);
                        note(result);
                    }
                }
            };
            drop(look);
            match due {
                Ok(Ok(due)) => {
                    self.lanes.keep(&due.iter().copied().collect());
                    for application in due {
                        if running.insert(application) {
                            let lane = AssertUnwindSafe(self.lane(application)).catch_unwind();
                            lanes.push(Box::pin(async move { (application, lane.await) }));
                        }
                    }
                }
                failed => note(failed),
            }
        }
    }
}

/// A lane that fails is begun again: what it had is due after its lease.
fn note<T>(result: Result<Result<T>, Box<dyn std::any::Any + Send>>) {
    match result {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => tracing::warn!(%error, "applications cannot be told that sessions have ended"),
        Err(_) => tracing::error!("telling applications that sessions have ended panicked; it goes on"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lane_widens_while_the_application_answers_and_has_one_path_while_it_does_not() {
        let (lanes, application) = (Lanes::default(), ApplicationId::from_parts(1, [1; 10]));
        let mut widths = vec![lanes.width(application)];
        for answers in [true, true, true, true, false, true] {
            lanes.learn(application, answers);
            widths.push(lanes.width(application));
        }
        assert_eq!(widths, [4, 8, 16, 32, 32, 1, 2]);
    }
}
