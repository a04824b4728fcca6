//! Tests of the keyring.

use super::*;
use crate::security::private::private_folder;
use std::os::unix::fs::PermissionsExt;

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

#[test]
fn master_key_is_32_bytes_in_hexadecimal_or_base64() {
    let hex = "00".repeat(31) + "ff";
    let base64 = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAP8";
    for text in [hex.as_str(), base64, &format!("{base64}=\n")] {
        assert_eq!(MasterKey::parse(text).unwrap().0.expose()[31], 255, "{text}");
    }
    for bad in ["", "secret", &"0".repeat(63), &"g".repeat(64), &base64[1..]] {
        assert!(MasterKey::parse(bad).is_none(), "{bad}");
    }
}

#[test]
fn processes_that_start_at_once_agree_on_one_master_key() {
    for round in 0..20 {
        let folder = std::env::temp_dir().join(format!("gatehouse-keys-{}-{round}", std::process::id()));
        private_folder(&folder).unwrap();
        let path = folder.join("master.key");
        let barrier = std::sync::Barrier::new(8);
        let keys: Vec<_> = std::thread::scope(|scope| {
            let start = || {
                barrier.wait();
                *MasterKey::load_or_create(&path, &Env::system()).unwrap().0.expose()
            };
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0]));
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "nothing is left over");
        fs::remove_dir_all(&folder).unwrap();
    }
}

#[test]
fn master_key_file_is_made_once_and_private() {
    let folder = std::env::temp_dir().join(format!("gatehouse-key-{}", std::process::id()));
    private_folder(&folder).unwrap();
    let path = folder.join("master.key");
    let made = MasterKey::load_or_create(&path, &Env::system()).unwrap();
    let read = MasterKey::load_or_create(&path, &Env::system()).unwrap();
    assert_eq!(made.0.expose(), read.0.expose());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    fs::remove_dir_all(&folder).unwrap();
}
