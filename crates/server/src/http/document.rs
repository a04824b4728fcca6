//! Documents that are the same bytes for everybody, packed once, and not sent again to who has them.

use std::{io::Write, sync::OnceLock};

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{
        ACCEPT_ENCODING, AcceptEncoding, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, Encoding, EntityTag,
        Header, HeaderValue, IF_NONE_MATCH, IfNoneMatch, VARY,
    },
    web::Bytes,
};
use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use flate2::{Compression, write::GzEncoder};

/// The document.
#[derive(Debug)]
pub struct Document {
    plain: Bytes,
    packed: OnceLock<Bytes>,
    /// As it is, and packed: two representations, with a tag each (RFC 9110, section 8.8.3).
    tags: [Tag; 2],
}

/// An entity tag, and how it is sent.
#[derive(Debug)]
struct Tag {
    tag: EntityTag,
    sent: HeaderValue,
}

impl Tag {
    fn new(text: String) -> Self {
        let tag = EntityTag::new_strong(text);
        let sent = HeaderValue::try_from(tag.to_string()).unwrap_or(HeaderValue::from_static("\"\""));
        Self { tag, sent }
    }
}

impl Document {
    /// The document of this text.
    #[must_use]
    pub fn new(text: String) -> Self {
        let tag = BASE64_URL_SAFE_NO_PAD.encode(&digest(&SHA256, text.as_bytes()).as_ref()[..16]);
        let tags = [Tag::new(tag.clone()), Tag::new(format!("{tag}-gzip"))];
        Self { plain: text.into(), packed: OnceLock::new(), tags }
    }

    fn packed(&self) -> Bytes {
        let pack = || {
            let mut packer = GzEncoder::new(Vec::new(), Compression::default());
            // Into memory: it cannot fail.
            let _ = packer.write_all(&self.plain);
            packer.finish().unwrap_or_default().into()
        };
        self.packed.get_or_init(pack).clone()
    }

    /// The answer to a request: as the client unpacks it, or that it has it.
    pub fn respond(&self, request: &HttpRequest) -> HttpResponse {
        let (asks, offered) = (request.headers(), [Encoding::gzip(), Encoding::identity()]);
        let accepted = asks.contains_key(ACCEPT_ENCODING).then(|| AcceptEncoding::parse(request).ok()).flatten();
        let chosen = accepted.and_then(|accepted| accepted.negotiate(offered.iter()));
        let is_packed = chosen == Some(Encoding::gzip());
        let Tag { tag, sent } = &self.tags[usize::from(is_packed)];
        let is_known = asks.contains_key(IF_NONE_MATCH)
            && match IfNoneMatch::parse(request) {
                Ok(IfNoneMatch::Any) => true,
                Ok(IfNoneMatch::Items(known)) => known.iter().any(|other| other.weak_eq(tag)),
                Err(_) => false,
            };
        let mut response = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
        response
            .insert_header((ETAG, sent.clone()))
            .insert_header((VARY, HeaderValue::from_static("accept-encoding")))
            .insert_header((CACHE_CONTROL, HeaderValue::from_static("no-cache")));
        if is_known {
            return response.finish();
        }
        response.insert_header((CONTENT_TYPE, HeaderValue::from_static("application/json")));
        if is_packed {
            response.insert_header((CONTENT_ENCODING, "gzip")).body(self.packed())
        } else {
            response.body(self.plain.clone())
        }
    }
}
