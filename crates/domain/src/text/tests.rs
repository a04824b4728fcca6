use super::*;

#[test]
fn username_never_looks_like_an_email_and_never_spoofs() {
    for good in ["a", "ada", "Ada.L-1_x+y", &"a".repeat(50)] {
        assert!(Username::parse(good).is_ok(), "{good}");
    }
    for bad in ["", "a@", "a b@c.de", "a b", ".a", "аda", "a\0", &"a".repeat(51)] {
        assert!(Username::parse(bad).is_err(), "{bad}");
    }
    assert_eq!(Username::parse("ADA").unwrap().key(), "ada");
}

#[test]
fn name_that_is_an_address_is_the_own_one_and_follows_it() {
    let [ada, eve] = ["ada@bücher.example", "eve@example.com"].map(|text| Email::parse(text).unwrap());
    let name = |text| Username::parse(text).unwrap();
    assert!(name("ada").suits(&eve) && name(" ADA@xn--bcher-kva.example").suits(&ada));
    assert!(!name("ada@bücher.example").suits(&eve));
    assert_eq!(name("ada").beside(&eve), name("ada"));
    assert_eq!(name("ada@bücher.example").beside(&eve).key(), eve.key());
}

#[test]
fn email_is_one_plain_address() {
    for good in ["a@b.co", "a.b+c@example.com", "!#$%&'*+-/=?^_`{|}~@example.com", "ü@bücher.example"] {
        assert!(Email::parse(good).is_ok(), "{good}");
    }
    for bad in [
        "",
        "a",
        "a@",
        "@b",
        "a@b@c",
        "a b@c.de",
        "\"a b\"@c.de",
        "A <a@b.co>",
        "a@[127.0.0.1]",
        "a@xn--a.example",
        "a@ex ample.com",
        "a@b.co\r\nBcc: x@y.z",
    ] {
        assert!(Email::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn one_mailbox_is_one_address_however_it_is_typed() {
    for (one, other) in [
        ("anna@bücher.example", "anna@xn--bcher-kva.example"),
        ("anna@BÜCHER.example", "ANNA@bücher.EXAMPLE"),
        ("rené@example.com", "rene\u{301}@example.com"),
        ("anna@bu\u{308}cher.example", "anna@bücher.example"),
        (" ada@example.com ", "ada@example.com"),
        ("ada@faß.example", "ada@xn--fa-hia.example"),
        ("ada@example。com", "ada@example.com"),
    ] {
        let key = |text| Email::parse(text).unwrap().key();
        assert_eq!(key(one), key(other), "{one}");
        assert_eq!(LoginName::parse(one).unwrap().key(), key(other), "{one}");
    }
    assert_ne!(Email::parse("ada@faß.example").unwrap().key(), Email::parse("ada@fass.example").unwrap().key());
    assert_eq!(Email::parse("Rene\u{301}@bücher.example").unwrap().deliverable(), "René@xn--bcher-kva.example");
    assert_eq!(Email::parse("v3@fo\u{ad}x.example\u{200b}").unwrap().as_str(), "v3@fox.example");
    assert_eq!(Email::parse("Ada@B\u{dc}CHER.example").unwrap().as_str(), "Ada@b\u{fc}cher.example");
    assert_eq!(Username::parse(" ada ").unwrap().as_str(), "ada");
}

#[test]
fn name_has_a_character_that_can_be_seen() {
    for bad in
        ["\u{3164}", "\u{115f}", "\u{200b}", "\u{2800}\u{2800}", "\u{feff}\u{2060}", "\u{e0041}", "\u{ad} \u{ffa0}"]
    {
        assert!(Name::parse(bad).is_err() && DisplayName::parse(bad).is_err(), "{bad:?}");
    }
    for good in ["a\u{200d}b", "\u{1f468}\u{200d}\u{1f469}", "\u{3164}\u{d55c}"] {
        assert!(Name::parse(good).is_ok(), "{good:?}");
    }
}

#[test]
fn name_cannot_change_the_direction_of_writing() {
    for bad in ["a\u{202e}b", "\u{200f}a", "a\u{2066}b", "\u{61c}a"] {
        assert!(Name::parse(bad).is_err() && DisplayName::parse(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn line_has_no_control_characters_and_no_surrounding_space() {
    for good in ["x", "Ada Lovelace", "<script>alert(1)</script>", "名前", "🦀"] {
        assert!(DisplayName::parse(good).is_ok(), "{good}");
    }
    for bad in ["", " ", " a", "a ", "a\nb", "a\0", "a\u{1b}[31m", "a\u{2028}b", "\u{85}"] {
        assert!(DisplayName::parse(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn slug_is_a_dns_label() {
    for good in ["a", "default", "a-1", &"a".repeat(63)] {
        assert!(Slug::parse(good).is_ok(), "{good}");
    }
    for bad in ["", "-a", "a-", "A", "a_b", "a.b", &"a".repeat(64)] {
        assert!(Slug::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn phone_is_a_number() {
    assert!(Phone::parse("+34 600 000 000").is_ok());
    for bad in ["", "+", "12", "call me", "()()()", "1".repeat(33).as_str()] {
        assert!(Phone::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn login_name_is_compared_like_the_names_it_may_be() {
    assert_eq!(LoginName::parse(" ADA@Example.com ").unwrap().key(), "ada@example.com");
    assert!(LoginName::parse(&"a".repeat(255)).is_err());
}
