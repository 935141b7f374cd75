//! `arcuate queue cancel`: a turn that runs is ended.

use super::{arcuate, until_jobs};
use arcuate_tests::agent::{Agent, Manner};
use arcuate_tests::host::Host;
use arcuate_tests::visitor::Visitor;
use serde_json::json;

const UNKNOWN: &str = "01a1fe0d-be23-76e7-9b23-440ad354ad90";

#[tokio::test(flavor = "multi_thread")]
async fn running_turn_is_cancelled_and_what_does_not_run_is_refused() {
    let agent = Agent::start(Manner::default()).await;
    let mut host = Host::start(&agent.plugin("")).await;
    agent.hold();
    for number in 0..2 {
        Visitor::new(host.client(), &format!("session_{number}")).say("Hello").await;
    }
    until_jobs(&host, "processing", 2).await;
    let ids = super::job_ids(&host);
    let told = arcuate(host.setup(), &["queue", "cancel", &ids[0]]).done();
    assert_eq!(told, "turn cancelled: it has failed and is kept for the record\n");
    assert_eq!(arcuate(host.setup(), &["queue", "cancel", &ids[1], "--json"]).json(), json!({ "affected": 1 }));
    until_jobs(&host, "failed", 2).await;
    host.terminate().await;
    arcuate(host.setup(), &["queue", "cancel", &ids[0]]).refused(1, &["has ended already"]);
    arcuate(host.setup(), &["queue", "cancel", UNKNOWN]).refused(1, &["no job has the id"]);
}
