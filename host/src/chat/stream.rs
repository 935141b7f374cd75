//! The streams of a room and of all rooms.

use super::rooms::room_id;
use super::text::bounded;
use crate::error::{Error, Result};
use crate::http::{Caller, Params, Path};
use crate::live::bus::{EPHEMERAL, ephemeral_bit};
use crate::live::presence::Membership;
use crate::live::sse::{Reader, headers};
use crate::state::App;
use crate::store::{Kind, Read, RoomRef, Scope};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Method};
use axum::response::{IntoResponse, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Rooms that a stream of all can name.
const MOST_ROOMS: usize = 50;
/// Sent on every stream, whatever it asks for.
const ALWAYS: [&str; 2] = ["heartbeat", "reset"];

pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(stream_room)).routes(routes!(stream_all))
}

/// Stream a room's events
///
/// Replays every durable event behind the cursor, then goes on live; without a cursor it begins now. Events that are stored have their
/// number in the `id:` line, which is the cursor to come back with. A heartbeat comes at once and then every 15 seconds. The stream ends
/// with the room.
#[utoipa::path(get, path = "/api/v1/rooms/{id}/stream", tag = "Streams",
    params(("id" = String, Path, description = "The room's id"),
           ("after" = Option<i64>, Query, description = "Start behind this event"),
           ("since" = Option<String>, Query, description = "Start with what was written at this time or later"),
           ("sender" = Option<String>, Query, description = "Who is present in the room as long as the stream is open"),
           ("sender_type" = Option<String>, Query, description = "`agent`, `human` or another word"),
           ("Last-Event-ID" = Option<String>, Header, description = "Start behind this event; beats `after`")),
    responses((status = 200, description = "Server-sent events", content_type = "text/event-stream", body = String),
              (status = 404, description = "Room not found")))]
async fn stream_room(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    method: Method,
    header: HeaderMap,
    params: Params,
) -> Result<Response> {
    let (from, joining) = (From::new(&header, &params)?, Joining::new(&caller, &params)?);
    let (id, viewer) = (room_id(&id)?, caller.viewer());
    let (room, after) = app.store.read(move |read| Ok((read.visible_room(id, &viewer)?, from.cursor(read)?))).await?;
    if method == Method::HEAD {
        return Ok(head());
    }
    let present = joining.join(&app, &[room])?;
    let reader = Reader::new(app.store.clone(), Scope::Room(room.key), after, app.stopping.clone(), present);
    Ok(reader.await?.into_response())
}

/// Stream all rooms' events
///
/// As the stream of a room does, for all that the caller may see; `rooms` and `events` narrow it. Heartbeats and `reset` always come, and
/// events of no room (`profile_*`) whatever the rooms are. The end of a room does not end it.
#[utoipa::path(get, path = "/api/v1/stream", tag = "Streams",
    params(("rooms" = Option<String>, Query, description = "Ids of rooms, separated by commas, at most 50; unknown ones match nothing"),
           ("events" = Option<String>, Query, description = "Names of events, separated by commas"),
           ("after" = Option<i64>, Query, description = "Start behind this event"),
           ("since" = Option<String>, Query, description = "Start with what was written at this time or later"),
           ("sender" = Option<String>, Query, description = "Who is present in the rooms named in `rooms` as long as the stream is open"),
           ("sender_type" = Option<String>, Query, description = "`agent`, `human` or another word"),
           ("Last-Event-ID" = Option<String>, Header, description = "Start behind this event; beats `after`")),
    responses((status = 200, description = "Server-sent events", content_type = "text/event-stream", body = String)))]
async fn stream_all(
    State(app): State<App>,
    caller: Caller,
    method: Method,
    header: HeaderMap,
    params: Params,
) -> Result<Response> {
    let (from, joining) = (From::new(&header, &params)?, Joining::new(&caller, &params)?);
    let kinds = kinds(&params)?;
    let (named, viewer) = (names(&params, "rooms"), caller.viewer());
    if named.as_ref().is_some_and(|named| named.len() > MOST_ROOMS) {
        return Err(Error::Invalid(format!("Query parameter 'rooms' must have at most {MOST_ROOMS} ids")));
    }
    let eyes = viewer.clone();
    let (rooms, after) = app
        .store
        .read(move |read| {
            let ids = named.map(|named| named.iter().filter_map(|id| id.parse().ok()).collect::<Vec<_>>());
            let seen = |ids: Vec<_>| ids.into_iter().map(|id| known(read.visible_room(id, &eyes))).collect();
            let rooms = ids.map(seen).transpose()?.map(|rooms: Vec<Option<RoomRef>>| rooms.into_iter().flatten());
            Ok((rooms.map(Iterator::collect::<Vec<RoomRef>>), from.cursor(read)?))
        })
        .await?;
    if method == Method::HEAD {
        return Ok(head());
    }
    let present = joining.join(&app, rooms.as_deref().unwrap_or_default())?;
    let rooms = rooms.map(|rooms| rooms.iter().map(|room| room.key).collect());
    let scope = Scope::All { viewer, rooms, kinds };
    Ok(Reader::new(app.store.clone(), scope, after, app.stopping.clone(), present).await?.into_response())
}

/// A body of unknown length, as a stream's is, but with nothing in it.
fn head() -> Response {
    (headers(), Body::from_stream(futures_util::stream::empty::<Result<String>>())).into_response()
}

/// What is no room matches nothing.
fn known(room: Result<RoomRef>) -> Result<Option<RoomRef>> {
    match room {
        Err(Error::NotFound(_)) => Ok(None),
        other => other.map(Some),
    }
}

/// Names between commas; None where there are none.
fn names(params: &Params, parameter: &str) -> Option<Vec<String>> {
    let names = params.text(parameter)?.split(',').map(str::trim).filter(|name| !name.is_empty());
    let mut names: Vec<String> = names.map(Into::into).collect();
    names.sort();
    names.dedup();
    (!names.is_empty()).then_some(names)
}

/// The mask of the events that are asked for.
fn kinds(params: &Params) -> Result<i64> {
    let Some(names) = names(params, "events") else { return Ok(i64::MAX) };
    let mut mask = 0;
    for name in names {
        let durable = Kind::ALL.iter().filter(|kind| kind.name() == name).map(|kind| *kind as i64);
        let ephemeral = EPHEMERAL.iter().filter(|event| **event == name).map(|event| ephemeral_bit(event));
        let bits = durable.chain(ephemeral).fold(0, |bits, bit| bits | 1 << bit);
        if bits == 0 && !ALWAYS.contains(&&*name) {
            return Err(Error::Invalid(format!("Unknown event type: '{name}'. Valid events: {}", valid_events())));
        }
        mask |= bits;
    }
    Ok(mask)
}

fn valid_events() -> String {
    let mut names: Vec<&str> = Vec::new();
    for name in Kind::ALL.iter().map(|kind| kind.name()).chain(EPHEMERAL).chain(ALWAYS) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.join(", ")
}

/// Where a stream begins.
#[derive(Debug, Clone, Copy)]
enum From {
    Now,
    Behind(i64),
    /// Both may be asked for: then the later of the two.
    Time {
        after: i64,
        since: i64,
    },
}

impl From {
    /// `Last-Event-ID` beats the address, because a browser that reconnects repeats the old one.
    fn new(headers: &HeaderMap, params: &Params) -> Result<Self> {
        let (after, since) = (params.number("after", 0..=i64::MAX)?, params.time("since")?);
        if let Some(last) = last_event_id(headers)? {
            return Ok(Self::Behind(last));
        }
        Ok(match (after, since) {
            (None, None) => Self::Now,
            (Some(after), None) => Self::Behind(after),
            (after, Some(since)) => Self::Time { after: after.unwrap_or(0), since },
        })
    }

    fn cursor(self, read: &Read<'_>) -> Result<Option<i64>> {
        Ok(match self {
            Self::Now => None,
            Self::Behind(seq) => Some(seq),
            Self::Time { after, since } => Some(after.max(read.seq_at(since.saturating_sub(1))?)),
        })
    }
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<i64>> {
    let Some(value) = headers.get("last-event-id") else { return Ok(None) };
    let text = value.to_str().unwrap_or("?").trim();
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if text.is_empty() {
        return Ok(None);
    }
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Error::Invalid("The header Last-Event-ID must be the number of an event".into()));
    }
    // Too many digits for 64 bits are far ahead of any log.
    let last = if text.starts_with('-') { 0 } else { digits.parse().unwrap_or(i64::MAX) };
    Ok(Some(last))
}

/// Whom a stream makes present.
struct Joining {
    sender: Option<String>,
    sender_type: Option<String>,
}

impl Joining {
    fn new(caller: &Caller, params: &Params) -> Result<Self> {
        let given = |name| params.text(name).map(str::trim).filter(|text| !text.is_empty()).map(ToOwned::to_owned);
        let sender = caller.optional_identity(given("sender"))?;
        let sender_type = given("sender_type");
        bounded(sender.as_deref().unwrap_or_default(), 0, 100, "Sender must be 1-100 characters")?;
        bounded(sender_type.as_deref().unwrap_or_default(), 0, 100, "sender_type must be at most 100 characters")?;
        Ok(Self { sender, sender_type })
    }

    fn join(&self, app: &App, rooms: &[RoomRef]) -> Result<Vec<Membership>> {
        let Some(sender) = &self.sender else { return Ok(Vec::new()) };
        let join = |room: &RoomRef| app.presence.join(room.key, room.id, sender, self.sender_type.as_deref());
        rooms.iter().map(join).collect()
    }
}
