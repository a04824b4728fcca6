//! Cryptography: passwords, tokens, keys. Nothing outside this module touches a cryptographic library.

pub mod archive;
pub mod client_assertion;
pub mod cursor;
pub mod dpop;
pub mod jws;
pub mod key_pair;
pub mod keyring;
pub mod master_key;
pub mod opaque_token;
pub mod password;
pub mod private;
pub mod token;
