//! Tokens whose signature is another, or none, and tokens that are written otherwise.

use aws_lc_rs::digest;
use serde_json::json;

use super::{
    forge::{Real, decoded, encoded},
    mutant::{Mutant, counts_at, refused},
    verifiers::At,
};

fn with_signature(real: &Real, signature: impl AsRef<[u8]>) -> String {
    let [header, payload, _] = real.parts();
    format!("{header}.{payload}.{}", encoded(signature))
}

/// A signature with another bit.
fn flipped(real: &Real, byte: impl Fn(usize) -> usize, bit: u8) -> String {
    let mut signature = decoded(real.parts()[2]);
    let at = byte(signature.len());
    signature[at] ^= 1 << bit;
    with_signature(real, signature)
}

/// ECDSA signatures as certificates have them (RFC 3279, section 2.2.3).
fn as_der(raw: &[u8]) -> Vec<u8> {
    let number = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        if bytes[0] > 127 {
            bytes.insert(0, 0);
        }
        [&[2, u8::try_from(bytes.len()).unwrap()], &bytes[..]].concat()
    };
    let (r, s) = raw.split_at(raw.len() / 2);
    let numbers = [number(r), number(s)].concat();
    [&[0x30, u8::try_from(numbers.len()).unwrap_or(255)], &numbers[..]].concat()
}

fn signatures() -> Vec<Mutant> {
    let mut all = vec![
        refused("no signature", |real, _| with_signature(real, "")),
        refused("no signature and no dot", |real, _| real.parts()[..2].join(".")),
        refused("signature without its last byte", |real, _| {
            let signature = decoded(real.parts()[2]);
            with_signature(real, &signature[..signature.len() - 1])
        }),
        refused("half a signature", |real, _| {
            let signature = decoded(real.parts()[2]);
            with_signature(real, &signature[..signature.len() / 2])
        }),
        refused("signature and one byte", |real, _| {
            with_signature(real, [&decoded(real.parts()[2])[..], &[0]].concat())
        }),
        refused("signature twice", |real, _| with_signature(real, decoded(real.parts()[2]).repeat(2))),
        refused("signature in another order", |real, _| {
            let mut signature = decoded(real.parts()[2]);
            signature.reverse();
            with_signature(real, signature)
        }),
        refused("signature as in certificates", |real, _| {
            with_signature(real, as_der(&decoded(real.parts()[2])[..64]))
        }),
        refused("signature of a stranger", |real, others| {
            let [header, payload, _] = real.parts();
            format!("{header}.{payload}.{}", others.stranger(real).signature(&format!("{header}.{payload}")))
        }),
        refused("signature of another tenant", |real, others| {
            let [header, payload, _] = real.parts();
            format!("{header}.{payload}.{}", others.foreign[0].signature(&format!("{header}.{payload}")))
        }),
        refused("signature of the platform", |real, others| {
            let [header, payload, _] = real.parts();
            format!("{header}.{payload}.{}", others.foreign[1].signature(&format!("{header}.{payload}")))
        }),
        refused("signature of the next key", |real, others| {
            let [header, payload, _] = real.parts();
            format!("{header}.{payload}.{}", others.own[0].signature(&format!("{header}.{payload}")))
        }),
        refused("signature of the payload alone", |real, _| {
            let [header, payload, _] = real.parts();
            format!("{header}.{payload}.{}", real.key.signature(payload))
        }),
        refused("signature of the header alone", |real, _| {
            let [header, payload, _] = real.parts();
            format!("{header}.{payload}.{}", real.key.signature(header))
        }),
        refused("signature of what is decoded", |real, _| {
            let [header, payload, _] = real.parts();
            format!("{header}.{payload}.{}", real.key.signature(&format!("{}.{}", real.header, real.payload)))
        }),
        refused("signature of another payload", |real, _| {
            let other = real.claim("exp", &json!(4_102_444_800_i64));
            let [header, _, signature] = real.parts();
            format!("{header}.{}.{signature}", other.split('.').nth(1).unwrap())
        }),
        refused("digest instead of a signature", |real, _| {
            let [header, payload, _] = real.parts();
            with_signature(real, digest::digest(&digest::SHA256, format!("{header}.{payload}").as_bytes()))
        }),
    ];
    for (byte, length) in [(0_u8, 64), (255, 64), (1, 64), (0, 256), (255, 256), (0, 1), (0, 512)] {
        all.push(refused(format!("{length} bytes {byte} as a signature"), move |real, _| {
            with_signature(real, vec![byte; length])
        }));
    }
    for (r, s) in [(0_u8, 1_u8), (1, 0)] {
        all.push(refused(format!("{r} and {s} as a signature"), move |real, _| {
            let mut signature = [0; 64];
            (signature[31], signature[63]) = (r, s);
            with_signature(real, signature)
        }));
    }
    for bit in [0, 7] {
        all.push(refused(format!("bit {bit} of the first byte"), move |real, _| flipped(real, |_| 0, bit)));
        all.push(refused(format!("bit {bit} of a byte in the middle"), move |real, _| flipped(real, |n| n / 2, bit)));
        all.push(refused(format!("bit {bit} of the last byte"), move |real, _| flipped(real, |n| n - 1, bit)));
    }
    all
}

/// The last character of a part replaced by one that decodes to the same bytes, if bits that mean nothing are let pass.
fn loose_end(part: &str) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    assert_ne!(part.len() % 4, 0, "no bits are left over");
    let (start, last) = part.split_at(part.len() - 1);
    let at = ALPHABET.iter().position(|letter| letter == &last.as_bytes()[0]).unwrap();
    format!("{start}{}", char::from(ALPHABET[at + 1]))
}

/// JSON with as many blanks behind it that bits are left over when it is encoded.
fn with_bits_left(json: &serde_json::Value) -> String {
    let mut text = json.to_string();
    while text.len().is_multiple_of(3) {
        text.push(' ');
    }
    encoded(text)
}

fn spellings() -> Vec<Mutant> {
    let mut all = vec![
        refused("padding", |real, _| format!("{}==", real.text)),
        refused("padding of every part", |real, _| real.parts().map(|part| format!("{part}==")).join(".")),
        refused("padding of the header, signed", |real, _| {
            real.signed(&format!("{}=", real.parts()[0]), real.parts()[1])
        }),
        refused("padding of the payload, signed", |real, _| {
            real.signed(real.parts()[0], &format!("{}=", real.parts()[1]))
        }),
        refused("the alphabet of files", |real, _| {
            // Until one of the letters is there that differ.
            let signed = (0..).map(|n| real.claim("n", &json!(n))).find(|text| text.contains(['-', '_'])).unwrap();
            signed.replace('-', "+").replace('_', "/")
        }),
        refused("bits left over in the signature", |real, _| {
            let [header, payload, signature] = real.parts();
            format!("{header}.{payload}.{}", loose_end(signature))
        }),
        refused("bits left over in the header, signed", |real, _| {
            real.signed(&loose_end(&with_bits_left(&real.header)), real.parts()[1])
        }),
        refused("bits left over in the payload, signed", |real, _| {
            real.signed(real.parts()[0], &loose_end(&with_bits_left(&real.payload)))
        }),
        refused("four parts", |real, _| format!("{}.{}", real.text, real.parts()[2])),
        refused("five parts", |real, _| format!("{}..{}", real.text, real.parts()[2])),
        refused("a dot in front", |real, _| format!(".{}", real.text)),
        refused("a dot behind", |real, _| format!("{}.", real.text)),
        refused("two dots", |real, _| real.text.replacen('.', "..", 1)),
        refused("colons for dots", |real, _| real.text.replace('.', ":")),
        refused("dots that are escaped", |real, _| real.text.replace('.', "%2E")),
        refused("twice", |real, _| real.text.repeat(2)),
        refused("twice with a comma", |real, _| format!("{0},{0}", real.text)),
        refused("twice with a blank", |real, _| format!("{0} {0}", real.text)),
        refused("in quotes", |real, _| format!("\"{}\"", real.text)),
        refused("in brackets", |real, _| format!("<{}>", real.text)),
        refused("with its scheme", |real, _| format!("Bearer {}", real.text)),
        refused("in upper case", |real, _| real.text.to_uppercase()),
        refused("backwards", |real, _| real.text.chars().rev().collect()),
        refused("encoded once more", |real, _| encoded(&real.text)),
        refused("parts in another order", |real, _| {
            let [header, payload, signature] = real.parts();
            format!("{payload}.{header}.{signature}")
        }),
        refused("no header", |real, _| format!(".{}.{}", real.parts()[1], real.parts()[2])),
        refused("no payload", |real, _| format!("{}..{}", real.parts()[0], real.parts()[2])),
        refused("no payload, signed", |real, _| real.signed(real.parts()[0], "")),
        refused("header alone", |real, _| real.parts()[0].to_owned()),
        refused("JSON instead of the compact form", |real, _| {
            let [header, payload, signature] = real.parts();
            json!({"protected": header, "payload": payload, "signature": signature}).to_string()
        }),
        refused("another letter in the payload", |real, _| {
            let [header, payload, signature] = real.parts();
            format!("{header}.{}.{signature}", payload.replacen('I', "J", 1))
        }),
        refused("a letter of another script", |real, _| real.text.replacen('e', "\u{435}", 1)),
        refused("1,000,000 letters", |_, _| "A".repeat(1_000_000)),
    ];
    for (name, blank) in [
        ("a blank", " "),
        ("a tab", "\t"),
        ("a line break", "\n"),
        ("a NUL", "\0"),
        ("a blank of no width", "\u{200b}"),
    ] {
        all.push(refused(format!("{name} in the middle"), move |real, _| {
            real.text.replacen('.', &format!(".{blank}"), 1)
        }));
        all.push(refused(format!("{name} behind"), move |real, _| format!("{}{blank}", real.text)));
    }
    // What the same claims may look like.
    let everywhere = At::ALL;
    all.push(counts_at(&everywhere, "blanks between the claims", |real, _| {
        real.with_payload(serde_json::to_string_pretty(&real.payload).unwrap())
    }));
    all.push(counts_at(&everywhere, "blanks between the headers", |real, _| {
        real.with_header(serde_json::to_string_pretty(&real.header).unwrap())
    }));
    all.push(counts_at(&everywhere, "escaped names", |real, _| {
        real.with_header(real.header.to_string().replacen("\"alg\"", "\"\\u0061lg\"", 1))
    }));
    all.push(counts_at(&everywhere, "signed once more", |real, _| real.signed(real.parts()[0], real.parts()[1])));
    all
}

/// Every token that is signed or written otherwise.
pub fn all() -> Vec<Mutant> {
    [signatures(), spellings()].into_iter().flatten().collect()
}
