//! Token mode from outside: who may do what, in whose name, and what nobody else sees.

mod bridge;
mod identity;
mod logs;
mod matrix;
mod origins;
mod privacy;
mod tickets;
mod tokens;

use arcuate_tests::client::Client;
use arcuate_tests::host::Host;
use serde_json::json;

const TOKEN_MODE: &str = "[auth]\nmode = \"token\"\n";

async fn token_host() -> Host {
    Host::start(TOKEN_MODE).await
}

/// A client with a new token for this name.
async fn enter(host: &Host, name: &str, scopes: &[&str]) -> Client {
    host.client().with_token(&make(host, name, scopes).await)
}

async fn make(host: &Host, name: &str, scopes: &[&str]) -> String {
    let new = json!({ "name": name, "scopes": scopes });
    let made = host.operator().post("/api/v1/admin/tokens", &new).await.ok();
    made["token"].as_str().expect("a token").into()
}

/// The id of the room that is there from the start.
async fn general(client: &Client) -> String {
    let rooms = client.get("/api/v1/rooms").await.ok();
    rooms[0]["id"].as_str().expect("a room's id").into()
}
