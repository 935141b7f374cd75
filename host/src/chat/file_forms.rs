//! How an upload is read: JSON as a whole, a form piece by piece onto the disk. What comes out is checked but for the room.

use super::files::UploadFile;
use super::text::bounded;
use crate::error::{Error, Result};
use crate::http::{
    Caller, LARGEST_BODY, NoProgress, Progress, body_error, in_pieces, is_json, read_body_within, read_json,
};
use crate::state::App;
use crate::store::Incoming;
use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{FromRequest, Multipart, Request};
use axum::http::{HeaderValue, StatusCode, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

const USUAL_TYPE: &str = "application/octet-stream";
/// Bytes of a form's text part at most; its own bound in characters is smaller.
const LARGEST_TEXT: usize = 4096;

/// An upload that is right.
pub struct Form {
    pub sender: String,
    pub filename: String,
    pub content_type: String,
    pub content: Incoming,
}

/// Bytes of an upload's body: beyond those of the largest file, so that a JSON upload of a somewhat larger one hears its size.
pub fn largest_body(app: &App) -> usize {
    LARGEST_BODY.max(2 * app.config().limits.file_bytes as usize)
}

pub async fn read_form(app: &App, caller: &Caller, request: Request) -> Result<Form> {
    let given = request.headers().get(header::CONTENT_TYPE).cloned();
    let essence = given.as_ref().map(|value| value.as_bytes().to_ascii_lowercase()).unwrap_or_default();
    if essence.split(|byte| *byte == b';').next().is_some_and(|kind| kind.trim_ascii() == b"multipart/form-data") {
        return read_parts(app, caller, request).await;
    }
    if !given.as_ref().is_some_and(is_json) {
        return Err(Error::UnsupportedMediaType(
            "A file is uploaded as JSON (Content-Type: application/json) or as a form (multipart/form-data)".into(),
        ));
    }
    read_whole(app, caller, request).await
}

async fn read_whole(app: &App, caller: &Caller, request: Request) -> Result<Form> {
    let body: UploadFile = read_json(&read_body_within(request, largest_body(app)).await?)?;
    let (filename, content_type) = (filename(&body.filename)?, content_type(body.content_type.as_deref())?);
    let sender = sender(caller, body.sender)?;
    let data = body.data;
    let decoded = tokio::task::spawn_blocking(move || STANDARD.decode(data)).await;
    let decoded = decoded.map_err(|error| Error::Internal(format!("decoding an upload: {error}")))?;
    let bytes = decoded.map_err(|_| Error::Invalid("Invalid base64 data".into()))?;
    not_empty(bytes.len() as u64)?;
    let most = app.config().limits.file_bytes;
    if bytes.len() > most as usize {
        return Err(Error::Invalid(format!("File too large: {} bytes (max {most} bytes)", bytes.len())));
    }
    let mut content = app.store.receive().await?;
    content.add(&bytes).await?;
    Ok(Form { sender, filename, content_type, content })
}

/// The parts of a form, in any order; those of other names are passed over.
async fn read_parts(app: &App, caller: &Caller, request: Request) -> Result<Form> {
    let most = largest_body(app);
    let (request, progress) = in_pieces(request);
    let mut parts = Multipart::from_request(request, app).await.map_err(|rejection| {
        Error::Invalid(format!("The form cannot be read: {}", rejection.body_text().to_lowercase()))
    })?;
    let (mut given_sender, mut file) = (None, None);
    while let Some(mut part) = parts.next_field().await.map_err(|error| form_error(&error, most))? {
        progress.made();
        match part.name() {
            Some("sender") => given_sender = Some(read_text(&mut part, most).await?),
            Some("file") if file.is_some() => {
                return Err(Error::Invalid("The form has more than one part `file`; upload one at a time".into()));
            }
            Some("file") => {
                let described = (filename(part.file_name().unwrap_or_default())?, content_type(part.content_type())?);
                file = Some((described, read_content(app, &mut part, &progress, most).await?));
            }
            _ => {
                while part.chunk().await.map_err(|error| form_error(&error, most))?.is_some() {
                    progress.made();
                }
            }
        }
    }
    let sender = sender(caller, given_sender)?;
    let missing = || Error::Unprocessable("missing part `file`".into());
    let ((filename, content_type), content) = file.ok_or_else(missing)?;
    not_empty(content.size())?;
    Ok(Form { sender, filename, content_type, content })
}

async fn read_content(app: &App, part: &mut Field<'_>, progress: &Progress, most: usize) -> Result<Incoming> {
    let largest = app.config().limits.file_bytes;
    let mut content = app.store.receive().await?;
    while let Some(piece) = part.chunk().await.map_err(|error| form_error(&error, most))? {
        progress.made();
        if content.size() + piece.len() as u64 > u64::from(largest) {
            return Err(Error::TooLarge(format!("File too large (max {largest} bytes)")));
        }
        content.add(&piece).await?;
    }
    Ok(content)
}

async fn read_text(part: &mut Field<'_>, most: usize) -> Result<String> {
    let mut text = Vec::new();
    while let Some(piece) = part.chunk().await.map_err(|error| form_error(&error, most))? {
        text.extend_from_slice(&piece);
        if text.len() > LARGEST_TEXT {
            return Err(Error::Invalid("Sender must be 1-100 characters".into()));
        }
    }
    String::from_utf8(text).map_err(|_| Error::Invalid("The part `sender` is not UTF-8 text".into()))
}

fn form_error(error: &MultipartError, most: usize) -> Error {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        if error.is::<NoProgress>() {
            return Error::Invalid(format!("The form cannot be read: {error}"));
        }
        cause = error.source();
    }
    match (body_error(error, most), error.status()) {
        // The body is whole; it is no form.
        (Error::Invalid(_), StatusCode::BAD_REQUEST) => {
            Error::Invalid(format!("The form cannot be read: {}", error.body_text().to_lowercase()))
        }
        (other, _) => other,
    }
}

fn sender(caller: &Caller, given: Option<String>) -> Result<String> {
    let sender = caller.identity("sender", given)?.trim().to_owned();
    bounded(&sender, 1, 100, "Sender must be 1-100 characters")?;
    Ok(sender)
}

fn filename(given: &str) -> Result<String> {
    let name = given.trim();
    bounded(name, 1, 255, "Filename must be 1-255 characters")?;
    Ok(name.into())
}

/// Kept as given: it becomes a header of downloads.
fn content_type(given: Option<&str>) -> Result<String> {
    let given = given.map(str::trim).filter(|given| !given.is_empty()).unwrap_or(USUAL_TYPE);
    bounded(given, 1, 255, "content_type must be at most 255 characters")?;
    let header = HeaderValue::from_str(given).ok().filter(|header| header.to_str().is_ok());
    header.ok_or_else(|| Error::Invalid("content_type must be a media type such as image/png".into()))?;
    Ok(given.into())
}

fn not_empty(size: u64) -> Result<()> {
    if size > 0 { Ok(()) } else { Err(Error::Invalid("File data must not be empty".into())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_type_is_kept_as_given_if_a_header_can_hold_it() {
        assert_eq!(content_type(None).unwrap(), USUAL_TYPE);
        assert_eq!(content_type(Some("  ")).unwrap(), USUAL_TYPE);
        assert_eq!(content_type(Some(" Text/Plain; charset=UTF-8 ")).unwrap(), "Text/Plain; charset=UTF-8");
        for wrong in ["text/plain\r\nset-cookie: a=b", "text/é", "a\0b", "a\u{7f}", &"x".repeat(256)] {
            assert!(matches!(content_type(Some(wrong)), Err(Error::Invalid(_))), "{wrong}");
        }
    }
}
