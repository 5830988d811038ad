//! Where operators' orders are taken, and accounts explained: for whoever holds the token.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::pages::Format;
use super::{AdminState, gate};
use crate::engine::{Disobeyed, Engine, Order, Verb, Words};
use crate::identity::{AccountId, Keyring, TenantName, Told};
use crate::telemetry::audit::{AuditLog, Entry};
use crate::time::{Clock, Timestamp};

/// What orders need to be taken.
pub struct Desk {
    pub engine: Arc<Engine>,
    pub clock: Clock,
    pub token: Option<Token>,
    pub audit: AuditLog,
    pub keyring: Keyring,
    /// Makes what was ordered survive the process; answers whether it does.
    pub keep: Box<dyn Fn() -> bool + Send + Sync>,
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desk").field("audit", &self.audit).finish_non_exhaustive()
    }
}

/// The operators' token. Only its hash is held: comparing hashes takes the same time whatever they
/// are.
#[derive(Clone, Copy, Debug)]
pub struct Token(blake3::Hash);

#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error(
    "a token of at least 16 visible ASCII characters is expected; `openssl rand -hex 32` makes one"
)]
pub struct NotAToken;

impl Token {
    const SHORTEST: usize = 16;

    pub fn new(text: &Zeroizing<String>) -> Result<Self, NotAToken> {
        let text = text.trim();
        let sound =
            text.len() >= Self::SHORTEST && text.bytes().all(|byte| byte.is_ascii_graphic());
        if sound { Ok(Self(blake3::hash(text.as_bytes()))) } else { Err(NotAToken) }
    }

    fn is(&self, offered: &str) -> bool {
        blake3::hash(offered.as_bytes()) == self.0
    }
}

type Shared = State<Arc<AdminState>>;
type Refused = (StatusCode, &'static str);

/// Who may see accounts and recent decisions: everyone who reaches the listener as long as there is
/// no token, then its bearers alone.
pub(super) async fn check_reader(State(state): Shared, request: Request, next: Next) -> Response {
    let token = state.desk.as_ref().and_then(|desk| desk.token);
    match token.map_or(Ok(()), |token| bearer(token, request.headers())) {
        Ok(()) => next.run(request).await,
        Err(refused) => refused.into_response(),
    }
}

fn bearer(token: Token, headers: &HeaderMap) -> Result<(), Refused> {
    let offered = gate::only(headers, header::AUTHORIZATION);
    let offered = offered.and_then(|value| value.strip_prefix("Bearer "));
    match offered {
        Some(offered) if token.is(offered) => Ok(()),
        Some(_) => Err((StatusCode::FORBIDDEN, "this is not the operators' token\n")),
        None => Err((StatusCode::UNAUTHORIZED, "send the token: authorization: Bearer ...\n")),
    }
}

const NO_TOKEN: Refused = (
    StatusCode::FORBIDDEN,
    "orders need a token: set telemetry.admin.token_file or STILLGUARD_ADMIN_TOKEN\n",
);

/// The desk, for a request that may give it an order.
fn taker<'a>(state: &'a AdminState, headers: &HeaderMap) -> Result<&'a Desk, Refused> {
    let desk = state.desk.as_ref();
    let (desk, token) = desk.and_then(|desk| Some((desk, desk.token?))).ok_or(NO_TOKEN)?;
    bearer(token, headers)?;
    // A browser can't send this type to another site without asking first.
    let typed = gate::only(headers, header::CONTENT_TYPE);
    match typed.is_some_and(|value| value.eq_ignore_ascii_case("application/json")) {
        true => Ok(desk),
        false => Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, "an order is application/json\n")),
    }
}

/// Takes an order: audited first, then carried out, then made to last.
pub(super) async fn order(State(state): Shared, headers: HeaderMap, body: Bytes) -> Response {
    let desk = match taker(&state, &headers) {
        Ok(desk) => desk,
        Err(refused) => return refused.into_response(),
    };
    match serde_json::from_slice(&body) {
        Ok(order) => desk.carry_out(&state, &order),
        Err(why) => (StatusCode::BAD_REQUEST, format!("not an order: {why}\n")).into_response(),
    }
}

/// How an account came to be, in an operator's words.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Telling<'a> {
    account: AccountId,
    /// Members as the file of attributes has them; none of them takes back what was told.
    #[serde(borrow)]
    attributes: &'a RawValue,
    owner: Words,
    reason: Words,
}

/// Takes attributes as an order, whose words become keyed hashes before anything is written.
pub(super) async fn attributes(State(state): Shared, headers: HeaderMap, body: Bytes) -> Response {
    let desk = match taker(&state, &headers) {
        Ok(desk) => desk,
        Err(refused) => return refused.into_response(),
    };
    let told = serde_json::from_slice::<Telling<'_>>(&body).map_err(|why| why.to_string());
    let told = told.and_then(|told| {
        let provision = Told::strictly(told.attributes.get())?.provision(&desk.keyring);
        let verb = Verb::Tell { account: told.account, provision };
        Ok(Order { verb, owner: told.owner, reason: told.reason })
    });
    match told {
        Ok(order) => desk.carry_out(&state, &order),
        Err(why) => (StatusCode::BAD_REQUEST, format!("not attributes: {why}\n")).into_response(),
    }
}

impl Desk {
    /// Blocks for the disk: the listener has a thread of its own, and orders are rare.
    fn carry_out(&self, state: &AdminState, order: &Order) -> Response {
        let now = self.clock.now();
        if self.note(now, order, "ordered").is_err() {
            let why = "the audit log can't be written: nothing was done\n";
            return (StatusCode::SERVICE_UNAVAILABLE, why).into_response();
        }
        if let Err(why) = self.engine.obey(order, now) {
            let _ = self.note(now, order, &why.to_string());
            return (refusal(why), format!("{why}\n")).into_response();
        }
        state.telemetry.decisions.ordered(order, now);
        let kept = (self.keep)();
        let outcome = if kept { "done" } else { "done, but not on disk" };
        let _ = self.note(now, order, outcome);
        Json(json!({ "done": true, "lasting": kept })).into_response()
    }

    fn note(&self, at: Timestamp, order: &Order, outcome: &str) -> std::io::Result<()> {
        let written = self.audit.write(&Entry { at, order, outcome });
        written.inspect_err(|why| tracing::error!("the audit log can't be written: {why}"))
    }
}

fn refusal(why: Disobeyed) -> StatusCode {
    match why {
        Disobeyed::Unsound(_) => StatusCode::BAD_REQUEST,
        Disobeyed::NotKnown | Disobeyed::NotRuled | Disobeyed::NoCampaign => StatusCode::NOT_FOUND,
        Disobeyed::Full => StatusCode::INSUFFICIENT_STORAGE,
    }
}

/// Rulings in force.
pub(super) async fn rulings(State(state): Shared) -> Response {
    let rulings = state.desk.as_ref().map(|desk| desk.engine.rulings()).unwrap_or_default();
    Json(json!({ "rulings": rulings })).into_response()
}

#[derive(Deserialize)]
pub(super) struct Asked {
    tenant: Option<String>,
    #[serde(default)]
    format: Format,
}

/// What is known of an account, and what would change it.
pub(super) async fn account(
    State(state): Shared,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
) -> Response {
    let Ok(id) = id.parse::<AccountId>() else {
        let expected = "an account id is expected: acct_ and 32 hex digits\n";
        return (StatusCode::BAD_REQUEST, expected).into_response();
    };
    let tenant = TenantName::from(asked.tenant.as_deref().unwrap_or("default"));
    let desk = state.desk.as_ref();
    let explained = desk.and_then(|desk| desk.engine.explain((&tenant, id), desk.clock.now()));
    let Some(explained) = explained else {
        return (StatusCode::NOT_FOUND, "nothing is known of this account\n").into_response();
    };
    match asked.format {
        Format::Json => Json(explained).into_response(),
        Format::Text => format!("{}\n", explained.in_words()).into_response(),
    }
}
