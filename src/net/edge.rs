//! One connection's requests: judged on the wire, then handed to the application.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONNECTION, HeaderValue};
use http::request::Parts;
use http::{Request, Response, Version};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use tower::ServiceExt;

use super::activity::Hold;
use super::app::App;
use super::tracked::Tracked;
use super::upgrade::Terms;
use super::{Refuse, headers, strict};
use crate::dialect::{self, Reason};
use crate::identity::Peer;
use crate::net::Settings;
use crate::telemetry::Telemetry;

/// What every connection is judged by.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) settings: Settings,
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) refuse: Refuse,
}

/// The application as one connection sees it.
#[derive(Clone, Debug)]
pub(super) struct Edge<S> {
    pub(super) app: S,
    pub(super) peer: Peer,
    pub(super) hold: Hold,
    pub(super) rules: Arc<Rules>,
}

/// A refusal's body, or the application's.
pub(super) type Answer<B> = Tracked<Either<Full<Bytes>, B>>;

impl<S: App> Edge<S> {
    pub(super) async fn answer(
        self,
        request: Request<Incoming>,
    ) -> Result<Response<Answer<S::Answer>>, Infallible> {
        let activity = Arc::clone(self.hold.activity());
        let under_way = activity.enter();
        let (mut head, body) = request.into_parts();
        let http2 = head.version == Version::HTTP_2;
        let admitted = match activity.take_doubt() {
            true => Err(Reason::BadRequest),
            false => strict::admit(&mut head, &self.rules.settings.limits),
        };
        let answer = match admitted {
            Ok(()) => {
                self.introduce(&mut head);
                let answer = self.app.oneshot(Request::from_parts(head, body)).await?;
                answer.map(Either::Right)
            }
            Err(reason) => self.refuse(&head, reason).map(Either::Left),
        };
        Ok(answer.map(|body| match http2 {
            true => Tracked::watched(body, under_way, &activity),
            false => Tracked::new(body, under_way),
        }))
    }

    fn introduce(&self, head: &mut Parts) {
        head.extensions.insert(self.peer);
        let settings = &self.rules.settings;
        if settings.upgrade_websocket && headers::asks_for_websocket(head) {
            head.extensions.insert(Terms::new(self.hold.clone(), settings));
        } else {
            head.extensions.remove::<OnUpgrade>();
        }
    }

    fn refuse(&self, head: &Parts, reason: Reason) -> Response<Full<Bytes>> {
        self.rules.telemetry.metrics.refused(reason);
        let dialect = dialect::nearest(head.uri.path(), &head.headers);
        let mut answer = (self.rules.refuse)(dialect, reason, &reference());
        if head.version != Version::HTTP_2 {
            // What follows on this connection may have another beginning for somebody else.
            answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        answer
    }
}

/// A decision id for what was refused before it could be judged. Random: it tells nothing.
fn reference() -> String {
    let mut id = [0; 8];
    // Without randomness the id is all zeros, which is still a refusal.
    let _fails_only_without_entropy = aws_lc_rs::rand::fill(&mut id);
    format!("sg_{:016x}", u64::from_be_bytes(id))
}
