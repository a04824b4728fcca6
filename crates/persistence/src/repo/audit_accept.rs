//! Going on with a trail that is damaged, after an operator has looked at the damage and accepted it.
//!
//! Events stay as they are. The seals of the chains that are damaged are made anew, over the events that are there: over
//! their tags where these are theirs, and where they are not over the events themselves, as for those from before there
//! were tags. What was accepted is kept for good, under a code that the root covers, so that no verification can leave
//! it out.

use gatehouse_domain::{
    audit::{Acceptance, Damage, Finding, Verification},
    id::TenantId,
    time::Timestamp,
};
use sea_orm::{ColumnTrait, DbErr, FromQueryResult, QueryFilter, QueryOrder, QueryResult, QuerySelect};
use uuid::Uuid;

use crate::{
    db::mac::{Mac, Message, RootPart, Use},
    entity::{audit_acceptance, audit_chain, audit_past_root, audit_root, audit_seal, audit_unsealed},
    error::{Error, Result},
    repo::{
        audit_chain::{code, number},
        audit_queue::Waiting,
        audit_root::{Past, Root},
        audit_seal::SEALED_AT_ONCE,
        audit_tag::{Code, tag},
        audit_verify::Check,
    },
    scope::system::WriteSystem,
};

/// How often chains are looked for that are damaged: an event that was moved damages two.
const ROUNDS: usize = 3;

/// That something was accepted, as it is kept.
struct Accepted {
    number: i64,
    what: Acceptance,
    mac: Code,
}

impl FromQueryResult for Accepted {
    fn from_query_result(row: &QueryResult, _: &str) -> Result<Self, DbErr> {
        let text = |column| row.try_get::<String>("", column).unwrap_or_default();
        let what = Acceptance {
            accepted_at: Timestamp::from_micros(number(row, "accepted_at")),
            accepted_by: text("accepted_by"),
            damages: u64::try_from(number(row, "damages")).unwrap_or(u64::MAX),
            findings: text("findings").lines().map(str::to_owned).collect(),
        };
        Ok(Self { number: number(row, "number"), what, mac: code(row, "mac") })
    }
}

impl Accepted {
    fn row(&self) -> audit_acceptance::Model {
        audit_acceptance::Model {
            number: self.number,
            accepted_at: self.what.accepted_at.micros(),
            accepted_by: self.what.accepted_by.clone(),
            damages: self.damages(),
            findings: self.what.findings.join("\n"),
            mac: self.mac.to_vec(),
        }
    }

    fn damages(&self) -> i64 {
        i64::try_from(self.what.damages).unwrap_or(i64::MAX)
    }

    /// Its code, behind another one.
    fn code(&self, mac: &Mac, before: &Code) -> Code {
        let message = Message::new(Use::Acceptance).number(self.number).number(self.what.accepted_at.micros());
        let message = message.bytes(self.what.accepted_by.as_bytes()).number(self.damages());
        mac.of(&message.bytes(self.what.findings.join("\n").as_bytes()).fixed(before))
    }
}

impl Check<'_> {
    /// What was accepted, as far as it is what was noted.
    async fn accepted(&self) -> Result<(Vec<Accepted>, bool)> {
        let all =
            self.system.table::<audit_acceptance::Entity>().select().order_by_asc(audit_acceptance::Column::Number);
        let (mut sound, mut end) = (Vec::new(), [0; 32]);
        let rows = all.into_model::<Accepted>().all(&self.system.exec).await?;
        let count = rows.len();
        for row in rows {
            if row.code(self.mac, &end) != row.mac {
                break;
            }
            end = row.mac;
            sound.push(row);
        }
        let root = self.system.root().await?.and_then(|root| root.accepted);
        let is_whole = sound.len() == count && root == sound.last().map(|last| last.mac);
        Ok((sound, is_whole))
    }

    /// Says what was accepted before.
    pub(crate) async fn acceptances(&self, report: &mut Verification) -> Result<()> {
        let (sound, is_whole) = self.accepted().await?;
        if !is_whole {
            report.found(Finding::new(Damage::AcceptanceChanged));
        }
        report.accepted = sound.into_iter().map(|one| one.what).collect();
        Ok(())
    }
}

impl WriteSystem<'_> {
    /// Accepts what is wrong with the trail: it goes on from what is there, and every verification says so from now on.
    /// Nothing else than what was `seen` is accepted.
    ///
    /// # Errors
    /// [`Error::Stale`] when something else is wrong by now; [`Error::Tampered`] when it is nothing that the trail could go on
    /// with, such as a trigger that is gone.
    pub async fn accept_damage(&self, seen: &Verification, by: &str) -> Result<Acceptance> {
        let (check, now) = (Check { system: self.read(), mac: self.tx.mac()? }, self.tx.now());
        let root = self.root_of_any_kind().await?;
        let mut report = check.verify(None, None, now).await?;
        if !report.lasting().eq(seen.lasting()) {
            return Err(Error::Stale);
        }
        if let Some(trigger) = report.findings.iter().find_map(|finding| finding.trigger.clone()) {
            return Err(Error::Tampered(format!("the trigger {trigger}")));
        }
        let acceptance = report.accept(by, now);
        let mut root = self.sound(root, &report).await?;
        root.accepted = Some(self.keep(&check, acceptance.clone()).await?);
        for _ in 0..ROUNDS {
            self.go_on_from(root, &check, report.damaged_chains.iter().copied()).await?;
            while matches!(self.seal_events().await, Ok(1..)) {}
            report = check.verify(None, None, now).await?;
            if report.damages == 0 {
                self.tx.record(acceptance.event(self.by())).await?;
                return Ok(acceptance);
            }
            root = self.held_root().await?;
        }
        let left = report.findings.first().map(ToString::to_string).unwrap_or_default();
        Err(Error::Tampered(format!("what cannot be accepted: {left}")))
    }

    async fn held_root(&self) -> Result<Root> {
        self.hold_root(true).await?.ok_or(Error::Corrupt("root"))
    }

    /// The root, whatever is left of it, held until the transaction ends.
    async fn root_of_any_kind(&self) -> Result<Root> {
        match self.any_root(true).await {
            Err(Error::Tampered(_)) => {
                let [sum, mac, cut_mac, before_mac, accepted_mac] = Default::default();
                let (version, adopts_until, made_at, cut_version, least_kept) = (0, 0, 0, 0, i64::MAX);
                let blank = audit_root::Model {
                    id: 1,
                    version,
                    adopts_until,
                    sum,
                    mac,
                    made_at,
                    cut_version,
                    cut_mac,
                    least_kept,
                    before_mac,
                    accepted_mac,
                };
                self.table::<audit_root::Entity>().insert(blank).exec_without_returning(&self.tx.writing()).await?;
                self.any_root(true).await?.ok_or(Error::Corrupt("root"))
            }
            root => root?.ok_or(Error::Corrupt("root")),
        }
    }

    /// A root that another one can follow: this one, or where it or its history are not what they were the beginning of
    /// another history.
    async fn sound(&self, root: Root, report: &Verification) -> Result<Root> {
        use audit_past_root::{Column, Entity};
        let is_of_history = |it: &Finding| matches!(it.damage, Damage::HistoryChanged | Damage::CutTooEarly);
        if let Some(signer) = root.signer(self.tx.mac()?)
            && !report.findings.iter().any(is_of_history)
        {
            return Ok(root.signed_by(signer));
        }
        let newest = self.table::<Entity>().select().order_by_desc(Column::Version).limit(1);
        let newest = newest.into_model::<Past>().one(&self.tx.exec()).await?.map_or(0, |past| past.version);
        self.table::<Entity>().delete().exec(&self.tx.writing()).await?;
        // Nothing that somebody made up lets the numbers run out.
        let last = newest.max(root.version).clamp(0, i64::MAX / 2);
        Ok(root.behind(last).signed_by(RootPart::Current))
    }

    /// Keeps what is accepted, behind what was accepted before; returns its code. What was put between goes.
    async fn keep(&self, check: &Check<'_>, what: Acceptance) -> Result<Code> {
        use audit_acceptance::{Column, Entity};
        let (sound, _) = check.accepted().await?;
        let (last, before) = sound.last().map_or((0, [0; 32]), |last| (last.number, last.mac));
        let surplus =
            self.table::<Entity>().delete().filter(Column::Number.is_not_in(sound.iter().map(|it| it.number)));
        surplus.exec(&self.tx.writing()).await?;
        let mut accepted = Accepted { number: last + 1, what, mac: [0; 32] };
        accepted.mac = accepted.code(check.mac, &before);
        self.table::<Entity>().insert(accepted.row()).exec_without_returning(&self.tx.writing()).await?;
        Ok(accepted.mac)
    }

    /// Signs a root over the chains that are there, and makes the seals of those that are damaged anew.
    async fn go_on_from(
        &self,
        mut root: Root,
        check: &Check<'_>,
        damaged: impl Iterator<Item = Option<TenantId>> + Clone + Send,
    ) -> Result<()> {
        let damaged = damaged.map(|tenant| tenant.map_or(Uuid::nil(), TenantId::uuid));
        let db = self.tx.writing();
        for id in damaged.clone() {
            let seals = self.table::<audit_seal::Entity>().delete();
            seals.filter(audit_seal::Column::TenantId.eq(id)).exec(&db).await?;
            let chain = self.table::<audit_chain::Entity>().delete();
            chain.filter(audit_chain::Column::TenantId.eq(id)).exec(&db).await?;
            let queue = self.table::<audit_unsealed::Entity>().delete();
            queue.filter(audit_unsealed::Column::TenantId.eq(id)).exec(&db).await?;
        }
        [root.sum] = self.sums_of_chains([root.signer]).await?;
        self.put_root(root).await?;
        for id in damaged {
            self.seal_all(check, id).await?;
        }
        Ok(())
    }

    /// Seals every event of a tenant that is there.
    async fn seal_all(&self, check: &Check<'_>, tenant: Uuid) -> Result<()> {
        let mut last: Option<(i64, Uuid)> = None;
        loop {
            let page = check.events_behind(tenant, last).await?;
            let Some(end) = page.last().map(|(at, id, _)| (*at, *id)).filter(|end| last < Some(*end)) else {
                return Ok(());
            };
            last = Some(end);
            let ids: Vec<_> = page.iter().map(|(_, id, _)| *id).collect();
            for ids in ids.chunks(SEALED_AT_ONCE) {
                let [mut own, mut others] = [Vec::new(), Vec::new()];
                for event in self.events(ids).await? {
                    let Some(tag) = tag(check.mac, &event) else { continue };
                    let kind = if event.tag.as_deref() == Some(tag.as_slice()) { &mut own } else { &mut others };
                    kind.push(Waiting { id: event.id, tenant, at: Some(event.occurred_at), tag, is_misplaced: false });
                }
                for (waiting, adopted) in [(own, false), (others, true)] {
                    self.seal(self.held_root().await?, waiting, adopted).await?;
                }
            }
        }
    }
}
