//! The API, called in this process.

use std::{fmt::Display, sync::Arc};

use actix_http::Request;
use actix_service::{IntoServiceFactory, Service, ServiceFactory, boxed};
use actix_web::{
    HttpMessage,
    body::MessageBody,
    dev::{AppConfig, ServiceResponse},
    http::{
        Method, StatusCode,
        header::{CONTENT_TYPE, HeaderValue},
    },
    web::{Bytes, Data},
};
use serde_json::Value;

use super::{
    fields::{Field, Operation, ParameterIn},
    print,
};
use crate::{
    app::App,
    cli::{Exit, operator::Operator},
    config::Config,
    http::{self, Site},
};

fn failed(error: impl Display) -> Exit {
    Exit::Failed(error.to_string())
}

pub(super) struct Api(boxed::BoxService<Request, ServiceResponse, actix_web::Error>);

/// What came back; what is no JSON has been printed.
pub(super) struct Answer {
    pub status: StatusCode,
    pub json: Option<Value>,
}

impl Api {
    pub async fn of(config: &Config, app: &Data<App>) -> Result<Self, Exit> {
        let factory = http::service(app.clone(), Arc::new(Site::new(config, app.env()))).into_factory();
        let service = factory.new_service(AppConfig::default()).await;
        Ok(Self(boxed::service(service.map_err(|()| failed("it cannot start"))?)))
    }

    pub async fn send(&self, call: &Call) -> Result<Answer, Exit> {
        let response = self.0.call(call.request().map_err(failed)?).await.map_err(failed)?;
        let status = response.status();
        let content_type = response.headers().get("content-type").and_then(|value| value.to_str().ok());
        let is_json = content_type.is_some_and(|it| it.starts_with("application/") && it.ends_with("json"));
        let mut body = Box::pin(response.into_body());
        let mut whole = Vec::new();
        while let Some(chunk) = std::future::poll_fn(|cx| body.as_mut().poll_next(cx)).await {
            let chunk = chunk.map_err(|_| failed("the answer broke off"))?;
            if is_json { whole.extend_from_slice(&chunk) } else { print::bytes(&chunk) }
        }
        let json = is_json.then(|| serde_json::from_slice(&whole)).transpose().map_err(failed)?;
        Ok(Answer { status, json })
    }

    /// What is at a path; nothing if there is nothing.
    pub async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, Exit> {
        let owned = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let answer = self.send(&Call { method: Method::GET, path: path.to_owned(), query: owned, body: None }).await?;
        Ok(answer.json.filter(|_| answer.status.is_success()).unwrap_or_default())
    }
}

/// A request in the making.
#[derive(Clone)]
pub(super) struct Call {
    method: Method,
    path: String,
    query: Vec<(String, String)>,
    body: Option<Value>,
}

impl Call {
    pub fn of(operation: &Operation) -> Self {
        let (method, path) = (operation.method.clone(), operation.path.clone());
        Self { method, path, query: Vec::new(), body: operation.empty_body() }
    }

    pub fn put(&mut self, field: &Field, values: Vec<String>) -> Result<(), Exit> {
        match &field.place {
            ParameterIn::Path => {
                let value = values.into_iter().next().unwrap_or_default();
                // An id is all that a path of ours takes, and an id needs no escapes.
                let id: String = value.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
                if id != value || id.is_empty() {
                    return Err(Exit::Usage(format!("{} is no {}", value, field.name)));
                }
                self.path = self.path.replace(&format!("{{{}}}", field.name), &id);
            }
            ParameterIn::Query => self.query.extend(values.into_iter().map(|value| (field.name.clone(), value))),
            ParameterIn::Body(way) => {
                if let (Some(value), Some(body)) = (field.json(values)?, &mut self.body) {
                    let place = way.iter().fold(body, |at, key| &mut at[key.as_str()]);
                    *place = value;
                }
            }
        }
        Ok(())
    }

    pub fn is_dry_run(&self) -> bool {
        self.query.iter().any(|(name, value)| name == "dry_run" && value == "true")
    }

    pub fn as_dry_run(&self) -> Self {
        let mut tried = self.clone();
        tried.query.push(("dry_run".to_owned(), "true".to_owned()));
        tried
    }

    pub fn deletes(&self) -> bool {
        self.method == Method::DELETE
    }

    /// Whether something is to be suspended.
    pub fn suspends(&self) -> bool {
        self.body.as_ref().is_some_and(|body| body["status"] == "SUSPENDED")
    }

    /// The request, with the operator's credential beside it.
    fn request(&self) -> Result<Request, actix_web::http::uri::InvalidUri> {
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.query).finish();
        let uri = if query.is_empty() { self.path.clone() } else { format!("{}?{query}", self.path) };
        let mut request = Request::new();
        *request.uri_mut() = uri.parse()?;
        request.head_mut().method = self.method.clone();
        request.extensions_mut().insert(Operator::at_command_line());
        let Some(body) = &self.body else { return Ok(request) };
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(request.replace_payload(Bytes::from(body.to_string()).into()).0)
    }
}
