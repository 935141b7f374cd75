//! Files of rooms: uploaded, listed, described, deleted. How an upload is read is in `file_forms.rs`, how bytes are given out in
//! `file_bytes.rs`.

use super::file_bytes::{__path_download_file, download_file};
use super::file_forms::{Form, largest_body, read_form};
use super::rooms::{room_id, with_allowance};
use crate::clock;
use crate::error::{Error, Result};
use crate::http::{Caller, Client, Params, Path, RoomKey};
use crate::ids::{FileId, RoomId};
use crate::state::App;
use crate::store::{FileRow, NewFile};
use axum::Json;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Files in one answer at most.
const PAGE: u32 = 1000;

pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(list_files, upload_file))
        .routes(routes!(delete_file))
        .routes(routes!(download_file))
        .routes(routes!(show_file))
}

/// A file to be uploaded as JSON.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({ "sender": "ada", "filename": "soup.txt", "content_type": "text/plain", "data": "bGVla3M=" }))]
pub(super) struct UploadFile {
    /// Who uploads it: 1 to 100 characters. With an access token it may be left out.
    pub sender: Option<String>,
    /// 1 to 255 characters.
    pub filename: String,
    /// What its bytes are, at most 255 characters; `application/octet-stream` if left out.
    pub content_type: Option<String>,
    /// Its bytes in base64, of the standard alphabet and padded.
    #[schema(content_encoding = "base64")]
    pub data: String,
}

/// A file to be uploaded as a form.
#[expect(dead_code, reason = "describes the form, which is read piece by piece")]
#[derive(ToSchema)]
pub(super) struct UploadForm {
    /// Who uploads it: 1 to 100 characters. With an access token it may be left out.
    sender: Option<String>,
    /// Its bytes; the part's own headers say its name and what the bytes are.
    #[schema(value_type = String, format = Binary, content_media_type = "application/octet-stream")]
    file: Vec<u8>,
}

/// A file as the API describes it.
#[derive(Debug, Serialize, ToSchema)]
pub struct FileInfo {
    id: FileId,
    room_id: RoomId,
    sender: String,
    filename: String,
    content_type: String,
    /// In bytes.
    size: u64,
    /// Where its bytes are.
    url: String,
    #[schema(format = "date-time")]
    created_at: String,
}

impl From<&FileRow> for FileInfo {
    fn from(row: &FileRow) -> Self {
        Self {
            id: row.id,
            room_id: row.room_id,
            sender: row.sender.clone(),
            filename: row.filename.clone(),
            content_type: row.content_type.clone(),
            size: row.size,
            url: format!("/api/v1/files/{}", row.id),
            created_at: clock::format(row.created_at),
        }
    }
}

/// Upload a file
///
/// As JSON with the bytes in base64, or as a form, which is stored piece by piece as it comes.
#[utoipa::path(post, path = "/api/v1/rooms/{id}/files", tag = "Files",
    params(("id" = String, Path, description = "The room's id")),
    request_body(content((UploadFile = "application/json"), (UploadForm = "multipart/form-data"))),
    responses((status = 200, description = "The file as it is listed", body = FileInfo),
              (status = 400, description = "A field is wrong, the data is empty, or not base64, or larger than a file may be"),
              (status = 404, description = "Room not found"),
              (status = 413, description = "The body, or the form's file, is larger than a file may be"),
              (status = 429, description = "Too many uploads from this address")))]
async fn upload_file(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Client(client): Client,
    mut request: Request,
) -> Result<Response> {
    DefaultBodyLimit::max(largest_body(&app)).apply(&mut request);
    let form = read_form(&app, &caller, request).await?;
    let allowance = app.limits.files.charge(client)?;
    let (room, viewer) = (room_id(&id)?, caller.viewer());
    // Before the disk is asked to sync; that the room is still there then is for the write to say.
    let seen = viewer.clone();
    app.store.read(move |read| read.visible_room(room, &seen)).await?;
    let Form { sender, filename, content_type, content } = form;
    let received = content.finish().await?;
    let (size, hash) = (received.size, received.hash);
    let file = NewFile { sender, filename, content_type, size, hash };
    let event = |row: &FileRow| serde_json::to_string(&FileInfo::from(row)).unwrap_or_default();
    let row = app.store.keep(received, move |tx| tx.add_file(room, &viewer, &file, event)).await?;
    Ok(with_allowance(Json(FileInfo::from(&row)).into_response(), allowance))
}

/// List a room's files
///
/// Newest first.
#[utoipa::path(get, path = "/api/v1/rooms/{id}/files", tag = "Files",
    params(("id" = String, Path, description = "The room's id"),
           ("limit" = Option<i64>, Query, description = "At most so many; default and maximum 1000"),
           ("cursor" = Option<String>, Query, description = "From the Link header of the page before")),
    responses((status = 200, description = "The files; a Link header leads to the next page", body = [FileInfo]),
              (status = 404, description = "Room not found")))]
async fn list_files(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response> {
    let (limit, before) = (params.limit(PAGE, PAGE)?, params.cursor()?.unwrap_or(i64::MAX));
    let (room, viewer) = (room_id(&id)?, caller.viewer());
    let read = app.store.read(move |read| read.files(read.visible_room(room, &viewer)?.key, before, limit + 1));
    let rows = read.await?;
    let shown = &rows[..rows.len().min(limit as usize)];
    let mut response = Json(shown.iter().map(FileInfo::from).collect::<Vec<_>>()).into_response();
    if let (true, Some(last)) = (rows.len() > shown.len(), shown.last()) {
        let path = format!("/api/v1/rooms/{room}/files");
        response.headers_mut().extend([params.next_link(&path, last.event)]);
    }
    Ok(response)
}

/// Describe a file
#[utoipa::path(get, path = "/api/v1/files/{id}/info", tag = "Files", params(("id" = String, Path, description = "The file's id")),
    responses((status = 200, description = "The file as it is listed", body = FileInfo),
              (status = 404, description = "File not found")))]
async fn show_file(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Json<FileInfo>> {
    let (id, viewer) = (file_id(&id)?, caller.viewer());
    let row = app.store.read(move |read| read.visible_file(id, &viewer)).await?;
    Ok(Json(FileInfo::from(&row)))
}

/// That something was deleted.
#[derive(Serialize, ToSchema)]
struct DeletedFile {
    #[schema(example = true)]
    deleted: bool,
}

/// Delete a file
///
/// By its uploader, or with the room's admin key.
#[utoipa::path(delete, path = "/api/v1/rooms/{id}/files/{file_id}", tag = "Files",
    params(("id" = String, Path, description = "The room's id"), ("file_id" = String, Path, description = "The file's id"),
           ("sender" = Option<String>, Query, description = "Who deletes it; not needed with the room's admin key")),
    responses((status = 200, description = "It is gone", body = DeletedFile),
              (status = 400, description = "Neither a sender nor the room's admin key was given"),
              (status = 403, description = "Somebody else uploaded it"),
              (status = 404, description = "Room not found, or file not found in it")))]
async fn delete_file(
    State(app): State<App>,
    caller: Caller,
    key: Option<RoomKey>,
    Path((id, file)): Path<(String, String)>,
    params: Params,
) -> Result<Json<Value>> {
    let sender = caller.optional_identity(params.text("sender").map(str::to_owned))?;
    let sender = sender.map(|sender| sender.trim().to_owned()).filter(|sender| !sender.is_empty());
    let missing = || Error::Invalid("Sender query parameter required (or use room admin key)".into());
    if key.is_none() && sender.is_none() {
        return Err(missing());
    }
    let (room, file, viewer) = (room_id(&id)?, file_id(&file), caller.viewer());
    let deleted = app.store.write(move |tx| {
        let room = tx.visible_room(room, &viewer)?;
        let by_key = key.as_ref().is_some_and(|key| key.opens(&room));
        if !by_key && sender.is_none() {
            return Err(missing());
        }
        tx.delete_file(&room, file.clone()?, sender.as_deref().filter(|_| !by_key))
    });
    let hash = deleted.await?;
    app.store.unlink_unreferenced(vec![hash]).await;
    Ok(Json(json!({ "deleted": true })))
}

/// What is no id is no file.
pub(super) fn file_id(text: &str) -> Result<FileId> {
    text.parse().map_err(|_| Error::NotFound("File not found".into()))
}
