//! The guard inside a service of your own: one tower layer around whatever answers.
//!
//! `cargo run --example embed` asks the guarded service once and prints what came back.

use std::error::Error;
use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use stillguard::engine::Engine;
use stillguard::guard::{self, GuardLayer, Outbound, Shared, UpstreamError};
use stillguard::identity::{self, Identifier, Keyring};
use stillguard::policy::Policies;
use stillguard::telemetry::Telemetry;
use stillguard::time::Clock;
use tower::{ServiceBuilder, ServiceExt, service_fn};

/// Stands for your model server.
async fn model(_: Request<Outbound<Full<Bytes>>>) -> Result<Response<Full<Bytes>>, UpstreamError> {
    let answer = r#"{"id":"chatcmpl-1","object":"chat.completion","model":"m","choices":[]}"#;
    let response = Response::builder().header("content-type", "application/json");
    let response = response.body(Full::from(answer));
    response.map_err(|why| UpstreamError::Broken(why.to_string()))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    // A real deployment reads its secret from a file: account ids depend on it.
    let keyring = Keyring::new([7; 32]);
    let shared = Shared {
        settings: ArcSwap::from_pointee(guard::Settings::default()),
        identifier: ArcSwap::from_pointee(Identifier::new(
            &identity::Settings::default(),
            keyring.clone(),
        )?),
        records: Default::default(),
        engine: Arc::new(Engine::new(Default::default(), Policies::default())),
        telemetry: Arc::new(Telemetry::default()),
        keyring,
        clock: Clock::start(),
    };
    let layer = GuardLayer::new(Arc::new(shared));
    let service = ServiceBuilder::new().layer(layer).service(service_fn(model));

    let request = Request::post("/v1/chat/completions")
        .header("authorization", "Bearer sk-example")
        .header("content-type", "application/json")
        .body(Full::from(r#"{"model":"m","messages":[{"role":"user","content":"hello"}]}"#))?;
    let response = service.oneshot(request).await?;
    println!("{} {:?}", response.status(), response.headers());
    println!("{}", String::from_utf8_lossy(&response.into_body().collect().await?.to_bytes()));
    Ok(())
}
