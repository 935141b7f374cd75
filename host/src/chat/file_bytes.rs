//! A file's bytes, streamed from the disk: whole or one range of them (RFC 9110), known again by their hash, and never able to act as a
//! page of this host.

use super::files::file_id;
use crate::error::Result;
use crate::http::{Caller, Path};
use crate::state::App;
use crate::store::{FileRow, hex};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;
use std::io::SeekFrom;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

/// Bytes that one download holds in memory.
const BUFFER: usize = 64 * 1024;
/// What a parameter of a header may hold as it is (RFC 8187).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');
/// A browser that shows the file lets it do nothing.
const POLICY: &str =
    "sandbox; default-src 'none'; img-src 'self' data:; media-src 'self' data:; style-src 'unsafe-inline'";

/// Which bytes are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Whole,
    /// First and last.
    Part(u64, u64),
    /// None that there are.
    Nothing,
}

/// Download a file
///
/// Images (but SVG), audio, video and plain text may be shown by browsers; all else is an attachment.
#[utoipa::path(get, path = "/api/v1/files/{id}", tag = "Files",
    params(("id" = String, Path, description = "The file's id"),
           ("Range" = Option<String>, Header, description = "One range of bytes, such as `bytes=0-99` or `bytes=-100`"),
           ("If-Range" = Option<String>, Header, description = "The range counts only if this is the file's ETag"),
           ("If-None-Match" = Option<String>, Header, description = "ETags of what the client has already")),
    responses((status = 200, description = "Its bytes", content_type = "application/octet-stream", body = Vec<u8>),
              (status = 206, description = "The range, with Content-Range", content_type = "application/octet-stream", body = Vec<u8>),
              (status = 304, description = "The client has it already"),
              (status = 404, description = "File not found"),
              (status = 416, description = "The range lies outside of the file; Content-Range says its size")))]
pub(super) async fn download_file(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response> {
    let (id, viewer) = (file_id(&id)?, caller.viewer());
    let file = app.store.read(move |read| read.visible_file(id, &viewer)).await?;
    let tag = format!("\"{}\"", hex(&file.hash));
    if has_already(&headers, &tag) {
        return Ok((StatusCode::NOT_MODIFIED, cached(&tag)).into_response());
    }
    // Ranges are for GET alone.
    let wanted = if method == Method::GET { wanted(&headers, &tag, file.size) } else { Wanted::Whole };
    let (status, first, last) = match wanted {
        Wanted::Whole => (StatusCode::OK, 0, file.size - 1),
        Wanted::Part(first, last) => (StatusCode::PARTIAL_CONTENT, first, last),
        Wanted::Nothing => return Ok(outside(file.size)),
    };
    let body = if method == Method::HEAD { Body::empty() } else { stream(&app, &file, first, last).await? };
    let mut response = (status, cached(&tag), described(&file), body).into_response();
    response.headers_mut().insert(header::CONTENT_LENGTH, (last - first + 1).into());
    if status == StatusCode::PARTIAL_CONTENT {
        response.headers_mut().extend([content_range(&format!("bytes {first}-{last}/{}", file.size))]);
    }
    Ok(response)
}

async fn stream(app: &App, file: &FileRow, first: u64, last: u64) -> Result<Body> {
    let mut bytes = tokio::fs::File::from_std(app.store.open_blob(file.hash, file.size).await?);
    if first > 0 {
        let failed = |error| crate::error::Error::Unavailable(format!("the file cannot be read: {error}"));
        bytes.seek(SeekFrom::Start(first)).await.map_err(failed)?;
    }
    Ok(Body::from_stream(ReaderStream::with_capacity(bytes.take(last - first + 1), BUFFER)))
}

/// A browser asks each time whether it is still there, which costs no bytes.
fn cached(tag: &str) -> [(HeaderName, HeaderValue); 3] {
    let tag = HeaderValue::from_str(tag).unwrap_or(HeaderValue::from_static(""));
    let cache = HeaderValue::from_static("private, no-cache");
    let ranges = HeaderValue::from_static("bytes");
    [(header::ETAG, tag), (header::CACHE_CONTROL, cache), (header::ACCEPT_RANGES, ranges)]
}

fn described(file: &FileRow) -> [(HeaderName, HeaderValue); 3] {
    let unknown = HeaderValue::from_static("application/octet-stream");
    let attachment = HeaderValue::from_static("attachment");
    [
        (header::CONTENT_TYPE, HeaderValue::from_str(&file.content_type).unwrap_or(unknown)),
        (header::CONTENT_DISPOSITION, HeaderValue::from_str(&disposition(file)).unwrap_or(attachment)),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    ]
}

/// The name twice (RFC 6266): for old clients what ASCII can say of it, then all of it.
fn disposition(file: &FileRow) -> String {
    let kind = if is_shown(&file.content_type) { "inline" } else { "attachment" };
    let plain = |letter: char| (letter == ' ' || letter.is_ascii_graphic()) && !"\"\\/%".contains(letter);
    let ascii: String = file.filename.chars().map(|letter| if plain(letter) { letter } else { '_' }).collect();
    let name: String = file.filename.chars().map(|letter| if deceives(letter) { '_' } else { letter }).collect();
    format!("{kind}; filename=\"{ascii}\"; filename*=UTF-8''{}", utf8_percent_encode(&name, ESCAPED))
}

/// Letters that lead out of the folder of downloads, or turn a name around so that its ending looks like another.
fn deceives(letter: char) -> bool {
    let turns =
        matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || letter.is_control() || "/\\".contains(letter)
}

/// What can do no harm in a browser. A value that names several types is none of them: browsers may take the last one.
fn is_shown(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let simple = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte);
    match essence.split_once('/') {
        _ if content_type.contains(',') => false,
        Some((_, kind)) if kind.is_empty() || !kind.bytes().all(simple) => false,
        Some(("image", kind)) => !kind.starts_with("svg") && !kind.contains("xml"),
        Some(("audio" | "video", kind)) => !kind.contains("xml"),
        Some(("text", kind)) => kind == "plain",
        _ => false,
    }
}

fn has_already(headers: &HeaderMap, tag: &str) -> bool {
    let values = headers.get_all(header::IF_NONE_MATCH).into_iter().filter_map(|value| value.to_str().ok());
    let mut tags = values.flat_map(|value| value.split(',')).map(str::trim);
    tags.any(|given| given == "*" || given.strip_prefix("W/").unwrap_or(given) == tag)
}

/// A range that is none, or several of them, counts as not given; so does one of another content than this.
fn wanted(headers: &HeaderMap, tag: &str, size: u64) -> Wanted {
    if headers.get(header::IF_RANGE).is_some_and(|given| given.as_bytes() != tag.as_bytes()) {
        return Wanted::Whole;
    }
    let given = headers.get(header::RANGE).and_then(|range| range.to_str().ok());
    given.and_then(|range| range_of(range, size)).unwrap_or(Wanted::Whole)
}

fn range_of(range: &str, size: u64) -> Option<Wanted> {
    let (unit, range) = range.split_once('=')?;
    let (first, last) = range.trim().split_once('-')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    Some(match (number(first)?, number(last)?) {
        (None, None) => return None,
        (None, Some(0)) => Wanted::Nothing,
        (None, Some(suffix)) => Wanted::Part(size.saturating_sub(suffix), size - 1),
        (Some(first), Some(last)) if last < first => return None,
        (Some(first), _) if first >= size => Wanted::Nothing,
        (Some(first), last) => Wanted::Part(first, last.unwrap_or(u64::MAX).min(size - 1)),
    })
}

/// Outer None: not digits alone; inner None: nothing. Too many digits are far behind any end.
fn number(text: &str) -> Option<Option<u64>> {
    match text {
        "" => Some(None),
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => Some(Some(digits.parse().unwrap_or(u64::MAX))),
        _ => None,
    }
}

fn outside(size: u64) -> Response {
    let text = json!({ "error": format!("The range lies outside of the file, which has {size} bytes") });
    let accepted =
        [(header::ACCEPT_RANGES, HeaderValue::from_static("bytes")), content_range(&format!("bytes */{size}"))];
    (StatusCode::RANGE_NOT_SATISFIABLE, accepted, Json(text)).into_response()
}

fn content_range(range: &str) -> (HeaderName, HeaderValue) {
    (header::CONTENT_RANGE, HeaderValue::from_str(range).unwrap_or(HeaderValue::from_static("")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Wanted::{Nothing, Part};

    #[test]
    fn range_is_one_span_or_suffix_of_the_file() {
        for (range, expected) in [
            ("bytes=0-0", Some(Part(0, 0))),
            ("bytes=2-5", Some(Part(2, 5))),
            ("bytes=2-", Some(Part(2, 9))),
            ("bytes=2-99999999999999999999999", Some(Part(2, 9))),
            ("bytes=-3", Some(Part(7, 9))),
            ("bytes=-99", Some(Part(0, 9))),
            ("Bytes = 9-9", Some(Part(9, 9))),
            ("bytes=10-", Some(Nothing)),
            ("bytes=99999999999999999999999-", Some(Nothing)),
            ("bytes=-0", Some(Nothing)),
            ("bytes=5-2", None),
            ("bytes=0-1,3-4", None),
            ("bytes=-", None),
            ("bytes=a-b", None),
            ("bytes=--1", None),
            ("items=0-1", None),
            ("bytes", None),
            ("", None),
        ] {
            assert_eq!(range_of(range, 10), expected, "{range}");
        }
    }

    #[test]
    fn only_harmless_types_are_shown() {
        for shown in ["image/png", "IMAGE/JPEG", "audio/mpeg", "video/mp4", "text/plain; charset=utf-8", "text/plain"] {
            assert!(is_shown(shown), "{shown}");
        }
        for kept in [
            "image/svg+xml",
            "image/SVG",
            "image/x+xml",
            "text/html",
            "text/xml",
            "text/css",
            "application/pdf",
            "application/octet-stream",
            "image/png,text/html",
            "image/png;a=b,text/html",
            "text/plain\ttext/html",
            "image/",
            "image",
            "/png",
            "",
        ] {
            assert!(!is_shown(kept), "{kept}");
        }
    }
}
