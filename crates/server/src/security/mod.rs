//! Cryptography: passwords, tokens, keys. Nothing outside this module touches a cryptographic library.

pub mod cursor;
pub mod keyring;
pub mod password;
pub mod refresh;
pub mod token;
