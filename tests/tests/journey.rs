//! The whole way: visitors write at a PHP bridge, the host polls it, an agent behind HTTP answers, and the answers come back at the bridge.

use arcuate_tests::agent::{Agent, Manner};
use arcuate_tests::host::Host;
use arcuate_tests::php::PhpBridge;
use arcuate_tests::visitor::Visitor;
use arcuate_tests::wait::PATIENCE;
use std::collections::BTreeMap;
use std::time::Duration;

const VISITORS: usize = 50;
const MESSAGES: usize = 10;
const ROUTE: &str = "[[routes]]\nfrom = \"web_chat\"\nto = \"assistant\"\n";

/// What a visitor says at their n-th turn: something that has come to grief in other chats, and unique.
fn text(visitor: usize, number: usize) -> String {
    let name = format!("v{visitor}/{number}");
    match number {
        0 => format!("{name} Is it <b>\"5 & 6\"</b> or '7'? &amp; &lt;i&gt; &#039; &amp;amp;"),
        1 => format!("{name} 👋🏽 👩‍👩‍👧‍👦 🇺🇳 e\u{301} ﷽"),
        2 => name.clone() + &"x".repeat(10_000 - name.len()),
        3 => format!("{name} مرحبا بالعالم \u{202b}שלום\u{202c} abc"),
        4 => format!("  {name}\n\n\tan indented line\r\nand the last one  \n"),
        5 => format!("{name} {{text}} {{username}} %s $1 \\n \\u0041 <!-- --> ' or 1=1; --"),
        6 => format!("{name} {}", "字\u{3000}".repeat(1000)),
        7 => format!("{name} [DONE] data: {{\"delta\":\"no\"}}"),
        _ => format!("{name} and so on"),
    }
}

/// The long one comes back as it is, because with another word it would be two.
fn reply(message: &str) -> String {
    if message.len() >= 10_000 { message.into() } else { format!("<{message}> & \"so\" it's") }
}

/// Half of them wait for each answer, the others say all at once.
async fn converse(visitor: Visitor, index: usize) {
    let mut asked = Vec::new();
    for number in 0..MESSAGES {
        asked.push(visitor.say(&text(index, number)).await.id);
        if index.is_multiple_of(2) {
            visitor.hears(number + 1).await;
        }
    }
    let heard = visitor.hears_within(MESSAGES, 2 * PATIENCE).await;
    let answered: Vec<_> = heard.iter().map(|answer| answer.asked).collect();
    let in_order: Vec<_> = asked.into_iter().map(Some).collect();
    assert_eq!(answered, in_order, "each message of {} is answered once, in order", visitor.session);
    for (number, answer) in heard.iter().enumerate() {
        assert_eq!(answer.text, reply(&text(index, number)), "{} heard as it was written", visitor.session);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_visitors_are_answered_each_message_once_in_order_and_side_by_side() {
    let Some(bridge) = PhpBridge::start("the journey over the PHP bridge").await else { return };
    let agent = Agent::start(Manner { takes: Duration::from_millis(50), reply, ..Manner::default() }).await;
    let host = Host::start(&format!("{}{}{ROUTE}", bridge.plugin(""), agent.plugin(""))).await;

    let visitors = (0..VISITORS).map(|index| {
        let visitor = bridge.visitor(&format!("session_{index}"));
        tokio::spawn(converse(visitor, index))
    });
    for conversation in visitors.collect::<Vec<_>>() {
        conversation.await.expect("the conversation goes well");
    }

    let mut at_the_agent: BTreeMap<String, usize> = BTreeMap::new();
    agent.calls().into_iter().for_each(|call| *at_the_agent.entry(call.message).or_default() += 1);
    let written = (0..VISITORS).flat_map(|index| (0..MESSAGES).map(move |number| (text(index, number), 1)));
    assert!(at_the_agent == written.collect(), "the agent read each message once, as it was written");
    assert_eq!(agent.most_of_one_conversation(), 1, "a conversation has one turn at a time");
    assert!(agent.most_at_once() > 10, "visitors are answered side by side; at most {} were", agent.most_at_once());

    let queue = host.get("/ready").await.ok()["queue"].clone();
    assert_eq!((&queue["pending"], &queue["processing"], &queue["failed"]), (&0.into(), &0.into(), &0.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn long_answer_arrives_in_parts_that_make_the_whole() {
    let Some(bridge) = PhpBridge::start("a long answer over the PHP bridge").await else { return };
    let reply = |_: &str| (0..5_000).map(|number| format!("{number}&")).collect::<String>();
    let agent = Agent::start(Manner { reply, ..Manner::default() }).await;
    let _host = Host::start(&format!("{}{}{ROUTE}", bridge.plugin(""), agent.plugin(""))).await;

    let visitor = bridge.visitor("session_1");
    let asked = visitor.say("Count!").await;
    let parts = visitor.hears(5).await;
    assert_eq!(parts.iter().map(|part| part.text.as_str()).collect::<String>(), reply(""));
    assert!(parts.iter().all(|part| part.asked == Some(asked.id)), "{parts:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_a_lost_poll_are_found_again() {
    let Some(bridge) = PhpBridge::start("a lost poll of the PHP bridge").await else { return };
    let agent = Agent::start(Manner::default()).await;
    let visitor = bridge.visitor("session_1");
    visitor.say("one").await;
    visitor.say("two").await;
    assert_eq!(bridge.lose_the_inbox().await, 2);
    visitor.say("three").await;

    let _host = Host::start(&format!("{}{}{ROUTE}", bridge.plugin(""), agent.plugin(""))).await;
    let heard = visitor.hears(3).await;
    assert_eq!(
        heard.iter().map(|answer| answer.text.as_str()).collect::<Vec<_>>(),
        ["re: one", "re: two", "re: three"]
    );
}
