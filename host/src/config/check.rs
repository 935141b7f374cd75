//! One value against the type of its key. Types are strict: `"10"` is no number and `"yes"` is no switch; only what
//! comes from the environment, where all is text, is read by the type of its key.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use ipnet::IpNet;
use url::Url;

use super::keys::Kind;
use super::mistake::{Mistake, ticked};
use super::node::{Node, Text, Value};
use super::secret;

/// A value of the right type, in its plainest form.
#[derive(Clone)]
pub(super) enum Checked {
    Flag(bool),
    Whole(i64),
    Number(f64),
    Text(String),
    List(Vec<String>),
}

impl PartialEq for Checked {
    /// A whole number is the same with a point in it.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Flag(one), Self::Flag(other)) => one == other,
            (Self::Text(one), Self::Text(other)) => one == other,
            (Self::List(one), Self::List(other)) => one == other,
            (Self::Whole(one), Self::Whole(other)) => one == other,
            (Self::Number(one), Self::Number(other)) => one == other,
            (Self::Whole(whole), Self::Number(number)) | (Self::Number(number), Self::Whole(whole)) => {
                *whole as f64 == *number
            }
            _ => false,
        }
    }
}

/// The value, or every mistake in it. Files of secrets start at `folder`.
pub(super) fn check(name: &str, kind: &Kind, node: &Node, folder: &Path) -> Result<Checked, Vec<Mistake>> {
    match (kind, &*typed(kind, node)) {
        (Kind::Flag, Value::Flag(flag)) => Ok(Checked::Flag(*flag)),
        (Kind::Count(least, most), Value::Integer(number))
            if (i64::from(*least)..=i64::from(*most)).contains(number) =>
        {
            Ok(Checked::Whole(*number))
        }
        (Kind::Time(_, least, most), value) if (*least..=*most).contains(&as_float(value)) => {
            Ok(Checked::Number(as_float(value)))
        }
        (_, Value::List(items)) if kind.is_list() => check_items(name, kind, items),
        (Kind::Secret, Value::Table(table)) if secret::file_of(table).is_some() => {
            check_secret(name, node, &secret::read(name, table, folder)?)
        }
        (Kind::Secret, Value::Text(text)) => check_secret(name, node, &meant(node, text)?),
        (_, Value::Text(text)) => match plain_text(kind, &meant(node, text)?).filter(|_| !kind.is_list()) {
            Some(text) => Ok(Checked::Text(text)),
            None => Err(vec![refused(name, kind, node, text)]),
        },
        _ => Err(vec![unfit(name, &kind.expected(), kind, node)]),
    }
}

/// A text with its variables, or what is wrong with them.
pub(super) fn meant(node: &Node, text: &Text) -> Result<String, Vec<Mistake>> {
    let mistake = |problem: &String| Mistake::new(&node.place, problem);
    text.meant.clone().map_err(|problems| problems.iter().map(mistake).collect())
}

/// A finite number in digits: not `inf`, not `nan`.
pub(super) fn number(text: &str) -> Option<f64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    text.parse().ok().filter(|number: &f64| plain && number.is_finite())
}

/// The items of a list that is one text with commas, as in the environment.
pub(super) fn split(node: &Node, text: &Text, meant: &str) -> Vec<Node> {
    let items = meant.split(',').map(str::trim).filter(|item| !item.is_empty());
    let item = |item: &str| {
        // The text of `${NAME}` stays what messages show: nobody knows what else the variable holds.
        let written = if text.written == meant { item } else { &text.written };
        let text = Text { written: written.into(), meant: Ok(item.into()), typeless: false };
        Node { place: node.place.clone(), value: Value::Text(text) }
    };
    items.map(item).collect()
}

/// What comes from the environment as a whole, read by the type of its key; what cannot be read so stays a text.
fn typed<'n>(kind: &Kind, node: &'n Node) -> Cow<'n, Value> {
    let Value::Text(text @ Text { meant: Ok(meant), typeless: true, .. }) = &node.value else {
        return Cow::Borrowed(&node.value);
    };
    let read = match kind {
        Kind::Flag => meant.parse().ok().map(Value::Flag),
        Kind::Count(..) => meant.parse().ok().map(Value::Integer),
        Kind::Time(..) => number(meant).map(Value::Float),
        _ if kind.is_list() => Some(Value::List(split(node, text, meant))),
        _ => None,
    };
    read.map_or(Cow::Borrowed(&node.value), Cow::Owned)
}

fn as_float(value: &Value) -> f64 {
    match value {
        Value::Integer(number) => *number as f64,
        Value::Float(number) => *number,
        _ => f64::NAN,
    }
}

fn check_items(name: &str, kind: &Kind, items: &[Node]) -> Result<Checked, Vec<Mistake>> {
    let (mut checked, mut mistakes) = (Vec::new(), Vec::new());
    for item in items {
        let text = match &item.value {
            Value::Text(text) => match meant(item, text) {
                Ok(text) => plain_text(kind, &text),
                Err(problems) => {
                    mistakes.extend(problems);
                    continue;
                }
            },
            _ => None,
        };
        match text {
            Some(text) => checked.push(text),
            None => mistakes.push(unfit(name, &kind.expected_item(), kind, item)),
        }
    }
    if mistakes.is_empty() { Ok(Checked::List(checked)) } else { Err(mistakes) }
}

/// Keys and tokens travel in a header, where only visible ASCII does.
fn check_secret(name: &str, node: &Node, secret: &str) -> Result<Checked, Vec<Mistake>> {
    if secret.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(Checked::Text(secret.into()));
    }
    let text = format!(
        "{} holds a character that cannot stand in an HTTP header; ASCII letters, digits and signs without spaces would be right",
        ticked(name)
    );
    Err(vec![Mistake::new(&node.place, text)])
}

/// The text in its plain form if it is of that kind.
fn plain_text(kind: &Kind, text: &str) -> Option<String> {
    match kind {
        Kind::Address => text.parse::<SocketAddr>().ok().map(|address| address.to_string()),
        Kind::Networks => network(text),
        Kind::Origins => origin(text),
        Kind::Url => web_url(text),
        Kind::Path => (!text.is_empty() && !text.contains('\0')).then(|| text.into()),
        Kind::Folder => (!text.contains('\0')).then(|| text.into()),
        Kind::Library => is_library(text).then(|| text.into()),
        Kind::Choice(known) => known.contains(&text).then(|| text.into()),
        Kind::Secret | Kind::Flag | Kind::Time(..) | Kind::Count(..) => None,
    }
}

/// Why a text is refused, with a hint where a usual slip shows.
fn refused(name: &str, kind: &Kind, node: &Node, text: &Text) -> Mistake {
    let meant = text.meant.as_deref().unwrap_or_default();
    match kind {
        Kind::Address => {
            let port = meant.strip_prefix("localhost:").filter(|port| port.parse::<u16>().is_ok());
            let likely = match (meant.parse::<IpAddr>(), port) {
                (Ok(address), _) => SocketAddr::new(address, 8000).to_string(),
                (_, Some(port)) => format!("127.0.0.1:{port}"),
                _ => "127.0.0.1:8000".into(),
            };
            unfit(name, &format!("an IP address and port, such as \"{likely}\""), kind, node)
        }
        _ => unfit(name, &kind.expected(), kind, node),
    }
}

/// "`bind` takes …, not 8000"
fn unfit(name: &str, expected: &str, kind: &Kind, node: &Node) -> Mistake {
    let found = if kind.is_secret() { node.value.kind().into() } else { node.value.shown() };
    Mistake::new(&node.place, format!("{} takes {expected}, not {found}", ticked(name)))
}

/// A single address is the network of itself.
pub(super) fn network(text: &str) -> Option<String> {
    let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    network.ok().map(|network| network.trunc().to_string())
}

/// As a browser sends it, so that comparing is enough: lower case, no default port, no path.
fn origin(text: &str) -> Option<String> {
    if text == "*" {
        return Some(text.into());
    }
    let url = Url::parse(text).ok().filter(Url::has_host)?;
    let bare = matches!(url.path(), "" | "/") && !text.ends_with(['/', '?', '#']);
    let bare = bare && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    let host = url.host_str()?;
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    (bare && url.password().is_none()).then(|| format!("{}://{host}{port}", url.scheme()))
}

fn web_url(text: &str) -> Option<String> {
    if text.is_empty() {
        return Some(String::new());
    }
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())?;
    // `Url` forgives `https:example.org`; people who follow the link would not.
    let plain = text.contains("://") && url.query().is_none() && url.fragment().is_none();
    let plain = plain && url.username().is_empty() && url.password().is_none();
    plain.then(|| url.as_str().trim_end_matches('/').into())
}

fn is_library(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    text.len() <= 64 && text.starts_with(|first: char| first.is_ascii_lowercase()) && text.bytes().all(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_become_what_a_browser_sends() {
        assert_eq!(origin("https://Example.org:443").as_deref(), Some("https://example.org"));
        assert_eq!(origin("http://127.0.0.1:5173").as_deref(), Some("http://127.0.0.1:5173"));
        assert_eq!(origin("tauri://localhost").as_deref(), Some("tauri://localhost"));
        for wrong in
            ["https://example.org/", "https://example.org/a", "https://a@example.org", "example.org", "", "null"]
        {
            assert_eq!(origin(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn networks_are_blocks_or_addresses() {
        assert_eq!(network("10.1.2.3/8").as_deref(), Some("10.0.0.0/8"));
        assert_eq!(network("192.168.0.1").as_deref(), Some("192.168.0.1/32"));
        assert_eq!(network("::1").as_deref(), Some("::1/128"));
        assert_eq!(network("10.0.0.0/33"), None);
    }

    #[test]
    fn web_urls_are_full() {
        assert_eq!(web_url("https://chat.example.org/").as_deref(), Some("https://chat.example.org"));
        assert_eq!(web_url("http://[::1]:8000/chat").as_deref(), Some("http://[::1]:8000/chat"));
        for wrong in ["chat.example.org", "https:chat.example.org", "ftp://example.org", "https://", "https://a/?b"] {
            assert_eq!(web_url(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn numbers_are_digits() {
        assert_eq!(number("0.5"), Some(0.5));
        assert_eq!(number("1e3"), Some(1000.0));
        for wrong in ["inf", "NaN", "", "1_000", " 1", "1e999", "0x10"] {
            assert_eq!(number(wrong), None, "{wrong}");
        }
    }
}
