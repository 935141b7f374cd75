//! A room's messages as one document: JSON, Markdown or CSV. It is written while it is read, page by page, so that a room of any size
//! takes no more memory than a page.

mod formats;

use super::lists::time_as_sent;
use super::rooms::room_id;
use crate::clock;
use crate::error::{Error, Result};
use crate::http::{Caller, Params, Path};
use crate::state::App;
use crate::store::{ExportQuery, RoomRef, Store};
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use formats::{Format, Head, Writer};
use futures_util::{Stream, StreamExt};
use serde_json::{Map, Value};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// What `limit` can be at most; without it there is no limit.
const LARGEST_LIMIT: i64 = 10_000;

pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(export_room))
}

/// Export a room's messages
///
/// In ascending order, as a file to be saved: `chat-export.json`, `.md` or `.csv`. In JSON, `message_count` follows the messages.
#[utoipa::path(get, path = "/api/v1/rooms/{id}/export", tag = "Rooms",
    params(("id" = String, Path, description = "The room's id"),
           ("format" = Option<String>, Query, description = "json (the default), markdown or csv"),
           ("after" = Option<String>, Query, description = "Only messages written after this time"),
           ("before" = Option<String>, Query, description = "Only messages written before this time"),
           ("sender" = Option<String>, Query, description = "Only this sender's messages"),
           ("limit" = Option<i64>, Query, description = "The oldest so many, at most 10000; all if left out"),
           ("include_metadata" = Option<bool>, Query, description = "The messages' metadata too")),
    responses((status = 200, description = "The messages", content((Object = "application/json"), (String = "text/markdown"), (String = "text/csv"))),
              (status = 404, description = "Room not found")))]
async fn export_room(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response> {
    let wrong = || Error::Invalid("Invalid format. Supported: json, markdown, csv".into());
    let format = Format::from_name(params.text("format").unwrap_or("json")).ok_or_else(wrong)?;
    let (after, before) = (params.time("after")?, params.time("before")?);
    let limit = params.number("limit", 1..=LARGEST_LIMIT)?;
    let with_metadata = params.flag("include_metadata")?.unwrap_or(false);
    let sender = params.text("sender").map(ToOwned::to_owned);
    let (id, viewer) = (room_id(&id)?, caller.export_viewer());
    let found = app.store.read(move |read| {
        let room = read.visible_room(id, &viewer)?;
        Ok((room, read.room(id)?, read.time_span(after, before)?))
    });
    let (room, row, (after, last)) = found.await?;
    let head = Head {
        room_id: id.to_string(),
        room_name: row.map(|row| row.name).unwrap_or_default(),
        exported_at: clock::format(clock::now()),
        filters: filters(&params)?,
    };
    let export = Export {
        store: app.store.clone(),
        room,
        query: ExportQuery { after, last, sender },
        left: limit.map_or(u64::MAX, i64::unsigned_abs),
        writer: Writer::new(format, with_metadata),
        state: Progress::Begin(head),
    };
    let disposition = format!("attachment; filename=\"chat-export.{}\"", format.extension());
    let headers =
        [(header::CONTENT_TYPE, format.content_type().to_owned()), (header::CONTENT_DISPOSITION, disposition)];
    Ok((headers, Body::from_stream(export.stream())).into_response())
}

/// Those that were given, as they were given: a limit too, also one beyond the bounds.
fn filters(params: &Params) -> Result<Map<String, Value>> {
    let given = [
        ("after", time_as_sent(params, "after").map(Value::from)),
        ("before", time_as_sent(params, "before").map(Value::from)),
        ("sender", params.text("sender").map(Value::from)),
        ("limit", params.number("limit", i64::MIN..=i64::MAX)?.map(Value::from)),
    ];
    Ok(given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect())
}

/// An export under way.
struct Export {
    store: Store,
    room: RoomRef,
    query: ExportQuery,
    /// Messages that may still come.
    left: u64,
    writer: Writer,
    state: Progress,
}

enum Progress {
    Begin(Head),
    Messages,
    End,
    Over,
}

impl Export {
    fn stream(self) -> impl Stream<Item = Result<Bytes>> {
        futures_util::stream::unfold(self, |mut export| async move {
            let piece = export.next().await?;
            if let Err(error) = &piece {
                tracing::warn!("an export was broken off: {error}");
                export.state = Progress::Over;
            }
            Some((piece.map(Bytes::from), export))
        })
        // Whoever packs it may ask once more at its end.
        .fuse()
    }

    /// The next piece of the document; None behind its end.
    async fn next(&mut self) -> Option<Result<Vec<u8>>> {
        match std::mem::replace(&mut self.state, Progress::Messages) {
            Progress::Begin(head) => Some(Ok(self.writer.begin(&head))),
            Progress::Messages => Some(self.page().await),
            Progress::End => {
                self.state = Progress::Over;
                Some(Ok(self.writer.end()))
            }
            Progress::Over => {
                self.state = Progress::Over;
                None
            }
        }
    }

    async fn page(&mut self) -> Result<Vec<u8>> {
        let (room, query) = (self.room, self.query.clone());
        let mut page = self.store.read(move |read| read.export_page(&room, &query)).await?;
        page.messages.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left -= page.messages.len() as u64;
        match page.after {
            Some(after) if self.left > 0 => self.query.after = after,
            _ => self.state = Progress::End,
        }
        self.writer.messages(&page.messages)
    }
}
