//! Which telemetry applies: the one of the scope, else the one that is installed; and whether there is any at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

use arc_swap::ArcSwapOption;

use super::Core;
use crate::scope::{self, Scope};

/// How many cores there are. While there is none, a step costs one load.
static LIVE: AtomicUsize = AtomicUsize::new(0);

/// Counts as one of them while it lives.
pub(super) struct Live;

impl Live {
    pub(super) fn new() -> Self {
        LIVE.fetch_add(1, Ordering::Relaxed);
        Self
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        LIVE.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The telemetry of the process, where no scope names another.
pub(super) static INSTALLED: ArcSwapOption<Core> = ArcSwapOption::const_empty();

/// What a step outside any task has to know of it: the number of its installation if nobody is to be told of such a step,
/// else 0. Looking at `INSTALLED` costs 90 instructions more.
static QUIET: AtomicU32 = AtomicU32::new(0);

/// The steps that began with that knowledge, to be added to the core's own count.
static QUIET_STEPS: AtomicU64 = AtomicU64::new(0);

static INSTALLATIONS: AtomicU32 = AtomicU32::new(0);

/// Whether there is any telemetry in this process.
#[inline]
pub(crate) fn is_on() -> bool {
    LIVE.load(Ordering::Relaxed) > 0
}

/// The telemetry of the process.
fn installed() -> Option<Arc<Core>> {
    INSTALLED.load_full()
}

/// Looks at the telemetry of the process, if there is one.
pub(crate) fn with_installed(look: impl FnOnce(&Arc<Core>)) {
    if let Some(core) = &*INSTALLED.load() {
        look(core);
    }
}

/// The number of the installed telemetry for a step outside any task, which is counted; `None` if there is none, or somebody
/// is to be told of the step.
#[inline]
pub(crate) fn begin_quiet_step() -> Option<u32> {
    let installation = QUIET.load(Ordering::Acquire);
    if installation == 0 {
        return None;
    }
    QUIET_STEPS.fetch_add(1, Ordering::Relaxed);
    Some(installation)
}

/// The telemetry of the process, if it is still that one.
pub(crate) fn installed_as(installation: u32) -> Option<Arc<Core>> {
    installed().filter(|core| core.installation().is(installation))
}

/// The telemetry that applies where the calling code runs; `None` when there is none, or it is off.
pub(crate) fn current() -> Option<Arc<Core>> {
    if !is_on() {
        return None;
    }
    let core = scope::with_current(|scope| match scope {
        Scope::Empty | Scope::Installed(..) => None,
        Scope::Telemetry(core) | Scope::Light(core, ..) => Some(Arc::clone(core)),
        Scope::Task(task, ..) => Some(Arc::clone(task.core())),
    });
    core.or_else(installed).filter(|core| core.is_enabled())
}

/// Whether somebody listens to the telemetry that applies here. Asked before every step with `fields(..)`, so it looks
/// without copying an `Arc` (two atomic operations, 10 ns).
#[inline]
pub(crate) fn is_listened_to() -> bool {
    is_on() && is_listened_to_here()
}

fn is_listened_to_here() -> bool {
    let listens = |core: &Core| core.is_enabled() && !core.publisher().is_silent();
    let found = scope::with_current(|scope| match scope {
        Scope::Empty | Scope::Installed(..) => None,
        Scope::Telemetry(core) | Scope::Light(core, ..) => Some(listens(core)),
        Scope::Task(task, ..) => Some(task.is_watched()),
    });
    found.unwrap_or_else(|| INSTALLED.load().as_deref().is_some_and(listens))
}

/// As what a core is installed: a number, 0 until it is.
#[derive(Debug, Default)]
pub(crate) struct Installation(AtomicU32);

impl Installation {
    fn number(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    fn is(&self, number: u32) -> bool {
        self.number() == number
    }

    /// The core has become the telemetry of the process. `is_quiet`: nobody is to be told of a step in it.
    pub(super) fn begin(&self, is_quiet: bool) {
        let number = INSTALLATIONS.fetch_add(1, Ordering::Relaxed).wrapping_add(1).max(1);
        self.0.store(number, Ordering::Relaxed);
        if is_quiet {
            QUIET_STEPS.store(0, Ordering::Relaxed);
            QUIET.store(number, Ordering::Release);
        }
    }

    /// It is not any more, or somebody may have to be told. Gives the steps that were counted for it.
    pub(super) fn end(&self) -> u64 {
        let number = self.number();
        let was_quiet = number != 0 && QUIET.compare_exchange(number, 0, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        if was_quiet { QUIET_STEPS.swap(0, Ordering::Relaxed) } else { 0 }
    }

    /// The steps that were counted for it so far.
    pub(super) fn quiet_steps(&self) -> u64 {
        let number = self.number();
        let is_quiet = number != 0 && QUIET.load(Ordering::Relaxed) == number;
        if is_quiet { QUIET_STEPS.load(Ordering::Relaxed) } else { 0 }
    }
}
