//! What the engine has found of campaigns: for whoever may see accounts.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::AdminState;
use crate::engine::{CampaignId, NotACampaignId};

type Shared = State<Arc<AdminState>>;

/// All at a glance, largest first.
pub(super) async fn all(State(state): Shared) -> Response {
    let found = state.desk.as_ref().map(|desk| desk.engine.campaigns());
    Json(found.unwrap_or_default()).into_response()
}

/// One, with its members and keys.
pub(super) async fn one(State(state): Shared, Path(id): Path<String>) -> Response {
    let id: Result<CampaignId, NotACampaignId> = id.parse();
    let id = match id {
        Ok(id) => id,
        Err(why) => return (StatusCode::BAD_REQUEST, format!("{why}\n")).into_response(),
    };
    match state.desk.as_ref().and_then(|desk| desk.engine.campaign(id)) {
        Some(campaign) => Json(campaign).into_response(),
        None => (StatusCode::NOT_FOUND, "no campaign has this id\n").into_response(),
    }
}
