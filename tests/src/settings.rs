//! What the tests of settings share.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tasker_telemetry::settings::{Kind, OptionSpec, Setting, Source};
use tasker_telemetry::{Builder, Telemetry};

/// A file that is there as long as this is.
pub struct File(PathBuf);

impl File {
    /// With that text.
    ///
    /// # Panics
    /// When it cannot be written.
    #[must_use]
    pub fn new(text: &str) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("tasker-settings-{}-{number}.toml", std::process::id()));
        let file = Self(path);
        file.write(text);
        file
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Has another text from now on.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write(&self, text: &str) {
        std::fs::write(&self.0, text).expect("a file can be written");
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The example as it stands in a variable.
#[must_use]
pub fn as_text(option: &OptionSpec) -> String {
    match option.kind {
        Kind::Text | Kind::Choice(_) | Kind::Time => option.example.trim_matches('"').to_owned(),
        Kind::Pairs => option.example.replace(" = ", ": "),
        _ => option.example.to_owned(),
    }
}

/// No test waits for servers that are not there, and none leaves a database behind.
///
/// # Panics
/// When it cannot be built.
pub fn build(builder: Builder, option: &OptionSpec) -> Telemetry {
    let brief = Duration::from_millis(1);
    let builder = match option.key {
        "shutdown_timeout" => builder,
        "store.url" => builder.enabled(false),
        _ => builder.shutdown_timeout(brief),
    };
    builder.build().unwrap()
}

/// Whether the option's example is in force, and came from there.
///
/// # Panics
/// When it is not.
pub fn check(option: &OptionSpec, telemetry: &Telemetry, source: &Source) {
    let setting: Setting = telemetry.settings().get(option.key).unwrap().clone();
    assert_eq!(&setting.source, source, "{}", option.key);
    assert_eq!(setting.reloadable, option.is_reloadable());
    let bare = |text: &str| text.replace("\\\\", "\\").replace(['\'', '"'], "");
    if option.secret {
        assert!(setting.value.contains("[FILTERED]"), "{} is shown: {}", option.key, setting.value);
    } else {
        assert_eq!(bare(&setting.value), bare(option.example), "{}", option.key);
    }
}
