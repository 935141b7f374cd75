//! What lists share: for whom they are, which room narrows them, and where they go on.

use super::text::bounded;
use crate::error::{Error, Result};
use crate::http::{Caller, Params};
use crate::ids::RoomId;
use axum::Json;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// Entries of one answer, where the API names no other number.
pub const PAGE: u32 = 1000;
/// Names that a list of senders may have.
const NAMES: usize = 50;

/// The identity that a parameter names, without blanks at its ends; `empty` is what is said to an empty one.
pub fn identity_parameter(caller: &Caller, params: &Params, name: &str, empty: &str) -> Result<String> {
    // Whoever has an identity of their own need not say it.
    let own = || caller.identity(name, None);
    match params.required(name).map(str::trim) {
        Ok("") => own().map_err(|_| Error::Invalid(empty.into())),
        Ok(text) => caller.identity(name, Some(text.to_owned())),
        Err(missing) => own().map_err(|_| missing),
    }
}

/// The same for `sender`.
pub fn sender_parameter(caller: &Caller, params: &Params, empty: &str) -> Result<String> {
    let sender = identity_parameter(caller, params, "sender", empty)?;
    bounded(&sender, 1, 100, "Sender must be 1-100 characters")?;
    Ok(sender)
}

/// The room that a filter names. What is no id stands for no room, and so does the nil id.
pub fn room_filter(params: &Params) -> Option<RoomId> {
    params.text("room_id").map(|text| text.trim().parse().unwrap_or(RoomId::from_bytes([0; 16])))
}

pub fn text_filter(params: &Params, name: &str) -> Option<String> {
    params.text(name).map(ToOwned::to_owned)
}

/// A time as it was sent: the `+` before its offset comes as a blank where it was not escaped.
pub fn time_as_sent(params: &Params, name: &str) -> Option<String> {
    params.text(name).map(|text| if text.contains(['T', 't']) { text.replace(' ', "+") } else { text.to_owned() })
}

/// Names between commas.
pub fn names_filter(params: &Params, name: &str) -> Result<Vec<String>> {
    let names = params.text(name).unwrap_or_default().split(',').map(str::trim).filter(|name| !name.is_empty());
    let names: Vec<String> = names.map(ToOwned::to_owned).collect();
    if names.len() > NAMES {
        return Err(Error::Invalid(format!("Query parameter '{name}' may have at most {NAMES} names")));
    }
    Ok(names)
}

/// A list as an array, with a `Link` header to its next page.
pub fn linked<T: Serialize>(params: &Params, path: &str, list: &[T], next: Option<i64>) -> Response {
    let mut response = Json(list).into_response();
    response.headers_mut().extend(next.map(|next| params.next_link(path, next)));
    response
}

/// A page of a list that is at hand as a whole, and where the next one begins.
pub fn cut<T>(list: Vec<T>, params: &Params) -> Result<(Vec<T>, Option<i64>)> {
    let (limit, offset) = (params.limit(PAGE, PAGE)? as usize, params.cursor()?.unwrap_or(0).max(0) as usize);
    let end = offset.saturating_add(limit);
    let next = (list.len() > end).then_some(end as i64);
    Ok((list.into_iter().skip(offset).take(limit).collect(), next))
}
