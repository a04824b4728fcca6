//! The pages of the platform, where it is not known yet which tenant somebody is of.

use askama::Template;

use super::{Frame, Notice, SignInFault};

/// Asks for the address of somebody whose tenant is not known.
#[derive(Template)]
#[template(path = "hosted/address.html")]
pub struct AddressPage<'a> {
    /// What is around it.
    pub frame: Frame<'a>,
    /// The name of the application that the user signs in to.
    pub application: &'a str,
    /// Where the form goes.
    pub action: &'a str,
    /// The request that waits, sealed.
    pub request: &'a str,
    /// The address that the application expects.
    pub address: &'a str,
    /// Why the page is here again.
    pub fault: Option<SignInFault>,
    /// The same, where the form came too late or from elsewhere.
    pub notice: Option<Notice>,
}

/// Asks for the password of somebody whose tenant is not known, and for that, if there is more than one.
#[derive(Template)]
#[template(path = "hosted/password.html")]
pub struct PasswordPage<'a> {
    /// What is around it.
    pub frame: Frame<'a>,
    /// The name of the application that the user signs in to.
    pub application: &'a str,
    /// Where the form goes.
    pub action: &'a str,
    /// Where the way to the page that asks for the address begins.
    pub another: &'a str,
    /// The request that waits, sealed.
    pub request: &'a str,
    /// The address.
    pub address: &'a str,
    /// The tenant that was typed.
    pub tenant: &'a str,
    /// Why the last attempt failed.
    pub fault: Option<SignInFault>,
}

impl PasswordPage<'_> {
    /// What happened, and what can be done: here the tenant may be what is wrong.
    fn words(&self) -> [String; 2] {
        match self.fault {
            None => <[String; 2]>::default(),
            Some(SignInFault::Wrong) => self.frame.t.platform.wrong.map(str::to_owned),
            Some(fault) => fault.words(self.frame.t),
        }
    }
}
