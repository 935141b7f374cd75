//! `arcuate queue cleanup`: what is kept longer than it need be goes, the same running and at rest.

use super::{FAILING, Situation, arcuate, host_with, job_ids};
use arcuate_tests::host::Host;
use serde_json::json;

fn change(host: &Host, sql: &str) {
    let store = rusqlite::Connection::open(host.store()).expect("the store opens");
    store.busy_timeout(std::time::Duration::from_secs(5)).expect("it waits for the host");
    store.execute_batch(sql).expect("rows change");
}

#[tokio::test(flavor = "multi_thread")]
async fn cleanup_removes_what_is_beyond_its_days_and_nothing_else() {
    let mut host = host_with(FAILING, "failed", 3).await;
    for (situation, left) in Situation::BOTH.into_iter().zip([2, 1]) {
        situation.of(&mut host).await;
        let nothing = arcuate(host.setup(), &["queue", "cleanup"]).done();
        assert!(nothing.starts_with("STATE ") && nothing.ends_with("\n0 jobs removed\n"), "{nothing}");
        change(
            &host,
            "update queue set finished_at = finished_at - 91 * 86400000000
             where key = (select min(key) from queue)",
        );
        let cleaned = arcuate(host.setup(), &["queue", "cleanup", "--json"]).json();
        let expected = json!({ "affected": 1, "completed": 0, "failed": 1, "flushed": 0,
                               "keep_completed_days": 7, "keep_dead_days": 90 });
        assert_eq!(cleaned, expected);
        assert_eq!(job_ids(&host).len(), left);
        let deeds = arcuate(host.setup(), &["audit", "list", "--action", "queue.cleanup", "--json"]).json();
        assert_eq!(
            (&deeds["deeds"][0]["detail"]["failed"], &deeds["deeds"][1]["detail"]["failed"]),
            (&json!(1), &json!(0))
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cleanup_of_many_jobs_goes_on_until_all_are_gone() {
    let mut host = Host::start("[queue]\nkeep_dead_days = 0\n").await;
    for situation in Situation::BOTH {
        situation.of(&mut host).await;
        change(
            &host,
            "insert into queue (id, kind, instance, lane, state, runnable, attempts, max_attempts, next_at, payload,
                                created_at, finished_at)
             with recursive numbers(n) as (select 1 union all select n + 1 from numbers where n < 2500)
             select randomblob(16), 'agent_turn', 'assistant', 'lane', 'completed', 0, 1, 1, 1, '{}', 1, n from numbers;
             insert or replace into queue_counts (instance, state, count) values ('assistant', 'completed', 2500);
             insert into queue (id, kind, instance, lane, state, runnable, attempts, max_attempts, next_at, payload,
                                created_at, finished_at)
             values (randomblob(16), 'agent_turn', 'assistant', 'lane', 'failed', 0, 1, 1, 1, '{}', 1, 1);
             insert into queue_counts (instance, state, count) values ('assistant', 'failed', 1)
             on conflict do update set count = count + 1;",
        );
        let told = arcuate(host.setup(), &["queue", "cleanup"]).done();
        assert!(told.contains("completed  2500     7 days\n"), "{told}");
        assert!(told.contains("failed     0        ever\n") && told.ends_with("2500 jobs removed\n"), "{told}");
    }
    assert_eq!(job_ids(&host).len(), 2, "0 days: for ever");
}
