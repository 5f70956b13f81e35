use tasker_telemetry::prelude::*;

#[step(retry_limit = 3)]
fn serve() -> ! {
    loop {}
}

fn main() {}
