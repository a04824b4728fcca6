//! The manual as the program serves it.

use std::{fs, path::Path};

use gatehouse_server::http::manual::PAGES;

use crate::harness::{World, api_tests};

/// Where the links of a page lead.
fn links(html: &str) -> Vec<String> {
    html.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
}

async fn html(world: &World, page: &str) -> String {
    let answer = world.get(&format!("//docs/manual/{page}")).send().await.expect(200);
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
    answer.text
}

api_tests! {
    async fn every_page_of_the_manual_is_served_and_no_link_of_it_is_dead(world) {
        for (name, _) in PAGES {
            let page = html(&world, name).await;
            assert_eq!(page.matches("<h1>").count(), 1, "{name}");
            for link in links(&page) {
                let target = if link.starts_with('/') { format!("/{link}") } else { format!("//docs/manual/{}", link.trim_start_matches("./")) };
                assert_eq!(world.get(&target).send().await.status, 200, "{name}: {link}");
            }
        }
    }

    async fn reference_and_manual_lead_to_each_other(world) {
        let document = world.get("//openapi.json").send().await.expect(200).json();
        assert!(document["info"]["description"].as_str().unwrap().contains("(/docs/manual/)"), "{}", document["info"]);
        for (name, _) in PAGES {
            assert!(links(&html(&world, name).await).contains(&"/docs/".to_owned()), "{name}");
        }
    }

    async fn unknown_page_of_the_manual_is_not_found(world) {
        world.get("//docs/manual/nothing").send().await.problem(404, "not_found");
    }

    async fn page_of_the_manual_loads_its_style_and_nothing_else(world) {
        let answer = world.get("//docs/manual/").send().await.expect(200);
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; style-src 'self'; base-uri 'none'"), "{policy}");
    }
}

#[test]
fn every_file_of_the_manual_is_a_page_of_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let mut files: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let name = |page: &str| if page.is_empty() { "README.md".to_owned() } else { format!("{page}.md") };
    let mut pages: Vec<_> = PAGES.iter().map(|(page, _)| name(page)).collect();
    files.sort();
    pages.sort();
    assert_eq!(files, pages);
}
