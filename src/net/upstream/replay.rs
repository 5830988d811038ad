//! What may be sent once more: a request that the endpoint has not begun to work on, and of which
//! every byte is still here.

use h2::Reason;
use http::Request;
use http_body::Body;
use http_body_util::Full;

use crate::guard::Outbound;

/// A body that may be had twice before it is sent.
pub(super) trait Replay: Sized {
    fn again(&self) -> Option<Self>;
}

impl<B: Body> Replay for Outbound<B> {
    /// One that has been read whole, or has no bytes.
    fn again(&self) -> Option<Self> {
        match self {
            Self::Left(whole) => Some(Self::Left(whole.clone())),
            Self::Right(passed) if passed.is_end_stream() => Some(Self::Left(Full::default())),
            Self::Right(_) => None,
        }
    }
}

/// The same request, not yet sent. Bytes of the body are shared.
pub(super) fn again<B: Replay>(request: &Request<B>) -> Option<Request<B>> {
    let mut copy = Request::new(request.body().again()?);
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.version_mut() = request.version();
    *copy.headers_mut() = request.headers().clone();
    Some(copy)
}

/// Whether the endpoint itself has said that it did nothing with the request: by REFUSED_STREAM, or by
/// a GOAWAY whose last stream came before this one (RFC 9113 8.7). Of a GOAWAY, h2 tells only the
/// streams beyond it; the others fail, if they do, as the connection does.
pub(super) fn is_undone(error: &hyper::Error) -> bool {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<h2::Error>() {
            let refused = error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM);
            return error.is_remote() && (refused || error.is_go_away());
        }
        cause = error.source();
    }
    false
}
