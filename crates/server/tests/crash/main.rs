//! Tests of the program itself, as a process: killed, stopped, started twice, and watched over its shoulder.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod back_channel;
mod client;
mod commands;
mod disk;
mod frozen;
mod import;
mod journal;
mod lifecycle;
mod logs;
mod manual;
mod master_key;
mod operate;
mod process;
mod restore;
mod slow;
mod start;
mod storm;
mod upgrade;
mod wire;
