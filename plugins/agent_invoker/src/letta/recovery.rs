//! Finds an answer that got lost on its way: the question stands among what was said under its `otid`, and the agent's words behind it.

use super::reader::{answer, kind};
use super::server::{Server, Thread};
use crate::answer::Answer;
use crate::failure::Failure;
use serde_json::Value;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How often a question is looked for that was just asked: servers write it down a moment after they took it.
pub(crate) const LOOKS: u32 = 3;
/// Pages of what was said, newest first. Further back nobody looks.
const PAGES: usize = 3;
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// What became of a question.
#[derive(Debug, PartialEq)]
enum Trace {
    Absent,
    /// The agent is at it, or has given up; so many messages came of it.
    Unanswered(usize),
    Answered(String),
}

/// The answer, waiting for it while the agent is at work, until `until`, or until nothing new comes for as long as the agent may be silent.
/// A question that is not there is looked for `looks` times. None: there is no answer.
pub(crate) async fn look_until(
    server: &Server,
    thread: &Thread,
    otid: &str,
    until: Instant,
    looks: u32,
) -> Result<Option<String>, Failure> {
    let (mut absent, mut wait) = (0, Duration::from_millis(500));
    let (mut last, mut changed) = (Trace::Absent, Instant::now());
    loop {
        let trace = look(server, thread, otid).await?;
        if let Trace::Answered(text) = trace {
            // A longer one is cut as if it had come by itself.
            return Ok(Answer::of(&text).into_text());
        }
        if trace == Trace::Absent {
            absent += 1;
        }
        if trace != last {
            (last, changed) = (trace, Instant::now());
        }
        let now = Instant::now();
        let given_up = last != Trace::Absent && now >= changed + server.silence;
        if absent >= looks || given_up || now + wait >= until {
            return Ok(None);
        }
        sleep(wait).await;
        wait = (2 * wait).min(LONGEST_WAIT);
    }
}

async fn look(server: &Server, thread: &Thread, otid: &str) -> Result<Trace, Failure> {
    let mut messages: Vec<Value> = Vec::new();
    for _ in 0..PAGES {
        let oldest = messages.last().and_then(|message| message["id"].as_str()).map(str::to_owned);
        let page = server.said(thread, oldest.as_deref(), otid).await?;
        let is_last = page.is_empty() || page.iter().any(|message| message["otid"] == otid);
        messages.extend(page);
        if is_last {
            break;
        }
    }
    Ok(trace(newest_first(messages), otid))
}

/// Some servers do not know the order that was asked for.
fn newest_first(mut messages: Vec<Value>) -> Vec<Value> {
    let date = |message: Option<&Value>| message.and_then(|message| message["date"].as_str()).map(str::to_owned);
    if let (Some(first), Some(last)) = (date(messages.first()), date(messages.last()))
        && first < last
    {
        messages.reverse();
    }
    messages
}

/// The agent is done when its words come last: while it works, a thought or a tool's call follows them. (Older agents speak by a tool
/// themselves, so that a tool's result may follow.)
fn trace(newest_first: Vec<Value>, otid: &str) -> Trace {
    let Some(at) = newest_first.iter().rposition(|message| message["otid"] == otid) else { return Trace::Absent };
    let run = &newest_first[at]["run_id"];
    let behind = newest_first[..=at].iter().rev().enumerate();
    let of_this_turn: Vec<&Value> = match run.is_null() {
        true => {
            behind.take_while(|(index, message)| *index == 0 || kind(message) != "user_message").map(second).collect()
        }
        false => behind.filter(|(_, message)| message["run_id"] == *run).map(second).collect(),
    };
    let spoke = of_this_turn.iter().rposition(|message| kind(message) == "assistant_message");
    let is_done = spoke.is_some_and(|at| {
        let works = ["tool_call_message", "reasoning_message", "hidden_reasoning_message", "approval_request_message"];
        of_this_turn[at..].iter().all(|message| !works.contains(&kind(message)))
    });
    match is_done {
        true => Trace::Answered(answer(of_this_turn.into_iter())),
        false => Trace::Unanswered(of_this_turn.len()),
    }
}

fn second((_, message): (usize, &Value)) -> &Value {
    message
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Oldest first, for people to read; with a run per question where `runs`.
    fn traced(said: &[(&str, &str)]) -> Trace {
        let mut messages: Vec<Value> = said
            .iter()
            .map(|(kind, text)| {
                let otid = if *kind == "user_message" { *text } else { "its own" };
                json!({"message_type": kind, "content": text, "otid": otid})
            })
            .collect();
        messages.reverse();
        trace(messages, "1")
    }

    #[test]
    fn answer_is_what_was_said_between_the_question_and_the_next() {
        let said = [
            ("assistant_message", "before"),
            ("user_message", "1"),
            ("reasoning_message", "hm"),
            ("assistant_message", "Let me look."),
            ("tool_call_message", ""),
            ("tool_return_message", ""),
            ("assistant_message", "It is open."),
            ("user_message", "2"),
            ("assistant_message", "after"),
        ];
        assert_eq!(traced(&said), Trace::Answered("Let me look.\n\nIt is open.".into()));
        assert_eq!(traced(&said[..6]), Trace::Unanswered(5), "it is still at it");
        assert_eq!(traced(&said[..2]), Trace::Unanswered(1));
        assert_eq!(traced(&said[..1]), Trace::Absent);
    }

    #[test]
    fn answer_of_an_agent_that_speaks_by_a_tool_is_done() {
        let said = [("user_message", "1"), ("assistant_message", "hi"), ("tool_return_message", "None")];
        assert_eq!(traced(&said), Trace::Answered("hi".into()));
    }

    #[test]
    fn answer_among_others_is_told_by_its_run() {
        let message = |kind: &str, run: &str, otid: &str| json!({"message_type": kind, "content": run, "otid": otid, "run_id": run});
        let messages = vec![
            message("assistant_message", "b", "y"),
            message("assistant_message", "a", "x"),
            message("user_message", "b", "2"),
            message("user_message", "a", "1"),
        ];
        assert_eq!(trace(messages, "1"), Trace::Answered("a".into()));
    }

    #[test]
    fn list_that_comes_in_the_wrong_order_is_turned() {
        let messages = vec![json!({"date": "2026-01-01T00:00:00Z"}), json!({"date": "2026-01-02T00:00:00Z"})];
        assert_eq!(newest_first(messages)[0]["date"], "2026-01-02T00:00:00Z");
    }
}
