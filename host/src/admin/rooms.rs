//! Rooms for operators: listed, and given a new key where the old one was lost.

use super::Operator;
use crate::auth::{digest, random_hex};
use crate::chat::rooms;
use crate::error::Result;
use crate::http::{Body, Params};
use crate::state::App;
use crate::store::{Store, Viewer};
use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub fn router() -> Router<App> {
    Router::new()
        .route("/api/v1/admin/rooms", get(list_rooms))
        .route("/api/v1/admin/rooms/rotate-key", post(rotate_room_key))
}

/// Which room gets a new key.
#[derive(Debug, Deserialize, Serialize)]
pub struct Named {
    pub name: String,
}

async fn list_rooms(_: Operator, State(app): State<App>, params: Params) -> Result<Json<Value>> {
    Ok(Json(list(&app.store, &params).await?))
}

async fn rotate_room_key(_: Operator, State(app): State<App>, Body(named): Body<Named>) -> Result<Json<Value>> {
    Ok(Json(rotate_key(&app.store, named.name).await?))
}

pub async fn list(store: &Store, params: &Params) -> Result<Value> {
    let (rooms, cursor) = rooms::list(store, Viewer::Nobody, None, params, true).await?;
    Ok(json!({ "rooms": rooms, "cursor": cursor }))
}

pub async fn rotate_key(store: &Store, name: String) -> Result<Value> {
    let key = random_hex::<16>("chat_");
    let (hashed, named) = (digest(&key), name.clone());
    store.write(move |tx| tx.rotate_room_key(&named, &hashed)).await?;
    Ok(json!({ "name": name, "admin_key": key }))
}
