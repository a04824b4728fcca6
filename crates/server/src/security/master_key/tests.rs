//! Tests of the master key.

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::security::private::private_folder;

#[test]
fn master_key_is_32_bytes_in_hexadecimal_or_base64() {
    let hex = "00".repeat(31) + "ff";
    let base64 = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAP8";
    for text in [hex.as_str(), base64, &format!("{base64}=\n")] {
        assert_eq!(MasterKey::parse(text).unwrap().parts().next().unwrap()[31], 255, "{text}");
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
                *MasterKey::load_or_create(&path, &Env::system()).unwrap().parts().next().unwrap()
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
    assert_eq!(made.line().expose(), read.line().expose());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn key_that_is_replaced_keeps_its_older_parts_in_its_text() {
    let key = MasterKey::new([1; 32]).rotated(&Env::system()).unwrap();
    let text = key.line();
    assert!(key.is_rotating() && text.expose().contains(','));
    assert_eq!(MasterKey::parse(text.expose()).unwrap().line().expose(), text.expose());
    let again = key.settled().rotated(&Env::system()).unwrap();
    let settled = again.settled().line();
    assert_eq!(settled.expose().matches('.').count(), 2);
    assert!(settled.expose().trim().ends_with(MasterKey::new([1; 32]).line().expose().trim()));
    assert_eq!(MasterKey::parse(settled.expose()).unwrap().line().expose(), settled.expose());
    for bad in [",", "a.b", ".", &format!("{0},{0},{0}", "00".repeat(32)), &format!("{0}.{0},{0}", "00".repeat(32))] {
        assert!(MasterKey::parse(bad).is_none(), "{bad}");
    }
}

#[test]
fn key_is_replaced_a_bounded_number_of_times() {
    let mut key = MasterKey::new([1; 32]);
    let mut times = 0;
    while let Some(next) = key.rotated(&Env::system()) {
        (key, times) = (next.settled(), times + 1);
    }
    assert_eq!(times, PARTS - 1);
    assert!(MasterKey::parse(key.line().expose()).is_some());
}
