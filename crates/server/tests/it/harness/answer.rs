//! What the server answered.

use actix_web::{
    Error,
    body::{MessageBody, to_bytes},
    dev::ServiceResponse,
    http::header::HeaderMap,
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::Value;

/// How long an answer may be that is neither a list nor a file.
pub const MOST: usize = 64 * 1024;

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
    /// What was sent, where it is no text.
    pub bytes: Vec<u8>,
}

impl Answer {
    pub(super) async fn read<B: MessageBody + 'static>(result: Result<ServiceResponse<B>, Error>) -> Self {
        let response = match result {
            Ok(response) => response.map_into_boxed_body().into_parts().1,
            // As actix itself answers what a middleware gives up on.
            Err(error) => error.error_response(),
        };
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = to_bytes(response.into_body()).await.unwrap_or_default();
        let is_packed = headers.contains_key("content-encoding");
        let (text, bytes) = if is_packed { (Vec::new(), bytes.to_vec()) } else { (bytes.to_vec(), Vec::new()) };
        let answer = Self { status, headers, text: String::from_utf8(text).unwrap(), bytes };
        assert!(answer.text.len() <= MOST || !answer.is_one_object(), "{} bytes", answer.text.len());
        answer
    }

    /// Whether it comes from the API and is neither a list nor a file.
    fn is_one_object(&self) -> bool {
        let is_file = self.headers.contains_key("content-disposition");
        self.header("cache-control") == Some("no-store") && !is_file && !self.text.starts_with("{\"data\":[")
    }

    /// The same answer, if it has this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// The same answer, if it is this problem.
    #[track_caller]
    pub fn problem(self, status: u16, code: &str) -> Self {
        let answer = self.expect(status);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{}", answer.text);
        assert_eq!(answer.json()["code"], code, "{}", answer.text);
        answer
    }

    /// The places of the faults of a refused input, such as `body.email value_error`.
    #[track_caller]
    pub fn faults(self) -> Vec<String> {
        let answer = self.expect(422);
        assert_eq!(answer.header("content-type"), Some("application/json"));
        let json = answer.json();
        assert_eq!(json.as_object().unwrap().len(), 1, "{json}");
        let fault = |issue: &Value| {
            assert_eq!(issue.as_object().unwrap().len(), 3, "{issue}");
            assert!(!issue["msg"].as_str().unwrap().is_empty());
            let step = |step: &Value| step.as_str().map_or_else(|| step.to_string(), str::to_owned);
            let place: Vec<_> = issue["loc"].as_array().unwrap().iter().map(step).collect();
            format!("{} {}", place.join("."), issue["type"].as_str().unwrap())
        };
        json["detail"].as_array().unwrap().iter().map(fault).collect()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    #[track_caller]
    #[expect(clippy::panic, reason = "a test that cannot go on has failed")]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// What the envelope holds.
    #[track_caller]
    pub fn data(&self) -> Value {
        self.json()["data"].clone()
    }

    /// The ids of a list.
    #[track_caller]
    pub fn ids(&self) -> Vec<String> {
        let data = self.data();
        data.as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
    }

    /// How many items a page has.
    #[track_caller]
    pub fn len(&self) -> usize {
        self.data().as_array().unwrap().len()
    }

    #[track_caller]
    pub fn total(&self) -> u64 {
        self.json()["pagination"]["total_items"].as_u64().unwrap()
    }

    /// The answer without what differs between any two requests: the request id and the time.
    pub fn anonymised(&self) -> (u16, Vec<(String, String)>, String) {
        let id = self.header("x-request-id").unwrap_or_default();
        let mut headers: Vec<_> = self
            .headers
            .iter()
            .filter(|(name, _)| !matches!(name.as_str(), "x-request-id" | "date"))
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect();
        headers.sort();
        (self.status, headers, self.text.replace(id, "REQUEST"))
    }
}

/// The claims of an access token, unverified.
#[track_caller]
pub fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}
