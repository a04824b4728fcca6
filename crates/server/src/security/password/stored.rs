//! Hashes as they are stored: those that are made here, and those that other systems made and users brought along.
//!
//! The format of a hash names its function; nothing else does. What would cost more than [`MOST_COST`], or take more
//! memory than [`MOST_MEMORY`], is refused when it comes in.

use std::{borrow::Cow, fmt, num::NonZeroU32};

use argon2::{Algorithm, Block, Params, Version, password_hash::phc::PasswordHash as Phc};
use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};
use gatehouse_domain::{issue::Fault, password::Password, secret::PasswordHash};

use crate::security::{
    keyring::equal,
    password::{
        Cost,
        pepper::Peppers,
        wrapper::{foreign, unwrapped},
    },
};

/// The most memory that one hash may take, in bytes: 64 MiB, and what scrypt keeps beside that.
const MOST_MEMORY: u128 = 65 << 20;
/// The most that a hash may cost when it comes in: as much as twenty of ours.
const MOST_COST: u32 = 20_000;
/// The most that one may cost that is checked: it was measured by another machine, or at another moment.
const MOST_CHECKED: u32 = 2 * MOST_COST;
/// How many bytes a hash has at least: with fewer, other passwords would fit too.
const LEAST_OUTPUT: usize = 16;
/// How many bytes a hash or its salt has at most.
const MOST_BYTES: usize = 64;
/// How long the text of a hash is at most.
const MOST_TEXT: usize = 512;

/// What bcrypt is given in place of a password that may be longer than its 72 bytes.
pub(super) enum Digest {
    None,
    /// The SHA-256 in hexadecimal digits (Django).
    Sha256,
    /// The HMAC-SHA-256 under the salt, in base64 (passlib).
    HmacSha256(String),
}

impl Digest {
    fn of<'a>(&self, typed: &'a [u8]) -> Cow<'a, [u8]> {
        match self {
            Self::None => typed.into(),
            Self::Sha256 => {
                let digest = digest::digest(&digest::SHA256, typed);
                digest.as_ref().iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect()
            }
            Self::HmacSha256(salt) => {
                let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, salt.as_bytes()), typed);
                STANDARD.encode(tag).into_bytes().into()
            }
        }
    }
}

/// A hash that has been understood.
pub(super) enum Stored {
    Argon2 { algorithm: Algorithm, version: Version, params: Params, salt: Vec<u8>, output: Vec<u8> },
    Bcrypt { text: String, rounds: u32, digest: Digest },
    Pbkdf2 { algorithm: pbkdf2::Algorithm, rounds: NonZeroU32, salt: Vec<u8>, output: Vec<u8> },
    Scrypt { params: scrypt::Params, salt: Vec<u8>, output: Vec<u8> },
}

/// Takes a hash over from another system, without what that one puts around it. It is never hashed again: the next
/// sign-in replaces it.
///
/// # Errors
/// When its format is not known, or it would cost too much to check.
pub fn adopt(text: &str) -> Result<PasswordHash, Fault> {
    let text = unwrapped(text);
    let stored = Stored::read(&text)?;
    // A key that went into the hash stayed behind.
    if matches!(&stored, Stored::Argon2 { params, .. } if !params.keyid().is_empty()) {
        let msg = "has a pepper, which stayed where the hash was made: leave the hash out and invite the user";
        return Err(Fault::new("password_hash_format", msg));
    }
    let hash = PasswordHash::new(text);
    if stored.is_of(Cost::OWASP) {
        return Ok(hash);
    }
    let cost = stored.cost();
    if stored.memory() > MOST_MEMORY {
        return Err(stored.too_dear(&format!("{} MiB of memory; at most 64 MiB", stored.memory() >> 20)));
    }
    if cost > MOST_COST {
        let times = cost.div_ceil(1_000);
        return Err(stored.too_dear(&format!("{times} times the processor time of a hash made here; at most 20 times")));
    }
    Ok(hash.brought_along(Some(cost)))
}

fn unknown(text: &str) -> Fault {
    if let Some(name) = foreign(text) {
        let msg = format!("is a hash of {name}, which is not supported: leave it out and invite the user");
        return Fault::new("password_hash_format", msg);
    }
    Fault::new("password_hash_format", "must be an argon2, bcrypt, PBKDF2 or scrypt hash in one of their usual formats")
}

/// With `.` for `+` as some systems write it, and padded or not.
pub(super) fn base64(text: &str) -> Option<Vec<u8>> {
    let lenient = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let bytes = GeneralPurpose::new(&alphabet::STANDARD, lenient).decode(text.replace('.', "+")).ok()?;
    (bytes.len() <= MOST_BYTES).then_some(bytes)
}

pub(super) fn hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let whole = digits.len().is_multiple_of(2) && digits.iter().all(u8::is_ascii_hexdigit);
    if whole && digits.len() <= 2 * MOST_BYTES { digits.chunks(2).map(byte).collect() } else { None }
}

/// A salt that is used as the text it is written as.
fn text_salt(text: &str) -> Option<Vec<u8>> {
    (text.len() <= MOST_BYTES).then(|| text.as_bytes().to_vec())
}

/// The number behind a name in `a=1,b=2`.
fn parameter(text: &str, name: &str) -> Option<u32> {
    text.split(',').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).and_then(|number| number.parse().ok())
}

impl Stored {
    pub(super) fn read(text: &str) -> Result<Self, Fault> {
        if text.len() > MOST_TEXT || !text.is_ascii() {
            return Err(unknown(""));
        }
        let stored = Self::parse(text).ok_or_else(|| unknown(text))?;
        if stored.is_short() {
            return Err(Fault::new("password_hash_format", "is cut short: other passwords would fit, too"));
        }
        Ok(stored)
    }

    /// Whether it costs so little that a password is checked against it. One that is there for longer than its format is
    /// bounded is not: it takes a new password.
    pub(super) fn is_checked(&self) -> bool {
        self.memory() <= MOST_MEMORY && self.cost() <= MOST_CHECKED
    }

    fn too_dear(&self, takes: &str) -> Fault {
        let msg = format!("is {self}, which takes {takes} are accepted: leave the hash out and invite the user");
        Fault::new("password_hash_cost", msg)
    }

    /// By the parts between the dollar signs.
    fn parse(text: &str) -> Option<Self> {
        let parts: Vec<_> = text.split('$').collect();
        match *parts.as_slice() {
            ["", "argon2id" | "argon2i" | "argon2d", ..] => Self::argon2(text),
            ["", "2a" | "2b" | "2y", _, _] => Self::bcrypt(text.to_owned(), Digest::None),
            ["bcrypt_sha256", "", "2a" | "2b" | "2y", cost, hash] => {
                Self::bcrypt(format!("$2b${cost}${hash}"), Digest::Sha256)
            }
            ["", "bcrypt-sha256", parameters, salt, hash] if parameters.starts_with("v=2,t=2b,") => {
                let cost = parameter(parameters, "r")?;
                Self::bcrypt(format!("$2b${cost:02}${salt}{hash}"), Digest::HmacSha256(salt.to_owned()))
            }
            // The PHC string format, and the older one of passlib, which has the rounds alone.
            ["", function, rounds, salt, output] if function.starts_with("pbkdf2") => {
                let rounds = parameter(rounds, "i").or_else(|| rounds.parse().ok())?;
                let prf = function.strip_prefix("pbkdf2").map(|prf| prf.strip_prefix('-').unwrap_or(prf))?;
                Self::pbkdf2(if prf.is_empty() { "sha1" } else { prf }, rounds, base64(salt)?, base64(output)?)
            }
            ["", "scrypt", parameters, salt, output] => {
                let [log_n, r, p] = ["ln", "r", "p"].map(|name| parameter(parameters, name));
                // Ory Kratos writes N as `ln`: no logarithm of it is as great as that.
                let log_n = log_n.map(|n| if n < 64 || !n.is_power_of_two() { n } else { n.ilog2() });
                Self::scrypt(log_n?.try_into().ok()?, r?, p?, base64(salt)?, base64(output)?)
            }
            // Django.
            [function, rounds, salt, output] if function.starts_with("pbkdf2_") => {
                let prf = function.strip_prefix("pbkdf2_")?;
                Self::pbkdf2(prf, rounds.parse().ok()?, text_salt(salt)?, base64(output)?)
            }
            ["scrypt", n, salt, r, p, output] => {
                Self::scrypt(log_of(n)?, r.parse().ok()?, p.parse().ok()?, text_salt(salt)?, base64(output)?)
            }
            // Werkzeug.
            [method, salt, output] => {
                let (salt, output) = (text_salt(salt)?, hex(output)?);
                match *method.split(':').collect::<Vec<_>>().as_slice() {
                    ["pbkdf2", prf, rounds] => Self::pbkdf2(prf, rounds.parse().ok()?, salt, output),
                    ["scrypt", n, r, p] => Self::scrypt(log_of(n)?, r.parse().ok()?, p.parse().ok()?, salt, output),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    fn bcrypt(text: String, digest: Digest) -> Option<Self> {
        let cost: u32 = text.parse::<bcrypt::HashParts>().ok()?.get_cost();
        let rounds = (4..=31).contains(&cost).then(|| 1 << cost)?;
        Some(Self::Bcrypt { text, rounds, digest })
    }

    fn argon2(text: &str) -> Option<Self> {
        let phc = Phc::new(text).ok()?;
        let algorithm = Algorithm::try_from(phc.algorithm.as_str()).ok()?;
        // Hashes from before there were versions name none.
        let version = phc.version.map_or(Ok(Version::V0x10), Version::try_from).ok()?;
        let params = Params::try_from(&phc).ok()?;
        // Data that went into the hash stayed behind.
        if !params.data().is_empty() {
            return None;
        }
        let (salt, output) = (phc.salt?.as_ref().to_vec(), phc.hash?.as_bytes().to_vec());
        Some(Self::Argon2 { algorithm, version, params, salt, output })
    }

    fn pbkdf2(prf: &str, rounds: u32, salt: Vec<u8>, output: Vec<u8>) -> Option<Self> {
        let algorithm = match prf {
            "sha1" => pbkdf2::PBKDF2_HMAC_SHA1,
            "sha256" => pbkdf2::PBKDF2_HMAC_SHA256,
            "sha512" => pbkdf2::PBKDF2_HMAC_SHA512,
            _ => return None,
        };
        Some(Self::Pbkdf2 { algorithm, rounds: NonZeroU32::new(rounds)?, salt, output })
    }

    fn scrypt(log_n: u8, r: u32, p: u32, salt: Vec<u8>, output: Vec<u8>) -> Option<Self> {
        Some(Self::Scrypt { params: scrypt::Params::new(log_n, r, p).ok()?, salt, output })
    }

    fn is_short(&self) -> bool {
        match self {
            Self::Bcrypt { .. } => false,
            Self::Argon2 { output, .. } | Self::Pbkdf2 { output, .. } | Self::Scrypt { output, .. } => {
                output.len() < LEAST_OUTPUT
            }
        }
    }

    /// Whether it is made as ours are at this cost.
    pub(super) fn is_of(&self, cost: Cost) -> bool {
        match self {
            Self::Argon2 { algorithm: Algorithm::Argon2id, version: Version::V0x13, params, output, .. } => {
                let made = Cost { memory_kib: params.m_cost(), passes: params.t_cost() };
                made == cost && params.p_cost() == 1 && output.len() == 32
            }
            _ => false,
        }
    }

    /// Whether it has the pepper that new ones have, or none as these.
    pub(super) fn is_peppered(&self, peppers: &Peppers) -> bool {
        matches!(self, Self::Argon2 { params, .. } if peppers.is_current(params.keyid()))
    }

    /// Whether it is as good as one that would be made now, and does not cost much more: nobody's sign-in is to hold up
    /// those of all others.
    pub(super) fn is_as_good_as(&self, cost: Cost, peppers: &Peppers) -> bool {
        match self {
            Self::Argon2 { algorithm: Algorithm::Argon2id, version: Version::V0x13, params, .. } => {
                let filled = |memory: u32, passes: u32| u64::from(memory) * u64::from(passes);
                let is_affordable =
                    filled(params.m_cost(), params.t_cost()) <= 4 * filled(cost.memory_kib, cost.passes);
                let is_enough = params.m_cost() >= cost.memory_kib && params.t_cost() >= cost.passes;
                is_enough && is_affordable && params.p_cost() == 1 && self.is_peppered(peppers)
            }
            _ => false,
        }
    }

    /// Whether it is the hash of a password. Other systems hash what was typed; here it is normalised first, and an
    /// argon2 hash may be of either kind.
    pub(super) fn fits(&self, password: &Password, memory: &mut Vec<Block>, peppers: &Peppers) -> bool {
        let typed = password.typed().as_bytes();
        match self {
            Self::Argon2 { algorithm, version, params, salt, output } => {
                let (argon2, is_known) = peppers.argon2(*algorithm, *version, params.clone());
                let forms = [password.expose().as_bytes(), typed];
                let several = if forms[0] == forms[1] { &forms[..1] } else { &forms };
                let (blocks, mut computed) = (params.block_count(), vec![0; output.len()]);
                if memory.len() < blocks {
                    *memory = vec![Block::default(); blocks];
                }
                several.iter().any(|form| {
                    let done = argon2.hash_password_into_with_memory(form, salt, &mut computed, &mut memory[..blocks]);
                    done.is_ok() && equal(&computed, output)
                }) && is_known
            }
            // bcrypt ignores the input beyond 72 bytes, so the check of the hash must ignore it too.
            Self::Bcrypt { text, digest, .. } => bcrypt::verify(digest.of(typed), text).unwrap_or(false),
            Self::Pbkdf2 { algorithm, rounds, salt, output } => {
                pbkdf2::verify(*algorithm, *rounds, salt, typed, output).is_ok()
            }
            Self::Scrypt { params, salt, output } => {
                let mut computed = vec![0; output.len()];
                scrypt::scrypt(typed, salt, params, &mut computed).is_ok() && equal(&computed, output)
            }
        }
    }
}

/// The function and what it is asked to do, without salt and output.
impl fmt::Display for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argon2 { algorithm, params, .. } => {
                write!(f, "{algorithm} with m={}, t={}, p={}", params.m_cost(), params.t_cost(), params.p_cost())
            }
            Self::Bcrypt { rounds, .. } => write!(f, "bcrypt with cost {}", rounds.ilog2()),
            Self::Pbkdf2 { algorithm, rounds, .. } => {
                let prf = if *algorithm == pbkdf2::PBKDF2_HMAC_SHA512 {
                    "SHA-512"
                } else if *algorithm == pbkdf2::PBKDF2_HMAC_SHA256 {
                    "SHA-256"
                } else {
                    "SHA-1"
                };
                write!(f, "PBKDF2 with {prf} and {rounds} rounds")
            }
            Self::Scrypt { params, .. } => {
                write!(f, "scrypt with ln={}, r={}, p={}", params.n().ilog2(), params.r(), params.p())
            }
        }
    }
}

/// The logarithm of a power of two.
fn log_of(text: &str) -> Option<u8> {
    let n: u64 = text.parse().ok()?;
    if n.is_power_of_two() { u8::try_from(n.ilog2()).ok() } else { None }
}

#[cfg(test)]
mod tests;
