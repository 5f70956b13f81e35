use tasker_telemetry::prelude::*;

struct OnCall;

fn also() {
    let _ = Telemetry::builder().subscriber(OnCall);
}

fn main() {}
