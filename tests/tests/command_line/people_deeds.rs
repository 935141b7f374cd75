//! What the command line does with people and conversations, the same in both situations: show, merge, split, export, forget, take over,
//! give back, send.

use super::typing::at_terminal;
use super::{Situation, arcuate, command};
use arcuate_tests::host::Host;
use arcuate_tests::visitor::Visitor;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;

const STRANGER: &str = "01a1fe12-f718-72ac-b4e1-af03b3e000f6";

async fn host_with_visitors(count: usize) -> Host {
    let host = Host::start("").await;
    for number in 0..count {
        let visitor = Visitor::new(host.client(), &format!("session_{number}"));
        visitor.say("Hello").await;
        visitor.hears(1).await;
    }
    host
}

fn ids(host: &Host, family: &str) -> Vec<String> {
    let page = arcuate(host.setup(), &[family, "list", "--json"]).json();
    let rows = page[family].as_array().expect("a list").iter();
    rows.map(|row| row["id"].as_str().expect("an id").to_owned()).collect()
}

fn json(host: &Host, arguments: &[&str]) -> Value {
    arcuate(host.setup(), &[arguments, &["--json"]].concat()).json()
}

#[tokio::test(flavor = "multi_thread")]
async fn person_is_shown_merged_and_split() {
    let mut host = host_with_visitors(2).await;
    let people = ids(&host, "users");
    let (bob, ada) = (people[0].as_str(), people[1].as_str());
    for situation in Situation::BOTH {
        situation.of(&mut host).await;
        let shown = json(&host, &["users", "show", ada]);
        assert_eq!((&shown["id"], &shown["merged"]), (&json!(ada), &json!([])));
        let merged = json(&host, &["users", "merge", ada, bob]);
        assert_eq!(
            (&merged["merged"], &merged["user"]["id"], &merged["profiles"]),
            (&json!(ada), &json!(bob), &json!(1))
        );
        let text = arcuate(host.setup(), &["users", "show", ada]).done();
        assert!(text.starts_with(&format!("{ada} was merged into this person:\nid       {bob}\n")), "{text}");
        for wanted in ["PROFILE", "DISPLAY NAME", "bridge:", "merged   ", "conversations list --user "] {
            assert!(text.contains(wanted), "no `{wanted}`: {text}");
        }
        assert_eq!(ids(&host, "users"), [bob]);
        let split = arcuate(host.setup(), &["users", "split", bob]).done();
        assert!(split.starts_with("1 profile moved\n\nid ") && split.contains(ada), "{split}");
        let told = arcuate(host.setup(), &["users", "merge", ada, bob]).done();
        assert!(told.starts_with("1 profile moved\n") && told.contains(&format!("users split {ada}\n")), "{told}");
        let profile = shown["profiles"][0]["platform_user_id"].as_str().expect("an id");
        let split = json(&host, &["users", "split", bob, &format!("bridge:{profile}")]);
        assert_eq!((&split["users"][0]["id"], &split["profiles"]), (&json!(ada), &json!(1)));

        arcuate(host.setup(), &["users", "split", bob]).refused(1, &["nobody was merged into"]);
        arcuate(host.setup(), &["users", "split", bob, "bridge"]).refused(2, &["PLATFORM:USER_ID"]);
        arcuate(host.setup(), &["users", "merge", ada, ada]).refused(2, &["name two"]);
        for unknown in [STRANGER, "../queue"] {
            for deed in [
                &["show", unknown][..],
                &["merge", unknown, bob],
                &["split", unknown],
                &["export", unknown],
                &["forget", unknown],
            ] {
                arcuate(host.setup(), &[&["users"], deed].concat()).refused(1, &["nobody has the id", unknown]);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn export_is_written_whole_and_for_its_owner_alone() {
    let mut host = host_with_visitors(1).await;
    let ada = ids(&host, "users").remove(0);
    let file = host.folder().join("ada.jsonl");
    let name = file.display().to_string();
    for situation in Situation::BOTH {
        situation.of(&mut host).await;
        let text = arcuate(host.setup(), &["users", "export", &ada]).done();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let kinds: Vec<_> = lines.iter().filter_map(|line| line["kind"].as_str()).collect();
        assert_eq!(kinds, ["person", "profile", "conversation", "message", "message", "job", "end"], "{text}");
        let written = json(&host, &["users", "export", &ada, "--output", &name]);
        let kept = fs::read_to_string(&file).expect("the file");
        assert_eq!(written, json!({ "file": name, "bytes": kept.len(), "lines": 7 }));
        assert_eq!(kept.lines().skip(1).collect::<Vec<_>>(), text.lines().skip(1).collect::<Vec<_>>());
        assert_eq!(fs::metadata(&file).expect("the file").permissions().mode() & 0o777, 0o600);
        arcuate(host.setup(), &["users", "export", &ada, "-o", &name])
            .refused(1, &["is there already; name a new file"]);
        fs::remove_file(&file).expect("it goes");
        arcuate(host.setup(), &["users", "export", STRANGER, "-o", &name]).refused(1, &["nobody has the id"]);
        assert!(!host.folder().join("ada.jsonl.part").exists() && !file.exists());
        let told = arcuate(host.setup(), &["users", "export", &ada, "-o", &name]).done();
        assert_eq!(told, format!("7 lines in {name}\n"));
        fs::remove_file(&file).expect("it goes");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn forget_asks_at_a_terminal_and_says_what_went() {
    let mut host = host_with_visitors(4).await;
    for situation in Situation::BOTH {
        situation.of(&mut host).await;
        let people = ids(&host, "users");
        let forget = ["users", "forget", people[0].as_str()];
        let (code, screen) = at_terminal(&mut command(host.setup(), &forget), 100, "n\n");
        assert!(code == Some(1) && screen.contains("Forget this person") && screen.contains("bridge:"), "{screen}");
        assert_eq!(ids(&host, "users"), people, "nothing was changed");
        let (code, screen) = at_terminal(&mut command(host.setup(), &forget), 100, "y\n");
        assert!(
            code == Some(0) && screen.contains("forgotten: 1 conversation, 2 messages, 1 profile removed"),
            "{screen}"
        );
        assert!(screen.contains("Letta"), "what it cannot reach is named: {screen}");
        let done = json(&host, &["users", "forget", &people[1]]);
        assert_eq!(done["removed"], json!({ "conversations": 1, "messages": 2, "files": 0, "profiles": 1 }));
        assert_eq!((&done["id"], &done["done"]), (&json!(people[1]), &json!(true)));
        assert_eq!(ids(&host, "users"), people[2..]);
        assert_eq!(ids(&host, "conversations").len(), people.len() - 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn conversation_is_shown_taken_over_and_given_back() {
    let mut host = host_with_visitors(1).await;
    let id = ids(&host, "conversations").remove(0);
    for situation in Situation::BOTH {
        situation.of(&mut host).await;
        let shown = json(&host, &["conversations", "show", &id]);
        assert_eq!(
            (&shown["state"], &shown["message_count"], &shown["response_count"]),
            (&json!("open"), &json!(1), &json!(1))
        );
        let taken = json(&host, &["conversations", "takeover", &id, "--sender", "ada", "--minutes", "30"]);
        assert_eq!((&taken["state"], &taken["taken_by"]), (&json!("taken"), &json!("ada")));
        let text = arcuate(host.setup(), &["conversations", "show", &id]).done();
        for wanted in ["state        taken by ada, until ", "1 from the platform, 1 to it", "external id  session_0"] {
            assert!(text.contains(wanted), "no `{wanted}`: {text}");
        }
        let table = arcuate(host.setup(), &["conversations", "list", "--state", "taken"]).done();
        assert!(table.contains("TAKEN") && table.contains("by ada, ends in 29m"), "{table}");
        arcuate(host.setup(), &["conversations", "takeover", &id]).refused(1, &["ada has this conversation until "]);
        arcuate(host.setup(), &["conversations", "takeover", &id, "--minutes", "0"]).refused(2, &["more than 0"]);
        arcuate(host.setup(), &["conversations", "release", &id, "--sender", "bob"]).refused(1, &["ask ada"]);
        let told = arcuate(host.setup(), &["conversations", "release", &id]).done();
        assert_eq!(told, "nobody has it: the agent answers from the next message on\n");
        let told = arcuate(host.setup(), &["conversations", "takeover", &id]).done();
        assert!(told.starts_with("taken by operator, until it is released\ngive it back: "), "{told}");
        assert_eq!(json(&host, &["conversations", "release", &id])["taken_by"], json!(null));
        let none = arcuate(host.setup(), &["conversations", "list", "--state", "taken"]).done();
        assert!(none.starts_with("no conversations like that"), "{none}");
        for deed in ["show", "takeover", "release"] {
            arcuate(host.setup(), &["conversations", deed, STRANGER])
                .refused(1, &["no conversation has the id", STRANGER]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn send_says_it_now_or_when_the_host_starts() {
    let mut host = host_with_visitors(1).await;
    let page = arcuate(host.setup(), &["users", "list", "--json"]).json();
    let uid = page["users"][0]["profiles"][0]["platform_user_id"].as_str().expect("an id").to_owned();
    let id = ids(&host, "conversations").remove(0);
    for situation in Situation::BOTH {
        situation.of(&mut host).await;
        let words = format!("{situation:?}");
        let whom = ["send", "--platform", "bridge", "--user", uid.as_str(), "--key", words.as_str(), "--sender", "ada"];
        let sent = json(&host, &[&whom[..], &[words.as_str()]].concat());
        assert_eq!((&sent["content"], &sent["sender"]), (&json!(words), &json!("ada")));
        assert_eq!(json(&host, &[&whom[..], &[words.as_str()]].concat()), sent, "the same key");
        arcuate(host.setup(), &[&whom[..], &["else"]].concat()).refused(1, &["a key of its own"]);
        let told = arcuate(host.setup(), &["send", "--conversation", &id, "by id"]).done();
        let when = if situation == Situation::Running {
            "sent: message "
        } else {
            "stored; it goes out when the host starts: message "
        };
        assert!(told.starts_with(when) && told.ends_with(" by operator\n"), "{told}");
        arcuate(host.setup(), &["send", "--conversation", &id, "  "])
            .refused(2, &["Content must be 1-10000 characters"]);
        arcuate(host.setup(), &["send", "--conversation", STRANGER, "x"]).refused(1, &["no conversation has the id"]);
        arcuate(host.setup(), &["send", "--platform", "bridge", "--user", "0", "x"])
            .refused(1, &["has written on bridge yet"]);
    }
    host.start_again().await;
    let heard = Visitor::new(host.client(), "session_0").hears(5).await;
    let texts: Vec<_> = heard[1..].iter().map(|heard| heard.text.as_str()).collect();
    assert_eq!(texts, ["Running", "by id", "AtRest", "by id"]);
}
