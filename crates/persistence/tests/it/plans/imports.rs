//! Imports of users: what they rejected, who takes them up, and their files.

use gatehouse_domain::{
    id::JobId,
    import::{Format, Import, OnConflict, Order},
    job::JobKind,
    page::{Key, KeyValue},
};
use gatehouse_persistence::{NewJob, RejectedLine};

use super::*;

fn order(n: u8) -> (JobId, Order) {
    (JobId::from_parts(1, [n; 10]), Order { format: Format::Csv, on_conflict: OnConflict::Fail, dry_run: false })
}

surveys! {
    async fn imports_and_their_files_are_found_by_an_index(survey) {
        let (db, at, tenant) = (survey.db.clone(), survey.tenant.reference(), survey.tenant.clone());
        let (read, save) = (in_tenant::<ReadUsers>(&tenant), in_tenant::<WriteUsers>(&tenant));
        let scope = db.scope(&read);
        // Some that have ended, and one that has not.
        let saving = save.clone();
        let import = write(&db, NOW, async move |tx| {
            let scope = tx.scope(&saving).await?;
            for n in 0..200 {
                let (id, order) = order(n);
                let import = scope.insert(Import::queue(id, at, order, &saving, NOW)).await?;
                scope.update(import.cancel(&by(), NOW)).await?;
            }
            let (id, order) = order(200);
            scope.enqueue(at, None, NewJob { id, kind: JobKind::UserImport, sealed: None, give_up_at: None }).await?;
            scope.insert(Import::queue(id, at, order, &saving, NOW)).await
        }).await.unwrap();
        survey.look("active", scope.active_import(at.id)).await;
        for made in [None, Some([NOW, NOW])] {
            survey.look("whom to invite", scope.uninvited(at, made, NOW, 50)).await;
        }
        survey.look("invitations", write(&db, NOW, async move |tx| {
            let (system, kind) = (tx.system(SYSTEM), JobKind::Invitations);
            system.read().has_job_about_all(kind, at.id).await?;
            system.drop_jobs(kind, at.id).await
        })).await;
        survey.look("one", scope.import(import.id)).await;
        let key = |value| PageRequest { start: Start::After(Key { value, id: import.id.uuid() }, page(2, 50).number()), ..page(2, 50) };
        for way in WAYS {
            survey.look("list", scope.imports(at.id, way, &page(2, 50))).await;
            survey.look("list, further", scope.imports(at.id, way, &key(KeyValue::At(NOW)))).await;
            survey.look("rejects", scope.rejected_page(&import, way, &page(1, 50))).await;
            survey.look("rejects, further", scope.rejected_page(&import, way, &key(KeyValue::Number(7)))).await;
        }
        let (keeping, id) = (save.clone(), import.id);
        survey.look("keep", write(&db, NOW, async move |tx| tx.scope(&keeping).await?.keep_piece(at, id, 0, vec![0; 100]).await)).await;
        survey.look("take up", write(&db, NOW, async move |tx| {
            let claim = tx.system(SYSTEM).claim_jobs(JobKind::UserImport).await?.remove(0);
            assert_eq!(tx.system(SYSTEM).take_up_import(&claim).await?.map(|import| import.id), Some(id));
            Ok(())
        })).await;
        let import = scope.import(id).await.unwrap().unwrap();
        survey.look("piece", db.system(SYSTEM).piece(&import, 0)).await;
        let (advancing, of) = (save.clone(), import.clone());
        survey.look("advance", write(&db, NOW, async move |tx| {
            let scope = tx.scope(&advancing).await?;
            let rejected = [RejectedLine { line: 1, faults: "[]".into() }];
            let import = scope.advance(of.clone(), &rejected).await?;
            scope.rejected_lines(&import, 0).await?;
            scope.forget_rejected_lines(&import).await?;
            scope.update(import.complete(&by(), NOW)).await
        })).await;
        survey.look("drop", write(&db, NOW, async move |tx| tx.scope(&save).await?.drop_pieces(at, id).await)).await;
        survey.look("purge", write(&db, then(), async |tx| {
            tx.system(SYSTEM).purge_pieces(NOW).await?;
            tx.system(SYSTEM).purge_rejected_lines().await
        })).await;
    }
}
