//! Names in the place of ids, on the way in and in tables: of a tenant or a partner its slug, of a user `tenant/name`, of
//! a role of a tenant likewise, of a built-in role its name.

use std::collections::HashMap;

use actix_web::web::Data;
use serde_json::Value;

use super::{api::Api, fields::Field};
use crate::{
    app::App,
    cli::{Exit, tenant, user},
};

/// What has a name: how its ids begin, and where it is found.
const NAMED: [(&str, &str); 4] = [("prt_", "partners"), ("tnt_", "tenants"), ("usr_", "users"), ("rol_", "roles")];

pub(super) struct Names<'a> {
    app: &'a Data<App>,
    api: &'a Api,
    /// What has been looked up, by its id.
    known: HashMap<String, Value>,
}

impl<'a> Names<'a> {
    pub fn new(app: &'a Data<App>, api: &'a Api) -> Self {
        Self { app, api, known: HashMap::new() }
    }

    /// The ids of what was named in a field.
    pub async fn ids(&self, field: &Field, values: Vec<String>) -> Result<Vec<String>, Exit> {
        let mut ids = Vec::with_capacity(values.len());
        for value in values {
            let is_id = value == "null" || NAMED.iter().any(|(prefix, _)| value.starts_with(prefix));
            ids.push(if is_id { value } else { self.id(field, value).await? });
        }
        Ok(ids)
    }

    async fn id(&self, field: &Field, value: String) -> Result<String, Exit> {
        Ok(match (field.word(), value.split_once('/')) {
            (_, None) if value.is_empty() => value,
            ("tenant", None) => self.tenant(&value).await?,
            ("partner", None) => self.partner(&value).await?,
            ("role", None) => self.role(None, &value).await?,
            ("role", Some((slug, name))) => self.role(Some(self.tenant(slug).await?), name).await?,
            ("user" | "actor", Some((slug, name))) => user::find(self.app, slug, name).await?.id.to_string(),
            // Several may have one name.
            ("application", _) if !value.starts_with("app_") => {
                return Err(Exit::Usage(format!("{value} is no application_id: see application list")));
            }
            ("user" | "actor", None) => {
                return Err(Exit::Usage(format!(
                    "{value} is no user_id: write TENANT/{value}, with the slug of the tenant"
                )));
            }
            _ => value,
        })
    }

    async fn tenant(&self, slug: &str) -> Result<String, Exit> {
        Ok(tenant(self.app, slug).await?.tenant.id.to_string())
    }

    async fn partner(&self, slug: &str) -> Result<String, Exit> {
        for page in 1_u64.. {
            let query = [("search", slug), ("per_page", "200"), ("page", &page.to_string())];
            let found = self.api.get("/api/v1/admin/partners", &query).await?;
            if let Some(id) = id_where(&found, |partner| partner["slug"] == slug) {
                return Ok(id);
            }
            if found["pagination"]["total_pages"].as_u64().is_none_or(|pages| page >= pages) {
                break;
            }
        }
        Err(Exit::Usage(format!("there is no partner {slug}")))
    }

    async fn role(&self, tenant: Option<String>, name: &str) -> Result<String, Exit> {
        let mut query = vec![("name", name)];
        query.extend(tenant.as_deref().map(|tenant| ("tenant_id", tenant)));
        let found = self.api.get("/api/v1/admin/roles", &query).await?;
        let id = id_where(&found, |role| (role["built_in"] == true) == tenant.is_none());
        let missing = || Exit::Usage(format!("there is no role {name}: one of a tenant is written TENANT/NAME"));
        id.ok_or_else(missing)
    }

    /// Names in the place of the ids in these columns of a list.
    pub async fn put(&mut self, rows: &mut [Value], columns: &[&str]) -> Result<(), Exit> {
        let known = rows.iter().filter_map(|row| Some((row["id"].as_str()?.to_owned(), row.clone())));
        self.known.extend(known);
        for row in rows {
            for column in columns {
                let place = row.pointer_mut(&format!("/{}", column.replace('.', "/")));
                if let Some(Value::String(id)) = place {
                    *id = self.name(id).await?;
                }
            }
        }
        Ok(())
    }

    /// The name of an id; the id where it has none, or is that of something deleted.
    pub async fn name(&mut self, id: &str) -> Result<String, Exit> {
        let thing = self.thing(id).await?;
        let Some(own) = ["slug", "username", "name"].iter().find_map(|key| thing[key].as_str()) else {
            return Ok(id.to_owned());
        };
        let Some(tenant) = thing["tenant_id"].as_str() else { return Ok(own.to_owned()) };
        let tenant = self.thing(tenant).await?;
        Ok(format!("{}/{own}", tenant["slug"].as_str().unwrap_or("?")))
    }

    async fn thing(&mut self, id: &str) -> Result<Value, Exit> {
        let Some((_, collection)) = NAMED.iter().find(|(prefix, _)| id.starts_with(prefix)) else {
            return Ok(Value::Null);
        };
        if let Some(known) = self.known.get(id) {
            return Ok(known.clone());
        }
        let found = self.api.get(&format!("/api/v1/admin/{collection}/{id}"), &[]).await?;
        Ok(self.known.entry(id.to_owned()).or_insert(found["data"].clone()).clone())
    }
}

/// The id of the one in a list of which something holds.
fn id_where(list: &Value, holds: impl Fn(&Value) -> bool) -> Option<String> {
    let mut items = list["data"].as_array().into_iter().flatten();
    items.find(|item| holds(item)).and_then(|item| item["id"].as_str()).map(str::to_owned)
}
