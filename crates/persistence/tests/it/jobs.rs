//! The outbox: a job is one process's at a time, and who has lost it changes nothing.

use std::time::Duration;

use gatehouse_domain::{
    authz::WriteUsers,
    id::JobId,
    job::{Failure, JobKind},
    tenant::Tenant,
    time::{DAY, Timestamp},
};
use gatehouse_persistence::{ClaimedJob, Db, Error, NewJob, db_tests};

use crate::fixture::*;

const LEASE: Duration = JobKind::Mail.lease();

fn job(kind: JobKind) -> NewJob {
    let sealed = (kind == JobKind::Mail).then(|| vec![7; 40]);
    NewJob { id: JobId::from_parts(NOW.unix_millis(), bytes()), kind, sealed, give_up_at: Some(NOW.plus(DAY)) }
}

/// A tenant with so many jobs of a kind.
async fn waiting(db: &Db, kind: JobKind, count: usize) -> Tenant {
    let tenant = tenant(db, &partner(db, "p").await, "t").await;
    more(db, &tenant, kind, count).await;
    tenant
}

async fn more(db: &Db, tenant: &Tenant, kind: JobKind, count: usize) {
    let at = tenant.reference();
    write(db, NOW, async move |tx| {
        for _ in 0..count {
            tx.system(SYSTEM).enqueue(at, None, job(kind)).await?;
        }
        Ok(())
    })
    .await
    .unwrap();
}

async fn claim(db: &Db, kind: JobKind, at: Timestamp) -> Vec<ClaimedJob> {
    write(db, at, async move |tx| tx.system(SYSTEM).claim_jobs(kind).await).await.unwrap()
}

db_tests! {
    async fn job_is_claimed_once_until_its_lease_ends(db) {
        let tenant = waiting(&db, JobKind::Mail, 1).await;
        assert!(db.system(SYSTEM).has_job(JobKind::Mail, NOW).await.unwrap());
        let first = claim(&db, JobKind::Mail, NOW).await;
        assert_eq!((first.len(), first[0].attempt, first[0].tenant), (1, 1, tenant.reference()));
        assert_eq!((first[0].created_at, first[0].job.give_up_at, first[0].job.sealed.as_deref()), (NOW, Some(NOW.plus(DAY)), Some([7; 40].as_slice())));
        let almost = NOW.plus(LEASE).minus(Duration::from_micros(1));
        assert!(claim(&db, JobKind::Mail, almost).await.is_empty() && !db.system(SYSTEM).has_job(JobKind::Mail, almost).await.unwrap());
        let second = claim(&db, JobKind::Mail, NOW.plus(LEASE)).await;
        assert_eq!((second.len(), second[0].attempt, second[0].job.id), (1, 2, first[0].job.id));
    }

    async fn claim_that_was_overtaken_changes_nothing(db) {
        waiting(&db, JobKind::Mail, 1).await;
        let lost = claim(&db, JobKind::Mail, NOW).await.remove(0);
        let held = claim(&db, JobKind::Mail, NOW.plus(LEASE)).await.remove(0);
        let old = lost.clone();
        let refused = write(&db, NOW, async move |tx| {
            let (system, busy) = (tx.system(SYSTEM), Failure::again("busy"));
            system.postpone_job(&old, busy, NOW).await?;
            assert!(!system.rewrite_job(&old, gatehouse_domain::id::UserId::from_parts(1, [1; 10]), None, NOW).await?);
            assert!(!system.give_mail_up(&old, busy).await?);
            assert!(!system.drop_job(&old).await?);
            Ok(())
        });
        refused.await.unwrap();
        let renewed = write(&db, NOW, async move |tx| tx.system(SYSTEM).renew_job(&lost, true).await).await;
        assert!(matches!(renewed, Err(Error::Stale)));
        assert!(claim(&db, JobKind::Mail, NOW.plus(LEASE)).await.is_empty(), "it is still held");
        assert!(write(&db, NOW, async move |tx| tx.system(SYSTEM).drop_job(&held).await).await.unwrap());
    }

    async fn job_that_is_renewed_is_held_for_another_lease_by_the_same_claim(db) {
        waiting(&db, JobKind::UserImport, 1).await;
        let (lease, mut at) = (JobKind::UserImport.lease(), NOW);
        let held = claim(&db, JobKind::UserImport, at).await.remove(0);
        for has_got_on in [false, true] {
            at = at.plus(lease).minus(Duration::from_micros(1));
            let claim_of = held.clone();
            write(&db, at, async move |tx| tx.system(SYSTEM).renew_job(&claim_of, has_got_on).await).await.unwrap();
            assert!(claim(&db, JobKind::UserImport, NOW.plus(lease)).await.is_empty());
        }
        let next = claim(&db, JobKind::UserImport, at.plus(lease)).await.remove(0);
        assert_eq!(next.attempt, 1, "it had got on");
        assert!(!write(&db, at, async move |tx| tx.system(SYSTEM).drop_job(&held).await).await.unwrap());
    }

    async fn kinds_are_claimed_apart_and_no_more_than_are_done_at_once(db) {
        let tenant = waiting(&db, JobKind::Mail, 10).await;
        more(&db, &tenant, JobKind::UserImport, 3).await;
        for (kind, rounds) in [(JobKind::Mail, vec![8, 2, 0]), (JobKind::UserImport, vec![1, 1, 1, 0])] {
            for expected in rounds {
                let claims = claim(&db, kind, NOW).await;
                assert!(claims.len() == expected && claims.iter().all(|claim| claim.job.kind == kind), "{kind}");
            }
        }
    }

    async fn processes_that_claim_at_once_share_the_jobs(db) {
        waiting(&db, JobKind::Mail, 24).await;
        let (a, b, c) = tokio::join!(claim(&db, JobKind::Mail, NOW), claim(&db, JobKind::Mail, NOW), claim(&db, JobKind::Mail, NOW));
        let mut all: Vec<_> = [a, b, c].concat().into_iter().map(|claim| claim.job.id).collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert!(all.len() == count && (8..=24).contains(&count), "{count}");
    }

    async fn jobs_of_a_tenant_are_counted_by_kind_and_up_to_a_number(db) {
        let tenant = waiting(&db, JobKind::Mail, 5).await;
        more(&db, &tenant, JobKind::UserImport, 1).await;
        let other = waiting_elsewhere(&db).await;
        let count = async |at: &Tenant, most| db.system(SYSTEM).jobs_waiting(JobKind::Mail, at.id, most).await.unwrap();
        assert_eq!((count(&tenant, 100).await, count(&tenant, 3).await, count(&other, 100).await), (5, 3, 2));
    }

    async fn job_of_another_tenant_is_not_written(db) {
        let tenant = waiting(&db, JobKind::Mail, 0).await;
        let other = waiting_elsewhere(&db).await.reference();
        let grant = in_tenant::<WriteUsers>(&tenant);
        let result = write(&db, NOW, async move |tx| tx.scope(&grant).await?.enqueue(other, None, job(JobKind::Mail)).await).await;
        assert!(matches!(result, Err(Error::ScopeViolation)));
    }
}

/// Another partner's tenant, with two mails.
async fn waiting_elsewhere(db: &Db) -> Tenant {
    let other = tenant(db, &partner(db, "q").await, "other").await;
    more(db, &other, JobKind::Mail, 2).await;
    other
}
