//! Documents that are the same bytes for everybody, packed once, and not sent again to who has them.

use std::{io::Write, sync::OnceLock};

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{
        AcceptEncoding, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, Encoding, EntityTag, Header, IfNoneMatch,
        VARY,
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
    tag: String,
}

impl Document {
    /// The document of this text.
    #[must_use]
    pub fn new(text: String) -> Self {
        let tag = BASE64_URL_SAFE_NO_PAD.encode(&digest(&SHA256, text.as_bytes()).as_ref()[..16]);
        Self { plain: text.into(), packed: OnceLock::new(), tag }
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
        let offered = [Encoding::gzip(), Encoding::identity()];
        let chosen = AcceptEncoding::parse(request).ok().and_then(|accepted| accepted.negotiate(offered.iter()));
        let is_packed = chosen == Some(Encoding::gzip());
        // Two forms are two representations, with a tag each (RFC 9110 section 8.8.3).
        let tag = EntityTag::new_strong(format!("{}{}", self.tag, if is_packed { "-gzip" } else { "" }));
        let is_known = match IfNoneMatch::parse(request) {
            Ok(IfNoneMatch::Any) => true,
            Ok(IfNoneMatch::Items(known)) => known.iter().any(|other| other.weak_eq(&tag)),
            Err(_) => false,
        };
        let mut response = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
        response
            .insert_header((ETAG, tag.to_string()))
            .insert_header((VARY, "accept-encoding"))
            .insert_header((CACHE_CONTROL, "no-cache"));
        if is_known {
            return response.finish();
        }
        response.insert_header((CONTENT_TYPE, "application/json"));
        if is_packed {
            response.insert_header((CONTENT_ENCODING, "gzip")).body(self.packed())
        } else {
            response.body(self.plain.clone())
        }
    }
}
