//! What an import over the network cannot do: take more than its file, or outlast what it was asked through.

use gatehouse_domain::job::JobKind;
use serde_json::json;

use crate::{
    harness::api_tests,
    user_imports::{acme, asked, is, many, pieces, shown, stands},
};

api_tests! {
    async fn form_of_a_file_is_said_in_the_query_where_clients_send_bytes(world) {
        let (tenant, _, token) = acme(&world).await;
        let path = format!("/tenants/{}/user-imports", tenant.id);
        let (lines, table) = (many(1), "username,email\r\nbob,bob@mail.example\r\n");
        for (media, query, file) in [
            (Some("application/octet-stream"), "?format=csv", table),
            (None, "?format=csv&on_conflict=skip", table),
            (Some("text/csv"), "?format=csv&on_conflict=skip", table),
            (Some("application/octet-stream"), "", &lines),
            (None, "?on_conflict=skip", &lines),
        ] {
            let call = world.post(&format!("{path}{query}")).bearer(&token);
            let answer = match media {
                Some(media) => call.body(media, file).send().await,
                None => call.bytes(file).send().await,
            };
            let import = answer.expect(202).data()["id"].as_str().unwrap().to_owned();
            world.work(JobKind::UserImport).await;
            let import = shown(&world, &token, &format!("{path}/{import}")).await;
            assert_eq!((&import["state"], &import["rejected"]), (&json!("completed"), &json!(0)), "{media:?} {query}");
        }
    }

    async fn file_of_nothing_but_faults_is_given_up(world) {
        let (tenant, _, token) = acme(&world).await;
        let path = asked(&world, &tenant, &token, "1\n".repeat(12_000)).await;
        world.work(JobKind::UserImport).await;
        assert_eq!(shown(&world, &token, &path).await["failure"], "too_many_rejected");
        assert_eq!(pieces(&world).await, 0);
    }

    async fn line_with_thousands_of_faults_is_rejected_with_some_of_them(world) {
        let (tenant, _, token) = acme(&world).await;
        let fields: Vec<_> = (0..5_000).map(|i| format!("\"a{i}\":0")).collect();
        let path = asked(&world, &tenant, &token, format!("{{{}}}\n", fields.join(","))).await;
        world.work(JobKind::UserImport).await;
        assert_eq!(stands(&world, &token, &path).await, is("completed", [0, 0, 0, 1]));
        let rejects = world.get(&format!("{path}/rejects")).bearer(&token).send().await.expect(200).data();
        assert_eq!(rejects[0]["faults"].as_array().unwrap().len(), 20);
    }

    async fn import_ends_with_a_session_that_an_administrator_ended(world) {
        let (tenant, _, token) = acme(&world).await;
        let path = asked(&world, &tenant, &token, many(3)).await;
        let session = format!("/admin/sessions/{}", token.session());
        world.delete(&session).bearer(world.admin().await).send().await.expect(204);
        world.work(JobKind::UserImport).await;
        let (boss, at) = (world.admin().await, path.replace("/tenants/", "/admin/tenants/"));
        let import = world.get(&at).bearer(boss).send().await.expect(200).data();
        assert_eq!((&import["state"], &import["failure"]), (&json!("failed"), &json!("not_allowed")));
    }
}
