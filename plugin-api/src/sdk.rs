//! The plugin's side of the boundary, in safe code: an instance with its own runtime, panics caught at every entry, each call completed
//! exactly once, log lines and panics attributed to the instance whose thread they come from.

use crate::host::{Backend, BoxFuture, answer};
use crate::raw::{self, Buffer, HostRef, Op};
use crate::types::{CreateRequest, LogRecord};
use crate::{Error, Host, Plugin, Result, http, log};
use serde::Serialize;
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::{oneshot, watch};
use tokio::task::AbortHandle;

/// Worker threads of an instance's runtime: two, so that one that blocks does not silence the instance.
const WORKERS: usize = 2;

thread_local! {
    /// Whose thread this is.
    static CURRENT: RefCell<Option<Arc<Shared>>> = const { RefCell::new(None) };
    /// Whether a panic here is caught by the SDK, which then reports it.
    static CAUGHT: Cell<bool> = const { Cell::new(false) };
    /// Text of the last panic on this thread, with its place.
    static PANIC_TEXT: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// For threads that a plugin started by itself: any living instance of the library may speak for them.
static LAST: Mutex<Weak<Shared>> = Mutex::new(Weak::new());

/// What outlives the single call: the host and the threads' count.
pub(crate) struct Shared {
    host: HostRef,
    runtime: Mutex<Option<Handle>>,
    threads: AtomicU32,
}

fn current() -> Option<Arc<Shared>> {
    let own = CURRENT.try_with(|current| current.borrow().clone()).ok().flatten();
    own.or_else(|| LAST.lock().unwrap_or_else(PoisonError::into_inner).upgrade())
}

pub(crate) fn log(level: u32, record: &LogRecord) {
    if let (Some(shared), Ok(bytes)) = (current(), serde_json::to_vec(record)) {
        shared.host.log(level, &bytes);
    }
}

/// Once per library: each has its own std, hence its own panic hook.
fn install_panic_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|info| {
            let place = info.location().map(|at| format!(" at {}:{}", at.file(), at.line())).unwrap_or_default();
            let text = format!("panicked{place}: {}", payload_text(info.payload()));
            if CAUGHT.try_with(Cell::get).unwrap_or(false) {
                let _ = PANIC_TEXT.try_with(|last| *last.borrow_mut() = Some(text));
            } else if let Some(shared) = current() {
                let record = LogRecord { message: format!("a task of its own {text}"), ..LogRecord::default() };
                shared.host.log(1, &serde_json::to_vec(&record).unwrap_or_default());
                shared.host.health(true, &record.message);
            }
        }));
    });
}

fn payload_text(payload: &(dyn Any + Send)) -> &str {
    let owned = payload.downcast_ref::<String>().map(String::as_str);
    owned.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("without a text")
}

/// Runs `body`, catching its panic. The payload is forgotten, because its destructor is the plugin's code too.
fn catch<T>(body: impl FnOnce() -> T) -> Result<T, String> {
    let outer = CAUGHT.replace(true);
    let result = catch_unwind(AssertUnwindSafe(body));
    CAUGHT.set(outer);
    result.map_err(|payload| {
        let text = PANIC_TEXT.take().unwrap_or_else(|| format!("panicked: {}", payload_text(&*payload)));
        std::mem::forget(payload);
        text
    })
}

/// For entries that have nobody to answer to: a panic is logged and goes no further.
pub(crate) fn quietly<T>(body: impl FnOnce() -> T) -> Option<T> {
    catch(body)
        .inspect_err(|text| log(1, &LogRecord { message: format!("an entry {text}"), ..LogRecord::default() }))
        .ok()
}

/// A future whose panic is its error.
struct Catch<F>(Pin<Box<F>>);

impl<F: Future> Future for Catch<F> {
    type Output = Result<F::Output, String>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match catch(|| self.0.as_mut().poll(context)) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Err(text) => Poll::Ready(Err(text)),
        }
    }
}

/// One instance. The boundary holds it as an opaque pointer.
pub(crate) struct Instance<P> {
    plugin: Arc<P>,
    shared: Arc<Shared>,
    runtime: Runtime,
    calls: Arc<Mutex<HashMap<u64, AbortHandle>>>,
    stopping: watch::Sender<bool>,
}

/// Completes its call exactly once: with what it is given, or as cancelled when it is dropped before.
struct Completion {
    shared: Arc<Shared>,
    calls: Arc<Mutex<HashMap<u64, AbortHandle>>>,
    call_id: u64,
    result: (u32, Vec<u8>),
}

impl Completion {
    fn end(mut self, result: (u32, Vec<u8>)) {
        self.result = result;
    }
}

impl Drop for Completion {
    fn drop(&mut self) {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.call_id);
        let (status, bytes) = std::mem::take(&mut self.result);
        self.shared.host.complete(self.call_id, status, bytes);
    }
}

impl<P: Plugin> Instance<P> {
    /// The instance and its limits as JSON, or a status with a text.
    pub(crate) fn create(host: HostRef, request: &[u8]) -> Result<(Box<Self>, Vec<u8>), (u32, String)> {
        install_panic_hook();
        let error = |error: &dyn std::fmt::Display| (raw::ERROR, error.to_string());
        let request: CreateRequest = serde_json::from_slice(request).map_err(|e| error(&e))?;
        log::install(&request.log_level);

        let shared = Arc::new(Shared { host, runtime: Mutex::new(None), threads: AtomicU32::new(0) });
        *LAST.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(&shared);
        let runtime = runtime(&request.instance, &shared).map_err(|e| error(&e))?;
        *shared.runtime.lock().unwrap_or_else(PoisonError::into_inner) = Some(runtime.handle().clone());

        let (stopping, watched) = watch::channel(false);
        let handle = Host {
            backend: shared.clone(),
            instance: request.instance.as_str().into(),
            version: request.host_version.as_str().into(),
            stopping: watched,
        };
        let before = CURRENT.replace(Some(shared.clone()));
        let made = catch(|| {
            let _inside = runtime.enter();
            let settings = serde_json::from_value(request.settings)?;
            let plugin = P::new(settings, handle)?;
            let limits = serde_json::to_vec(&plugin.limits())?;
            Ok::<_, Error>((plugin, limits))
        });
        CURRENT.set(before);
        match made {
            Ok(Ok((plugin, limits))) => {
                let instance = Self { plugin: plugin.into(), shared, runtime, calls: Arc::default(), stopping };
                Ok((Box::new(instance), limits))
            }
            failure => {
                runtime.shutdown_background();
                Err(match failure {
                    Err(text) => (raw::PANIC, text),
                    Ok(result) => (raw::ERROR, result.err().map(|e| e.to_string()).unwrap_or_default()),
                })
            }
        }
    }

    /// Runs `body` on the instance's runtime and completes `call_id` with its result.
    fn run<F>(&self, call_id: u64, body: F)
    where
        F: Future<Output = Result<Vec<u8>>> + Send + 'static,
    {
        // Held over the spawn, so that a task that ends at once finds its own entry to remove.
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let completion = Completion {
            shared: self.shared.clone(),
            calls: self.calls.clone(),
            call_id,
            result: (raw::CANCELLED, b"cancelled".to_vec()),
        };
        let task = self.runtime.spawn(async move {
            let result = Catch(Box::pin(body)).await;
            completion.end(match result {
                Ok(Ok(bytes)) => (raw::OK, bytes),
                Ok(Err(error)) => (raw::ERROR, error.to_string().into_bytes()),
                Err(text) => (raw::PANIC, text.into_bytes()),
            });
        });
        calls.insert(call_id, task.abort_handle());
    }

    pub(crate) fn start(&self, call_id: u64) {
        let plugin = self.plugin.clone();
        self.run(call_id, async move { plugin.start().await.map(|()| Vec::new()) });
    }

    pub(crate) fn handle(&self, call_id: u64, job: Buffer) {
        let plugin = self.plugin.clone();
        self.run(call_id, async move {
            let job = serde_json::from_slice(job.bytes())?;
            Ok(serde_json::to_vec(&plugin.handle(job).await)?)
        });
    }

    pub(crate) fn http(&self, call_id: u64, request: Buffer) {
        let plugin = self.plugin.clone();
        self.run(call_id, async move {
            let request = http::decode(request.bytes())?;
            http::encode(plugin.http(request).await)
        });
    }

    pub(crate) fn cancel(&self, call_id: u64) {
        let task = self.calls.lock().unwrap_or_else(PoisonError::into_inner).get(&call_id).cloned();
        if let Some(task) = task {
            task.abort();
        }
    }

    pub(crate) fn stop(&self, call_id: u64, deadline_ms: u64) {
        self.stopping.send_replace(true);
        let plugin = self.plugin.clone();
        self.run(call_id, async move {
            let deadline = Duration::from_millis(deadline_ms);
            match tokio::time::timeout(deadline, plugin.stop()).await {
                Ok(()) => Ok(Vec::new()),
                Err(_) => Err(Error::new(format!("stop took longer than {deadline:?}"))),
            }
        });
    }

    /// Ends the runtime; answers how many of its threads could not be ended in time.
    pub(crate) fn destroy(self, wait_ms: u64) -> u32 {
        let Self { plugin, shared, runtime, stopping, .. } = self;
        stopping.send_replace(true);
        *shared.runtime.lock().unwrap_or_else(PoisonError::into_inner) = None;
        runtime.shutdown_timeout(Duration::from_millis(wait_ms));
        drop(plugin);
        shared.threads.load(Ordering::SeqCst)
    }
}

fn runtime(instance: &str, shared: &Arc<Shared>) -> std::io::Result<Runtime> {
    let (on_start, on_stop) = (shared.clone(), shared.clone());
    Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .thread_name(instance)
        .on_thread_start(move || {
            on_start.threads.fetch_add(1, Ordering::SeqCst);
            CURRENT.set(Some(on_start.clone()));
        })
        .on_thread_stop(move || {
            on_stop.threads.fetch_sub(1, Ordering::SeqCst);
        })
        .enable_all()
        .build()
}

impl Backend for Shared {
    fn call(&self, op: Op, arguments: Vec<u8>) -> BoxFuture<Result<Vec<u8>>> {
        let (sender, receiver) = oneshot::channel();
        self.host.call(op, arguments, move |status, result| {
            // Nobody waits any more when the caller was cancelled; the host did its part all the same.
            let _ = sender.send(answer(status, result.bytes()));
        });
        Box::pin(async move { receiver.await.unwrap_or_else(|_| Err(Error::new("the host gave no answer"))) })
    }

    fn pause(&self, wait: Duration, why: &str) {
        self.host.pause(crate::types::millis(wait), why);
    }

    fn health(&self, degraded: bool, text: &str) {
        self.host.health(degraded, text);
    }

    fn spawn(&self, name: String, task: BoxFuture<Result<()>>) {
        let host = self.host;
        let supervised = async move {
            match Catch(Box::pin(task)).await {
                Ok(Ok(())) => tracing::debug!(task = name, "task ended"),
                Ok(Err(error)) => host.failed(raw::ERROR, &format!("task `{name}` ended: {error}")),
                Err(text) => host.failed(raw::PANIC, &format!("task `{name}` {text}")),
            }
        };
        if let Some(runtime) = self.runtime.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            runtime.spawn(supervised);
        }
    }
}

/// Keeps `Serialize` of results in one place for the fake host.
pub(crate) fn to_bytes<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    Ok(serde_json::to_vec(value)?)
}
