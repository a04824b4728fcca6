use gatehouse_domain::{issue::Parse, password::Password};

use crate::security::password::{
    pepper::Peppers,
    stored::{Stored, adopt},
};

const BCRYPT: &str = "$2b$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e";
const ARGON2: &str = "$argon2id$v=19$m=64,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$dPtrHTEawLtMiR9+/XloAkXZ+EtyrY+bvmHIbiufhk0";
/// As Keycloak and Spring have it, and what is stored of it.
const WRAPPED: [(&str, &str); 13] = [
    ("$2b$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e   ", BCRYPT),
    ("{bcrypt}$2b$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e", BCRYPT),
    ("{CRYPT}$2b$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e", BCRYPT),
    ("bcrypt$$2b$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e", BCRYPT),
    ("$argon2id$v=19$m=64,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg==$dPtrHTEawLtMiR9+/XloAkXZ+EtyrY+bvmHIbiufhk0=", ARGON2),
    ("{ARGON2}$argon2id$v=19$m=64,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$dPtrHTEawLtMiR9+/XloAkXZ+EtyrY+bvmHIbiufhk0", ARGON2),
    (
        "{argon2@SpringSecurity_v5_8}$argon2id$v=19$m=64,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$dPtrHTEawLtMiR9+/XloAkXZ+EtyrY+bvmHIbiufhk0",
        ARGON2,
    ),
    ("argon2$argon2id$v=19$m=64,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$dPtrHTEawLtMiR9+/XloAkXZ+EtyrY+bvmHIbiufhk0", ARGON2),
    (
        "{pbkdf2}30313233343536374b4a103f68e9a65c297ba35cb77fcc4fcf9aa0ae426c09c69c2b544eb6227cd8",
        "$pbkdf2-sha1$i=185000$MDEyMzQ1Njc=$S0oQP2jpplwpe6Nct3/MT8+aoK5CbAnGnCtUTrYifNg=",
    ),
    (
        "{pbkdf2@SpringSecurity_v5_8}3031323334353637383961626364656675bc58606e8b5a161d050b80649f8588cdb0996bfb5eedde4d7cacf67a441212",
        "$pbkdf2-sha256$i=310000$MDEyMzQ1Njc4OWFiY2RlZg==$dbxYYG6LWhYdBQuAZJ+FiM2wmWv7Xu3eTXys9npEEhI=",
    ),
    (
        "{PKCS5S2}MDEyMzQ1Njc4OWFiY2RlZj3wgClzCRiMSOBQoQGCswQipITRaxFiRCs4E28TsZ6F",
        "$pbkdf2-sha1$i=10000$MDEyMzQ1Njc4OWFiY2RlZg==$PfCAKXMJGIxI4FChAYKzBCKkhNFrEWJEKzgTbxOxnoU=",
    ),
    (
        "{PBKDF2-SHA256}1000$MDEyMzQ1Njc4OWFiY2RlZg$cBg8D2DungRB9k76szThf5ehfyBz991ay6PT8Srwk4M",
        "$pbkdf2-sha256$1000$MDEyMzQ1Njc4OWFiY2RlZg$cBg8D2DungRB9k76szThf5ehfyBz991ay6PT8Srwk4M",
    ),
    (
        "{scrypt}$40801$AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw==$MhNFjv7ZHLwjkq+7BMVJsKBTrn5AFxlWNjQ/dgn5LTc=",
        "$scrypt$ln=4,r=8,p=1$AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw==$MhNFjv7ZHLwjkq+7BMVJsKBTrn5AFxlWNjQ/dgn5LTc=",
    ),
];

#[test]
fn hash_is_stored_without_what_another_system_puts_around_it_and_fits() {
    let password = |text| Password::parse(text).unwrap();
    for (wrapped, plain) in WRAPPED {
        let adopted = adopt(wrapped).unwrap_or_else(|fault| panic!("{wrapped}: {fault:?}"));
        assert_eq!(adopted.as_str(), plain);
        let stored = Stored::read(plain).unwrap();
        assert!(stored.fits(&password("correct horse"), &mut Vec::new(), &Peppers::default()), "{wrapped}");
        assert!(!stored.fits(&password("correct horsf"), &mut Vec::new(), &Peppers::default()), "{wrapped}");
    }
}

#[test]
fn wrapped_hash_is_bounded_as_the_plain_one() {
    for wrapped in [
        "{bcrypt}$2b$16$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e",
        "bcrypt_sha256$$2b$16$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e",
        "$bcrypt-sha256$v=2,t=2b,r=16$abcdefghijklmnopqrstuu$jydOTSfIH/d5oUHpsygqV5X9xJLQc6e",
        "{scrypt}$140801$AAECAwQFBgcICQoLDA0ODw==$MhNFjv7ZHLwjkq+7BMVJsKBTrn5AFxlWNjQ/dgn5LTc=",
        "$scrypt$ln=1048576,r=8,p=1$AAECAwQFBgcICQoLDA0ODw==$MhNFjv7ZHLwjkq+7BMVJsKBTrn5AFxlWNjQ/dgn5LTc=",
        "argon2$argon2id$v=19$m=4194304,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$dPtrHTEawLtMiR9+/XloAkXZ+EtyrY+bvmHIbiufhk0",
        "{PBKDF2-SHA256}4000000000$MDEyMzQ1Njc4OWFiY2RlZg$cBg8D2DungRB9k76szThf5ehfyBz991ay6PT8Srwk4M",
    ] {
        assert_eq!(adopt(wrapped).unwrap_err().kind, "password_hash_cost", "{wrapped}");
    }
}

#[test]
fn hash_that_cannot_be_checked_is_named() {
    for (hash, name) in [
        ("$P$B12345678nEC7G/xF5W.XyqTy9SYWS0", "phpass"),
        ("{SSHA}0c0blFTXXNuAMHECS4uxrj3ZieMoWImr", "SHA"),
        ("$6$rounds=5000$salt$hash", "crypt(3)"),
        ("{CRYPT}$6$salt$hash", "crypt(3)"),
        ("AQAAAAIAAYagAAAAEJ", "ASP.NET Identity"),
        ("{noop}secret", "MD5"),
    ] {
        let fault = adopt(hash).unwrap_err();
        assert!(fault.msg.contains(name) && fault.kind == "password_hash_format", "{hash}: {}", fault.msg);
    }
    for broken in ["", "{", "{}", "{bcrypt}", "{scrypt}", "{pbkdf2}00", "{pbkdf2}zz", "{bcrypt}{bcrypt}$2b$04$x"] {
        assert_eq!(adopt(broken).unwrap_err().kind, "password_hash_format", "{broken}");
    }
}
