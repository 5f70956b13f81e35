use tasker_telemetry::prelude::*;

#[step(fields(a, a, %b, b.len(), self.id, "x" = 1, c = ))]
fn charge(a: u8, b: String, c: u8) -> usize {
    usize::from(a + c) + b.len()
}

fn main() {}
