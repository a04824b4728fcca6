//! Codes and refresh tokens of applications that are used at the same time.

use futures_util::future::join_all;
use serde_json::json;

use crate::harness::{
    Browser, api_tests, claims,
    oauth::{Site, code, refused, text},
};

api_tests! {
    async fn sixty_four_exchanges_of_one_code_at_once_have_one_success(world) {
        let site = Site::new(&world).await;
        let (app, browser) = (site.app(json!({})).await, Browser::new(&world));
        let code = code(&site.sign_in(&browser, &app, &[]).await);
        let answers = join_all((0..64).map(|_| site.exchange(&app, &code))).await;
        let count = |status| answers.iter().filter(|answer| answer.status == status).count();
        assert_eq!((count(200), count(400)), (1, 63));
    }

    async fn sixty_four_refreshes_with_one_token_at_once_have_one_success_and_no_alarm(world) {
        let site = Site::new(&world).await;
        let (spa, browser) = (site.spa().await, Browser::new(&world));
        let tokens = site.tokens(&browser, &spa, &[]).await;
        let answers = join_all((0..64).map(|_| site.refresh(&spa, text(&tokens, "refresh_token")))).await;
        let winners: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
        assert_eq!((winners.len(), answers.iter().filter(|answer| answer.status == 400).count()), (1, 63));
        site.refresh(&spa, text(&winners[0].json(), "refresh_token")).await.expect(200);
    }

    async fn exchange_and_refresh_race_the_end_of_the_session_and_nothing_survives(world) {
        let site = Site::new(&world).await;
        let (spa, browser) = (site.spa().await, Browser::new(&world));
        for _ in 0..20 {
            let tokens = site.tokens(&browser, &spa, &[]).await;
            let code = code(&browser.get(&site.request(&spa, &[])).await);
            let session = text(&claims(text(&tokens, "id_token")), "sid").to_owned();
            let end = world.delete(&format!("/tenants/{}/sessions/{session}", site.tenant.id)).bearer(&site.boss).send();
            let refresh = site.refresh(&spa, text(&tokens, "refresh_token"));
            let (ended, exchanged, refreshed) = futures_util::join!(end, site.exchange(&spa, &code), refresh);
            ended.expect(204);
            for answer in [exchanged, refreshed] {
                assert!([200, 400].contains(&answer.status), "{}", answer.text);
                if answer.status == 200 {
                    let tokens = answer.json();
                    site.user_info(text(&tokens, "access_token")).await.expect(401);
                    assert_eq!(refused(site.refresh(&spa, text(&tokens, "refresh_token")).await, 400), "invalid_grant");
                }
            }
        }
    }

    async fn codes_of_one_session_that_are_exchanged_at_once_leave_ten_families(world) {
        let site = Site::new(&world).await;
        let (app, browser) = (site.app(json!({})).await, Browser::new(&world));
        let mut codes = vec![code(&site.sign_in(&browser, &app, &[]).await)];
        for _ in 0..31 {
            codes.push(code(&browser.get(&site.request(&app, &[])).await));
        }
        let answers = join_all(codes.iter().map(|code| site.exchange(&app, code))).await;
        assert!(answers.iter().all(|answer| answer.status == 200));
        assert_eq!(world.number("SELECT COUNT(*) FROM token_families WHERE ended_at IS NULL").await, 10);
    }
}
