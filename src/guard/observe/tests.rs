use arc_swap::ArcSwap;
use http_body_util::{BodyExt, Full};

use super::*;
use crate::dialect::{Api, Delta, Malformed, Request, Worded, Wording, sse};
use crate::engine::{self, Engine};
use crate::guard::Settings;
use crate::identity::{self, Caller, Identifier, Keyring, Tag};
use crate::policy::Policies;
use crate::signal::{ExchangeId, Prompt};
use crate::telemetry::Telemetry;
use crate::time::{Clock, Timestamp};

/// Can read nothing without falling over.
#[derive(Debug)]
struct Brittle;

impl Dialect for Brittle {
    fn api(&self) -> Api {
        Api::Other
    }

    fn speaks(&self, _: &http::Method, _: &str, _: &http::HeaderMap) -> bool {
        true
    }

    fn read_request<'a>(&self, _: &'a [u8]) -> Result<Request<'a>, Malformed> {
        panic!("request")
    }

    fn read_answer<'a>(&self, _: &'a [u8]) -> Result<Delta<'a>, Malformed> {
        panic!("answer")
    }

    fn read_event<'a>(&self, _: sse::Event<'a>) -> Result<Delta<'a>, Malformed> {
        panic!("event")
    }

    fn refuse(&self, _: &Wording<'_>) -> Worded {
        panic!("refusal")
    }

    fn break_stream(&self, _: &Wording<'_>) -> Bytes {
        panic!("break")
    }
}

fn shared() -> Arc<Shared> {
    let keyring = Keyring::new([1; 32]);
    let identifier = Identifier::new(&identity::Settings::default(), keyring.clone()).unwrap();
    Arc::new(Shared {
        settings: ArcSwap::from_pointee(Settings::default()),
        identifier: ArcSwap::from_pointee(identifier),
        records: Default::default(),
        engine: Arc::new(Engine::new(engine::Settings::default(), Policies::default())),
        telemetry: Arc::new(Telemetry::default()),
        keyring,
        clock: Clock::starting_at(Timestamp::default()),
    })
}

fn ask() -> Ask {
    let caller = Caller::sample(1);
    let (id, at) = (ExchangeId(Tag(1)), Timestamp::default());
    Ask { id, at, caller, prompt: Prompt { api: Api::OpenaiChat, ..Prompt::default() } }
}

#[tokio::test(start_paused = true)]
async fn a_panic_while_reading_does_not_reach_the_answer() {
    for kind in ["text/event-stream", "application/json"] {
        let shared = shared();
        let watch = Watch::new(Arc::clone(&shared), ask());
        let answer = Response::builder().header("content-type", kind);
        let answer = answer.body(Full::new(Bytes::from("data: 1\n\ndata: 2\n\n"))).unwrap();
        let observed = watch.observe(answer, Some((&Brittle, Framing::Sse))).into_body();
        let passed = observed.collect().await.unwrap().to_bytes();
        assert_eq!(passed, "data: 1\n\ndata: 2\n\n");
        assert_eq!(shared.engine.accounts(), 1, "the exchange is learnt from all the same");
    }
}
