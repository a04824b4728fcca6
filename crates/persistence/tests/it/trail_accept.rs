//! What was found wrong with the trail and was accepted is told for ever, and whatever is changed later is found.

use gatehouse_domain::audit::{Acceptance, Damage, Verification};
use gatehouse_persistence::{ChangeContext, Error, WriteTx, testing::Engine};

use crate::{
    fixture::*,
    on_both,
    trail_edits::{PERIOD, Trail},
};

/// An event that nobody recorded.
const FORGED: &str = "
INSERT INTO audit_events SELECT NEW_ID, occurred_at, tenant_id, partner_id, actor_type, actor_id, actor_session_id, acting_as, action, resource_type,
    resource_id, result, failure, reason, changes, ip_address, user_agent, request_id, tag, origin_digest, changes_digest FROM audit_events LIMIT 1;
DELETE FROM audit_unsealed WHERE event_id NOT IN (SELECT event_id FROM kept_audit_unsealed)";

/// What somebody does to a trail, and what is found of it.
const HARMS: [(&str, Damage); 12] = [
    ("UPDATE audit_events SET action = 'user.updated'", Damage::EventChanged),
    ("DELETE FROM audit_events WHERE id NOT IN (SELECT event_id FROM audit_unsealed)", Damage::EventMissing),
    (FORGED, Damage::EventUnsealed),
    ("UPDATE audit_unsealed SET tenant_id = (SELECT tenant_id FROM audit_chains LIMIT 1)", Damage::QueueChanged),
    ("UPDATE audit_seals SET first_at = first_at - 1", Damage::SealChanged),
    ("DELETE FROM audit_seals WHERE seq <> (SELECT MAX(seq) FROM audit_seals)", Damage::SealMissing),
    ("UPDATE audit_chains SET cut_seq = 0", Damage::ChainChanged),
    ("DELETE FROM audit_chains", Damage::RootChanged),
    ("UPDATE audit_root SET version = version + 1", Damage::RootChanged),
    (
        "UPDATE audit_root SET made_at = 9223372036854775807, version = 9223372036854775807, cut_version = -7",
        Damage::RootChanged,
    ),
    ("DELETE FROM audit_root", Damage::RootChanged),
    ("DELETE FROM audit_roots", Damage::HistoryChanged),
];

impl Trail {
    /// Accepts what is wrong now.
    pub async fn accept(&self) -> Result<Acceptance, Error> {
        self.accept_seen(&self.verify().await).await
    }

    /// What was accepted is a part of the trail.
    pub async fn accept_something(&self) {
        assert!(self.tamper("DELETE FROM audit_seals WHERE seq = (SELECT MAX(seq) FROM audit_seals)").await);
        self.accept().await.unwrap();
        self.happen(4).await;
        self.keep().await;
    }

    pub async fn accept_seen(&self, seen: &Verification) -> Result<Acceptance, Error> {
        let work = async |tx: &WriteTx<'_>| tx.system(SYSTEM).accept_damage(seen, "Ada").await;
        self.db.write_alone(ChangeContext::at(NOW.plus(PERIOD * 4)), work).await
    }
}

async fn harm(trail: &Trail, sql: &str) {
    let id = if trail.db.is_sqlite() { "randomblob(16)" } else { "gen_random_uuid()" };
    assert!(trail.tamper(&sql.replace("NEW_ID", id)).await, "{sql}");
}

/// Goes on as a server does: nothing stops it, and nothing is wrong.
async fn assert_goes_on(trail: &Trail, accepted: usize, what: &str) {
    trail.happen(4).await;
    while trail.seal(4).await.unwrap() > 0 {}
    trail.purge(5).await.unwrap();
    let report = trail.verify().await;
    assert_eq!((report.findings, report.accepted.len()), (vec![], accepted), "{what}");
}

async fn damage_that_was_accepted_is_told_for_ever_and_what_comes_later_is_found(trail: Trail) {
    for (sql, damage) in HARMS {
        harm(&trail, sql).await;
        let found = trail.verify().await;
        assert!(found.findings.iter().any(|it| it.damage == damage), "{sql}: {:?}", found.findings);
        let acceptance = trail.accept().await.unwrap();
        assert_eq!((acceptance.accepted_by.as_str(), acceptance.damages), ("Ada", found.damages));
        assert_eq!(acceptance.findings, found.findings.iter().map(ToString::to_string).collect::<Vec<_>>(), "{sql}");
        assert_eq!(trail.verify().await.accepted, std::slice::from_ref(&acceptance), "{sql}");
        assert_goes_on(&trail, 1, sql).await;
        let events = "SELECT changes FROM audit_events WHERE action = 'audit_event.damage_accepted'";
        assert!(trail.texts(events).await[0].contains(&acceptance.findings[0]), "{sql}");
        for (sql, damage) in &HARMS[..3] {
            trail.keep_as("later").await;
            harm(&trail, sql).await;
            assert!(trail.damages(None).await.contains(damage), "again: {sql}");
            trail.put_back_from("later").await;
        }
        harm(&trail, "UPDATE audit_events SET action = 'user.created'").await;
        assert!(trail.damages(None).await.iter().any(|it| [Damage::EventChanged, Damage::SealChanged].contains(it)));
        trail.accept().await.unwrap();
        assert_goes_on(&trail, 2, sql).await;
        trail.put_back().await;
        assert_eq!(trail.verify().await.accepted, [], "{sql}");
    }
}

async fn only_what_was_seen_is_accepted(trail: Trail) {
    harm(&trail, HARMS[4].0).await;
    let seen = trail.verify().await;
    harm(&trail, HARMS[0].0).await;
    assert!(matches!(trail.accept_seen(&seen).await, Err(Error::Stale)));
    assert!(!trail.damages(None).await.is_empty());
    trail.accept().await.unwrap();
    assert_eq!(trail.damages(None).await, []);
}

async fn trigger_that_is_gone_is_not_accepted(trail: Trail) {
    let on = if trail.db.is_sqlite() { "" } else { " ON audit_events" };
    trail.execute(&format!("DROP TRIGGER tg_audit_events_queued{on}")).await;
    assert!(matches!(trail.accept().await, Err(Error::Tampered(_))));
    assert_eq!(trail.damages(None).await, [Damage::TriggerChanged]);
}

async fn nobody_makes_an_acceptance_up_or_takes_it_away(trail: Trail) {
    harm(&trail, HARMS[5].0).await;
    trail.accept().await.unwrap();
    harm(&trail, HARMS[0].0).await;
    trail.accept().await.unwrap();
    trail.keep_as("later").await;
    for sql in [
        "DELETE FROM audit_acceptances",
        "DELETE FROM audit_acceptances WHERE number = 2",
        "DELETE FROM audit_acceptances WHERE number = 1",
        "UPDATE audit_acceptances SET findings = ''",
        "INSERT INTO audit_acceptances SELECT 3, accepted_at, accepted_by, damages, findings, mac FROM audit_acceptances WHERE number = 2",
    ] {
        harm(&trail, sql).await;
        assert_eq!(trail.damages(None).await, [Damage::AcceptanceChanged], "{sql}");
        trail.accept().await.unwrap();
        let report = trail.verify().await;
        let last = report.accepted.last().unwrap();
        assert_eq!(
            (report.findings.len(), last.findings.as_slice()),
            (0, ["acceptance_changed".to_owned()].as_slice()),
            "{sql}"
        );
        trail.put_back_from("later").await;
    }
}

on_both! {
    damage_that_was_accepted_is_told_for_ever_and_what_comes_later_is_found
    only_what_was_seen_is_accepted
    trigger_that_is_gone_is_not_accepted
    nobody_makes_an_acceptance_up_or_takes_it_away
}
