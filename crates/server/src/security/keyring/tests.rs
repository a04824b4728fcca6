//! Tests of the keyring.

use gatehouse_persistence::{RootPart, TrailKey};

use super::*;

#[test]
fn sealed_data_opens_for_its_owner_and_key_only() {
    let (ring, other) = (Keyring::new(&MasterKey::new([1; 32])), Keyring::new(&MasterKey::new([2; 32])));
    let sealed = ring.seal(b"tenant", b"private");
    assert_eq!(ring.open(b"tenant", &sealed).unwrap(), b"private");
    assert_eq!(ring.open(b"another", &sealed), Err(Unopenable));
    assert_eq!(other.open(b"tenant", &sealed), Err(Unopenable));
    for i in 0..sealed.len() {
        let mut bent = sealed.clone();
        bent[i] ^= 1;
        assert_eq!(ring.open(b"tenant", &bent), Err(Unopenable));
    }
    assert_eq!(ring.open(b"tenant", &sealed[..10]), Err(Unopenable));
}

#[test]
fn piece_of_a_file_opens_in_its_own_place_only_and_says_whether_it_is_the_last() {
    let ring = Keyring::new(&MasterKey::new([1; 32]));
    let [file, other] = [1, 2].map(|n| JobId::from_parts(n, [0; 10]));
    let (first, last) = (ring.seal_piece(file, 0, false, b"a"), ring.seal_piece(file, 1, true, b"b"));
    assert_eq!(ring.open_piece(file, 0, &first).unwrap(), (b"a".to_vec(), false));
    assert_eq!(ring.open_piece(file, 1, &last).unwrap(), (b"b".to_vec(), true));
    for (id, number, moved) in [(file, 1, &first), (file, 0, &last), (other, 0, &first)] {
        assert_eq!(ring.open_piece(id, number, moved), Err(Unopenable));
    }
}

#[test]
fn what_a_job_is_done_with_opens_for_that_job_and_kind_only() {
    let (ring, [one, other]) = (Keyring::new(&MasterKey::new([1; 32])), [1, 2].map(|n| JobId::from_parts(n, [0; 10])));
    for (kind, another) in [(JobKind::Mail, JobKind::UserImport), (JobKind::UserImport, JobKind::Mail)] {
        let sealed = ring.seal_job(kind, one, b"a letter");
        assert_eq!(ring.open_job(kind, one, &sealed).unwrap(), b"a letter");
        assert_eq!(ring.open_job(kind, other, &sealed), Err(Unopenable));
        assert_eq!(ring.open_job(another, one, &sealed), Err(Unopenable));
    }
}

/// As it was sealed when mail had a table of its own.
#[test]
fn mail_that_has_waited_since_before_there_were_jobs_opens() {
    let sealed = "0000000000000000000000006598386a13dc5979b4f8dc9e043cf378ea566816520183e0";
    let sealed: Vec<_> =
        (0..sealed.len()).step_by(2).map(|i| u8::from_str_radix(&sealed[i..i + 2], 16).unwrap()).collect();
    let (ring, id) = (Keyring::new(&MasterKey::new([7; 32])), JobId::from_uuid(uuid::Uuid::from_bytes([1; 16])));
    assert_eq!(ring.open_job(JobKind::Mail, id, &sealed).unwrap(), b"a letter");
}

#[test]
fn answer_opens_for_the_holder_of_the_token_only() {
    let sealed = seal_for_holder("ghr_a", b"pair");
    assert_eq!(open_for_holder("ghr_a", &sealed).unwrap(), b"pair");
    assert_eq!(open_for_holder("ghr_b", &sealed), Err(Unopenable));
}

fn of(text: &str) -> MasterKey {
    MasterKey::parse(&text.replace('a', &"0a".repeat(32)).replace('b', &"0b".repeat(32))).unwrap()
}

#[test]
fn what_is_sealed_opens_while_its_key_is_replaced_and_not_afterwards() {
    let id = JobId::from_parts(1, [0; 10]);
    let before = Keyring::new(&of("a"));
    let (private, job) = (before.seal(b"owner", b"private"), before.seal_job(JobKind::Mail, id, b"letter"));
    let piece = before.seal_piece(id, 3, true, b"piece");

    let ring = Keyring::new(&of("b,a"));
    assert_eq!(ring.open(b"owner", &private).unwrap(), b"private");
    let private = ring.renew(b"owner", &private).unwrap().expect("it was sealed with the old part");
    let job = ring.renew_job(JobKind::Mail, id, &job).unwrap().unwrap();
    let piece = ring.renew_piece(id, 3, &piece).unwrap().unwrap();
    assert_eq!(ring.renew(b"owner", &private), Ok(None), "once is enough");

    assert!(ring.turn_to(&ring.newest_check()) && ring.adopt(&of("b.a")));
    assert_eq!(ring.open(b"owner", &private).unwrap(), b"private");
    assert_eq!(ring.open_job(JobKind::Mail, id, &job).unwrap(), b"letter");
    assert_eq!(ring.open_piece(id, 3, &piece).unwrap(), (b"piece".to_vec(), true));
    assert_eq!(ring.open(b"owner", &before.seal(b"owner", b"planted")), Err(Unopenable));
    assert_eq!(ring.renew(b"owner", &before.seal(b"owner", b"planted")), Err(Unopenable));
}

#[test]
fn key_that_is_being_replaced_seals_as_the_installation_knows_it() {
    let (before, ring) = (Keyring::new(&of("a")), Keyring::new(&of("b,a")));
    assert!(ring.turn_to(&before.check()), "not every server has the new part yet");
    assert_eq!(before.open(b"owner", &ring.seal(b"owner", b"private")).unwrap(), b"private");
    let newest = ring.newest_check();
    assert!(ring.turn_to(&newest));
    assert_eq!(before.open(b"owner", &ring.seal(b"owner", b"private")), Err(Unopenable));
    assert!(!Keyring::new(&of("b.a")).turn_to(&before.check()), "the old part seals nothing any more");
    assert!(!Keyring::new(&of("b")).turn_to(&newest), "a part is missing");
}

#[test]
fn server_takes_up_a_new_part_and_no_other_key() {
    let ring = Keyring::new(&of("a"));
    let check = ring.check();
    assert!(!ring.adopt(&of("b")));
    assert!(ring.adopt(&of("b,a")));
    assert_eq!(ring.check(), check, "it seals as before until the installation knows the new part");
    assert!(!ring.adopt(&of("b.a")), "it still seals with the old part");
    assert!(ring.turn_to(&ring.newest_check()) && ring.adopt(&of("b.a")));
    assert!(!ring.adopt(&of("a")), "a file of before was put back");
    assert_eq!(ring.check(), Keyring::new(&of("b.a")).check());
}

#[test]
fn codes_that_clients_hold_stay_when_the_key_is_replaced() {
    let (before, after) = (Keyring::new(&of("a")), Keyring::new(&of("b.a")));
    assert_eq!(before.refresh_tag(b"body"), after.refresh_tag(b"body"));
    assert_eq!(before.device_hash("ghd_a"), after.device_hash("ghd_a"));
    assert_eq!(before.throttle_key("name", b"alice"), after.throttle_key("name", b"alice"));
}

#[test]
fn root_that_the_old_key_signs_holds_until_the_new_one_signs() {
    let trail = |text: &str| trail::Trail(Arc::new(Keyring::new(&of(text))));
    let old = trail("a").root(b"root", RootPart::Newest);
    assert_eq!(trail("b.a").part_of(b"root", &old, false), None);
    assert_eq!(trail("b.a").part_of(b"root", &old, true), Some(RootPart::Nth(0)), "as what was");
    let both = trail("b,a");
    assert!(both.0.turn_to(&Keyring::new(&of("a")).check()));
    let new = both.root(b"root", RootPart::Newest);
    assert_eq!(both.part_of(b"root", &old, false), Some(RootPart::Nth(0)));
    assert_eq!(trail("b.a").part_of(b"root", &new, false), Some(RootPart::Nth(1)));
}
