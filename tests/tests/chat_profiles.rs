//! Profiles from outside: written piece by piece, listed, deleted.

use arcuate_tests::client::Asked;
use arcuate_tests::host::Host;
use reqwest::Method;
use serde_json::{Value, json};

const PROFILES: &str = "/api/v1/profiles";

fn put(host: &Host, sender: &str, body: &Value) -> Asked {
    host.client().ask(Method::PUT, &format!("{PROFILES}/{sender}")).json(body)
}

fn senders(list: &Value) -> Vec<&str> {
    let list = list.as_array().expect("a list of profiles").iter();
    list.map(|profile| profile["sender"].as_str().expect("a sender")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn profile_is_merged_from_what_is_given() {
    let host = Host::start("").await;
    let made = put(&host, "ada", &json!({})).await.ok();
    let expected =
        json!({ "sender": "ada", "metadata": {}, "created_at": made["created_at"], "updated_at": made["created_at"] });
    assert_eq!(made, expected, "what is not there is left out");
    let full = json!({ "display_name": "Ada", "sender_type": "human", "avatar_url": "https://example.org/a", "bio": "b",
                       "status_text": "", "metadata": { "a": [1] } });
    put(&host, "ada", &full).await.ok();
    let change = json!({ "display_name": null, "bio": "new", "metadata": null, "unknown": 1 });
    let changed = put(&host, "ada", &change).await.ok();
    let mut expected = full.clone();
    expected["bio"] = json!("new");
    expected["sender"] = json!("ada");
    expected["created_at"] = made["created_at"].clone();
    expected["updated_at"] = changed["updated_at"].clone();
    assert_eq!(changed, expected);
    assert!(changed["updated_at"].as_str() > made["updated_at"].as_str());
    assert_eq!(host.get(&format!("{PROFILES}/ada")).await.ok(), changed);
    assert_eq!(put(&host, "ada", &json!({ "metadata": [1] })).await.ok()["metadata"], json!([1]));
}

#[tokio::test(flavor = "multi_thread")]
async fn profiles_are_listed_newest_change_first() {
    let host = Host::start("").await;
    for (sender, kind) in [("a", json!("agent")), ("b", json!("human")), ("c", json!("agent")), ("d", Value::Null)] {
        put(&host, sender, &json!({ "sender_type": kind })).await.ok();
    }
    put(&host, "a", &json!({ "bio": "x" })).await.ok();
    assert_eq!(senders(&host.get(PROFILES).await.ok()), ["a", "d", "c", "b"]);
    assert_eq!(senders(&host.get(&format!("{PROFILES}?sender_type=agent")).await.ok()), ["a", "c"]);
    assert!(senders(&host.get(&format!("{PROFILES}?sender_type=robot")).await.ok()).is_empty());
    let (mut path, mut all) = (format!("{PROFILES}?limit=3"), Vec::new());
    loop {
        let page = host.get(&path).await;
        all.extend(senders(&page.ok()).into_iter().map(ToOwned::to_owned));
        let Some((next, _)) = page.header("link").strip_prefix('<').and_then(|link| link.split_once('>')) else {
            break;
        };
        path = next.to_owned();
    }
    assert_eq!(all, ["a", "d", "c", "b"]);
    for name in ["limit", "cursor"] {
        host.get(&format!("{PROFILES}?{name}=x")).await.refused(400, &format!("'{name}'"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn profile_is_deleted_once() {
    let host = Host::start("").await;
    put(&host, "ada", &json!({})).await.ok();
    let delete = || host.client().ask(Method::DELETE, &format!("{PROFILES}/ada"));
    let deleted = delete().await;
    assert_eq!((deleted.status, deleted.text.as_str()), (204, ""));
    delete().await.refused(404, "Not found");
    host.get(&format!("{PROFILES}/ada")).await.refused(404, "Not found");
    assert_eq!(host.get(PROFILES).await.ok(), json!([]));
    assert_eq!(put(&host, "ada", &json!({})).await.ok().get("bio"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn any_name_has_a_profile() {
    let host = Host::start("").await;
    for (escaped, name) in
        [("a%2Fb", "a/b"), ("%F0%9F%A4%96", "🤖"), ("%20CI%20Bot%20", "CI Bot"), ("a+b", "a+b"), ("%25", "%")]
    {
        assert_eq!(put(&host, escaped, &json!({})).await.ok()["sender"], name);
        assert_eq!(host.get(&format!("{PROFILES}/{escaped}")).await.ok()["sender"], name);
    }
    put(&host, &"é".repeat(100), &json!({})).await.ok();
    for wrong in ["%20", &"é".repeat(101), "a%00b"] {
        put(&host, wrong, &json!({})).await.refused(400, "Sender must be 1-100 characters");
    }
    host.get(&format!("{PROFILES}/a%00b")).await.refused(404, "Not found");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_fields_are_refused() {
    let host = Host::start("").await;
    for (field, most) in [("display_name", 200), ("avatar_url", 2000), ("bio", 1000), ("status_text", 200)] {
        put(&host, "ada", &json!({ field: "é".repeat(most) })).await.ok();
        let text = format!("{field} must be at most {most} characters");
        put(&host, "ada", &json!({ field: "é".repeat(most + 1) })).await.refused(400, &text);
        put(&host, "ada", &json!({ field: "a\0" })).await.refused(400, &text);
        put(&host, "ada", &json!({ field: 7 })).await.refused(422, field);
    }
    for kind in ["", "robot", "Agent"] {
        let refused = put(&host, "ada", &json!({ "sender_type": kind })).await;
        refused.refused(400, "sender_type must be 'agent' or 'human'");
    }
    put(&host, "ada", &json!({ "metadata": "x".repeat(9998) })).await.ok();
    let refused = put(&host, "ada", &json!({ "metadata": "x".repeat(9999) })).await;
    refused.refused(400, "metadata must be at most 10KB when serialized");
    host.client().ask(Method::PUT, &format!("{PROFILES}/ada")).body("{}").await.refused(415, "application/json");
    let broken = host.client().ask(Method::PUT, &format!("{PROFILES}/ada")).header("content-type", "application/json");
    broken.body("{").await.refused(400, "not JSON");
}
