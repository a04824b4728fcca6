use super::*;
use gatehouse_domain::issue::Parse;

/// Hashes of one password, made by the libraries of other systems.
const OF_ONE: [(&str, &str); 20] = [
    ("bcrypt 2a", "$2a$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e"),
    ("bcrypt 2b", "$2b$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e"),
    ("bcrypt 2y", "$2y$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e"),
    ("PBKDF2 with SHA-1", "$pbkdf2-sha1$i=1000$MDEyMzQ1Njc4OWFiY2RlZg$aUfE2vx5Q7zgbb0jx49AaNpXUQQ"),
    ("PBKDF2 with SHA-256", "$pbkdf2-sha256$i=1000$MDEyMzQ1Njc4OWFiY2RlZg$cBg8D2DungRB9k76szThf5ehfyBz991ay6PT8Srwk4M"),
    (
        "PBKDF2 with SHA-512",
        "$pbkdf2-sha512$i=1000$MDEyMzQ1Njc4OWFiY2RlZg$OM0FAoIqCVK1sWtxDiffVlBejtLa+ks4TP71JiecwuSZCG8iLbnlIEPOMoVX+i2B2wkSxjQ8CRGR9OkNGuIPMQ",
    ),
    (
        "Keycloak, as the README says to write it",
        "$pbkdf2-sha256$i=1000$MDEyMzQ1Njc4OWFiY2RlZg==$cBg8D2DungRB9k76szThf5ehfyBz991ay6PT8Srwk4NQEC0GVAwWLSUGWbcye1xU+dO7fZFld1DsscNlAN1uxw==",
    ),
    ("passlib", "$pbkdf2-sha256$1000$./.../.../.../.../..AQ$zqOTm9r3b5rd5w43O2nMVgoXRanZ.qfovt2GnrxE0t4"),
    ("Django", "pbkdf2_sha256$1000$NaClSalt$1Aq0hLa8l35XikIQ7eNc9xzo+EiW2MAOyMtZ4Qh+haA="),
    ("Django with SHA-1", "pbkdf2_sha1$1000$NaClSalt$+zRio3bE/rMTjcKshlmmRz/JsLU="),
    ("Werkzeug", "pbkdf2:sha256:1000$NaClSalt$d40ab484b6bc977e578a4210ede35cf71ce8f84896d8c00ec8cb59e1087e85a0"),
    ("scrypt", "$scrypt$ln=4,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$OAkZqUBelG6VIYdTJfYSENL5OmZRxMa3GwXn5oFliTg"),
    (
        "Werkzeug with scrypt",
        "scrypt:16:8:1$NaClSalt$9ccfc8fb5538d1edf475b19d99905e3c0179719eab875b894f31cc3af1672cc0296e1f852b6dd742b99de7d23dce228f6f9e8e8fbfd430165b570425e4a887ec",
    ),
    (
        "Django with scrypt",
        "scrypt$16$NaClSalt$8$1$nM/I+1U40e30dbGdmZBePAF5cZ6rh1uJTzHMOvFnLMApbh+FK23XQrmd59I9ziKPb56Oj7/UMBZbVwQl5KiH7A==",
    ),
    ("Ory Kratos", "$scrypt$ln=16384,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg==$0LupyHkzAIgDr9UDsriAAf87vMbCbcaUfDvFOAHk0D0="),
    ("Django with bcrypt", "bcrypt_sha256$$2b$04$abcdefghijklmnopqrstuuIvyWZlBcE3WoQXKqRnwrLYJ6nenE0Bq"),
    ("passlib with bcrypt", "$bcrypt-sha256$v=2,t=2b,r=4$abcdefghijklmnopqrstuu$DDZkjU09Vim05Ait7x7R.JfuHDNAppu"),
    ("argon2id", ARGON2ID),
    ("argon2i", ARGON2I),
    ("argon2i before versions", ARGON2I_OLD),
];
const ARGON2ID: &str = "$argon2id$v=19$m=64,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$dPtrHTEawLtMiR9+/XloAkXZ+EtyrY+bvmHIbiufhk0";
const ARGON2I: &str = "$argon2i$v=19$m=64,t=2,p=4$MDEyMzQ1Njc4OWFiY2RlZg$XgxlMbZ+xNvi+VJH1mDJ8BUBTGWUWg+i9ZubZYOc8Xg";
const ARGON2I_OLD: &str = "$argon2i$m=64,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$5UIo77LDgbv5O+UdBR1fnnduzjsy4skDtBlCu+8VAzk";

fn password(text: &str) -> Password {
    Password::parse(text).unwrap()
}

#[test]
fn hash_of_another_system_fits_its_password_and_no_other() {
    for (system, hash) in OF_ONE {
        let stored = Stored::read(hash).unwrap_or_else(|fault| panic!("{system}: {fault:?}"));
        assert!(stored.fits(&password("correct horse"), &mut Vec::new(), &Peppers::default()), "{system}");
        assert!(!stored.fits(&password("correct horsf"), &mut Vec::new(), &Peppers::default()), "{system}");
    }
}

#[test]
fn only_argon2id_of_todays_cost_is_kept() {
    let cost = Cost { memory_kib: 64, passes: 2 };
    for (system, hash) in OF_ONE {
        assert_eq!(
            Stored::read(hash).unwrap().is_as_good_as(cost, &Peppers::default()),
            system == "argon2id",
            "{system}"
        );
    }
    let dearer = Cost { memory_kib: 64, passes: 3 };
    assert!(!Stored::read(ARGON2ID).unwrap().is_as_good_as(dearer, &Peppers::default()));
    let cheap = Cost { memory_kib: 16, passes: 1 };
    assert!(
        !Stored::read(ARGON2ID).unwrap().is_as_good_as(cheap, &Peppers::default()),
        "what costs far more than ours is replaced, too"
    );
}

#[test]
fn hash_that_would_hold_others_up_is_refused() {
    let (salt, output) = ("MDEyMzQ1Njc4OWFiY2RlZg", "cBg8D2DungRB9k76szThf5ehfyBz991ay6PT8Srwk4M");
    for (parameters, accepted) in [
        ("$argon2id$v=19$m=65536,t=4,p=1$", true),
        ("$argon2id$v=19$m=66561,t=1,p=1$", false),
        ("$argon2id$v=19$m=65536,t=25,p=4$", false),
        ("$argon2id$v=19$m=8,t=4294967295,p=1$", false),
        ("$argon2id$v=19$m=4294967295,t=1,p=1$", false),
        ("$pbkdf2-sha256$i=600000$", true),
        ("$pbkdf2-sha512$i=210000$", true),
        ("$pbkdf2-sha1$i=4294967295$", false),
        ("$pbkdf2-sha256$i=4294967295$", false),
        ("$pbkdf2-sha512$i=4294967295$", false),
        ("$scrypt$ln=16,r=8,p=1$", true),
        ("$scrypt$ln=14,r=8,p=5$", true),
        ("$scrypt$ln=17,r=8,p=1$", false),
        ("$scrypt$ln=10,r=8,p=1000$", false),
        ("$scrypt$ln=1,r=1,p=4194304$", false),
        ("$scrypt$ln=40,r=8,p=1$", false),
        ("$scrypt$ln=14,r=8,p=1000$", false),
    ] {
        let read = adopt(&format!("{parameters}{salt}${output}"));
        let kind = read.err().map(|fault| fault.kind);
        assert_eq!(kind, (!accepted).then_some("password_hash_cost"), "{parameters}");
    }
    let bcrypt = |cost: &str| adopt(&format!("$2b${cost}$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e"));
    assert!(bcrypt("12").is_ok());
    assert_eq!(bcrypt("16").unwrap_err().kind, "password_hash_cost");
    assert_eq!(bcrypt("31").unwrap_err().kind, "password_hash_cost");
}

#[test]
fn refusal_names_the_function_its_parameters_and_the_bound() {
    let (salt, output) = ("MDEyMzQ1Njc4OWFiY2RlZg", "cBg8D2DungRB9k76szThf5ehfyBz991ay6PT8Srwk4M");
    let refusal = |parameters: &str| adopt(&format!("{parameters}{salt}${output}")).unwrap_err().msg.into_owned();
    assert_eq!(
        refusal("$scrypt$ln=17,r=8,p=1$"),
        "is scrypt with ln=17, r=8, p=1, which takes 128 MiB of memory; at most 64 MiB are accepted: leave the hash out \
         and invite the user"
    );
    let told = refusal("$pbkdf2-sha1$i=4000000000$");
    assert!(told.starts_with("is PBKDF2 with SHA-1 and 4000000000 rounds, which takes "), "{told}");
    assert!(told.contains(" times the processor time of a hash made here; at most 20 times are accepted"), "{told}");
    for (parameters, named) in [
        ("$argon2id$v=19$m=131072,t=3,p=4$", "argon2id with m=131072, t=3, p=4,"),
        ("$pbkdf2-sha512$i=4000000000$", "PBKDF2 with SHA-512 and"),
        ("$pbkdf2-sha256$i=4000000000$", "PBKDF2 with SHA-256 and"),
    ] {
        let told = refusal(parameters);
        assert!(told.contains(named), "{told}");
    }
    let bcrypt = adopt("$2b$16$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e").unwrap_err().msg;
    assert!(bcrypt.starts_with("is bcrypt with cost 16, which takes ") && bcrypt.len() < 256, "{bcrypt}");
}

/// For the manual: `cargo test -p gatehouse-server --lib usual -- --nocapture` prints the figures of a machine.
#[test]
fn usual_settings_of_scrypt_and_argon2_are_bounded_by_memory_as_the_manual_says() {
    let (salt, output) = ("MDEyMzQ1Njc4OWFiY2RlZg", "cBg8D2DungRB9k76szThf5ehfyBz991ay6PT8Srwk4M");
    for (parameters, fits) in [
        ("$scrypt$ln=14,r=8,p=5$", true),
        ("$scrypt$ln=15,r=8,p=1$", true),
        ("$scrypt$ln=16,r=8,p=2$", true),
        ("$scrypt$ln=17,r=8,p=1$", false),
        ("$argon2id$v=19$m=65536,t=3,p=4$", true),
        ("$argon2id$v=19$m=102400,t=2,p=8$", false),
        ("$argon2id$v=19$m=2097152,t=1,p=4$", false),
        ("$argon2id$v=19$m=47104,t=1,p=1$", true),
        ("$pbkdf2-sha1$i=1300000$", true),
        ("$pbkdf2-sha256$i=600000$", true),
        ("$pbkdf2-sha256$i=1200000$", true),
        ("$pbkdf2-sha512$i=210000$", true),
        ("$2b$10$", true),
        ("$2b$12$", true),
        ("$2b$13$", true),
        ("$2b$14$", true),
    ] {
        let text = if parameters.starts_with("$2b") {
            format!("{parameters}abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e")
        } else {
            format!("{parameters}{salt}${output}")
        };
        let stored = Stored::read(&text).unwrap();
        println!("{stored}: {} thousandths, {} MiB", stored.cost(), stored.memory() >> 20);
        assert_eq!(stored.memory() <= MOST_MEMORY, fits, "{stored}");
    }
}

#[test]
fn only_what_others_made_has_a_cost() {
    let of_owasp = ARGON2ID.replace("m=64", "m=19456");
    assert_eq!(adopt(&of_owasp).unwrap().cost(), None);
    for (system, hash) in OF_ONE {
        assert!(adopt(hash).unwrap().cost().is_some(), "{system}");
    }
}

#[test]
fn anything_else_is_no_hash() {
    let long = format!("$2b$04${}", "a".repeat(1_000));
    for text in [
        "",
        "$",
        "$$$$",
        "secret",
        "$1$abc$def",
        "5f4dcc3b5aa765d61d8327deb882cf99",
        "$2x$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e",
        "$2b$03$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e",
        "$2b$04$short",
        "$argon2id$v=19$m=64,t=2,p=1$c2FsdHNhbHQ",
        "$argon2id$v=18$m=64,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$cBg8D2DungRB9k76szThf5ehfyBz991ay6PT8Srwk4M",
        "$argon2id$v=19$m=64,t=2,p=1,keyid=Hj5+dsK0$MDEyMzQ1Njc4OWFiY2RlZg$cBg8D2DungRB9k76szThf5ehfyBz991ay6PT8Srwk4M",
        "$pbkdf2-sha256$i=0$MDEyMzQ1Njc4OWFiY2RlZg$cBg8D2DungRB9k76szThf5ehfyBz991ay6PT8Srwk4M",
        "$pbkdf2-md5$i=1$MDEy$cBg8D2DungRB9k76szThf5ehfyBz991ay6PT8Srwk4M",
        "$pbkdf2-sha256$i=1$MDEy$cBg8",
        "$scrypt$ln=4,r=0,p=1$MDEy$cBg8D2DungRB9k76szThf5ehfyBz991ay6PT8Srwk4M",
        "scrypt:15:8:1$a$00112233445566778899aabbccddeeff",
        "pbkdf2:sha256:1$a$0g",
        "$2b$04$äbcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e",
        &long,
    ] {
        assert_eq!(adopt(text).map_err(|fault| fault.kind), Err("password_hash_format"), "{text}");
    }
}

#[test]
fn bcrypt_never_looked_behind_72_bytes_and_still_does_not() {
    let stored = Stored::read("$2b$04$abcdefghijklmnopqrstuubzadhGtS2zEF.gu0yd0opP6cVzb.e0i").unwrap();
    assert!(stored.fits(&password(&"x".repeat(72)), &mut Vec::new(), &Peppers::default()));
    assert!(stored.fits(&password(&format!("{}more", "x".repeat(72))), &mut Vec::new(), &Peppers::default()));
    assert!(!stored.fits(&password(&"x".repeat(71)), &mut Vec::new(), &Peppers::default()));
}

#[test]
fn hash_of_another_system_is_of_what_was_typed() {
    let typed = "e\u{301}cole \u{fb01}xe";
    assert_ne!(password(typed).expose(), typed);
    let (rounds, salt) = (NonZeroU32::MIN, b"salt".to_vec());
    let mut output = vec![0; 32];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, &salt, typed.as_bytes(), &mut output);
    let stored = Stored::Pbkdf2 { algorithm: pbkdf2::PBKDF2_HMAC_SHA256, rounds, salt, output };
    assert!(stored.fits(&password(typed), &mut Vec::new(), &Peppers::default()));
    let mut output = vec![0; 32];
    let params = Params::new(8, 1, 1, Some(32)).unwrap();
    let argon2 = argon2::Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
    argon2.hash_password_into(typed.as_bytes(), b"saltsalt", &mut output).unwrap();
    let (algorithm, version, salt) = (Algorithm::Argon2id, Version::V0x13, b"saltsalt".to_vec());
    let stored = Stored::Argon2 { algorithm, version, params, salt, output };
    assert!(stored.fits(&password(typed), &mut Vec::new(), &Peppers::default()));
}
