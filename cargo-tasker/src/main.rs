//! The command `cargo tasker`.

fn main() -> std::process::ExitCode {
    cargo_tasker::run(std::env::args_os())
}
