//! Where this process's events, spans and metrics go.

use std::io::{self, Write as _};

use tasker_telemetry::prelude::*;
use tasker_telemetry::trace::Otlp;

use crate::BoxError;
use crate::args::Output;

/// The telemetry of this process.
pub(crate) fn telemetry(output: &Output) -> Result<Telemetry, BoxError> {
    let mut builder = Telemetry::builder().enabled(!output.off).service_name("shop");
    if output.json {
        builder = builder.subscriber(Lines);
    }
    if let Some(url) = &output.store {
        builder = builder.store(url);
    }
    if let Some(url) = &output.otlp {
        builder = builder.otlp_with(Otlp::new().endpoint(url));
    }
    Ok(builder.install()?)
}

/// Prints every event as a line of JSON.
#[derive(Subscriber)]
#[subscribe("*")]
#[subscriber(manual)]
struct Lines;

impl Lines {
    #[allow(clippy::unused_self, reason = "what a subscriber's method is called with")]
    fn handle_event(&self, event: &EventRecord) -> io::Result<()> {
        // One write a line: of a process that is killed there is no half a line.
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        io::stdout().lock().write_all(&line)
    }
}
