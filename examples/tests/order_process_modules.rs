//! Runs the unit tests inside the example `order_process`: cargo builds examples when it tests, but not their tests.

#![allow(dead_code, reason = "`main` is not here, and it is what uses most of this")]

#[path = "../order_process/args.rs"]
mod args;
#[path = "../order_process/chance.rs"]
mod chance;
#[path = "../order_process/domain.rs"]
mod domain;
#[path = "../order_process/gateway.rs"]
mod gateway;
#[path = "../order_process/history.rs"]
mod history;
#[path = "../order_process/json.rs"]
mod json;
#[path = "../order_process/live.rs"]
mod live;
#[path = "../order_process/orders.rs"]
mod orders;
#[path = "../order_process/paint.rs"]
mod paint;
#[path = "../order_process/seen.rs"]
mod seen;
#[path = "../order_process/summary.rs"]
mod summary;
