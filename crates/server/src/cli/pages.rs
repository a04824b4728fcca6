//! Huge pages for the memory of password hashes.
//!
//! argon2 reads its 19 MiB in random order. In pages of 4 KiB that misses the processor's table of pages most of the
//! time; in pages of 2 MiB it does not, which saves 5 to 10 per cent of a sign-in. The GNU allocator asks the kernel for huge pages
//! if a tunable says so, and it reads its tunables once, before `main`: so the program sets it and starts itself over,
//! as the same process. Where the allocator is another one, or the kernel gives no huge pages, nothing changes.
//!
//! Up to version 2.36 the allocator compares what the kernel says of huge pages with one byte more than it has read, so
//! whether it asks for them is a matter of chance: then the program starts itself over once more.

use std::{env, fs, os::unix::process::CommandExt, process::Command};

const TUNABLES: &str = "GLIBC_TUNABLES";
/// Huge pages; and pieces of memory from a MiB on come from the kernel and go back to it, always. Left to itself the
/// allocator keeps the second one of a size, in small pages, for good.
const HUGE_PAGES: &str = "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=1048576";
/// How often the program has started itself over: the system may take the tunables away, as it does from a program with
/// capabilities, and that must not go on for ever.
const STARTS: &str = "_GATEHOUSE_STARTS";
/// The most starts; each takes two or three milliseconds.
const MOST_STARTS: u32 = 16;

/// Starts the program over with huge pages, unless it has them or somebody else decided about the allocator.
pub(super) fn ask_for_huge_pages() {
    if cfg!(not(all(target_os = "linux", target_env = "gnu"))) {
        return;
    }
    let starts = env::var(STARTS).ok();
    let Some(start) = next_start(starts.as_deref(), env::var_os(TUNABLES).is_some(), has_huge_pages) else { return };
    let Ok(program) = env::current_exe() else { return };
    let mut words = env::args_os();
    let mut again = Command::new(program);
    if let Some(name) = words.next() {
        again.arg0(name);
    }
    // It comes back only if it failed; then all is as it was.
    let error = again.args(words).env(TUNABLES, HUGE_PAGES).env(STARTS, start.to_string()).exec();
    drop(error);
}

/// The number of the start to come, if there is to be one.
fn next_start(starts: Option<&str>, has_tunables: bool, has_huge_pages: impl FnOnce() -> bool) -> Option<u32> {
    match starts.map(str::parse::<u32>) {
        // Tunables that are there are somebody else's.
        None => (!has_tunables).then_some(1),
        Some(Ok(starts)) => (starts < MOST_STARTS && has_tunables && !has_huge_pages()).then_some(starts + 1),
        Some(Err(_)) => None,
    }
}

/// Whether the allocator has asked for huge pages for what it has handed out so far, or there are none to be asked for.
fn has_huge_pages() -> bool {
    let mode = fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled").unwrap_or_default();
    let is_asked = |map: &str| map.lines().any(|line| line.starts_with("VmFlags:") && line.contains(" hg"));
    !mode.contains("[madvise]") || fs::read_to_string("/proc/self/smaps").map_or(true, |map| is_asked(&map))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn program_starts_over_until_it_has_huge_pages_and_not_for_ever() {
        assert_eq!(next_start(None, false, || false), Some(1));
        assert_eq!(next_start(Some("1"), true, || false), Some(2));
        assert_eq!(next_start(Some("1"), true, || true), None);
        assert_eq!(next_start(Some("16"), true, || false), None);
    }

    #[test]
    fn tunables_of_somebody_else_stay_and_those_that_were_taken_away_are_not_set_again() {
        assert_eq!(next_start(None, true, || false), None);
        assert_eq!(next_start(Some("1"), false, || false), None);
        for other in ["", "-1", "x"] {
            assert_eq!(next_start(Some(other), true, || false), None);
        }
    }
}
