//! Where log lines go: into a buffer that a thread writes out a few milliseconds after its first line. A system call per
//! line costs more than making the line.

use std::{
    io::{self, Write},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// How long lines are collected.
const DELAY: Duration = Duration::from_millis(5);
/// More than this is written by whoever logs it, so that the buffer stays small.
const FULL: usize = 256 * 1024;

static BUFFER: Mutex<Vec<u8>> = Mutex::new(Vec::new());
static FILLED: Condvar = Condvar::new();

fn buffer() -> MutexGuard<'static, Vec<u8>> {
    BUFFER.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts the thread.
pub(super) fn start() -> io::Result<()> {
    std::thread::Builder::new().name("log".to_owned()).spawn(run).map(drop)
}

fn run() {
    loop {
        let mut waiting = buffer();
        while waiting.is_empty() {
            waiting = FILLED.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        drop(waiting);
        std::thread::sleep(DELAY);
        flush();
    }
}

/// Writes everything out. The lock is held meanwhile, so that lines stay in order.
pub(super) fn flush() {
    let mut waiting = buffer();
    // Nowhere to say that the log cannot be written.
    let _ = io::stderr().lock().write_all(&waiting);
    waiting.clear();
}

/// One line.
#[derive(Default)]
pub(super) struct Lines;

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut waiting = buffer();
        let first = waiting.is_empty();
        waiting.extend_from_slice(line);
        let full = waiting.len() > FULL;
        drop(waiting);
        if full {
            flush();
        } else if first {
            FILLED.notify_one();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
