//! The boundary itself: what crosses between host and plugin, field by field. Everything here is `repr(C)`, made of integers, pointers
//! and owned bytes, and frozen for [`ABI_MAJOR`]: structs only grow at their end, guarded by `size`. This is the only file of the
//! crate with `unsafe` in it; authors never need it, and the host's loader is its only other user.
//!
//! # Layout, ABI 1 (64-bit, little-endian; offsets in bytes)
//!
//! | struct | offset | field | meaning |
//! |-|-|-|-|
//! | [`ManifestHeader`] | 0 | `magic` | `ARCUATE\0` |
//! | | 8 | `abi_major`, `abi_minor` | `u32` each; another major is refused, a newer minor is fine |
//! | | 16 | `length` | bytes of UTF-8 JSON ([`crate::Manifest`]) that follow the header |
//! | [`Slice`] | 0 | `ptr`, `len` | borrowed bytes, valid until the call returns |
//! | [`Buffer`] | 0 | `ptr`, `len`, `capacity`, `free` | owned bytes; whoever holds them last calls `free(ptr, len, capacity)` once |
//! | [`Done`] | 0 | `function`, `ctx` | a completion: called exactly once, from any thread |
//! | [`HostTable`] | 0 | `size` | bytes of the table that the host knows |
//! | | 8 | `ctx` | first argument of every function below; stays valid for the life of the process |
//! | | 16 | `log(ctx, level, record)` | 1 error … 5 trace, [`crate::types::LogRecord`] as JSON |
//! | | 24 | `call(ctx, op, arguments, done)` | a host operation ([`Op`]), JSON both ways |
//! | | 32 | `complete(ctx, call_id, status, result)` | ends `start`, `handle`, `http` or `stop` |
//! | | 40 | `failed(ctx, status, text)` | a supervised task ended in an error or a panic |
//! | | 48 | `pause(ctx, milliseconds, why)` | claims no jobs for a while; 0 goes on at once |
//! | | 56 | `health(ctx, state, text)` | 0 well, 1 degraded |
//! | [`PluginTable`] | 0 | `size` | bytes of the table that the plugin knows |
//! | | 8 | `create(host, request, instance, result) → status` | [`crate::types::CreateRequest`] in, [`crate::Limits`] or a text out |
//! | | 16 | `start(instance, call_id)` | completes when the instance is ready |
//! | | 24 | `handle(instance, call_id, job)` | [`crate::Job`] in, [`crate::Outcome`] out |
//! | | 32 | `http(instance, call_id, request)` | a request under `/plugins/<instance>/`, framed as in [`crate::http`] |
//! | | 40 | `cancel(instance, call_id)` | that call completes as [`CANCELLED`] if it has not ended |
//! | | 48 | `stop(instance, call_id, deadline_ms)` | completes when all is put away |
//! | | 56 | `destroy(instance, wait_ms) → threads left` | the instance must not be used afterwards |
#![allow(unsafe_code)]

use crate::{Plugin, sdk};
use std::ffi::c_void;
use std::mem;

/// Another major version is refused by the host with both numbers named.
pub const ABI_MAJOR: u32 = 1;
/// Grows when a field is added at the end of a table.
pub const ABI_MINOR: u32 = 0;
/// First bytes of the manifest's section.
pub const MAGIC: [u8; 8] = *b"ARCUATE\0";
/// Name of the ELF section that holds header and manifest.
pub const MANIFEST_SECTION: &str = ".arcuate.manifest";
/// Name of the one symbol that the host looks up: `extern "C" fn() -> *const PluginTable`.
pub const ENTRY_SYMBOL: &str = "arcuate_plugin_entry";

/// The call did what it was asked for.
pub const OK: u32 = 0;
/// It answered with an error; the result is its text.
pub const ERROR: u32 = 1;
/// It panicked; the result is the panic's text.
pub const PANIC: u32 = 2;
/// It was cancelled before it ended.
pub const CANCELLED: u32 = 3;

/// What stands before the manifest's JSON in its section.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ManifestHeader {
    pub magic: [u8; 8],
    pub abi_major: u32,
    pub abi_minor: u32,
    pub length: u64,
}

/// Header and JSON, as `export_plugin!` lays them into the section.
#[repr(C)]
#[derive(Debug)]
pub struct ManifestStatic<const N: usize> {
    header: ManifestHeader,
    json: [u8; N],
}

impl<const N: usize> ManifestStatic<N> {
    pub const fn new(json: &[u8; N]) -> Self {
        let header = ManifestHeader { magic: MAGIC, abi_major: ABI_MAJOR, abi_minor: ABI_MINOR, length: N as u64 };
        Self { header, json: *json }
    }
}

/// Bytes lent for the duration of one call.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Slice {
    pub ptr: *const u8,
    pub len: usize,
}

impl Slice {
    pub fn new(bytes: &[u8]) -> Self {
        Self { ptr: bytes.as_ptr(), len: bytes.len() }
    }

    /// # Safety
    /// Only while the call that brought it has not returned.
    pub unsafe fn bytes<'a>(self) -> &'a [u8] {
        if self.ptr.is_null() { &[] } else { unsafe { std::slice::from_raw_parts(self.ptr, self.len) } }
    }
}

/// Bytes handed over with the function that frees them, because each side has an allocator of its own.
#[repr(C)]
#[derive(Debug)]
pub struct Buffer {
    ptr: *mut u8,
    len: usize,
    capacity: usize,
    free: Option<unsafe extern "C" fn(*mut u8, usize, usize)>,
}

// Owned bytes like a Vec<u8>; only the way they are freed differs.
unsafe impl Send for Buffer {}

impl Buffer {
    pub const fn empty() -> Self {
        Self { ptr: std::ptr::null_mut(), len: 0, capacity: 0, free: None }
    }

    pub fn bytes(&self) -> &[u8] {
        if self.ptr.is_null() { &[] } else { unsafe { std::slice::from_raw_parts(self.ptr, self.len) } }
    }

    /// As text, for errors; what is not UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }
}

unsafe extern "C" fn free_vec(ptr: *mut u8, len: usize, capacity: usize) {
    drop(unsafe { Vec::from_raw_parts(ptr, len, capacity) });
}

impl From<Vec<u8>> for Buffer {
    fn from(bytes: Vec<u8>) -> Self {
        let mut bytes = mem::ManuallyDrop::new(bytes);
        Self { ptr: bytes.as_mut_ptr(), len: bytes.len(), capacity: bytes.capacity(), free: Some(free_vec) }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(free) = self.free.take() {
            unsafe { free(self.ptr, self.len, self.capacity) }
        }
    }
}

/// Where the answer to a host operation goes.
#[repr(C)]
#[derive(Debug)]
pub struct Done {
    pub function: unsafe extern "C" fn(ctx: *mut c_void, status: u32, result: Buffer),
    pub ctx: *mut c_void,
}

// `ctx` is an owned box of something Send (see `Done::new`); it is taken back exactly once.
unsafe impl Send for Done {}

type DoneFn = Box<dyn FnOnce(u32, Buffer) + Send>;

impl Done {
    pub fn new(then: impl FnOnce(u32, Buffer) + Send + 'static) -> Self {
        unsafe extern "C" fn run(ctx: *mut c_void, status: u32, result: Buffer) {
            let then: Box<DoneFn> = unsafe { Box::from_raw(ctx.cast()) };
            sdk::quietly(|| then(status, result));
        }
        let then: DoneFn = Box::new(then);
        Self { function: run, ctx: Box::into_raw(Box::new(then)).cast() }
    }

    /// Answers; consumes the completion so that it cannot fire twice.
    pub fn call(self, status: u32, result: Buffer) {
        unsafe { (self.function)(self.ctx, status, result) }
    }
}

/// Host operations. Numbers are never reused; 5 is kept for applying a peer's events.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    Ingest = 1,
    Stream = 2,
    History = 3,
    EventsAfter = 4,
    Enqueue = 6,
    KvGet = 7,
    KvPut = 8,
    KvDelete = 9,
    Identity = 10,
}

impl Op {
    pub fn from_number(number: u32) -> Option<Self> {
        use Op::*;
        [Ingest, Stream, History, EventsAfter, Enqueue, KvGet, KvPut, KvDelete, Identity]
            .into_iter()
            .find(|op| *op as u32 == number)
    }
}

/// What a plugin may ask of its host.
#[repr(C)]
#[derive(Debug)]
pub struct HostTable {
    pub size: usize,
    pub ctx: *mut c_void,
    pub log: unsafe extern "C" fn(ctx: *mut c_void, level: u32, record: Slice),
    pub call: unsafe extern "C" fn(ctx: *mut c_void, op: u32, arguments: Buffer, done: Done),
    pub complete: unsafe extern "C" fn(ctx: *mut c_void, call_id: u64, status: u32, result: Buffer),
    pub failed: unsafe extern "C" fn(ctx: *mut c_void, status: u32, text: Slice),
    pub pause: unsafe extern "C" fn(ctx: *mut c_void, milliseconds: u64, why: Slice),
    pub health: unsafe extern "C" fn(ctx: *mut c_void, state: u32, text: Slice),
}

/// What the host may ask of a plugin.
#[repr(C)]
#[derive(Debug)]
pub struct PluginTable {
    pub size: usize,
    pub create: unsafe extern "C" fn(
        host: *const HostTable,
        request: Slice,
        instance: *mut *mut c_void,
        result: *mut Buffer,
    ) -> u32,
    pub start: unsafe extern "C" fn(instance: *mut c_void, call_id: u64),
    pub handle: unsafe extern "C" fn(instance: *mut c_void, call_id: u64, job: Buffer),
    pub http: unsafe extern "C" fn(instance: *mut c_void, call_id: u64, request: Buffer),
    pub cancel: unsafe extern "C" fn(instance: *mut c_void, call_id: u64),
    pub stop: unsafe extern "C" fn(instance: *mut c_void, call_id: u64, deadline_ms: u64),
    pub destroy: unsafe extern "C" fn(instance: *mut c_void, wait_ms: u64) -> u32,
}

/// The host's table as the plugin's side uses it. The table and its `ctx` live as long as the process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HostRef(*const HostTable);

// The host's functions may be called from any thread, and the table is never freed.
unsafe impl Send for HostRef {}
unsafe impl Sync for HostRef {}

impl HostRef {
    fn table(&self) -> &HostTable {
        unsafe { &*self.0 }
    }

    pub(crate) fn log(&self, level: u32, record: &[u8]) {
        unsafe { (self.table().log)(self.table().ctx, level, Slice::new(record)) }
    }

    pub(crate) fn call(&self, op: Op, arguments: Vec<u8>, then: impl FnOnce(u32, Buffer) + Send + 'static) {
        unsafe { (self.table().call)(self.table().ctx, op as u32, arguments.into(), Done::new(then)) }
    }

    pub(crate) fn complete(&self, call_id: u64, status: u32, result: Vec<u8>) {
        unsafe { (self.table().complete)(self.table().ctx, call_id, status, result.into()) }
    }

    pub(crate) fn failed(&self, status: u32, text: &str) {
        unsafe { (self.table().failed)(self.table().ctx, status, Slice::new(text.as_bytes())) }
    }

    pub(crate) fn pause(&self, milliseconds: u64, why: &str) {
        unsafe { (self.table().pause)(self.table().ctx, milliseconds, Slice::new(why.as_bytes())) }
    }

    pub(crate) fn health(&self, degraded: bool, text: &str) {
        unsafe { (self.table().health)(self.table().ctx, u32::from(degraded), Slice::new(text.as_bytes())) }
    }
}

/// The table of one plugin type, for `export_plugin!`.
pub fn table<P: Plugin>() -> *const PluginTable {
    struct Table<P>(std::marker::PhantomData<P>);
    impl<P: Plugin> Table<P> {
        const TABLE: &'static PluginTable = &PluginTable {
            size: size_of::<PluginTable>(),
            create: create::<P>,
            start: start::<P>,
            handle: handle::<P>,
            http: http::<P>,
            cancel: cancel::<P>,
            stop: stop::<P>,
            destroy: destroy::<P>,
        };
    }
    Table::<P>::TABLE
}

unsafe fn instance<'a, P: Plugin>(instance: *mut c_void) -> &'a sdk::Instance<P> {
    unsafe { &*instance.cast::<sdk::Instance<P>>() }
}

unsafe extern "C" fn create<P: Plugin>(
    host: *const HostTable,
    request: Slice,
    out: *mut *mut c_void,
    result: *mut Buffer,
) -> u32 {
    // A host of the same major may be older than this plugin: never read beyond what it says it has.
    let size = unsafe { (*host).size };
    if size < size_of::<HostTable>() {
        let text = format!("the host's table has {size} bytes, this plugin needs {}", size_of::<HostTable>());
        unsafe { result.write(text.into_bytes().into()) };
        return ERROR;
    }
    let (status, bytes) = match sdk::Instance::<P>::create(HostRef(host), unsafe { request.bytes() }) {
        Ok((instance, limits)) => {
            unsafe { out.write(Box::into_raw(instance).cast()) };
            (OK, limits)
        }
        Err((status, text)) => (status, text.into_bytes()),
    };
    unsafe { result.write(bytes.into()) };
    status
}

unsafe extern "C" fn start<P: Plugin>(this: *mut c_void, call_id: u64) {
    sdk::quietly(|| unsafe { instance::<P>(this) }.start(call_id));
}

unsafe extern "C" fn handle<P: Plugin>(this: *mut c_void, call_id: u64, job: Buffer) {
    sdk::quietly(|| unsafe { instance::<P>(this) }.handle(call_id, job));
}

unsafe extern "C" fn http<P: Plugin>(this: *mut c_void, call_id: u64, request: Buffer) {
    sdk::quietly(|| unsafe { instance::<P>(this) }.http(call_id, request));
}

unsafe extern "C" fn cancel<P: Plugin>(this: *mut c_void, call_id: u64) {
    sdk::quietly(|| unsafe { instance::<P>(this) }.cancel(call_id));
}

unsafe extern "C" fn stop<P: Plugin>(this: *mut c_void, call_id: u64, deadline_ms: u64) {
    sdk::quietly(|| unsafe { instance::<P>(this) }.stop(call_id, deadline_ms));
}

unsafe extern "C" fn destroy<P: Plugin>(this: *mut c_void, wait_ms: u64) -> u32 {
    let boxed = unsafe { Box::from_raw(this.cast::<sdk::Instance<P>>()) };
    sdk::quietly(|| boxed.destroy(wait_ms)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::offset_of;

    /// Plugins built against another 0.x of this crate keep working only while none of these numbers moves.
    #[test]
    fn layout_of_abi_1_is_frozen() {
        assert_eq!((ABI_MAJOR, MAGIC, MANIFEST_SECTION), (1, *b"ARCUATE\0", ".arcuate.manifest"));
        assert_eq!(ENTRY_SYMBOL, "arcuate_plugin_entry");
        assert_eq!((OK, ERROR, PANIC, CANCELLED), (0, 1, 2, 3));
        assert_eq!((offset_of!(ManifestHeader, abi_major), offset_of!(ManifestHeader, abi_minor)), (8, 12));
        assert_eq!((offset_of!(ManifestHeader, length), size_of::<ManifestHeader>()), (16, 24));
        assert_eq!(offset_of!(ManifestStatic<7>, json), 24);
        assert_eq!((offset_of!(Slice, ptr), offset_of!(Slice, len), size_of::<Slice>()), (0, 8, 16));
        let buffer = [offset_of!(Buffer, ptr), offset_of!(Buffer, len), offset_of!(Buffer, capacity)];
        assert_eq!((buffer, offset_of!(Buffer, free), size_of::<Buffer>()), ([0, 8, 16], 24, 32));
        assert_eq!((offset_of!(Done, function), offset_of!(Done, ctx), size_of::<Done>()), (0, 8, 16));
        let host = [
            offset_of!(HostTable, size),
            offset_of!(HostTable, ctx),
            offset_of!(HostTable, log),
            offset_of!(HostTable, call),
            offset_of!(HostTable, complete),
            offset_of!(HostTable, failed),
            offset_of!(HostTable, pause),
            offset_of!(HostTable, health),
            size_of::<HostTable>(),
        ];
        assert_eq!(host, [0, 8, 16, 24, 32, 40, 48, 56, 64]);
        let plugin = [
            offset_of!(PluginTable, size),
            offset_of!(PluginTable, create),
            offset_of!(PluginTable, start),
            offset_of!(PluginTable, handle),
            offset_of!(PluginTable, http),
            offset_of!(PluginTable, cancel),
            offset_of!(PluginTable, stop),
            offset_of!(PluginTable, destroy),
            size_of::<PluginTable>(),
        ];
        assert_eq!(plugin, [0, 8, 16, 24, 32, 40, 48, 56, 64]);
    }

    #[test]
    fn op_numbers_are_frozen() {
        let numbers = (0..32).filter_map(|n| Op::from_number(n).map(|op| format!("{n} {op:?}"))).collect::<Vec<_>>();
        let expected = "1 Ingest,2 Stream,3 History,4 EventsAfter,6 Enqueue,7 KvGet,8 KvPut,9 KvDelete,10 Identity";
        assert_eq!(numbers.join(","), expected);
    }

    #[test]
    fn buffer_given_away_is_freed_once() {
        let buffer = Buffer::from(b"hello".to_vec());
        assert_eq!(buffer.bytes(), b"hello");
        drop(buffer);
        assert_eq!(Buffer::empty().bytes(), b"");
    }
}
