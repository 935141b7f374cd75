//! Requests that the host serves for a plugin under `/plugins/<instance>/…`, and how they are framed for the boundary: the length of
//! the head as a little-endian `u32`, the head as JSON, then the body as it is.

use crate::{Error, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A request below the instance's path.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Request {
    pub method: String,
    /// What follows `/plugins/<instance>`, with its leading slash.
    pub path: String,
    /// Without the `?`; empty if there is none.
    pub query: String,
    /// Names in lower case, in the order received.
    pub headers: Vec<(String, String)>,
    #[serde(skip)]
    pub body: Vec<u8>,
}

/// The plugin's answer.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    #[serde(skip)]
    pub body: Vec<u8>,
}

impl Response {
    pub fn text(status: u16, body: impl Into<String>) -> Self {
        let headers = vec![("content-type".into(), "text/plain; charset=utf-8".into())];
        Self { status, headers, body: body.into().into_bytes() }
    }

    pub fn json(status: u16, body: &serde_json::Value) -> Self {
        let headers = vec![("content-type".into(), "application/json".into())];
        Self { status, headers, body: body.to_string().into_bytes() }
    }
}

/// Something with a head and a body.
pub trait Framed: Serialize + DeserializeOwned {
    fn body_mut(&mut self) -> &mut Vec<u8>;
}

impl Framed for Request {
    fn body_mut(&mut self) -> &mut Vec<u8> {
        &mut self.body
    }
}

impl Framed for Response {
    fn body_mut(&mut self) -> &mut Vec<u8> {
        &mut self.body
    }
}

/// Head and body as one buffer.
pub fn encode<T: Framed>(mut value: T) -> Result<Vec<u8>> {
    let body = std::mem::take(value.body_mut());
    let head = serde_json::to_vec(&value)?;
    let mut bytes = Vec::with_capacity(4 + head.len() + body.len());
    bytes.extend((head.len() as u32).to_le_bytes());
    bytes.extend(head);
    bytes.extend(body);
    Ok(bytes)
}

/// The reverse of [`encode`].
pub fn decode<T: Framed>(bytes: &[u8]) -> Result<T> {
    let short = || Error::new("a framed request or response is shorter than it says");
    let (length, rest) = bytes.split_first_chunk::<4>().ok_or_else(short)?;
    let (head, body) = rest.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or_else(short)?;
    let mut value: T = serde_json::from_slice(head)?;
    *value.body_mut() = body.to_vec();
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encode_then_decode_gives_the_same() {
        let request = Request { method: "POST".into(), path: "/x".into(), body: vec![0, 255, 1], ..Request::default() };
        let back: Request = decode(&encode(request).unwrap()).unwrap();
        assert_eq!((back.method.as_str(), back.path.as_str(), back.body.as_slice()), ("POST", "/x", &[0, 255, 1][..]));
    }

    #[test]
    fn decode_of_a_cut_frame_is_an_error() {
        let bytes = encode(Response::text(200, "hi")).unwrap();
        for end in 0..bytes.len() - 2 {
            assert!(decode::<Response>(&bytes[..end]).is_err(), "cut at {end} was accepted");
        }
    }
}
