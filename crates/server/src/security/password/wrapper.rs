//! What other systems put around a hash: the name of its encoder in braces (Spring, LDAP, Dovecot), the name of its hasher
//! in front (Django), base64 with padding (Keycloak), white space of a column of fixed width. Without it the hash is one
//! of a function that is known, and is stored so.

use base64::{Engine, engine::general_purpose::STANDARD};

use super::stored::{base64, hex};

/// The hash in the form that is stored; the text as it is where there is nothing to take off.
pub(super) fn unwrapped(text: &str) -> String {
    let text = text.trim();
    let within = match text.strip_prefix('{').and_then(|text| text.split_once('}')) {
        Some((scheme, hash)) => of_scheme(&scheme.to_ascii_lowercase(), hash),
        None => of_hasher(text),
    };
    within.unwrap_or_else(|| text.to_owned())
}

fn of_scheme(scheme: &str, hash: &str) -> Option<String> {
    match (scheme, hash.contains('$')) {
        ("bcrypt" | "blf-crypt" | "crypt" | "argon2" | "argon2i" | "argon2id" | "argon2@springsecurity_v5_8", _) => {
            Some(of_hasher(hash).unwrap_or_else(|| hash.to_owned()))
        }
        ("scrypt" | "scrypt@springsecurity_v5_8", _) => spring_scrypt(hash),
        ("pbkdf2", false) => salt_in_front(&hex(hash)?, 8, "pbkdf2-sha1", 185_000),
        ("pbkdf2@springsecurity_v5_8", false) => salt_in_front(&hex(hash)?, 16, "pbkdf2-sha256", 310_000),
        ("pkcs5s2", false) => salt_in_front(&base64(hash)?, 16, "pbkdf2-sha1", 10_000),
        ("pbkdf2" | "pbkdf2-sha1" | "pbkdf2-sha256" | "pbkdf2-sha512", true) => Some(format!("${scheme}${hash}")),
        _ => None,
    }
}

fn of_hasher(text: &str) -> Option<String> {
    if let Some(hash) = text.strip_prefix("bcrypt$") {
        return Some(hash.to_owned());
    }
    let argon2 = text.strip_prefix("argon2").filter(|hash| hash.starts_with("$argon2")).unwrap_or(text);
    argon2
        .starts_with("$argon2")
        .then(|| argon2.split('$').map(|part| part.trim_end_matches('=')).collect::<Vec<_>>().join("$"))
}

/// PBKDF2 with what its encoder always does, the salt before the output.
fn salt_in_front(bytes: &[u8], salt: usize, function: &str, rounds: u32) -> Option<String> {
    let (salt, output) = bytes.split_at_checked(salt)?;
    Some(format!("${function}$i={rounds}${}${}", STANDARD.encode(salt), STANDARD.encode(output)))
}

/// `$e0801$salt$output`: the logarithm of N, then r and p, with two digits each.
fn spring_scrypt(hash: &str) -> Option<String> {
    let (parameters, rest) = hash.strip_prefix('$')?.split_once('$')?;
    let packed = u32::from_str_radix(parameters, 16).ok()?;
    Some(format!("$scrypt$ln={},r={},p={}${rest}", packed >> 16, packed >> 8 & 0xff, packed & 0xff))
}

/// What a hash is that cannot be checked, where that is known.
pub(super) fn foreign(text: &str) -> Option<&'static str> {
    const KNOWN: [(&[&str], &str); 6] = [
        (&["$P$", "$H$", "$S$"], "phpass or a relative"),
        (&["$wp$"], "WordPress"),
        (&["$1$", "$5$", "$6$", "$7$", "$y$", "$gy$", "$md5", "$sha1$"], "crypt(3)"),
        (&["{SSHA", "{SHA", "{SMD5", "{MD5", "{noop", "{ldap"], "salted SHA or MD5"),
        (&["$firescrypt$"], "Firebase"),
        (&["AQAAAA"], "ASP.NET Identity"),
    ];
    let begins = |prefix: &&str| text.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix));
    KNOWN.iter().find(|(prefixes, _)| prefixes.iter().any(begins)).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests;
