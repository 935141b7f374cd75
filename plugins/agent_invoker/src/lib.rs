//! The agent at the other end of a conversation. Each turn becomes one question: the message in the operator's prompt format, with some of
//! the conversation before it. The backend of the settings answers: `echo` itself, `http`, `openai` and `letta` over the network, `command`
//! as a local program.
//!
//! Asked is at least once: every attempt of a turn carries the same `Idempotency-Key`, and `on_uncertain` decides what happens when nobody
//! can tell whether the agent did its work. `failure.rs` holds the whole of that rule.

mod answer;
mod breaker;
mod client;
mod command;
mod conversation;
mod dialect;
mod echo;
mod failure;
mod health;
mod letta;
mod prompt;
mod refusal;
mod remote;
mod rules;
mod settings;
mod signature;
mod sse;
mod stream;
#[cfg(test)]
mod tests;
mod wire;

use breaker::Breaker;
use command::Program;
use conversation::{Line, Question};
use echo::Echo;
use failure::Failure;
use health::Health;
use letta::Letta;
use plugin_api::{Host, Job, Limits, Mode, Outcome, Plugin, Result, Turn, Work, async_trait};
use prompt::PromptFormat;
use remote::Remote;
use settings::{Kind, OnUncertain, Settings};
use std::time::{Duration, Instant};

/// The host's deadline lies this far behind the plugin's own, so that the operator reads which setting ended the turn.
const MARGIN: Duration = Duration::from_secs(5);

/// One instance: one agent.
struct AgentInvoker {
    host: Host,
    prompt: PromptFormat,
    backend: Backend,
    history: u32,
    on_uncertain: OnUncertain,
    limits: Limits,
    health: Health,
}

enum Backend {
    Echo(Echo),
    Remote(Box<Remote>),
    Letta(Box<Letta>),
    Command(Program),
}

#[async_trait]
impl Plugin for AgentInvoker {
    type Settings = Settings;

    fn new(settings: Settings, host: Host) -> Result<Self> {
        settings.check()?;
        let backend = match settings.backend {
            Kind::Echo => Backend::Echo(Echo::new(&settings)),
            Kind::Http | Kind::Openai => Backend::Remote(Box::new(Remote::new(&settings, host.clone())?)),
            Kind::Letta => Backend::Letta(Box::new(Letta::new(&settings, host.clone())?)),
            Kind::Command => Backend::Command(Program::new(&settings)?),
        };
        let longest = match settings.backend {
            Kind::Letta => Letta::longest_turn(settings.timeout()?),
            _ => settings.timeout()?,
        };
        let job_timeout = longest + MARGIN;
        Ok(Self {
            prompt: PromptFormat::parse(&settings.prompt_format)?,
            backend,
            history: settings.history,
            on_uncertain: settings.on_uncertain,
            limits: Limits {
                concurrency: settings.concurrency,
                job_timeout_ms: job_timeout.as_millis().try_into().unwrap_or(u64::MAX),
                ..Limits::default()
            },
            health: Health::new(host.clone(), Breaker::new(settings.breaker_failures, settings.breaker_rest()?)),
            host,
        })
    }

    fn limits(&self) -> Limits {
        self.limits.clone()
    }

    async fn handle(&self, job: Job) -> Outcome {
        let Work::AgentTurn(turn) = &job.work else {
            return Outcome::discard("this plugin is an agent: it takes turns only");
        };
        let prompt = self.prompt.of_turn(turn);
        match &self.backend {
            _ if turn.mode == Mode::Echo => Outcome::reply(prompt),
            Backend::Echo(echo) => echo.answer(prompt).await,
            Backend::Remote(_) | Backend::Letta(_) | Backend::Command(_) => self.turn(&job, turn, &prompt).await,
        }
    }

    async fn stop(&self) {
        if let Backend::Letta(letta) = &self.backend {
            letta.stop().await;
        }
    }
}

impl AgentInvoker {
    /// A turn, from the question to the outcome.
    async fn turn(&self, job: &Job, turn: &Turn, prompt: &str) -> Outcome {
        let leave = match self.health.admit() {
            Ok(leave) => leave,
            Err(busy) => return busy.outcome(self.on_uncertain),
        };
        let begun = Instant::now();
        let answered = self.ask(job, turn, prompt).await;
        drop(leave);
        let milliseconds = begun.elapsed().as_millis() as u64;
        match answered {
            Ok(text) => {
                self.health.went_well();
                let bytes = text.len();
                tracing::debug!(job.id, turn.milliseconds = milliseconds, answer.bytes = bytes, "turn answered");
                Outcome::reply(text)
            }
            Err(failure @ Failure::Busy { .. }) => failure.outcome(self.on_uncertain),
            Err(failure) => {
                let (kind, status) = (failure.kind(), failure.status());
                tracing::warn!(
                    job.id,
                    job.attempt,
                    turn.milliseconds = milliseconds,
                    failure.kind = kind,
                    http.status = status,
                    "turn failed"
                );
                failure.outcome(self.on_uncertain)
            }
        }
    }

    async fn ask(&self, job: &Job, turn: &Turn, prompt: &str) -> Result<String, Failure> {
        if let Backend::Letta(letta) = &self.backend
            && job.uncertain
            && let Some(text) = self.told(letta.earlier(job, turn).await)?
        {
            return Ok(text);
        }
        // The first attempt after an operator's retry is the operator's word that the agent may be asked again.
        let doubtful = job.uncertain && (job.attempt > 1 || job.rescues > 0);
        if doubtful && self.on_uncertain == OnUncertain::Fail {
            return Err(Failure::uncertain("an earlier attempt ended without an outcome"));
        }
        let history = self.history(turn).await.map_err(|error| Failure::Refused {
            why: format!("the history could not be read: {error}"),
            status: None,
            after: None,
        });
        let question = Question { job_id: &job.id, turn, prompt, history: &history? };
        self.told(match &self.backend {
            Backend::Echo(_) => Ok(prompt.into()),
            Backend::Remote(remote) => remote.ask(job, &question).await,
            Backend::Letta(letta) => letta.ask(job, &question).await,
            Backend::Command(program) => program.ask(&question).await,
        })
    }

    /// What the agent itself has made of it is its health.
    fn told<T>(&self, answered: Result<T, Failure>) -> Result<T, Failure> {
        answered.inspect_err(|failure| self.health.failed(failure))
    }

    /// The conversation before the turn's cause.
    async fn history(&self, turn: &Turn) -> Result<Vec<Line>> {
        let remembers = matches!(self.backend, Backend::Letta(_));
        if self.history == 0 || remembers {
            return Ok(Vec::new());
        }
        let messages = self.host.history(&turn.room_id, turn.message.seq, self.history).await?;
        Ok(conversation::lines(&messages, turn, &self.prompt))
    }
}

plugin_api::export_plugin!(AgentInvoker);
