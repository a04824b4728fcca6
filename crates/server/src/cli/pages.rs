//! Huge pages for the memory of password hashes.
//!
//! argon2 reads its 19 MiB in random order. In pages of 4 KiB that misses the processor's table of pages most of the
//! time; in pages of 2 MiB it does not, which saves 5 to 10 per cent of a sign-in. The GNU allocator asks the kernel for huge pages
//! if a tunable says so, and it reads its tunables once, before `main`: so the program sets it and starts itself over,
//! as the same process. Where the allocator is another one, or the kernel gives no huge pages, nothing changes.
//!
//! Up to version 2.36 the allocator compares what the kernel says of huge pages with one byte more than it has read, so
//! whether it asks for them is a matter of chance: then the program starts itself over once more.

use std::{env, ffi::OsStr, fs, os::unix::process::CommandExt, process::Command};

const TUNABLES: &str = "GLIBC_TUNABLES";
/// Large pieces of memory come from the kernel and go back to it, always. Left to itself the allocator keeps the second
/// one of a size, in small pages, for good. How large is one MiB, and a byte for each start before.
const THRESHOLD: &str = "glibc.malloc.mmap_threshold=";
const MIB: u32 = 1 << 20;
/// The most starts; each takes a few milliseconds.
const STARTS: u32 = 16;

/// Starts the program over with huge pages, unless it has them or somebody else decided about the allocator.
pub(super) fn ask_for_huge_pages() {
    if cfg!(not(all(target_os = "linux", target_env = "gnu"))) {
        return;
    }
    let starts = match env::var_os(TUNABLES) {
        None => 0,
        Some(tunables) => match starts_before(&tunables) {
            Some(starts) if starts < STARTS && !has_huge_pages() => starts,
            _ => return,
        },
    };
    let Ok(program) = env::current_exe() else { return };
    let mut words = env::args_os();
    let mut again = Command::new(program);
    if let Some(name) = words.next() {
        again.arg0(name);
    }
    let tunables = format!("{THRESHOLD}{}:glibc.malloc.hugetlb=1", MIB + starts + 1);
    // It comes back only if it failed; then all is as it was.
    let error = again.args(words).env(TUNABLES, tunables).exec();
    drop(error);
}

/// How often the program has started itself over; nothing if it was somebody else. The allocator has cut the text
/// where its first tunable ends.
fn starts_before(tunables: &OsStr) -> Option<u32> {
    let threshold = tunables.to_str()?.strip_prefix(THRESHOLD)?.split(':').next()?;
    threshold.parse::<u32>().ok()?.checked_sub(MIB).filter(|starts| *starts <= STARTS)
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
    fn starts_are_counted_in_our_own_tunables_only() {
        let count = |text: &str| starts_before(OsStr::new(text));
        assert_eq!(count("glibc.malloc.mmap_threshold=1048577"), Some(1));
        assert_eq!(count("glibc.malloc.mmap_threshold=1048580:glibc.malloc.hugetlb=1"), Some(4));
        for other in ["", "glibc.malloc.hugetlb=1", "glibc.malloc.mmap_threshold=4096", "glibc.malloc.mmap_threshold=x"]
        {
            assert_eq!(count(other), None, "{other}");
        }
    }
}
