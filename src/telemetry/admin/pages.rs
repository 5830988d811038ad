//! What there is to read.

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router, middleware};
use serde::Deserialize;

use super::{AdminState, DRAINING, SERVING, campaigns, desk, gate};
use crate::engine::Line;
use crate::signal::ExchangeId;

const INDEX: &str = "\
stillguard's admin listener.

/healthz                    the process is alive
/readyz                     traffic is welcome: 200, or 503 while starting and draining
/metrics                    for Prometheus, in the OpenMetrics text format
/admin/v1/decisions/{id}    a recent decision by the id its caller was shown (sg_...);
                            add ?format=text for words
/admin/v1/accounts          how many accounts are remembered
/admin/v1/accounts/{id}     one account (acct_...): what is known, why, what would change it;
                            add ?format=text for words, ?tenant=NAME for its tenant's policy
/admin/v1/campaigns         the campaigns found, largest first
/admin/v1/campaigns/{id}    one of them (cmp_...), with its members and keys; both: add ?format=text
                            for words
/admin/v1/rulings           what operators have ruled
/admin/v1/orders            POST an order; needs the operators' token. The command line does:
                            stillguard allow | block | force | lift | clear | review, and
                            stillguard campaign contain | release | close
/admin/v1/attributes        POST how an account came to be; needs the token. The command line
                            does: stillguard attributes
";

/// What Prometheus asks for by name since the format has one.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(super) const ORDERS: &str = "/admin/v1/orders";
pub(super) const ATTRIBUTES: &str = "/admin/v1/attributes";
/// Bytes of the longest order.
const LONGEST_ORDER: usize = 16 << 10;

type Shared = State<Arc<AdminState>>;

pub(super) fn router(state: Arc<AdminState>) -> Router {
    let of_accounts = Router::new()
        .route("/admin/v1/decisions/{id}", get(decision))
        .route("/admin/v1/accounts/{id}", get(desk::account))
        .route("/admin/v1/rulings", get(desk::rulings))
        .route("/admin/v1/campaigns", get(campaigns::all))
        .route("/admin/v1/campaigns/{id}", get(campaigns::one))
        .route_layer(middleware::from_fn_with_state(Arc::clone(&state), desk::check_reader));
    Router::new()
        .route("/", get(INDEX))
        .route("/healthz", get("alive\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/admin/v1/accounts", get(accounts))
        .route(ORDERS, post(desk::order))
        .route(ATTRIBUTES, post(desk::attributes))
        .merge(of_accounts)
        .layer(DefaultBodyLimit::max(LONGEST_ORDER))
        .layer(middleware::from_fn_with_state(Arc::clone(&state), gate::check))
        .with_state(state)
}

async fn ready(State(state): Shared) -> (StatusCode, &'static str) {
    match state.phase() {
        SERVING => (StatusCode::OK, "ready\n"),
        DRAINING => (StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "starting\n"),
    }
}

async fn metrics(State(state): Shared) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, OPENMETRICS)], state.telemetry.metrics.encode())
}

#[derive(Deserialize)]
pub(super) struct Wish {
    #[serde(default)]
    pub(super) format: Format,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Format {
    #[default]
    Json,
    Text,
}

/// The ask and its verdict, in the decision log's own form. The ring is short: what it has
/// forgotten is still in the log.
async fn decision(
    State(state): Shared,
    Path(id): Path<String>,
    Query(wish): Query<Wish>,
) -> Response {
    let id = id.strip_prefix("sg_").and_then(|tag| tag.parse().ok()).map(ExchangeId);
    let Some(id) = id else {
        let expected = "a decision id is expected: sg_ and 16 hex digits\n";
        return (StatusCode::BAD_REQUEST, expected).into_response();
    };
    let Some(decision) = state.telemetry.decisions.find(id) else {
        let gone = "no recent decision has this id; older ones are in the decision log\n";
        return (StatusCode::NOT_FOUND, gone).into_response();
    };
    match wish.format {
        Format::Json => Json(Line::ask(&decision.ask, &decision.verdict)).into_response(),
        Format::Text => format!("{}\n", decision.verdict.in_words()).into_response(),
    }
}

/// The count as of the last tick.
async fn accounts(State(state): Shared) -> Json<serde_json::Value> {
    let remembered = state.telemetry.metrics.remembered();
    Json(serde_json::json!({ "accounts": remembered }))
}
