//! How a request is addressed to an endpoint.

use bytes::Bytes;
use http::header::{HOST, HeaderValue};
use http::uri::{PathAndQuery, Scheme};
use http::{Request, Uri, Version};

use super::key;
use super::pool::Pick;
use super::settings::Url;
use crate::guard::UpstreamError;

/// What is said to whichever endpoint is chosen.
pub(super) struct Wanted {
    pub(super) target: PathAndQuery,
    pub(super) host: Option<HeaderValue>,
    /// To switch protocols, which HTTP/2 has no way to.
    pub(super) upgrade: bool,
}

impl Wanted {
    pub(super) fn by<B>(request: &Request<B>) -> Self {
        let target = request.uri().path_and_query().cloned();
        let target = target.unwrap_or_else(|| PathAndQuery::from_static("/"));
        Self { target, host: request.headers().get(HOST).cloned(), upgrade: false }
    }

    pub(super) fn pick(&self, fresh: bool) -> Pick {
        Pick { fresh, http1: self.upgrade }
    }

    pub(super) fn without_keys(&self) -> Result<Self, UpstreamError> {
        let target = key::without_keys(&self.target);
        let target = target.ok_or_else(|| UpstreamError::Broken("no target is left".to_owned()))?;
        Ok(Self { target, host: self.host.clone(), upgrade: self.upgrade })
    }

    /// Addresses the request to an endpoint. May be called again for another connection.
    pub(super) fn aim<B>(
        &self,
        request: &mut Request<B>,
        url: &Url,
        http2: bool,
        preserve_host: bool,
    ) -> Result<(), UpstreamError> {
        let invalid = |error: &dyn std::fmt::Display| UpstreamError::Broken(error.to_string());
        let own = || HeaderValue::from_str(url.authority.as_str()).map_err(|e| invalid(&e));
        let host = match &self.host {
            Some(host) if preserve_host => host.clone(),
            _ => own()?,
        };
        let mut parts = http::uri::Parts::default();
        parts.path_and_query = Some(match url.base.as_str() {
            "" => self.target.clone(),
            base => {
                let target = format!("{base}{}", self.target);
                PathAndQuery::from_maybe_shared(Bytes::from(target)).map_err(|e| invalid(&e))?
            }
        });
        if http2 {
            parts.scheme = Some(if url.tls { Scheme::HTTPS } else { Scheme::HTTP });
            let authority = http::uri::Authority::try_from(host.as_bytes());
            parts.authority = Some(authority.map_err(|e| invalid(&e))?);
            request.headers_mut().remove(HOST);
            *request.version_mut() = Version::HTTP_2;
        } else {
            request.headers_mut().insert(HOST, host);
            *request.version_mut() = Version::HTTP_11;
        }
        *request.uri_mut() = Uri::from_parts(parts).map_err(|e| invalid(&e))?;
        Ok(())
    }
}
