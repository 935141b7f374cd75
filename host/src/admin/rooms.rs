//! Rooms for operators: listed, and given a new key where the old one was lost.

use super::Operator;
use crate::auth::{digest, random_hex};
use crate::chat::rooms;
use crate::error::Result;
use crate::http::{Body, Params};
use crate::state::App;
use crate::store::{Actor, Deed, Store, Viewer};
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(list_rooms)).routes(routes!(rotate_room_key))
}

/// Which room gets a new key.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[schema(example = json!({ "name": "kitchen" }))]
pub struct Named {
    /// Of an ordinary room.
    pub name: String,
}

/// A page of rooms, newest activity first.
#[derive(Serialize, ToSchema)]
struct RoomPage {
    rooms: Vec<rooms::Room>,
    /// For the next page; null at the end.
    cursor: Option<String>,
}

/// A room's new key, which is shown this once.
#[derive(Serialize, ToSchema)]
struct NewKey {
    name: String,
    admin_key: String,
}

/// List rooms for operators
///
/// Ordinary rooms, archived ones too; newest activity first.
#[utoipa::path(get, path = "/api/v1/admin/rooms", tag = "Administration", security(("admin_token" = [])),
    params(("limit" = Option<i64>, Query, description = "At most so many; default and maximum 1000"),
           ("cursor" = Option<String>, Query, description = "From the page before")),
    responses((status = 200, body = RoomPage)))]
async fn list_rooms(_: Operator, State(app): State<App>, params: Params) -> Result<Json<Value>> {
    Ok(Json(list(&app.store, &params).await?))
}

/// Give a room a new admin key
#[utoipa::path(post, path = "/api/v1/admin/rooms/rotate-key", tag = "Administration", security(("admin_token" = [])),
    request_body = Named,
    responses((status = 200, description = "The key, which is shown this once", body = NewKey),
              (status = 404, description = "No ordinary room has this name")))]
async fn rotate_room_key(operator: Operator, State(app): State<App>, Body(named): Body<Named>) -> Result<Json<Value>> {
    Ok(Json(rotate_key(&app.store, &operator.actor, named.name).await?))
}

pub async fn list(store: &Store, params: &Params) -> Result<Value> {
    let (rooms, cursor) = rooms::list(store, Viewer::Nobody, None, params, true).await?;
    Ok(json!(RoomPage { rooms, cursor }))
}

pub async fn rotate_key(store: &Store, actor: &Actor, name: String) -> Result<Value> {
    let key = random_hex::<16>("chat_");
    let (hashed, named, by) = (digest(&key), name.clone(), actor.clone());
    let rotated = store.write(move |tx| {
        let room = tx.rotate_room_key(&named, &hashed)?;
        tx.audit(&Deed::done(&by, "rooms.rotate_key", named.as_str(), json!({ "room_id": room })))
    });
    store.recorded(actor, "rooms.rotate_key", &name, rotated).await?;
    Ok(json!(NewKey { name, admin_key: key }))
}
