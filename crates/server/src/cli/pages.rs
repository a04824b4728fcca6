//! Huge pages for the memory of password hashes.
//!
//! argon2 reads its 19 MiB in random order. In pages of 4 KiB that misses the processor's table of pages most of the
//! time; in pages of 2 MiB it does not, which saves 5 to 10 per cent of a sign-in. The GNU allocator asks the kernel for huge pages
//! if a tunable says so, and it reads its tunables once, before `main`: so the program sets it and starts itself over,
//! as the same process. Where the allocator is another one, or the kernel gives no huge pages, nothing changes.

use std::{env, os::unix::process::CommandExt, process::Command};

const TUNABLES: &str = "GLIBC_TUNABLES";
/// Huge pages; and large pieces of memory come from the kernel and go back to it, always. Left to itself the allocator
/// keeps the second one of a size, in small pages, for good.
const HUGE_PAGES: &str = "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=1048576";

/// Starts the program over with huge pages, unless it has them or somebody else decided about the allocator.
pub(super) fn ask_for_huge_pages() {
    if cfg!(not(all(target_os = "linux", target_env = "gnu"))) || env::var_os(TUNABLES).is_some() {
        return;
    }
    let Ok(program) = env::current_exe() else { return };
    let mut words = env::args_os();
    let mut again = Command::new(program);
    if let Some(name) = words.next() {
        again.arg0(name);
    }
    // It comes back only if it failed; then all is as it was.
    let error = again.args(words).env(TUNABLES, HUGE_PAGES).exec();
    drop(error);
}
