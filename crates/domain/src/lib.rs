//! The rules of Gatehouse, without IO.
//!
//! Nothing here is asynchronous, reads a clock, draws a random number, or knows of SQL or HTTP: time and entropy
//! arrive as arguments, results leave as values. A security reviewer can read this crate alone.
//!
//! # Glossary
//!
//! One meaning for each word, in code and documents. Where the field has a word, it is the field's.
//!
//! - **platform**: one Gatehouse installation.
//! - **partner**: a reseller or business unit; owns tenants.
//! - **tenant**: one customer organisation; owns users, roles, keys and sessions. A partner's tenants share nothing.
//! - **user**: a person in exactly one tenant; the same e-mail address in two tenants is two unrelated users.
//! - **role**: a named set of `resource:action` permissions.
//! - **assignment**: a role given to a user at an **anchor**: the platform, a partner or a tenant.
//! - **session**: one sign-in of one user on one device; lives until it expires or is revoked.
//! - **factor**: what a user enrolled beside the password to sign in with both; **proof**: the password or a factor, shown
//!   once at a sign-in.
//! - **challenge**: a sign-in that needs another proof, between its requests.
//! - **application**: an OAuth client of the platform, of a partner or of a tenant: its **owner**. **Public** is one that
//!   cannot keep a secret, **confidential** one that can.
//! - **family**: what one authorization code was exchanged for: a chain of refresh tokens and the access tokens made with
//!   it. **Cookie session**: a session that a browser's cookie opens.
//! - **resource**: an API that tokens are for, named by a URI; of audit events, what something happened to.
//! - **actor**: who acts in a request. Anonymous is the absence of an actor.
//! - **grant**: the proof that an actor may use a permission within a **reach**; the only way to touch tenant data.
//! - **authority**: what the caller of a change holds, to be compared with what it gives to others or takes from them.
//! - **transition**: a function of this crate that makes a new state of something, with the audit event that explains it:
//!   a [`change::Changed`].
//! - **access token**: a JWT (RFC 9068) that is valid for minutes. **Refresh token**: an opaque token, good for one use
//!   (RFC 9700, section 4.14); the tokens of a session that follow one another are its **chain**.
//! - **DPoP proof**: a JWT that shows with one request that its sender holds a key (RFC 9449). A token is **bound** to a key
//!   if it counts with such a proof alone.
//! - **link**: a mailed address with an opaque token in its fragment: an **invitation**, a password reset, a verification.
//! - **device token**: an opaque token that a device keeps after a sign-in. It takes the place of no factor; with it the
//!   failures of strangers do not count.
//! - **throttle**: a counter of failed attempts or of requests, by account, device, network or tenant. **Bucket**: the
//!   token bucket of a user or tenant who is signed in.
//! - **settings**: what a level (platform, partner, tenant) decides; **policy**: what holds for a tenant after inheritance.
//! - **audit event**: a row that says who did what to which **resource**. Events are **sealed** in batches; the **root** is
//!   the signed head of all seals.
//! - **operator**: who runs the installation, on the command line; in a tenant's audit trail also an administrator from
//!   above whom its reader does not administer.
//! - **job**: work that is written with the change that causes it and done afterwards, at least once; the table of jobs is
//!   the **outbox**.
//! - **import**: users who come in a file. A line that is not taken is **rejected**.
//! - **effects**: how many users, sessions and applications a change signs out.
//! - **session state**: a session with its user and roles, as a token check needs it.
//! - **idempotency key**: what a client sends so that a request takes effect once, however often it is sent.
//!
//! # Invariants
//!
//! 1. A [`authz::Grant`] can only be built by [`authz::authorize`]; without one no use case runs.
//! 2. A [`change::Changed`] can only be built by a transition of this crate; saving one writes its audit event.
//! 3. Values parse at construction: a `Username`, `Email` or `Slug` that exists is valid.

pub mod application;
pub mod audit;
pub mod authz;
pub mod bucket;
pub mod change;
pub mod id;
pub mod import;
pub mod issue;
pub mod job;
pub mod key;
pub mod logout;
pub mod mail;
pub mod oauth;
pub mod page;
pub mod partner;
pub mod password;
pub mod platform;
pub mod refresh;
pub mod role;
pub mod search;
pub mod secret;
pub mod session;
pub mod settings;
pub mod sign_in;
pub mod tenant;
pub mod text;
pub mod throttle;
pub mod time;
pub mod user;
pub mod word;
