//! `arcuate queue pause`, `resume`, `paused`, `prioritize`, and deeds by filter: the same running and at rest.

use super::{FAILING, Situation, WAITING, arcuate, host_with, job_ids};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn pause_is_listed_until_it_is_resumed() {
    let mut host = host_with(WAITING, "pending", 1).await;
    for situation in Situation::BOTH {
        situation.of(&mut host).await;
        assert_eq!(arcuate(host.setup(), &["queue", "paused"]).done(), "nothing is paused\n");
        let pause = ["queue", "pause", "--plugin", "assistant", "--reason", "it moves"];
        let told = arcuate(host.setup(), &pause).done();
        assert!(
            told.starts_with("assistant is paused: ") && told.ends_with("queue resume --plugin assistant\n"),
            "{told}"
        );
        assert_eq!(arcuate(host.setup(), &pause).done(), "assistant was paused already\n");
        let lane = ["queue", "pause", "--plugin", "assistant", "--lane", "one lane", "--json"];
        assert_eq!(arcuate(host.setup(), &lane).json(), json!({ "affected": 1 }));
        let table = arcuate(host.setup(), &["queue", "paused"]).done();
        assert!(table.starts_with("PLUGIN ") && table.lines().count() == 3, "{table}");
        assert!(table.contains("one lane") && table.contains("it moves"), "{table}");
        let listed = arcuate(host.setup(), &["queue", "paused", "--json"]).json();
        assert_eq!((&listed["paused"][0]["lane"], &listed["paused"][1]["lane"]), (&json!(null), &json!("one lane")));
        let jobs = arcuate(host.setup(), &["queue", "list"]).done();
        assert!(jobs.trim_end().ends_with("paused"), "{jobs}");
        let job = arcuate(host.setup(), &["queue", "show", &job_ids(&host)[0]]).done();
        assert!(job.contains("an operator holds it back"), "{job}");
        assert_eq!(arcuate(host.setup(), &["queue", "resume", "--plugin", "assistant"]).done(), "assistant goes on\n");
        let again = arcuate(host.setup(), &["queue", "resume", "--plugin", "assistant", "--json"]).json();
        assert_eq!(again, json!({ "affected": 0 }));
        let typo = ["queue", "pause", "--plugin", "assistent"];
        arcuate(host.setup(), &typo).refused(1, &["no plugin instance has the name assistent", "assistant"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn priority_and_filters_are_the_same_running_and_at_rest() {
    let mut host = host_with(FAILING, "failed", 3).await;
    for situation in Situation::BOTH {
        situation.of(&mut host).await;
        let ids = job_ids(&host);
        let high = arcuate(host.setup(), &["queue", "prioritize", &ids[0], "--priority", "high"]).done();
        assert_eq!(high, "1 job with high priority from now on\n");
        assert!(arcuate(host.setup(), &["queue", "show", &ids[0]]).done().contains("priority    high"));
        let none = ["queue", "prioritize", "--plugin", "assistant", "--priority", "low", "--json"];
        assert_eq!(arcuate(host.setup(), &none).json(), json!({ "affected": 0 }), "only what waits");
        let wide = ["queue", "list", "--state", "failed", "--newer-than", "1h", "--limit", "1"];
        let page = arcuate(host.setup(), &wide).done();
        assert!(page.lines().last().is_some_and(|line| line.contains("--newer-than 1h")), "{page}");
        let old = ["queue", "delete", "--state", "failed", "--older-than", "1h", "--yes", "--json"];
        assert_eq!(arcuate(host.setup(), &old).json(), json!({ "affected": 0 }));
        let other = ["queue", "retry", "--state", "failed", "--error", "never said"];
        assert!(arcuate(host.setup(), &other).done().starts_with("0 jobs "));
    }
    let all = ["queue", "delete", "--state", "failed", "--plugin", "assistant"];
    assert_eq!(arcuate(host.setup(), &all).done(), "3 jobs deleted\n");
    assert!(job_ids(&host).is_empty());
}
