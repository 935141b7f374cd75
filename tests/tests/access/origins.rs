//! Which pages browsers let in: the allow-list, in both modes.

use super::{TOKEN_MODE, enter};
use arcuate_tests::client::Answer;
use arcuate_tests::host::Host;
use reqwest::Method;

const LIST: &str = "[server]\ncors_origins = [\"https://friend.example\"]\n";

fn cors(answer: &Answer) -> Vec<&str> {
    answer.headers.keys().map(|name| name.as_str()).filter(|name| name.starts_with("access-control-")).collect()
}

fn varies(answer: &Answer) -> bool {
    let vary = answer.headers.get_all("vary").iter().filter_map(|value| value.to_str().ok());
    vary.flat_map(|value| value.split(',')).any(|name| name.trim().eq_ignore_ascii_case("origin"))
}

async fn preflight(host: &Host, origin: &str) -> Answer {
    let asked = host.client().ask(Method::OPTIONS, "/api/v1/rooms").header("origin", origin);
    asked.header("access-control-request-method", "PUT").header("access-control-request-headers", "authorization").await
}

#[tokio::test(flavor = "multi_thread")]
async fn page_on_the_list_is_let_in_and_others_are_told_nothing() {
    let host = Host::start(&format!("{TOKEN_MODE}{LIST}")).await;
    let reader = enter(&host, "ada", &["read"]).await;
    let friend = reader.get("/api/v1/rooms").header("origin", "https://friend.example").await;
    assert_eq!(friend.header("access-control-allow-origin"), "https://friend.example", "{friend}");
    assert!(friend.header("access-control-expose-headers").contains("link"));
    let strangers =
        ["https://friend.example.evil.example", "http://friend.example", "https://FRIEND.example", "null", "*"];
    for origin in strangers {
        let answer = reader.get("/api/v1/rooms").header("origin", origin).await;
        assert_eq!((answer.status, cors(&answer), varies(&answer)), (200, vec![], true), "{origin}: {answer}");
        assert_eq!(cors(&preflight(&host, origin).await), Vec::<&str>::new(), "{origin}");
    }
    let allowed = preflight(&host, "https://friend.example").await;
    assert_eq!(allowed.header("access-control-allow-origin"), "https://friend.example", "{allowed}");
    assert!(allowed.header("access-control-allow-methods").contains("PUT"), "{allowed}");
    assert_eq!(allowed.header("access-control-allow-headers"), "authorization", "{allowed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn browser_may_read_why_it_was_refused() {
    let host = Host::start(TOKEN_MODE).await;
    let answer = host.get("/api/v1/rooms").header("origin", "https://any.example").await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (401, "https://any.example"));
    assert!(varies(&answer), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_of_browsers_are_never_asked_for() {
    for mode in ["lan", "token"] {
        let host = Host::start(&format!("auth.mode = \"{mode}\"")).await;
        let answer = host.get("/health").header("origin", "https://any.example").await;
        assert_eq!(answer.header("access-control-allow-origin"), "https://any.example");
        assert!(!answer.headers.contains_key("access-control-allow-credentials") && varies(&answer), "{answer}");
        let answer = preflight(&host, "https://any.example").await;
        assert!(!answer.headers.contains_key("access-control-allow-credentials"), "{answer}");
    }
}
