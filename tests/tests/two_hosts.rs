//! A host as the bridge of another one: the second polls the first's own bridge API, as it would poll any web chat.

use arcuate_tests::agent::{Agent, Manner};
use arcuate_tests::host::{Host, Setup};
use arcuate_tests::visitor::Visitor;
use std::time::Duration;

const FIRST: &str = r#"
[bridge]
api_key = "poller"
admin_key = "operator"
[[routes]]
from = "bridge"
to = "inbox"
"#;

fn second(first: &Host, agent: &Agent) -> String {
    format!(
        "[plugins.shop]\nlibrary = \"web_chat\"\nenabled = true\n[plugins.shop.settings]\napi_url = \"{}\"\n\
         api_key = \"poller\"\nadmin_key = \"operator\"\npoll_interval = 0.05\nactive_poll_interval = 0.05\n\
         retry_delay = 0.05\n{}[[routes]]\nfrom = \"shop\"\nto = \"assistant\"\n",
        first.url("/"),
        agent.plugin("")
    )
}

fn text(session: &str, number: usize) -> String {
    format!("{session}/{number}: it's <b>\"5 & 6\"</b> &amp; 👋\n{}", "ж".repeat(number * 500))
}

#[tokio::test(flavor = "multi_thread")]
async fn visitors_of_one_host_are_answered_by_the_agent_of_another_through_kills_of_both() {
    let takes = Duration::from_millis(20);
    let agent = Agent::start(Manner { takes, ..Manner::default() }).await;
    let mut first = Setup::new(FIRST).steady_port().start().await;
    let mut second = Host::start(&second(&first, &agent)).await;
    let visitors: Vec<Visitor> =
        (0..8).map(|number| Visitor::new(first.client(), &format!("session_{number}"))).collect();

    for number in 0..6 {
        for visitor in &visitors {
            visitor.say(&text(&visitor.session, number)).await;
        }
        match number {
            1 => {
                second.kill_9();
                second.start_again().await;
            }
            3 => {
                first.kill_9();
                first.start_again().await;
            }
            _ => {}
        }
    }
    for visitor in &visitors {
        let heard = visitor.hears(6).await;
        let wanted: Vec<String> = (0..6).map(|number| format!("re: {}", text(&visitor.session, number))).collect();
        assert_eq!(heard.iter().map(|answer| answer.text.clone()).collect::<Vec<_>>(), wanted);
        assert!(heard.iter().all(|answer| answer.asked.is_some()) && heard.is_sorted_by_key(|answer| answer.asked));
    }
    agent.assert_one_key_per_message();
    let left = first.operator().get("/api/v1/admin/queue?state=pending&plugin=inbox").await.ok();
    assert_eq!(left["jobs"].as_array().map(Vec::len), Some(0), "the first host's inbox is empty");
}
