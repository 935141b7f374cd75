//! Keys inside texts that are no secrets themselves: in the address of a server, most of all. What operators and logs see of such a text
//! has `***` in their place.

use super::settings::looks_secret;

/// In place of a secret.
pub(super) const MASK: &str = "***";

/// What stands around an address in a text, besides blanks, and in none.
const QUOTES: [char; 4] = ['"', '`', '<', '>'];

/// The text without what stands before the `@` of an address, in its query or behind its `#`, and without values that a word itself calls
/// secret, as `--api-key=…` does. An address is not parsed but cut: one that is wrong, or has a `${NAME}` in it, holds keys all the same.
pub(super) fn harmless(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(between) {
        let (word, after) = rest.split_at(at);
        shown += &masked_word(word);
        let first = after.chars().next().map_or(0, char::len_utf8);
        shown += &after[..first];
        rest = &after[first..];
    }
    shown += &masked_word(rest);
    // As a whole too: parsers forgive blanks and quotes in an address.
    if is_address(shown.trim_start()) { masked_word(&shown) } else { shown }
}

fn between(c: char) -> bool {
    c.is_whitespace() || c.is_control() || QUOTES.contains(&c)
}

/// Whether it begins as one, and so may be one as a whole.
fn is_address(text: &str) -> bool {
    let scheme = text.split_once(':').filter(|(_, rest)| rest.starts_with(['/', '\\']) && authority(rest).is_some());
    scheme.is_some_and(|(scheme, _)| scheme.chars().all(|c| c.is_alphanumeric() || "+-.".contains(c)))
}

/// Where the part with the host begins: behind two slashes or more, of whichever sort, as parsers take them.
fn authority(text: &str) -> Option<usize> {
    let is_slash = |byte: u8| matches!(byte, b'/' | b'\\');
    let slashes = text.as_bytes().windows(2).position(|two| two.iter().all(|byte| is_slash(*byte)))?;
    let length = text.bytes().skip(slashes).take_while(|byte| is_slash(*byte)).count();
    Some(slashes + length)
}

fn masked_word(word: &str) -> String {
    let is_address = authority(word).is_some();
    let word = without_user(word);
    let (word, fragment) = split(&word, '#');
    let (base, query) = split(word, '?');
    let mut shown = masked_value(base);
    if let Some(query) = query {
        // Behind the question mark of a sentence stands nothing.
        let query = if is_address || query.contains('=') { masked_pairs(query) } else { query.into() };
        shown = format!("{shown}?{query}");
    }
    match fragment {
        Some(fragment) if is_address && !fragment.is_empty() => shown + "#" + MASK,
        Some(fragment) => shown + "#" + &masked_value(fragment),
        None => shown,
    }
}

/// `https://ada:key@host/path`, also without the scheme where a password follows the name.
fn without_user(word: &str) -> String {
    let start = authority(word);
    let (scheme, rest) = word.split_at(start.unwrap_or_default());
    let named = rest.split(['/', '\\', '?', '#']).next().unwrap_or_default();
    let is_login = |user: &str| !user.is_empty() && (start.is_some() || user.find(':').is_some_and(|at| at > 0));
    // What is no host may be the beginning of a password with a sign that should have been escaped.
    let place = named.rfind('@').or_else(|| if is_host(named) { None } else { rest.rfind('@') });
    match place {
        Some(at) if is_login(&rest[..at]) => format!("{scheme}{MASK}{}", &rest[at..]),
        _ => word.into(),
    }
}

/// `host`, `host:80`, `[::1]:80`
fn is_host(text: &str) -> bool {
    let port = text.rsplit_once(':').filter(|_| !text.ends_with(']'));
    port.is_none_or(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()))
}

fn masked_pairs(query: &str) -> String {
    let mut shown = String::new();
    for part in query.split_inclusive(['&', ';']) {
        let (pair, end) = match part.strip_suffix(['&', ';']) {
            Some(pair) => (pair, &part[pair.len()..]),
            None => (part, ""),
        };
        shown += &match pair.split_once('=') {
            Some((name, value)) if !value.is_empty() => format!("{name}={MASK}"),
            None if !pair.is_empty() => MASK.into(),
            _ => pair.into(),
        };
        shown += end;
    }
    shown
}

/// `name=value` where the name says what the value is.
fn masked_value(word: &str) -> String {
    match word.split_once('=') {
        Some((name, value)) if looks_secret(name) && !value.is_empty() => format!("{name}={MASK}"),
        _ => word.into(),
    }
}

fn split(text: &str, at: char) -> (&str, Option<&str>) {
    text.split_once(at).map_or((text, None), |(before, after)| (before, Some(after)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use url::Url;

    #[test]
    fn keys_in_addresses_are_masked_and_the_rest_is_seen() {
        for (text, shown) in [
            ("https://ada:hunter2@agent.example:8080/v1", "https://***@agent.example:8080/v1"),
            ("https://hunter2@agent.example", "https://***@agent.example"),
            ("http://ada:hun/ter2@agent.example/", "http://***@agent.example/"),
            ("http://ada:hun?ter#2@agent.example/", "http://***@agent.example/"),
            ("http://ada:hunter2@a.example/?mail=b@b.example", "http://***@a.example/?mail=***"),
            ("http://ada:hun@ter2@agent.example/", "http://***@agent.example/"),
            ("//ada:hunter2@agent.example", "//***@agent.example"),
            ("ada:hunter2@agent.example:5432", "***@agent.example:5432"),
            ("http://ada:hunter2@${HOST}/x", "http://***@${HOST}/x"),
            ("https://agent.example/v1?key=hunter2&v=1", "https://agent.example/v1?key=***&v=***"),
            ("https://agent.example/?hunter2", "https://agent.example/?***"),
            ("https://agent.example/#hunter2", "https://agent.example/#***"),
            ("https://agent.example?a=&k=hunter2;t=hunter2#x", "https://agent.example?a=&k=***;t=***#***"),
            ("/v1/chat?key=hunter2", "/v1/chat?key=***"),
            (
                "see https://a.example/?k=hunter2, then <https://b:hunter2@b.example>",
                "see https://a.example/?k=*** then <https://***@b.example>",
            ),
            ("http://ada:hun ter2@agent.example", "http://***@agent.example"),
            ("http://ada:hun'ter,2@agent.example", "http://***@agent.example"),
            ("https://a.example/ or https://b:hunter2@b.example", "https://a.example/ or https://***@b.example"),
            ("https://a:hunter2@a.example,https://b.example", "https://***@a.example,https://b.example"),
            ("--api-key=hunter2", "--api-key=***"),
            ("token=hunter2?a=b", "token=***?a=***"),
            (" http://ada:hun ter2@agent.example", " http://***@agent.example"),
        ] {
            assert_eq!(harmless(text), shown, "{text}");
        }
    }

    #[test]
    fn texts_without_keys_stay_as_they_are() {
        for text in [
            "",
            "127.0.0.1:8000",
            "https://agent.example:8080/v1/",
            "http://[::1]:8000/chat",
            "https://cdn.example/npm/pkg@1.0/x",
            "[Username: @{username}, {Platform} ID: {platform_user_id}] {text}",
            "Who are you? Ask #general, or ada@example.org.",
            "/usr/bin/agent --level=3",
            "Note: see https://agent.example/. Who are you? Answer that.",
        ] {
            assert_eq!(harmless(text), text);
        }
    }

    proptest! {
        #[test]
        fn no_key_is_seen_wherever_it_stands_in_an_address(
            scheme in "(https?|ftp|postgres)",
            name in "[a-z0-9._~!$&'()*+;=-]{0,8}",
            host in "[a-z]{1,8}(\\.example)?(:[0-9]{1,4})?",
            path in "(/[a-z0-9.@:-]{0,6}){0,3}",
            parameter in "[a-z_]{1,8}",
            around in "[ \"(]{0,2}",
            place in 0..5,
        ) {
            let key = "hunter2";
            let address = match place {
                0 => format!("{scheme}://{name}:{key}@{host}{path}"),
                1 => format!("{scheme}://{key}@{host}{path}"),
                2 => format!("{scheme}://{host}{path}?{parameter}={key}"),
                3 => format!("{scheme}://{host}{path}?a=b&{parameter}={key}#{parameter}"),
                _ => format!("{scheme}://{host}{path}#{key}"),
            };
            let shown = harmless(&format!("{around}{address}{around}"));
            prop_assert!(!shown.contains(key), "{address} shows as {shown}");
        }

        #[test]
        fn what_a_parser_takes_for_a_password_or_a_query_is_not_seen(text in "https?:[/\\\\]{2}[a-z0-9:@/?#&=.%\\\\-]{0,40}") {
            let Ok(url) = Url::parse(&harmless(&text)) else { return Ok(()) };
            prop_assert!(url.password().is_none(), "{text}");
            let values: Vec<_> = url.query_pairs().map(|(_, value)| value.into_owned()).collect();
            prop_assert!(values.iter().all(|value| value.is_empty() || value == MASK), "{text}: {values:?}");
        }
    }
}
