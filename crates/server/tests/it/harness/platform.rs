//! Applications of the platform, and people of any tenant who sign in to them.

use serde_json::{Value, json};

use super::{
    Answer, Browser, Form, PASSWORD, Person, Tenant, World,
    oauth::{App, CALLBACK, basic, code, of_code, request_at, token_at},
};

pub const AT: &str = "/api/v1/platform/oauth";

/// An application of the platform.
pub async fn app(world: &World, more: Value) -> App {
    let mut body =
        json!({"name": "Portal", "application_type": "WEB", "redirect_uris": [CALLBACK], "scope_level": "GLOBAL"});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let made = world.post("/admin/applications").bearer(world.admin().await).json(body).send().await.expect(201).data();
    let text = |name: &str| made[name].as_str().map(str::to_owned);
    App { id: text("id").unwrap(), secret: text("client_secret"), callback: CALLBACK.to_owned() }
}

pub fn request(app: &App, more: &[(&str, &str)]) -> String {
    request_at(AT, app, more)
}

pub fn address(person: &Person) -> String {
    format!("{}@{}.example", person.name, person.slug)
}

/// Gives the address, and gets the page that asks for the password.
pub async fn asked_for_password(browser: &Browser, app: &App, address: &str) -> Answer {
    let page = browser.get(&request(app, &[])).await.expect(200);
    browser.submit(&Form::of(&page), &[("username", address)]).await.expect(200)
}

pub async fn enter(browser: &Browser, page: &Answer, address: &str, tenant: &str, password: &str) -> Answer {
    let fields = [("username", address), ("password", password), ("tenant", tenant)];
    browser.submit(&Form::of(page), &fields).await
}

pub async fn sign_in(browser: &Browser, app: &App, person: &Person) -> Answer {
    let page = asked_for_password(browser, app, &address(person)).await;
    enter(browser, &page, &address(person), &person.slug, PASSWORD).await
}

pub async fn exchange(world: &World, app: &App, answer: &Answer) -> Value {
    token_at(world, AT, app, &of_code(app, &code(answer))).await.expect(200).json()
}

pub async fn tokens(world: &World, browser: &Browser, app: &App, person: &Person) -> Value {
    let answer = sign_in(browser, app, person).await;
    exchange(world, app, &answer).await
}

pub async fn user_info(world: &World, token: &str) -> Answer {
    world.get("/platform/oauth/userinfo").bearer(token).send().await
}

pub async fn introspect(world: &World, endpoints: &str, app: &App, token: &str) -> Value {
    let call = world.post(&format!("/{endpoints}/introspect"));
    let proof = basic(&app.id, app.secret.as_deref().unwrap());
    call.header("authorization", &proof).form(&[("token", token)]).send().await.expect(200).json()
}

/// People of three tenants, two of which are of one partner.
pub async fn three(world: &World) -> Vec<(Tenant, Person)> {
    let partner = world.partner("both").await;
    let tenants =
        [world.tenant_of(&partner, "acme").await, world.tenant_of(&partner, "beta").await, world.tenant("far").await];
    let mut people = Vec::new();
    for tenant in tenants {
        let person = world.person(&tenant, "ada").await;
        people.push((tenant, person));
    }
    people
}
