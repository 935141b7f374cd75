//! A plugin that goes wrong in the way it is told to, by its settings or by a job, so that tests can see what the host does about it.

use plugin_api::{
    Batch, Error, Host, Job, Outcome, Plugin, Request, Response, Result, Work, async_trait, export_plugin,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;
use std::future::pending;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// More calls than a host should let one plugin have under way.
const MANY_CALLS: usize = 2_000;
/// More lines than anybody reads.
const MANY_LINES: usize = 20_000;

/// What goes wrong. In settings it holds for the instance, in a job for that job.
#[derive(Debug, Default, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Way {
    /// Nothing.
    #[default]
    Well,
    NewPanics,
    NewFails,
    NewBlocks,
    NewAborts,
    /// Takes `delay_ms`.
    NewIsSlow,
    StartFails,
    StartPanics,
    StartNeverEnds,
    StartBlocks,
    HandlePanics,
    HandleNeverEnds,
    HandleBlocks,
    /// Blocks for `delay_ms` and then answers all the same.
    HandleIsLate,
    TaskPanics,
    TaskFails,
    BareTaskPanics,
    StopNeverEnds,
    StopBlocks,
    FloodsLogs,
    FloodsCalls,
    Degraded,
    Healthy,
    Pauses,
    Aborts,
    Exits,
    /// Nothing goes wrong: asks the host to keep a value and to give it back.
    Asks,
    /// Nothing goes wrong: answers how many instances of this name are there.
    Counts,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    way: Way,
    /// Goes wrong only in so many first runs of an instance; 0: in all.
    times: u32,
    #[schemars(range(max = 60_000))]
    delay_ms: u64,
    #[schemars(url)]
    url: Option<String>,
}

struct Misbehaving {
    settings: Settings,
    host: Host,
    /// Which run of this instance in this process it is, from 1.
    run: u32,
}

/// What this library remembers of an instance from one restart to the next.
#[derive(Default)]
struct Memory {
    runs: u32,
    living: u32,
}

static MEMORY: Mutex<BTreeMap<String, Memory>> = Mutex::new(BTreeMap::new());

fn remember<T>(instance: &str, with: impl FnOnce(&mut Memory) -> T) -> T {
    with(MEMORY.lock().unwrap_or_else(PoisonError::into_inner).entry(instance.into()).or_default())
}

fn block() -> ! {
    loop {
        std::thread::park();
    }
}

async fn fall_over() -> Result<()> {
    panic!("the poller fell over")
}

/// Tells the host when it is dropped.
struct Watched(Host);

impl Drop for Watched {
    fn drop(&mut self) {
        self.0.healthy("a job was dropped");
    }
}

impl Drop for Misbehaving {
    fn drop(&mut self) {
        remember(self.host.instance(), |memory| memory.living -= 1);
    }
}

impl Misbehaving {
    fn is(&self, way: Way) -> bool {
        self.settings.way == way && (self.settings.times == 0 || self.run <= self.settings.times)
    }

    async fn act(&self, way: Way) -> Outcome {
        match way {
            Way::HandlePanics => panic!("this job is too much"),
            Way::HandleNeverEnds => {
                let _watched = Watched(self.host.clone());
                pending().await
            }
            Way::HandleBlocks => block(),
            Way::HandleIsLate => std::thread::sleep(Duration::from_millis(self.settings.delay_ms)),
            Way::TaskPanics => self.host.spawn("poll", fall_over()),
            Way::TaskFails => self.host.spawn("poll", async { Err(Error::new("the poller gave up")) }),
            Way::BareTaskPanics => drop(tokio::spawn(fall_over())),
            Way::FloodsLogs => (0..MANY_LINES).for_each(|line| tracing::info!(line, "la la la")),
            Way::FloodsCalls => return self.flood().await,
            Way::Degraded => self.host.degraded("the other side is away"),
            Way::Healthy => self.host.healthy("the other side is back"),
            Way::Pauses => self.host.pause(Duration::from_secs(7), "the other side asked for rest"),
            Way::Aborts => std::process::abort(),
            Way::Exits => std::process::exit(3),
            Way::Asks => return self.ask().await,
            Way::Counts => return Outcome::reply(remember(self.host.instance(), |memory| memory.living).to_string()),
            _ => {}
        }
        Outcome::reply(format!("run {}", self.run))
    }

    async fn ask(&self) -> Outcome {
        let kept = async {
            self.host.put("answer", &42).await?;
            self.host.get::<u32>("answer").await
        };
        match kept.await {
            Ok(value) => Outcome::reply(format!("{value:?}")),
            Err(error) => Outcome::retry(error.to_string()),
        }
    }

    /// Answers how many of many calls at once were refused.
    async fn flood(&self) -> Outcome {
        let calls: Vec<_> = (0..MANY_CALLS)
            .map(|_| {
                let host = self.host.clone();
                tokio::spawn(async move { host.ingest(Batch::default()).await.is_err() })
            })
            .collect();
        let mut refused = 0;
        for call in calls {
            refused += usize::from(call.await.unwrap_or(true));
        }
        Outcome::reply(refused.to_string())
    }
}

#[async_trait]
impl Plugin for Misbehaving {
    type Settings = Settings;

    fn new(settings: Settings, host: Host) -> Result<Self> {
        let run = remember(host.instance(), |memory| {
            memory.runs += 1;
            memory.living += 1;
            memory.runs
        });
        let this = Self { settings, host, run };
        if this.is(Way::NewIsSlow) {
            std::thread::sleep(Duration::from_millis(this.settings.delay_ms));
        }
        if this.is(Way::NewPanics) {
            panic!("the constructor fell over");
        }
        if this.is(Way::NewFails) {
            return Err(Error::new("`way` does not please this constructor"));
        }
        if this.is(Way::NewBlocks) {
            block();
        }
        if this.is(Way::NewAborts) {
            std::process::abort();
        }
        Ok(this)
    }

    async fn start(&self) -> Result<()> {
        match self.settings.way {
            Way::StartPanics if self.is(Way::StartPanics) => panic!("the start fell over"),
            Way::StartFails if self.is(Way::StartFails) => Err(Error::new("the other side refused the key")),
            Way::StartNeverEnds if self.is(Way::StartNeverEnds) => pending().await,
            Way::StartBlocks if self.is(Way::StartBlocks) => {
                self.host.healthy("about to block");
                block()
            }
            Way::Degraded | Way::Pauses => {
                self.act(self.settings.way).await;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    async fn handle(&self, job: Job) -> Outcome {
        match job.work {
            Work::Task { payload } => match serde_json::from_value(payload) {
                Ok(way) => self.act(way).await,
                Err(error) => Outcome::discard(error.to_string()),
            },
            _ => Outcome::discard("tasks only"),
        }
    }

    async fn http(&self, request: Request) -> Response {
        match request.path.as_str() {
            "/aborts" => drop(self.act(Way::Aborts).await),
            "/exits" => drop(self.act(Way::Exits).await),
            _ => {}
        }
        Response::json(200, &json!({ "path": request.path, "body": request.body.len() }))
    }

    async fn stop(&self) {
        if self.is(Way::StopNeverEnds) {
            pending::<()>().await;
        }
        if self.is(Way::StopBlocks) {
            block();
        }
    }
}

export_plugin!(Misbehaving, manifest = "examples/misbehaving.json");
