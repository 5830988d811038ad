//! What a connection needs of the application behind it.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use tower::Service;

/// Errors of bodies, boxed as hyper wants them.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A service that always answers. Implemented for every service of this shape, never by hand.
pub trait App:
    Service<
        Request<Incoming>,
        Response = Response<<Self as App>::Answer>,
        Error = Infallible,
        Future: Send + 'static,
    > + Clone
    + Send
    + 'static
{
    /// An answer's body. An error in it is passed on as a visible cut, never as a clean end.
    type Answer: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static;
}

impl<S, B> App for S
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send + 'static,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Answer = B;
}
