//! A person takes the agent's place in a conversation, and gives it back.

use arcuate_tests::agent::{Agent, Manner};
use arcuate_tests::client::Client;
use arcuate_tests::events::Stream;
use arcuate_tests::host::Host;
use arcuate_tests::visitor::Visitor;
use arcuate_tests::wait::{PATIENCE, until_async};
use serde_json::{Value, json};

const STRANGER: &str = "01a1fe12-f718-72ac-b4e1-af03b3e000f6";

/// The conversation of the only visitor.
async fn conversation(client: &Client) -> Value {
    let listed = client.get("/api/v1/conversations").await.ok();
    assert_eq!(listed["conversations"].as_array().map(Vec::len), Some(1), "{listed}");
    listed["conversations"][0].clone()
}

fn path(conversation: &Value, deed: &str) -> String {
    format!("/api/v1/conversations/{}/{deed}", conversation["id"].as_str().expect("an id"))
}

async fn visited(config: &str) -> (Host, Visitor, Value) {
    let host = Host::start(config).await;
    let visitor = Visitor::new(host.client(), "session_1");
    visitor.say("Hello").await;
    visitor.hears(1).await;
    let conversation = conversation(host.client()).await;
    (host, visitor, conversation)
}

#[tokio::test(flavor = "multi_thread")]
async fn agent_is_silent_while_somebody_has_the_conversation() {
    let (host, visitor, before) = visited("").await;
    assert_eq!(
        (&before["state"], &before["taken_by"], &before["taken_until"]),
        (&json!("open"), &json!(null), &json!(null))
    );
    let room = before["room_id"].as_str().expect("a room");
    let taken = host.post(&path(&before, "takeover"), &json!({ "sender": " ada " })).await.ok();
    assert_eq!(
        (&taken["state"], &taken["taken_by"], &taken["taken_until"]),
        (&json!("taken"), &json!("ada"), &json!(null))
    );
    assert_eq!(taken, host.get(path(&before, "").trim_end_matches('/')).await.ok());

    visitor.say("Is somebody there?").await;
    let words = json!({ "sender": "ada", "content": "I am." });
    host.post(&format!("/api/v1/rooms/{room}/messages"), &words).await.ok();
    assert_eq!(visitor.hears(2).await[1].text, "I am.");

    let released = host.post(&path(&before, "release"), &json!({ "sender": "ada" })).await.ok();
    assert_eq!(released["state"], "open");
    let asked = visitor.say("And now?").await;
    let heard = visitor.hears(3).await;
    assert_eq!(heard[2].asked, Some(asked.id), "what was said meanwhile stays without an answer: {heard:#?}");
    assert_eq!(
        host.post(&path(&before, "release"), &json!({})).await.ok()["state"],
        "open",
        "a second time is harmless"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn takeover_ends_by_itself() {
    let (host, visitor, conversation) = visited("").await;
    let taken = host.post(&path(&conversation, "takeover"), &json!({ "sender": "ada", "minutes": 0.01 })).await.ok();
    assert!(taken["taken_until"].as_str() > conversation["last_activity"].as_str(), "{taken}");
    visitor.say("Is somebody there?").await;
    let look = || async {
        let open = host.get("/api/v1/conversations?state=open").await.ok();
        (open["conversations"].as_array().map(Vec::len) == Some(1)).then_some(())
    };
    until_async("the time is over", PATIENCE, look).await;
    let asked = visitor.say("And now?").await;
    assert_eq!(visitor.hears(2).await[1].asked, Some(asked.id));
}

#[tokio::test(flavor = "multi_thread")]
async fn turns_under_way_and_waiting_are_not_heard_after_a_takeover() {
    let agent = Agent::start(Manner::default()).await;
    let host = Host::start(&agent.plugin("")).await;
    let visitor = Visitor::new(host.client(), "session_1");
    agent.hold();
    visitor.say("one").await;
    visitor.say("two").await;
    until_async("the agent is asked", PATIENCE, || async { (agent.calls().len() == 1).then_some(()) }).await;
    let conversation = conversation(host.client()).await;
    host.post(&path(&conversation, "takeover"), &json!({ "sender": "ada" })).await.ok();
    let jobs = host.operator().get("/api/v1/admin/queue").await.ok()["jobs"].clone();
    let states: Vec<_> = jobs.as_array().expect("jobs").iter().map(|job| &job["state"]).collect();
    assert_eq!(states, ["flushed", "flushed"], "the one that runs ends, the one that waits is set aside: {jobs:#}");
    until_async("the agent's caller hung up", PATIENCE, || async { (agent.running() == 0).then_some(()) }).await;
    agent.release();
    host.post(&path(&conversation, "release"), &json!({ "sender": "ada" })).await.ok();
    let asked = visitor.say("three").await;
    assert_eq!(visitor.hears(1).await[0].asked, Some(asked.id));
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_elses_conversation_is_refused_with_who_has_it() {
    let (host, _, conversation) = visited("").await;
    let (takeover, release) = (path(&conversation, "takeover"), path(&conversation, "release"));
    host.post(&takeover, &json!({ "sender": "ada" })).await.ok();
    host.post(&takeover, &json!({ "sender": "bob" })).await.refused(409, "ada has this conversation");
    host.post(&release, &json!({ "sender": "bob" })).await.refused(409, "ada has this conversation");
    let longer = host.post(&takeover, &json!({ "sender": "ada", "minutes": 60 })).await.ok();
    assert!(longer["taken_until"].is_string(), "whoever has it sets another time: {longer}");
    for (state, count) in [("taken", 1), ("open", 0)] {
        let listed = host.get(&format!("/api/v1/conversations?state={state}")).await.ok();
        assert_eq!(listed["conversations"].as_array().map(Vec::len), Some(count), "{state}");
    }
    // Without a body: whoever has it, where everybody is trusted.
    let released = host.client().ask(reqwest::Method::POST, &release).await.ok();
    assert_eq!(released["taken_by"], json!(null));
    host.post(&takeover, &json!({ "sender": "bob" })).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_meant_is_refused_with_what_would_be_right() {
    let (host, _, conversation) = visited("").await;
    let takeover = path(&conversation, "takeover");
    for minutes in [json!(0), json!(-1), json!(10_081)] {
        host.post(&takeover, &json!({ "sender": "ada", "minutes": minutes }))
            .await
            .refused(400, "minutes must be more than 0");
    }
    host.post(&takeover, &json!({ "sender": "ada", "minutes": "5" })).await.refused(422, "minutes");
    host.post(&takeover, &json!({ "minutes": 5 })).await.refused(422, "sender");
    host.post(&takeover, &json!({ "sender": " " })).await.refused(400, "Sender must be 1-100 characters");
    for unknown in [STRANGER, "nobody"] {
        for deed in ["takeover", "release"] {
            let path = format!("/api/v1/conversations/{unknown}/{deed}");
            host.post(&path, &json!({ "sender": "ada" })).await.refused(404, "no conversation has the id");
        }
        host.get(&format!("/api/v1/conversations/{unknown}")).await.refused(404, unknown);
    }
    host.get("/api/v1/conversations?state=maybe").await.refused(400, "taken or open");
    let text = host.client().ask(reqwest::Method::POST, &path(&conversation, "release")).body("sender=ada");
    text.await.refused(415, "left out");
}

#[tokio::test(flavor = "multi_thread")]
async fn room_hears_who_took_over_and_who_gave_back() {
    let (host, _, conversation) = visited("").await;
    let room = conversation["room_id"].as_str().expect("a room");
    let mut stream = Stream::open(host.client(), room, "", &[]).await;
    host.post(&path(&conversation, "takeover"), &json!({ "sender": "ada" })).await.ok();
    host.post(&path(&conversation, "release"), &json!({ "sender": "ada" })).await.ok();
    let taken = stream.until(|event| event.name == "conversation_taken").await.pop().expect("an event");
    let expected = json!({ "conversation_id": conversation["id"], "room_id": room, "taken_by": "ada", "taken_until": null, "seq": taken.id });
    assert_eq!(taken.data, expected);
    let released = stream.until(|event| event.name == "conversation_released").await.pop().expect("an event");
    assert_eq!(released.data["released_by"], "ada");
}

#[tokio::test(flavor = "multi_thread")]
async fn token_takes_over_in_its_own_name_alone() {
    let host = Host::start("[auth]\nmode = \"token\"\n").await;
    let visitor = Visitor::new(host.client(), "session_1");
    visitor.say("Hello").await;
    let mut tokens = Vec::new();
    for (name, scope) in [("ada", "write"), ("bob", "write"), ("cyd", "read")] {
        let made = host.operator().post("/api/v1/admin/tokens", &json!({ "name": name, "scopes": [scope] })).await.ok();
        tokens.push(host.client().with_token(made["token"].as_str().expect("a token")));
    }
    let [ada, bob, cyd] = &tokens[..] else { panic!("three tokens") };
    let conversation = conversation(ada).await;
    let (takeover, release) = (path(&conversation, "takeover"), path(&conversation, "release"));
    cyd.post(&takeover, &json!({})).await.refused(403, "scope 'write'");
    ada.post(&takeover, &json!({ "sender": "bob" })).await.refused(403, "`sender` must be 'ada'");
    assert_eq!(ada.post(&takeover, &json!({})).await.ok()["taken_by"], "ada");
    bob.post(&release, &json!({})).await.refused(409, "ada has this conversation");
    let admin = release.replace("/api/v1/", "/api/v1/admin/");
    assert_eq!(host.operator().post(&admin, &json!({})).await.ok()["taken_by"], json!(null), "the operator may always");
    host.operator().post(&takeover, &json!({ "sender": "bob" })).await.ok();
    let done = [
        ("conversations.takeover done", "operator", json!({ "for": "bob", "minutes": null })),
        ("conversations.release done", "operator", json!({ "for": null })),
        ("conversations.release refused", "token:bob", json!({ "error": "ada has this conversation" })),
        ("conversations.takeover done", "token:ada", json!({ "for": "ada", "minutes": null })),
    ];
    let recorded = deeds(&host).await;
    for (deed, (action, actor, detail)) in recorded.iter().zip(done) {
        assert_eq!((deed.0.as_str(), deed.1.as_str()), (action, actor));
        match detail["error"].as_str() {
            Some(error) => assert!(deed.2["error"].as_str().is_some_and(|text| text.starts_with(error)), "{deed:?}"),
            None => assert_eq!(deed.2, detail),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn name_that_nobody_proved_is_recorded_as_a_claim() {
    let (host, _, conversation) = visited("").await;
    for sender in ["operator", "signal", "token:ada"] {
        host.post(&path(&conversation, "takeover"), &json!({ "sender": sender })).await.ok();
        host.client().ask(reqwest::Method::POST, &path(&conversation, "release")).await.ok();
        let [(_, nobody, _), (action, actor, detail), ..] = &deeds(&host).await[..] else { panic!("two deeds") };
        assert_eq!((action.as_str(), actor), ("conversations.takeover done", &format!("claimed:{sender}")));
        assert_eq!((nobody.as_str(), &detail["for"]), ("claimed:", &json!(sender)), "the claim and whom it was for");
    }
}

/// Action with outcome, actor, and detail; newest first.
async fn deeds(host: &Host) -> Vec<(String, String, Value)> {
    let page = host.operator().get("/api/v1/admin/audit").await.ok();
    let text = |deed: &Value, name: &str| deed[name].as_str().expect("a text").to_owned();
    let of = |deed: &Value| {
        let action = text(deed, "action") + " " + &text(deed, "outcome");
        (action, text(deed, "actor"), deed["detail"].clone())
    };
    page["deeds"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|deed| text(deed, "action").starts_with("conversations."))
        .map(of)
        .collect()
}
