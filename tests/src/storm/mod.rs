//! The host is killed again and again while bridges and agents fail, hang and refuse, and operators interfere; afterwards everything must
//! be as if nothing had happened. Whatever anybody was told is stored is written down, and compared in the end.

mod ledger;
mod operators;
mod people;
mod size;

use crate::agent::{Agent, Fault, Manner};
use crate::chance::draw;
use crate::host::{Host, Setup};
use crate::php::PhpBridge;
use crate::receiver::{Post, Receiver};
use crate::visitor::Visitor;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use ledger::Ledger;
use operators::Operators;
use people::{Talking, Weather};
use serde_json::{Value, json};
use size::Size;
use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// Visitors of the first PHP bridge, of the second, and of the host's own.
const VISITORS: [usize; 3] = [10, 4, 4];
/// Turns go wrong in every way, or they hang.
const HANGING: [Fault; 2] = [Fault::Hangs, Fault::HangsAfter];

const CONFIG: &str = r#"
[queue]
max_attempts = 1000
[[routes]]
from = "second_chat"
to = "helper"
[[routes]]
from = "*"
to = "assistant"
[plugins.webhook.settings]
timeout = 2
schedule = [0.02, 0.05, 0.1, 0.2, 0.2, 0.2, 0.2, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 1, 1, 1, 1, 1, 1, 1, 1, 1]
"#;

/// When a storm is over.
#[derive(Debug, Clone, Copy)]
pub enum Until {
    Kills(u64),
    Passed(Duration),
}

/// What is to happen.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub seed: u64,
    pub until: Until,
    /// Milliseconds from a start to the next kill, at most; None: it is never killed, and its memory is watched.
    pub peace: Option<u64>,
    /// Whether operators interfere.
    pub operators: bool,
}

impl Plan {
    /// One kill after the other, and nobody interferes.
    pub fn kills(seed: u64, until: Until) -> Self {
        Self { seed, until, peace: Some(1500), operators: false }
    }

    /// A kill every few seconds, and operators at work in between.
    pub fn storm(seed: u64, until: Until) -> Self {
        Self { seed, until, peace: Some(5000), operators: true }
    }

    fn is_over(&self, kills: u64, begun: Instant) -> bool {
        match self.until {
            Until::Kills(most) => kills >= most,
            Until::Passed(time) => begun.elapsed() >= time,
        }
    }

    /// The same load on a host that nobody touches, for as long as one likes.
    pub fn soak(seed: u64, until: Until) -> Self {
        Self { seed, until, peace: None, operators: false }
    }
}

/// What has happened, when nothing of it was wrong.
#[derive(Debug)]
pub struct Report {
    plan: Plan,
    kills: u64,
    lasted: Duration,
    /// Messages that were acknowledged, by where.
    acknowledged: BTreeMap<&'static str, usize>,
    /// Calls of the agents and requests to the bridges that went wrong on purpose.
    faults: u64,
    events_delivered: usize,
    /// What operators did, by the deed's name; of those that the host took.
    deeds: BTreeMap<&'static str, usize>,
    /// Of a host that was never killed.
    size: Option<Size>,
}

/// Everything around the host.
struct Stage {
    bridges: [PhpBridge; 2],
    agents: [Agent; 2],
    receiver: Receiver,
    host: Host,
    room: String,
}

/// Everybody who says or does something.
struct Crowd {
    web: Vec<Talking>,
    native: Vec<Talking>,
    posts: JoinHandle<Vec<people::Words>>,
    reader: JoinHandle<Vec<(i64, String)>>,
    operators: Option<JoinHandle<BTreeMap<&'static str, usize>>>,
}

/// Panics with what was lost, said twice or left over. None where there is no PHP, which is then told under the test's name.
pub async fn run(test: &str, plan: Plan) -> Option<Report> {
    eprintln!("{test}: {plan:?}");
    let mut stage = Stage::set(test, &plan).await?;
    let begun = Instant::now();
    let (over, is_over) = watch::channel(false);
    let weather = Weather { seed: plan.seed, is_over };
    let crowd = stage.people(&weather, plan.operators);
    let (kills, size) = match plan.peace {
        Some(peace) => (stage.rage(&plan, peace, &weather, begun).await, None),
        None => (0, Some(size::watch(&stage.host, || plan.is_over(0, begun)).await)),
    };
    let faults = stage.calm_down();
    over.send_replace(true);
    let lasted = begun.elapsed();
    let (acknowledged, deeds) = (BTreeMap::new(), BTreeMap::new());
    let mut report = Report { plan, kills, lasted, acknowledged, faults, events_delivered: 0, deeds, size };
    stage.take_stock(crowd, &mut report).await;
    Some(report)
}

impl Stage {
    async fn set(test: &str, plan: &Plan) -> Option<Self> {
        let seed = plan.seed;
        let bridges = [PhpBridge::start_faulty(test).await?, PhpBridge::start_faulty(test).await?];
        let takes = Duration::from_millis(50);
        let failing = Agent::start(Manner { takes, seed, faults: 0.15, ..Manner::default() }).await;
        let hanging = Manner { takes, seed, faults: 0.25, kinds: &HANGING, ..Manner::default() };
        let agents = [failing, Agent::start(hanging).await];
        let luck = move |post: &Post, before: usize| {
            let fails = draw(seed, &format!("{} {before}", post.header("webhook-id"))).is_multiple_of(4);
            if fails { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::OK }.into_response()
        };
        let receiver = Receiver::answering(luck).await;
        let plugins = [
            bridges[0].instance("web_chat", "timeout = 1"),
            bridges[1].instance("second_chat", "timeout = 1\nplatform_name = \"second_chat\""),
            agents[0].instance("assistant", "timeout = 2"),
            agents[1].instance("helper", "timeout = 1"),
        ];
        let host = Setup::new(&format!("{CONFIG}{}", plugins.concat())).steady_port().start().await;
        let room = hooked_room(&host, &receiver).await;
        for bridge in &bridges {
            bridge.misbehave(&json!({ "seed": seed, "rate": 0.15, "hang_seconds": 1.5, "retry_after": 1 }));
        }
        Some(Self { bridges, agents, receiver, host, room })
    }

    fn people(&self, weather: &Weather, operators: bool) -> Crowd {
        let sessions = |chat: usize| (0..VISITORS[chat]).map(move |index| format!("chat_{chat}_{index}"));
        let at = |chat: usize| sessions(chat).map(move |session| self.bridges[chat].visitor(&session));
        let native = sessions(2).map(|session| Visitor::new(self.host.client(), &session));
        Crowd {
            web: at(0).chain(at(1)).map(|visitor| people::talk(weather, visitor)).collect(),
            native: native.map(|visitor| people::talk(weather, visitor)).collect(),
            posts: tokio::spawn(people::post(weather.clone(), self.host.client().clone(), self.room.clone())),
            reader: tokio::spawn(people::read(self.host.client().clone(), self.room.clone())),
            operators: operators
                .then(|| tokio::spawn(Operators::new(self.host.operator(), weather.clone()).interfere())),
        }
    }

    /// Kills until it is time; answers how often.
    async fn rage(&mut self, plan: &Plan, peace: u64, weather: &Weather, begun: Instant) -> u64 {
        let mut kills = 0;
        while !plan.is_over(kills, begun) {
            // Some in the middle of the work, the others at any moment, also while it starts.
            if kills % 2 == 0 {
                self.host.until_listening().await;
            }
            sleep(weather.moment(&format!("kill {kills}"), peace)).await;
            self.host.kill_9();
            self.host.assert_config_is_whole();
            self.host.spawn_again();
            kills += 1;
        }
        self.host.until_listening().await;
        kills
    }

    /// From now on nothing goes wrong any more; answers how often it did.
    fn calm_down(&self) -> u64 {
        let at_bridges: u64 = self.bridges.iter().map(|bridge| faults(&bridge.counts())).sum();
        self.bridges.iter().for_each(PhpBridge::behave);
        self.agents.iter().for_each(Agent::behave);
        let calls = |agent: &Agent| agent.calls().iter().filter(|call| call.fault.is_some()).count() as u64;
        let at_agents: u64 = self.agents.iter().map(calls).sum();
        assert!(
            at_bridges > 0 && at_agents > 0,
            "it was no storm: {at_bridges} faults of bridges, {at_agents} of agents"
        );
        at_bridges + at_agents
    }

    async fn take_stock(self, crowd: Crowd, report: &mut Report) {
        if let Some(operators) = crowd.operators {
            report.deeds = operators.await.expect("the operators");
            Operators::enable_everything(&self.host).await;
        }
        let mut ledger = Ledger::default();
        let patience = Duration::from_secs(120) + report.lasted / 2;
        for talking in crowd.web {
            let words = talking.words.await.expect("a visitor of a PHP bridge");
            *report.acknowledged.entry("PHP bridges").or_default() +=
                words.iter().filter(|words| words.id.is_some()).count();
            let heard = ledger::hears_all(&talking.visitor, &words, patience).await;
            ledger::assert_each_answered_once(&talking.visitor, &words, &heard);
        }
        for talking in crowd.native {
            let words = talking.words.await.expect("a visitor of the host's bridge");
            *report.acknowledged.entry("native bridge").or_default() += ledger.note(&words);
            let heard = ledger::hears_all(&talking.visitor, &words, patience).await;
            ledger::assert_each_answered_once(&talking.visitor, &words, &heard);
        }
        let posted = crowd.posts.await.expect("somebody who posts");
        report.acknowledged.insert("chat API", ledger.note(&posted));
        ledger::assert_nothing_waits(&self.host, patience).await;
        self.agents.iter().for_each(Agent::assert_one_key_per_message);
        let seen = crowd.reader.await.expect("a reader of the room");
        ledger.assert_log_is_whole(&self.host, &self.room, &seen, VISITORS.iter().sum()).await;
        report.events_delivered = ledger.assert_events_delivered(&self.receiver.posts(), &seen);
        assert!(!self.host.log().contains("panicked"), "a panic is in the log");
    }
}

/// A room whose events are posted to the receiver.
async fn hooked_room(host: &Host, receiver: &Receiver) -> String {
    let made = host.post("/api/v1/rooms", &json!({ "name": "storm" })).await.ok();
    let text = |field: &str| made[field].as_str().expect("a text").to_owned();
    let path = format!("/api/v1/rooms/{}/webhooks", text("id"));
    host.post(&path, &json!({ "url": receiver.url() })).token(&text("admin_key")).await.ok();
    text("id")
}

fn faults(counts: &Value) -> u64 {
    let actions = counts["faults"].as_object().into_iter().flatten();
    actions.flat_map(|(_, kinds)| kinds.as_object().into_iter().flatten()).filter_map(|(_, count)| count.as_u64()).sum()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count: usize = self.acknowledged.values().sum();
        write!(
            f,
            "{} kills in {} s (seed {}): {count} messages acknowledged {:?}, {} events delivered, {} faults, deeds of operators {:?}: \
             0 lost, 0 answered twice, 0 jobs stuck, 0 numbers given twice",
            self.kills,
            self.lasted.as_secs(),
            self.plan.seed,
            self.acknowledged,
            self.events_delivered,
            self.faults,
            self.deeds,
        )?;
        self.size.as_ref().map_or(Ok(()), |size| write!(f, "; {size}"))
    }
}
