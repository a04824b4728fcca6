//! A browser, as far as pages without scripts need one: it keeps cookies, and sends the forms that it gets.

use std::{cell::RefCell, collections::BTreeMap};

use super::{Answer, Call, World};

/// The answer that goes on as the account of an address, on a page that asks for one of those who are signed in.
#[track_caller]
pub fn account(page: &Answer, address: &str) -> String {
    let button = page.text.split("<button ").find(|button| button.contains(address));
    let value = button.and_then(|button| between(button, "name=\"answer\" value=\"", "\""));
    value.unwrap_or_else(|| unreachable!("{}", page.text)).to_owned()
}

/// A browser at a world.
pub struct Browser {
    world: World,
    cookies: RefCell<BTreeMap<String, String>>,
}

/// A form of a page: where it goes, and its hidden fields.
#[derive(Debug, Clone)]
pub struct Form {
    pub action: String,
    pub hidden: Vec<(String, String)>,
}

fn between<'t>(text: &'t str, before: &str, after: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(after).map(|(found, _)| found)
}

/// What a text of HTML says.
fn unescaped(text: &str) -> String {
    [("&#38;", "&"), ("&#60;", "<"), ("&#62;", ">"), ("&#34;", "\""), ("&#39;", "'"), ("&amp;", "&")]
        .iter()
        .fold(text.to_owned(), |text, (code, sign)| text.replace(code, sign))
}

impl Form {
    /// The form of a page.
    #[track_caller]
    pub fn of(page: &Answer) -> Self {
        Self::first(&page.text)
    }

    /// The form below a page, with which another language is chosen.
    #[track_caller]
    pub fn of_languages(page: &Answer) -> Self {
        Self::first(page.text.split("<footer>").nth(1).unwrap_or_default())
    }

    #[track_caller]
    fn first(text: &str) -> Self {
        let form =
            between(text, "<form method=\"post\" action=\"", "</form>").unwrap_or_else(|| unreachable!("{text}"));
        let action = unescaped(form.split('"').next().unwrap());
        let hidden = form.split("<input type=\"hidden\" name=\"").skip(1);
        let field = |text: &str| {
            let (name, rest) = text.split_once('"').unwrap();
            (name.to_owned(), unescaped(between(rest, "value=\"", "\"").unwrap()))
        };
        Self { action, hidden: hidden.map(field).collect() }
    }
}

impl Browser {
    pub fn new(world: &World) -> Self {
        Self { world: world.clone(), cookies: RefCell::default() }
    }

    /// The cookies that it keeps.
    pub fn cookies(&self) -> BTreeMap<String, String> {
        self.cookies.borrow().clone()
    }

    /// The same cookies at another replica.
    pub fn at(&self, world: &World) -> Self {
        Self { world: world.clone(), cookies: RefCell::new(self.cookies()) }
    }

    async fn send(&self, call: Call) -> Answer {
        let cookies: Vec<_> = self.cookies.borrow().iter().map(|(name, value)| format!("{name}={value}")).collect();
        let call = if cookies.is_empty() { call } else { call.header("cookie", &cookies.join("; ")) };
        let answer = call.header("accept", "text/html").send().await;
        for cookie in answer.headers.get_all("set-cookie") {
            let cookie = cookie.to_str().unwrap();
            let (name, rest) = cookie.split_once('=').unwrap();
            let value = rest.split(';').next().unwrap();
            if cookie.contains("Max-Age=0;") {
                self.cookies.borrow_mut().remove(name);
            } else {
                self.cookies.borrow_mut().insert(name.to_owned(), value.to_owned());
            }
        }
        answer
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.world.get(&format!("/{path}"))).await
    }

    /// Sends a form, as its own page does.
    pub async fn submit(&self, form: &Form, fields: &[(&str, &str)]) -> Answer {
        let hidden = form.hidden.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let all: Vec<_> = hidden.chain(fields.iter().copied()).collect();
        let call = self.world.post(&format!("/{}", form.action)).header("sec-fetch-site", "same-origin");
        self.send(call.form(&all)).await
    }
}
