//! Settings: what can be set, in a file and in the environment as well as in code, and what is in force.
//!
//! One table lists every option ([`options`]). From weak to strong they are taken from
//!
//! 1. the default,
//! 2. `tasker.toml`, section `[telemetry]`,
//! 3. environment variables `TASKER_TELEMETRY__SERVICE_NAME`, `TASKER_TELEMETRY__OTLP__ENDPOINT`, ..,
//! 4. OpenTelemetry's environment variables, `OTEL_SERVICE_NAME`, ..,
//! 5. code: the [`Builder`](crate::Builder)'s methods.
//!
//! [`Telemetry::from_env`](crate::Telemetry::from_env) and [`Telemetry::from_file`](crate::Telemetry::from_file) read them;
//! [`Telemetry::settings`](crate::Telemetry::settings) tells what is in force and where it came from;
//! [`Telemetry::reload`](crate::Telemetry::reload) takes up what has changed. Mistakes are errors that name file, line and
//! key ([`SettingsError`]).
//!
//! ```
//! use tasker_telemetry::Telemetry;
//!
//! let builder = Telemetry::from_variables([
//!     ("TASKER_TELEMETRY__SERVICE_NAME", "shop"),
//!     ("TASKER_TELEMETRY__TRACES_EXPORTER", "none"),
//!     ("TASKER_TELEMETRY__SHUTDOWN_TIMEOUT", "2s"),
//! ])?;
//! let telemetry = builder.auto_subscribers(false).queue_capacity(1_000).build()?;
//! let settings = telemetry.settings();
//! let service = settings.get("service_name").expect("an option");
//! assert_eq!(service.value, "\"shop\"");
//! assert_eq!(service.source.to_string(), "TASKER_TELEMETRY__SERVICE_NAME");
//! assert_eq!(settings.get("queue_capacity").expect("an option").source.to_string(), "code");
//!
//! let error = Telemetry::from_variables([("TASKER_TELEMETRY__SERVICE_NAM", "shop")]).unwrap_err();
//! assert!(error.to_string().ends_with("is no option; did you mean `service_name`?"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | file | subject |
//! | --- | --- |
//! | `table.rs`, `spec.rs`, `standard.rs` | the options |
//! | `value.rs` | what they can be set to |
//! | `read.rs`, `layers.rs`, `file.rs` | reading the sources |
//! | `error.rs`, `nearest.rs` | mistakes |
//! | `view.rs`, `reload.rs` | what is in force, and changing it |
//! | `page.rs` | `docs/configuration.md` and the template |

mod error;
#[cfg(feature = "config")]
mod file;
mod layers;
mod nearest;
mod page;
mod read;
mod reload;
mod spec;
mod standard;
mod table;
#[cfg(test)]
mod tests;
mod value;
mod view;

pub use self::error::{SettingsError, SettingsProblem};
#[cfg(feature = "config")]
pub use self::layers::check;
pub(crate) use self::layers::{Layers, Sources};
pub use self::page::{markdown, template};
pub use self::reload::{Changed, Refused, Reloaded};
pub use self::spec::OptionSpec;
pub use self::value::{Kind, Value};
pub(crate) use self::view::InForce;
pub use self::view::{Setting, Settings, Source};

/// What the names of our variables begin with.
const PREFIX: &str = "TASKER_TELEMETRY__";
/// The variable that names the file.
const FILE_VARIABLE: &str = "TASKER_TELEMETRY__CONFIG_FILE";
/// The file that is read when nothing else is said, if it is there.
#[cfg(feature = "config")]
const DEFAULT_FILE: &str = "tasker.toml";

/// Every option, by subject, whether this build has the feature that it needs or not.
#[must_use]
pub fn options() -> &'static [OptionSpec] {
    &table::OPTIONS
}
