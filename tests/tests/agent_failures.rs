//! An agent that goes wrong in each way: the person hears one answer in the end, the row says what happened, and nobody else waits.

use arcuate_tests::agent::{Agent, Fault, Manner};
use arcuate_tests::host::Host;
use arcuate_tests::visitor::Visitor;
use arcuate_tests::wait::{PATIENCE, until, until_async};
use serde_json::{Value, json};

/// What the record of the first attempt says, and whether the agent may have done its work in it.
fn told(fault: Fault) -> (&'static str, Value) {
    match fault {
        Fault::Fails | Fault::FailsAfter => ("did not take the question (500)", json!(500)),
        Fault::IsBusy => ("asked too much (429)", json!(429)),
        Fault::Hangs | Fault::HangsAfter => ("took longer than 1 s", Value::Null),
        Fault::CutAfter => ("cut off", Value::Null),
        Fault::GarbledAfter => ("the answer is no {\"reply\"", Value::Null),
    }
}

async fn jobs(host: &Host, query: &str) -> Vec<Value> {
    let list = host.operator().get(&format!("/api/v1/admin/queue{query}")).await.ok();
    list["jobs"].as_array().expect("a list of jobs").clone()
}

async fn show(host: &Host, job: &Value) -> Value {
    let id = job["id"].as_str().expect("a job's id");
    host.operator().get(&format!("/api/v1/admin/queue/{id}")).await.ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_way_to_go_wrong_ends_in_one_answer_under_one_key() {
    let agent = Agent::start(Manner::default()).await;
    let host = Host::start(&agent.plugin("timeout = 1")).await;
    for fault in Fault::ALL {
        agent.change(|manner| manner.plan.extend([Some(fault), None]));
        let visitor = Visitor::new(host.client(), &format!("{fault:?}"));
        visitor.say(&format!("{fault:?}?")).await;
        assert_eq!(visitor.hears(1).await[0].text, format!("re: {fault:?}?"));
        let job = &jobs(&host, "?kind=agent_turn&limit=1").await[0];
        assert_eq!((&job["state"], &job["attempts"]), (&json!("completed"), &json!(2)), "{job:#}");
        let log = show(&host, job).await["attempts_log"].clone();
        let (text, status) = told(fault);
        assert_eq!(
            (&log[0]["outcome"], &log[0]["status"], &log[1]["outcome"]),
            (&json!("retry"), &status, &json!("done"))
        );
        assert!(log[0]["error"].as_str().is_some_and(|error| error.contains(text)), "`{text}` is not in {log:#}");
    }
    agent.assert_one_key_per_message();
    assert_eq!(agent.calls().len(), 2 * Fault::ALL.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn conversation_whose_turn_hangs_holds_up_nobody_else() {
    let agent = Agent::start(Manner::default()).await;
    let host = Host::start(&agent.plugin("")).await;
    agent.change(|manner| manner.plan.push_back(Some(Fault::Hangs)));
    let patient = Visitor::new(host.client(), "patient");
    patient.say("Hello?").await;
    until("the first is asked", || (agent.calls().len() == 1).then_some(())).await;
    patient.say("Still there?").await;
    for number in 0..40 {
        let other = Visitor::new(host.client(), &format!("other_{number}"));
        other.say("Hello!").await;
        other.hears(1).await;
    }
    assert!(patient.answers().await.is_empty());
    assert_eq!(jobs(&host, "?state=pending").await.len(), 1, "the same person's next question waits its turn");
}

#[tokio::test(flavor = "multi_thread")]
async fn agent_that_is_not_there_is_asked_when_it_comes() {
    let agent = Agent::start(Manner::default()).await;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address");
    let plugin = agent.plugin("").replace(&agent.url(), &format!("http://{nobody}/"));
    let mut host = Host::start(&format!("queue.max_attempts = 1000\n{plugin}")).await;
    let visitor = Visitor::new(host.client(), "session_1");
    visitor.say("Hello?").await;
    let degraded = async || {
        let trouble = host.get("/ready").await.ok()["plugins"][0].clone();
        (trouble["name"] == "assistant" && trouble["state"] == "Degraded").then_some(trouble)
    };
    let trouble = until_async("the instance is degraded", PATIENCE, degraded).await;
    let port = nobody.port().to_string();
    assert!(trouble["reason"].as_str().is_some_and(|reason| reason.contains(&port)), "{trouble:#}");
    let failed = async || jobs(&host, "?kind=agent_turn").await[0]["last_error"].as_str().map(str::to_owned);
    let error = until_async("an attempt is written down", PATIENCE, failed).await;
    assert!(error.contains("cannot be reached"), "{error}");
    host.terminate().await;
    host.configure(|config| config["plugins"]["assistant"]["settings"]["url"] = toml_edit::value(agent.url()));
    host.start_again().await;
    assert_eq!(Visitor::new(host.client(), "session_1").hears(1).await[0].text, "re: Hello?");
}

#[tokio::test(flavor = "multi_thread")]
async fn turn_given_up_is_a_dead_letter_that_the_operator_runs_again_under_its_key() {
    let agent = Agent::start(Manner::default()).await;
    let mut host = Host::start(&format!("queue.max_attempts = 3\n{}", agent.plugin(""))).await;
    agent.change(|manner| manner.plan.extend([Some(Fault::Fails); 3]));
    let visitor = Visitor::new(host.client(), "session_1");
    visitor.say("one").await;
    visitor.say("two").await;
    let heard = visitor.hears(1).await;
    assert_eq!(heard[0].text, "re: two", "a dead one lets the next through");
    let dead = &jobs(&host, "?state=failed").await[0];
    assert_eq!((&dead["attempts"], &dead["max_attempts"]), (&json!(3), &json!(3)));
    assert_eq!(host.get("/ready").await.ok()["queue"]["failed"], 1);
    host.kill_9();
    host.start_again().await;
    let again = host.operator().post("/api/v1/admin/queue/retry", &json!({ "ids": [dead["id"]] })).await.ok();
    assert_eq!(again["affected"], 1);
    let visitor = Visitor::new(host.client(), "session_1");
    assert_eq!(visitor.hears(2).await[1].text, "re: one");
    agent.assert_one_key_per_message();
    assert!(agent.calls().iter().any(|call| dead["id"] == call.key), "the id is the key");
}

#[tokio::test(flavor = "multi_thread")]
async fn turn_in_doubt_is_given_up_where_asking_twice_does_harm() {
    let agent = Agent::start(Manner::default()).await;
    let mut host = Host::start(&agent.plugin("on_uncertain = \"fail\"")).await;
    agent.change(|manner| manner.plan.extend([Some(Fault::Fails), Some(Fault::CutAfter), Some(Fault::HangsAfter)]));
    let visitor = Visitor::new(host.client(), "session_1");
    visitor.say("cut").await;
    until("it was asked again, because nothing was done the first time", || (agent.calls().len() == 2).then_some(()))
        .await;
    visitor.say("killed").await;
    until("the next one is asked", || (agent.calls().len() == 3).then_some(())).await;
    host.kill_9();
    host.start_again().await;
    let failed = async || Some(jobs(&host, "?state=failed").await).filter(|jobs| jobs.len() == 2);
    for job in until_async("both are given up", PATIENCE, failed).await {
        assert!(job["last_error"].as_str().is_some_and(|error| error.contains("on_uncertain")), "{job:#}");
    }
    assert_eq!(agent.calls().len(), 3);
}
