//! Changing settings while the telemetry runs.

use super::error::{Place, SettingsError, SettingsProblem};
use super::layers::read;
use super::spec::{Change, OptionSpec};
use super::view::{Entry, InForce, Setting, Source};
use super::{Settings, Value};
use crate::telemetry::{Core, Telemetry};

/// What [`Telemetry::reload`] did.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Reloaded {
    /// What has another value now.
    pub changed: Vec<Changed>,
    /// What the sources say now and the telemetry goes on without.
    pub refused: Vec<Refused>,
}

/// An option that has changed.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Changed {
    /// Its key.
    pub key: &'static str,
    /// What holds now, and where it came from.
    pub now: Setting,
}

/// An option that cannot change, or not to that value.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refused {
    /// Its key.
    pub key: &'static str,
    /// Why not.
    pub reason: String,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` {}", self.key, self.reason)
    }
}

impl Telemetry {
    /// What is in force: every option with its value and where it came from, secrets masked.
    #[must_use]
    pub fn settings(&self) -> Settings {
        self.in_force().view(self.core().filter())
    }

    /// Reads file and environment again, and takes up what can change while the telemetry runs: sampling, rules added to the
    /// filter, and what else [`OptionSpec::is_reloadable`] says of. The rest is refused with a reason, in
    /// [`Reloaded::refused`]. What code has set stays.
    ///
    /// Tasks that have begun keep their sampling decision.
    ///
    /// # Errors
    /// [`SettingsError`] when the sources have mistakes: nothing has changed then.
    ///
    /// ```
    /// use tasker_telemetry::Telemetry;
    ///
    /// # #[cfg(feature = "config")] {
    /// # let path = std::env::temp_dir().join(format!("reload-doc-{}.toml", std::process::id()));
    /// std::fs::write(&path, "[telemetry]\nsampling.ratio = 1.0\n")?;
    /// let telemetry = Telemetry::builder().auto_subscribers(false).config_file(&path).build()?;
    ///
    /// std::fs::write(&path, "[telemetry]\nsampling.ratio = 0.1\nqueue_capacity = 5\n")?;
    /// let reloaded = telemetry.reload()?;
    /// assert_eq!(reloaded.changed[0].key, "sampling.ratio");
    /// assert_eq!(reloaded.refused[0].key, "queue_capacity");
    /// # std::fs::remove_file(path)?;
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reload(&self) -> Result<Reloaded, SettingsError> {
        let (force, core) = (self.in_force(), self.core());
        let layers = force.sources.read(&force.variables, force.obeys_standard)?;
        let mut reloaded = Reloaded::default();
        let mut entries = force.lock();
        let mut changed = Vec::new();
        for entry in entries.iter_mut().filter(|entry| entry.source() != Source::Code) {
            let said = layers.of(entry.option).map(|(value, source)| (value.clone(), source.clone()));
            let next = Entry::new(entry.option, said);
            let nobody_says = entry.source() == Source::Default && next.source() == Source::Default;
            let (Some(before), Some(after), false) = (entry.value(), next.value(), nobody_says) else { continue };
            if before == after {
                *entry = next; // the line may be another
                continue;
            }
            match change(core, entry.option, &after) {
                Ok(()) => {
                    changed.push(entry.option.key);
                    *entry = next;
                }
                Err(reason) => reloaded.refused.push(Refused { key: entry.option.key, reason }),
            }
        }
        drop(entries);
        let settings = self.settings();
        let now = |key: &&'static str| settings.get(key).cloned().map(|now| Changed { key, now });
        reloaded.changed = changed.iter().filter_map(now).collect();
        Ok(reloaded)
    }

    /// Changes one option while the telemetry runs; the value is written as in an environment variable.
    ///
    /// # Errors
    /// [`SettingsError`]: an unknown key, an impossible value, or an option that cannot change now.
    ///
    /// ```
    /// use tasker_telemetry::Telemetry;
    ///
    /// let telemetry = Telemetry::builder().auto_subscribers(false).in_memory_spans(Default::default()).build()?;
    /// telemetry.change("sampling.ratio", "0.1")?;
    /// telemetry.change("filter_values", r"\b\d{16}\b")?;
    /// let error = telemetry.change("queue_capacity", "5").unwrap_err();
    /// assert!(error.to_string().contains("cannot change while the telemetry runs"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn change(&self, key: &str, value: &str) -> Result<(), SettingsError> {
        let (option, value) =
            read(key, value, &Place::Code).map_err(|problem| SettingsError { problems: vec![problem] })?;
        change(self.core(), option, &value).map_err(|problem| {
            let key = key.to_owned();
            SettingsError { problems: vec![SettingsProblem { place: Place::Code, key, problem, nearest: None }] }
        })?;
        self.in_force().changed(option, value);
        Ok(())
    }
}

impl InForce {
    fn changed(&self, option: &'static OptionSpec, value: Value) {
        if let Some(entry) = self.lock().iter_mut().find(|entry| std::ptr::eq(entry.option, option)) {
            *entry = Entry::new(option, Some((value, Source::Changed)));
        }
    }
}

fn change(core: &Core, option: &OptionSpec, value: &Value) -> Result<(), String> {
    match option.change {
        Change::Fixed(why) => Err(why.to_owned()),
        Change::Live(change) => change(core, value),
    }
}
