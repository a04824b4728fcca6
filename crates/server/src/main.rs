//! The `gatehouse` program.

fn main() -> std::process::ExitCode {
    gatehouse_server::cli::run()
}
