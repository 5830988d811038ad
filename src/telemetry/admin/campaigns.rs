//! What the engine has found of campaigns: for whoever may see accounts.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::AdminState;
use super::pages::{Format, Wish};
use crate::engine::{About, CampaignId, NotACampaignId};

type Shared = State<Arc<AdminState>>;

/// All at a glance, largest first.
pub(super) async fn all(State(state): Shared, Query(wish): Query<Wish>) -> Response {
    let found = state.desk.as_ref().map(|desk| desk.engine.campaigns()).unwrap_or_default();
    match wish.format {
        Format::Json => Json(found).into_response(),
        Format::Text if found.is_empty() => "no campaigns\n".into_response(),
        Format::Text => {
            let lines = found.iter().map(|about: &About| about.in_a_line() + "\n");
            lines.collect::<String>().into_response()
        }
    }
}

/// One, with its members and keys.
pub(super) async fn one(
    State(state): Shared,
    Path(id): Path<String>,
    Query(wish): Query<Wish>,
) -> Response {
    let id: Result<CampaignId, NotACampaignId> = id.parse();
    let id = match id {
        Ok(id) => id,
        Err(why) => return (StatusCode::BAD_REQUEST, format!("{why}\n")).into_response(),
    };
    match (state.desk.as_ref().and_then(|desk| desk.engine.campaign(id)), wish.format) {
        (Some(campaign), Format::Json) => Json(campaign).into_response(),
        (Some(campaign), Format::Text) => format!("{}\n", campaign.in_words()).into_response(),
        (None, _) => (StatusCode::NOT_FOUND, "no campaign has this id\n").into_response(),
    }
}
