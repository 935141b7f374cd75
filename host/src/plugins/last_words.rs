//! What the process says in its last moment: handlers of fatal signals and of `exit`, which find out whose code the thread is in and append
//! one line about it to a file. They may do next to nothing, hence no formatting, no allocation and no lock here.

#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::fs::File;
use std::io;
use std::os::fd::{FromRawFd, IntoRawFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

/// Whose code a thread of the host is in: bytes of the name, and how many.
type Whose = ([u8; LONGEST_NAME], u8);

const LONGEST_NAME: usize = 32;
const FATAL: [(c_int, &str); 5] = [
    (libc::SIGSEGV, "SIGSEGV"),
    (libc::SIGBUS, "SIGBUS"),
    (libc::SIGILL, "SIGILL"),
    (libc::SIGFPE, "SIGFPE"),
    (libc::SIGABRT, "SIGABRT"),
];

thread_local! {
    /// Constant and without a destructor, so that it can be read at any moment.
    static INSIDE: Cell<Whose> = const { Cell::new(([0; LONGEST_NAME], 0)) };
}

/// Where the last words go; negative: nowhere.
static LAST_WORDS: AtomicI32 = AtomicI32::new(-1);
static HAS_SPOKEN: AtomicBool = AtomicBool::new(false);
/// What handled each of `FATAL` before.
static BEFORE: OnceLock<[libc::sigaction; FATAL.len()]> = OnceLock::new();

pub(super) fn name_of_signal(number: i32) -> Option<&'static str> {
    FATAL.iter().find(|(signal, _)| *signal == number).map(|(_, name)| *name)
}

/// Runs something that may run code of this instance: a death meanwhile is its own.
pub(super) fn inside<T>(instance: &str, body: impl FnOnce() -> T) -> T {
    let mut whose = ([0; LONGEST_NAME], instance.len().min(LONGEST_NAME) as u8);
    whose.0.iter_mut().zip(instance.bytes()).for_each(|(to, from)| *to = from);
    let outer = INSIDE.replace(whose);
    let result = body();
    INSIDE.set(outer);
    result
}

/// If the process ends inside a plugin, it appends a line to this file that says so; the last file counts.
pub(super) fn tell_last_words_to(file: File) -> io::Result<()> {
    let before = LAST_WORDS.swap(file.into_raw_fd(), Ordering::SeqCst);
    if before >= 0 {
        // SAFETY: it came out of `into_raw_fd` above, and nobody else has it any more.
        drop(unsafe { File::from_raw_fd(before) });
        return Ok(());
    }
    // SAFETY: all zeros are a valid `sigaction`; each place outlives its call; both handlers do nothing but what a handler may.
    unsafe {
        let mut before: [libc::sigaction; FATAL.len()] = std::mem::zeroed();
        for ((signal, _), before) in FATAL.iter().zip(&mut before) {
            if libc::sigaction(*signal, std::ptr::null(), before) != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        let _ = BEFORE.set(before);
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = died as *const () as libc::sighandler_t;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        for (signal, _) in FATAL {
            if libc::sigaction(signal, &action, std::ptr::null_mut()) != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        libc::atexit(left);
    }
    Ok(())
}

/// At a fatal signal: says so, and gives way to who was there before.
unsafe extern "C" fn died(signal: c_int, info: *mut libc::siginfo_t, _: *mut c_void) {
    // SAFETY: the kernel lends the information for this call. What was sent from outside is nobody's fault here.
    let code = unsafe { (*info).si_code };
    if code != libc::SI_USER {
        speak(signal);
    }
    let index = FATAL.iter().position(|(number, _)| *number == signal);
    if let (Some(index), Some(before)) = (index, BEFORE.get()) {
        // SAFETY: what the kernel gave out at the beginning, and functions that a handler may call. What was not caused by an
        // instruction, which will be run again, is sent again.
        unsafe {
            libc::sigaction(signal, &before[index], std::ptr::null_mut());
            if code <= 0 {
                libc::raise(signal);
            }
        }
    }
}

/// At `exit`, which the host itself calls on its first thread.
extern "C" fn left() {
    speak(0);
}

/// `1763748000 11 web_chat` and a line's end. Nothing in here may allocate or lock.
fn speak(cause: c_int) {
    let file = LAST_WORDS.load(Ordering::SeqCst);
    let (name, length) = INSIDE.get();
    let mut thread = [0_u8; 16];
    // SAFETY: the kernel writes at most 16 bytes there; the others have no arguments that could be wrong.
    let (is_first, now) = unsafe {
        libc::prctl(libc::PR_GET_NAME, thread.as_mut_ptr());
        (libc::gettid() == libc::getpid(), libc::time(std::ptr::null_mut()))
    };
    let is_entry = length > 0;
    if file < 0 || (is_first && !is_entry) || HAS_SPOKEN.swap(true, Ordering::SeqCst) {
        return;
    }
    let whose =
        if is_entry { &name[..usize::from(length)] } else { thread.split(|byte| *byte == 0).next().unwrap_or(&[]) };
    let (mut line, mut digits) = (Line::default(), [0; 20]);
    line.put(decimal(now, &mut digits));
    line.put(b" ");
    line.put(decimal(cause.into(), &mut digits));
    line.put(if is_entry { b" =" } else { b" " });
    line.put(whose);
    line.put(b"\n");
    // SAFETY: the bytes are this function's own. Nothing can be done about a failure.
    unsafe {
        libc::write(file, line.bytes.as_ptr().cast(), line.length);
        libc::fsync(file);
    }
}

/// Longer than a line can be.
struct Line {
    bytes: [u8; 96],
    length: usize,
}

impl Default for Line {
    fn default() -> Self {
        Self { bytes: [0; 96], length: 0 }
    }
}

impl Line {
    fn put(&mut self, bytes: &[u8]) {
        for (to, from) in self.bytes[self.length..].iter_mut().zip(bytes) {
            *to = *from;
            self.length += 1;
        }
    }
}

/// A number that is not negative, in digits.
fn decimal(mut number: i64, digits: &mut [u8; 20]) -> &[u8] {
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number <= 0 || start == 0 {
            return &digits[start..];
        }
    }
}
