//! Cryptography: passwords, tokens, keys. Nothing outside this module touches a cryptographic library.

pub mod cursor;
pub mod keyring;
pub mod opaque_token;
pub mod password;
pub mod token;
