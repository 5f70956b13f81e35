use std::rc::Rc;

use tasker_telemetry::prelude::*;

#[step]
async fn charge(n: Rc<u8>) {
    std::future::ready(()).await;
    drop(n);
}

fn is_send<T: Send>(_: T) {}
fn spawn() {
    is_send(charge(Rc::new(1)));
}

fn main() {}
