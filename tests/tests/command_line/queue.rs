//! `arcuate queue`: the same words, JSON and exit codes in both situations.

use super::{FAILING, Situation, WAITING, arcuate, host_with, job_ids, until_jobs};
use arcuate_tests::host::Host;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn list_is_the_same_running_and_at_rest() {
    let mut host = host_with(FAILING, "failed", 2).await;
    let api = host.operator().get("/api/v1/admin/queue").await.ok();
    let arguments = ["queue", "list", "--state", "failed", "--plugin", "assistant", "--kind", "agent_turn"];
    for situation in Situation::BOTH {
        situation.of(&mut host).await;
        let listed = arcuate(host.setup(), &["queue", "list", "--json"]).json();
        assert_eq!(listed, api, "{situation:?}");
        let jobs = listed["jobs"].as_array().expect("a list of jobs");
        assert_eq!((jobs.len(), &listed["cursor"]), (2, &Value::Null));
        let keys: Vec<_> = jobs[0].as_object().expect("a job").keys().map(String::as_str).collect();
        let fields = ["attempts", "created_at", "id", "kind", "lane", "last_error", "max_attempts", "next_at"];
        assert_eq!(keys, [&fields[..], &["plugin", "state"]].concat());

        let table = arcuate(host.setup(), &arguments).done();
        let lines: Vec<_> = table.lines().collect();
        assert!(lines[0].starts_with("ID ") && lines[0].ends_with("LAST ERROR"), "{table}");
        assert_eq!(lines.len(), 3, "a line per job: {table}");
        for (line, job) in lines[1..].iter().zip(jobs) {
            assert!(line.starts_with(job["id"].as_str().expect("an id")), "{table}");
            assert!(line.contains("assistant") && line.contains("agent_turn") && line.contains("1/1"), "{table}");
        }
        let none = arcuate(host.setup(), &["queue", "list", "--state", "pending"]).done();
        assert!(none.starts_with("no jobs like that; all jobs: ") && none.ends_with(" queue list\n"), "{none}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_lists_say_what_that_means() {
    let mut host = Host::start("").await;
    for situation in Situation::BOTH {
        situation.of(&mut host).await;
        let listed = arcuate(host.setup(), &["queue", "list", "--json"]).json();
        assert_eq!(listed, json!({ "jobs": [], "cursor": null }));
        let all = arcuate(host.setup(), &["queue", "list"]).done();
        assert_eq!(all, "no jobs yet: they come with the messages that people write\n");
        let failed = arcuate(host.setup(), &["queue", "list", "--state", "failed"]).done();
        assert!(failed.starts_with("no failed jobs: nothing needs you"), "{failed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn last_line_of_a_page_is_the_command_for_the_next() {
    let mut host = host_with(WAITING, "pending", 3).await;
    for situation in Situation::BOTH {
        situation.of(&mut host).await;
        let (ids, mut found) = (job_ids(&host), Vec::new());
        let config = host.folder().join("config.toml").display().to_string();
        let first = ["queue", "list", "--limit", "1", "--state", "pending", "--config", &config];
        let mut arguments: Vec<String> = first.map(str::to_owned).into();
        loop {
            let page = arcuate(host.setup(), &arguments.iter().map(String::as_str).collect::<Vec<_>>()).done();
            found.extend(page.lines().nth(1).and_then(|line| line.split(' ').next()).map(str::to_owned));
            let Some(more) = page.lines().last().and_then(|line| line.strip_prefix("more: ")) else { break };
            let words: Vec<String> = more.split(' ').map(str::to_owned).collect();
            assert_eq!(words[0], host.setup().program().display().to_string(), "the program as it was called");
            arguments = words[1..].to_vec();
        }
        found.reverse();
        assert_eq!(found, ids);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn show_tells_everything_about_a_job() {
    let mut host = host_with(FAILING, "failed", 1).await;
    let id = job_ids(&host).remove(0);
    let api = host.operator().get(&format!("/api/v1/admin/queue/{id}")).await.ok();
    for situation in Situation::BOTH {
        situation.of(&mut host).await;
        let shown = arcuate(host.setup(), &["queue", "show", &id, "--json"]).json();
        assert_eq!(shown, api);
        assert_eq!(shown["attempts_log"].as_array().map(Vec::len), Some(1));
        let text = arcuate(host.setup(), &["queue", "show", &id]).done();
        for wanted in [&id, "state       failed", "attempts    1 of 1", "last error", "OUTCOME", " UTC ("] {
            assert!(text.contains(wanted), "no `{wanted}`: {text}");
        }
        for unknown in ["01a1fe12-f718-72ac-b4e1-af03b3e000f6", "retry", "../users", ""] {
            arcuate(host.setup(), &["queue", "show", unknown]).refused(1, &["no job has the id", unknown]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_runs_failed_jobs_again_under_their_ids() {
    let mut host = host_with(FAILING, "failed", 2).await;
    let ids = job_ids(&host);
    for situation in Situation::BOTH {
        situation.of(&mut host).await;
        let all = arcuate(host.setup(), &["queue", "retry", "--state", "failed", "--plugin", "assistant", "--json"]);
        assert_eq!(all.json(), json!({ "affected": 2 }));
        if situation == Situation::Running {
            until_jobs(&host, "failed", 2).await;
            let one = arcuate(host.setup(), &["queue", "retry", &ids[0]]).done();
            assert_eq!(one, "1 job will run again\n");
            until_jobs(&host, "failed", 2).await;
        } else {
            let pending = arcuate(host.setup(), &["queue", "list", "--state", "pending"]).done();
            assert!(pending.contains(" 0/1"), "attempts count from 0: {pending}");
            let one = arcuate(host.setup(), &["queue", "retry", &ids[0]]).done();
            assert_eq!(one, "1 job will run again when the host starts\n");
        }
        assert_eq!(job_ids(&host), ids);
        let stranger = "01a1fe12-f718-72ac-b4e1-af03b3e000f6";
        arcuate(host.setup(), &["queue", "retry", &ids[1], stranger]).refused(1, &["no job has the id", stranger]);
    }
    // What was put back at rest runs at the next start.
    host.start_again().await;
    until_jobs(&host, "failed", 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn flush_keeps_pending_jobs_and_runs_none() {
    let mut host = host_with(WAITING, "pending", 2).await;
    for situation in Situation::BOTH {
        situation.of(&mut host).await;
        let none = arcuate(host.setup(), &["queue", "flush", "--plugin", "other"]).done();
        assert_eq!(none, "0 jobs flushed: kept for the record, not run\n");
        let all = arcuate(host.setup(), &["queue", "flush", "--all", "--yes", "--json"]).json();
        assert_eq!(all, json!({ "affected": 2 }));
        assert_eq!(arcuate(host.setup(), &["queue", "list", "--state", "flushed"]).done().lines().count(), 3);
        let back = arcuate(host.setup(), &["queue", "retry", "--state", "flushed", "--json"]).json();
        assert_eq!(back, json!({ "affected": 2 }));
        let narrowed = ["queue", "flush", "--plugin", "assistant", "--kind", "agent_turn"];
        assert_eq!(arcuate(host.setup(), &narrowed).done(), "2 jobs flushed: kept for the record, not run\n");
        arcuate(host.setup(), &["queue", "retry", "--state", "flushed"]).done();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn delete_removes_all_or_none() {
    let mut host = host_with(WAITING, "pending", 4).await;
    for situation in Situation::BOTH {
        situation.of(&mut host).await;
        let ids = job_ids(&host);
        arcuate(host.setup(), &["queue", "delete", &ids[0], "nobody"]).refused(1, &["no job has the id nobody"]);
        assert_eq!(job_ids(&host), ids, "all or none");
        assert_eq!(arcuate(host.setup(), &["queue", "delete", &ids[0]]).done(), "1 job deleted\n");
        let second = arcuate(host.setup(), &["queue", "delete", &ids[1], "--yes", "--json"]).json();
        assert_eq!(second, json!({ "affected": 1 }));
        assert_eq!(job_ids(&host), ids[2..]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn looking_at_a_store_at_rest_changes_nothing() {
    let mut host = host_with(WAITING, "pending", 1).await;
    // A job that ran when the host was killed stays so until a host starts.
    host.kill_9();
    let store = rusqlite::Connection::open(host.store()).expect("the store opens");
    store.execute("update queue set state = 'processing', claim = 1, lease_until = 1", []).expect("a row changes");
    let rows = || {
        let sql = "select group_concat(state || claim || rescues || lease_until) from queue";
        store.query_row(sql, [], |row| row.get::<_, String>(0)).expect("a row")
    };
    let before = rows();
    let id = job_ids(&host).remove(0);
    for arguments in [&["queue", "show", &id][..], &["users", "list"], &["plugins", "show", "assistant"]] {
        arcuate(host.setup(), arguments).done();
    }
    assert_eq!(rows(), before);
    arcuate(host.setup(), &["queue", "delete", &id]).refused(1, &["is running"]);
}
