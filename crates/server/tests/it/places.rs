//! Where a session was begun, from a file of places in MaxMind's format.

use serde_json::{Value, json};

use crate::harness::{PASSWORD, Signed, World, api_tests};

/// A text, or a map, as the format encodes it: the kind in three bits, the length in five.
fn text(text: &str) -> Vec<u8> {
    assert!(text.len() < 29);
    [&[0x40 | text.len() as u8], text.as_bytes()].concat()
}

fn map(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let entries_of = entries.iter().flat_map(|(key, value)| [text(key), value.clone()].concat());
    [0xe0 | entries.len() as u8].into_iter().chain(entries_of).collect()
}

fn number(kind: &[u8], bytes: &[u8]) -> Vec<u8> {
    [&[kind[0] | bytes.len() as u8], &kind[1..], bytes].concat()
}

/// A file (MaxMind DB specification 2.0) that knows one network, 203.0.113.0/24, and of it what it is given.
fn file_of(place: Vec<u8>) -> Vec<u8> {
    const NODES: u32 = 24;
    let network = u32::from_be_bytes([203, 0, 113, 0]);
    let mut file = Vec::new();
    for node in 0..NODES {
        let next = if node + 1 < NODES { node + 1 } else { NODES + 16 };
        let goes_on = network >> (31 - node) & 1;
        for side in 0..2 {
            let record = if side == goes_on { next } else { NODES };
            file.extend_from_slice(&record.to_be_bytes()[1..]);
        }
    }
    file.extend_from_slice(&[0; 16]);
    file.extend(place);
    file.extend_from_slice(b"\xab\xcd\xefMaxMind.com");
    let (u16_kind, u32_kind, u64_kind) = (&[0xa0][..], &[0xc0][..], &[0x00, 0x02][..]);
    file.extend(map(&[
        ("binary_format_major_version", number(u16_kind, &[2])),
        ("binary_format_minor_version", number(u16_kind, &[])),
        ("build_epoch", number(u64_kind, &[1])),
        ("database_type", text("GeoLite2-City")),
        ("description", map(&[("en", text("one network"))])),
        ("ip_version", number(u16_kind, &[4])),
        ("languages", vec![0x00, 0x04]),
        ("node_count", number(u32_kind, &[NODES as u8])),
        ("record_size", number(u16_kind, &[24])),
    ]));
    file
}

/// Where a login from an address was, with this file.
async fn location(world: &World, file: Vec<u8>, ip: [u8; 4]) -> Value {
    let tenant = world.tenant("acme").await;
    let path = world.config.data_dir.join("places.mmdb");
    std::fs::write(&path, file).unwrap();
    let world = world.replica(|config| config.geoip_file = Some(path)).await;
    world.person(&tenant, "ada").await;
    let form = [("username", "ada"), ("password", PASSWORD)];
    let signed = Signed::of(&world.post("/auth/tenants/acme/login").from(ip).form(&form).send().await.expect(200));
    let path = format!("/tenants/{}/sessions/{}", tenant.id, signed.session());
    world.get(&path).bearer(&signed).send().await.expect(200).data()["location"].clone()
}

fn madrid() -> Vec<u8> {
    let name = |name: &str| ("names", map(&[("en", text(name))]));
    map(&[("city", map(&[name("Madrid")])), ("country", map(&[("iso_code", text("ES")), name("Spain")]))])
}

api_tests! {
    async fn known_address_gives_city_and_country(world) {
        assert_eq!(location(&world, file_of(madrid()), [203, 0, 113, 9]).await, json!("Madrid, ES"));
    }

    async fn file_of_countries_gives_the_country(world) {
        let file = file_of(map(&[("country", map(&[("iso_code", text("ES"))]))]));
        assert_eq!(location(&world, file, [203, 0, 113, 9]).await, json!("ES"));
    }

    async fn unknown_address_has_no_location(world) {
        assert_eq!(location(&world, file_of(madrid()), [198, 51, 100, 9]).await, Value::Null);
    }
}
