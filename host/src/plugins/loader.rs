//! The host's end of the boundary, and with `last_words.rs` the only file of the host with `unsafe` in it: opens a library, hands it the host's table, and
//! wraps the plugin's table so that nothing outside can call an instance that is gone, or see a call end twice.

#![allow(unsafe_code)]

use super::calls::Answer;
use super::context::{Context, Ears, Ended};
use super::last_words::inside;
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use plugin_api::Limits;
use plugin_api::raw::{self, Buffer, Done, HostTable, PluginTable, Slice};
use plugin_api::types::CreateRequest;
use std::error::Error;
use std::ffi::{c_int, c_void};
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::oneshot;

/// Not named by `libloading`; the same number on every Linux.
const RTLD_NODELETE: c_int = 0x1000;

/// A library in this process. It stays for good: its code may be on the stack of a thread that nobody can end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Image(&'static PluginTable);

/// Why a library is not in this process.
#[derive(Debug)]
pub(super) enum OpenError {
    /// The system's loader refused; what it lacks may come.
    Refused(String),
    /// It is there, but not what its manifest says.
    Unfit(String),
}

impl Image {
    /// Loads the library and asks for its table. Opening the same file again gives the same image.
    pub(super) fn open(path: &Path) -> Result<Self, OpenError> {
        let refused = |error: libloading::Error| {
            let reason = error.source().map_or_else(|| error.to_string(), ToString::to_string);
            OpenError::Refused(format!("cannot be loaded: {reason}"))
        };
        // SAFETY: runs the library's initialisers. Whoever put it into the plugin directory is trusted with this process; the file is
        // the host's own complete copy.
        let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE) }.map_err(refused)?;
        let library = ManuallyDrop::new(library);
        // SAFETY: the manifest in the same file names this ABI major, in which the symbol has this type.
        let entry = unsafe { library.get::<unsafe extern "C" fn() -> *const PluginTable>(raw::ENTRY_SYMBOL) };
        let entry = entry.map_err(|error| OpenError::Unfit(format!("{}: {error}", raw::ENTRY_SYMBOL)))?;
        // SAFETY: the entry takes nothing and answers a pointer to a static.
        let table = unsafe { entry() };
        if table.is_null() || !table.is_aligned() {
            return Err(OpenError::Unfit("gives no table".into()));
        }
        // SAFETY: `size` is the first field of every version of the table; no other is looked at before it is known.
        let size = unsafe { (&raw const (*table).size).read() };
        let needed = size_of::<PluginTable>();
        if size < needed {
            return Err(OpenError::Unfit(format!("has a table of {size} bytes, this host needs {needed}")));
        }
        // SAFETY: the table is a static of a library that is never closed, and has all the fields.
        Ok(Self(unsafe { &*table }))
    }

    /// Makes an instance. Blocks for as long as the plugin's constructor does.
    pub(super) fn create(&self, request: &CreateRequest, ears: Arc<dyn Ears>) -> Result<(Raw, Limits), String> {
        let request_json = serde_json::to_vec(request).map_err(|error| error.to_string())?;
        let context = Context::leak(&request.instance, ears);
        let (mut instance, mut result) = (std::ptr::null_mut(), Buffer::empty());
        // SAFETY: host table and context are leaked; request and the two places outlive the call.
        let create =
            || unsafe { (self.0.create)(host_table(context), Slice::new(&request_json), &mut instance, &mut result) };
        let status = inside(&request.instance, create);
        let failed = match status {
            raw::OK if instance.is_null() => "its constructor gave no instance".into(),
            raw::OK => {
                let raw = Raw::new(self.0, instance, context);
                return match serde_json::from_slice(result.bytes()) {
                    Ok(limits) => Ok((raw, limits)),
                    Err(error) => Err(format!("its limits cannot be read: {error}")),
                };
            }
            raw::PANIC => format!("its constructor {}", result.text()),
            _ => result.text(),
        };
        context.close();
        Err(failed)
    }
}

/// The table for a plugin, leaked like the context that its functions find.
fn host_table(context: &'static Context) -> &'static HostTable {
    Box::leak(Box::new(HostTable {
        size: size_of::<HostTable>(),
        ctx: std::ptr::from_ref(context).cast_mut().cast(),
        log: host_log,
        call: host_call,
        complete: host_complete,
        failed: host_failed,
        pause: host_pause,
        health: host_health,
    }))
}

/// One instance of a plugin. Clones are the same instance.
#[derive(Clone)]
pub(super) struct Raw(Arc<Inner>);

struct Inner {
    table: &'static PluginTable,
    /// None once the instance is destroyed. Whoever calls the plugin holds the lock for reading.
    instance: RwLock<Option<Pointer>>,
    context: &'static Context,
    next_call: AtomicU64,
}

/// The plugin's own pointer, of no meaning to the host.
#[derive(Clone, Copy)]
struct Pointer(*mut c_void);

// SAFETY: the boundary asks of plugins that each function may be called from any thread, and several at once; `destroy` alone must be
// the last, which the lock around the pointer sees to.
unsafe impl Send for Pointer {}
// SAFETY: as above; the pointer is never followed here.
unsafe impl Sync for Pointer {}

impl Raw {
    fn new(table: &'static PluginTable, instance: *mut c_void, context: &'static Context) -> Self {
        let instance = RwLock::new(Some(Pointer(instance)));
        Self(Arc::new(Inner { table, instance, context, next_call: AtomicU64::new(1) }))
    }

    pub(super) fn start(&self) -> Call {
        // SAFETY: `call` lends the living instance.
        self.call(|table, instance, id| unsafe { (table.start)(instance, id) })
    }

    pub(super) fn handle(&self, job: Vec<u8>) -> Call {
        // SAFETY: as in `start`.
        self.call(|table, instance, id| unsafe { (table.handle)(instance, id, job.into()) })
    }

    pub(super) fn http(&self, request: Vec<u8>) -> Call {
        // SAFETY: as in `start`.
        self.call(|table, instance, id| unsafe { (table.http)(instance, id, request.into()) })
    }

    pub(super) fn stop(&self, deadline: Duration) -> Call {
        let deadline = deadline.as_millis().try_into().unwrap_or(u64::MAX);
        // SAFETY: as in `start`.
        self.call(|table, instance, id| unsafe { (table.stop)(instance, id, deadline) })
    }

    /// Begins a call. If the instance is gone, the call is cancelled from its beginning.
    fn call(&self, enter: impl FnOnce(&PluginTable, *mut c_void, u64)) -> Call {
        let id = self.0.next_call.fetch_add(1, Ordering::Relaxed);
        let (sender, ended) = oneshot::channel();
        let instance = self.0.instance.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(Pointer(pointer)) = *instance {
            self.0.context.begin(id, sender);
            inside(self.0.context.instance(), || enter(self.0.table, pointer, id));
        }
        drop(instance);
        Call { instance: self.clone(), id, ended }
    }

    /// Calls that have not ended although they were given up this long ago.
    pub(super) fn overdue(&self, since: Duration) -> usize {
        self.0.context.overdue(since)
    }

    /// Ends the instance; answers how many of its threads could not be ended in time. Blocks that long. Calls still waiting are
    /// cancelled. The second time it does nothing.
    pub(super) fn destroy(&self, wait: Duration) -> u32 {
        self.0.destroy(wait)
    }
}

impl Inner {
    fn destroy(&self, wait: Duration) -> u32 {
        // Taken out before the call, which may last: nobody waits for the lock meanwhile.
        let taken = self.instance.write().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Pointer(pointer)) = taken else { return 0 };
        let wait = wait.as_millis().try_into().unwrap_or(u64::MAX);
        // SAFETY: the pointer was taken out under the lock for writing, so nobody is inside the instance and nobody will be.
        let threads = inside(self.context.instance(), || unsafe { (self.table.destroy)(pointer, wait) });
        self.context.close();
        threads
    }

    fn cancel(&self, id: u64) {
        if !self.context.give_up(id) {
            return;
        }
        if let Some(Pointer(pointer)) = *self.instance.read().unwrap_or_else(PoisonError::into_inner) {
            // SAFETY: the lock keeps the instance alive.
            inside(self.context.instance(), || unsafe { (self.table.cancel)(pointer, id) });
        }
    }
}

impl Drop for Inner {
    /// An instance that nobody destroyed, because its creation was given up for example. Its end may block, so not here.
    fn drop(&mut self) {
        let taken = self.instance.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        let Some(pointer) = taken else { return };
        let (table, context) = (self.table, self.context);
        let end = move || {
            // Binds the whole of it: the raw pointer inside is not Send.
            let Pointer(pointer) = { pointer };
            // SAFETY: no other handle of this instance is left.
            inside(context.instance(), || unsafe { (table.destroy)(pointer, 0) });
            context.close();
        };
        // Without a thread it stays: a leak is better than a host that waits.
        let _ = std::thread::Builder::new().name("plugin-end".into()).spawn(end);
    }
}

/// A call into a plugin. Dropping it before its end cancels it.
pub(super) struct Call {
    instance: Raw,
    id: u64,
    ended: oneshot::Receiver<Ended>,
}

impl Call {
    pub(super) async fn ended(mut self) -> Ended {
        (&mut self.ended).await.unwrap_or(Ended::Cancelled)
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.instance.0.cancel(self.id);
    }
}

/// Runs what a plugin asked for; a panic of the host must not unwind into the plugin.
fn guarded(entry: &str, body: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(body)) {
        std::mem::forget(payload);
        tracing::error!("the host panicked at `{entry}` of its table");
    }
}

/// # Safety
/// `ctx` is the one of a host's table.
unsafe fn context(ctx: *mut c_void) -> &'static Context {
    // SAFETY: that pointer was made from a leaked `Context`.
    unsafe { &*ctx.cast::<Context>() }
}

unsafe extern "C" fn host_log(ctx: *mut c_void, level: u32, record: Slice) {
    guarded("log", || {
        // SAFETY: the plugin passes the table's ctx; the record is lent until this function returns.
        let (context, record) = unsafe { (context(ctx), record.bytes()) };
        context.relay().line(level, record);
    });
}

unsafe extern "C" fn host_call(ctx: *mut c_void, op: u32, arguments: Buffer, done: Done) {
    guarded("call", || {
        let answer = Answer::new(done);
        // SAFETY: the plugin passes the table's ctx.
        match unsafe { context(ctx) }.ears() {
            Some(ears) => ears.call(op, arguments.bytes().to_vec(), answer),
            None => answer.send(Err("this instance has ended".into())),
        }
    });
}

unsafe extern "C" fn host_complete(ctx: *mut c_void, call_id: u64, status: u32, result: Buffer) {
    guarded("complete", || {
        // SAFETY: the plugin passes the table's ctx.
        unsafe { context(ctx) }.complete(call_id, status, result);
    });
}

unsafe extern "C" fn host_failed(ctx: *mut c_void, _status: u32, text: Slice) {
    // SAFETY: the plugin passes the table's ctx; the text is lent until this function returns.
    unsafe { tell(ctx, "failed", text, |ears, text| ears.failed(text)) };
}

unsafe extern "C" fn host_pause(ctx: *mut c_void, milliseconds: u64, why: Slice) {
    // SAFETY: as in `host_failed`.
    unsafe { tell(ctx, "pause", why, |ears, why| ears.pause(Duration::from_millis(milliseconds), why)) };
}

unsafe extern "C" fn host_health(ctx: *mut c_void, state: u32, text: Slice) {
    // SAFETY: as in `host_failed`.
    unsafe { tell(ctx, "health", text, |ears, text| ears.health(state != 0, text)) };
}

/// Passes a text on, for the functions that have nothing to answer.
///
/// # Safety
/// `ctx` is the one of a host's table, and `text` lent for this call.
unsafe fn tell(ctx: *mut c_void, entry: &str, text: Slice, to: impl FnOnce(&dyn Ears, String)) {
    guarded(entry, || {
        // SAFETY: the caller's promise.
        let (context, text) = unsafe { (context(ctx), text.bytes()) };
        if let Some(ears) = context.ears() {
            to(&*ears, String::from_utf8_lossy(text).into_owned());
        }
    });
}
