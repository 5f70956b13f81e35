//! The correlation id: what ties together everything that one request caused. Given by the caller, else a task's trace id.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::scope::{self, Scope};
use crate::telemetry::Core;

/// What ties together everything that one request caused: it came with the request, and everything about the tasks that begin
/// in its [`scope`](Self::scope) says it: events, spans (`tasker.correlation_id`), logs, and carriers to other processes.
///
/// At most 100 letters and digits of ASCII, `-` and `_`: it comes from outside and goes everywhere. Without one, a task's
/// correlation id is its trace id.
///
/// ```
/// use tasker_telemetry::CorrelationId;
/// use tasker_telemetry::prelude::*;
///
/// #[task]
/// async fn order_process() -> Option<String> {
///     TaskScope::current().map(|task| task.correlation_id())
/// }
///
/// # tasker_telemetry::testing::block_on(async {
/// let telemetry = Telemetry::builder().auto_subscribers(false).build()?;
/// let header = "req-4711"; // `X-Correlation-ID` of a request
/// let correlation: CorrelationId = header.parse()?;
/// let seen = telemetry.scope(correlation.scope(order_process())).await;
/// assert_eq!(seen.as_deref(), Some("req-4711"));
/// assert!("no spaces, please".parse::<CorrelationId>().is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
///
/// A task that begins inside another takes over the other's, if that one was given. Nothing else travels to threads and
/// spawned tasks by itself: wrap what is spawned in [`in_current_scope`](crate::InCurrentScope::in_current_scope) inside a
/// task, or in `scope` of a clone.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct CorrelationId(Arc<str>);

/// A text that can be no correlation id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a correlation id has 1 to 100 letters and digits of ASCII, `-` and `_`")]
pub struct InvalidCorrelationId;

const LONGEST: usize = 100;

/// Whether anybody has ever given one: while nobody has, a task that begins looks no further.
static USED: AtomicBool = AtomicBool::new(false);

thread_local! {
    static GIVEN: RefCell<Option<Arc<str>>> = const { RefCell::new(None) };
}

impl CorrelationId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Tasks that begin while the future is polled have this correlation id.
    pub fn scope<F: Future>(self, future: F) -> InCorrelation<F> {
        USED.store(true, Ordering::Relaxed);
        InCorrelation { id: Some(self.0), future }
    }

    /// Tasks that begin while the function runs have this correlation id.
    pub fn in_scope<R>(self, f: impl FnOnce() -> R) -> R {
        USED.store(true, Ordering::Relaxed);
        let mut id = Some(self.0);
        let _entered = Entered::new(&mut id);
        f()
    }
}

/// What one task knows of it.
#[derive(Debug)]
pub(crate) struct Correlation {
    /// The task's own.
    id: Option<Arc<str>>,
    /// That of the scope around the task: a task inside takes over the own one, unless a scope inside says otherwise.
    around: Option<Arc<str>>,
}

impl Correlation {
    /// That of a task that begins here; `given`: with the task itself.
    #[inline]
    pub(crate) fn of_task(given: Option<Box<str>>, core: &Core) -> Option<Box<Self>> {
        if given.is_some() || USED.load(Ordering::Relaxed) { Self::found(given, core) } else { None }
    }

    #[cold]
    fn found(given: Option<Box<str>>, core: &Core) -> Option<Box<Self>> {
        USED.store(true, Ordering::Relaxed);
        let around = GIVEN.try_with(|given| given.borrow().clone()).ok().flatten();
        let own = given.and_then(|text| {
            let parsed = text.parse::<CorrelationId>();
            if parsed.is_err() {
                core.invalid_correlation_id();
            }
            parsed.ok().map(|id| id.0)
        });
        let id = own.or_else(|| {
            let outer = scope::with_current(|scope| match scope {
                Scope::Task(task, ..) => task.correlation().map(|outer| (outer.id.clone(), outer.around.clone())),
                _ => None,
            });
            let same = |one: &Option<Arc<str>>| match (one, &around) {
                (Some(one), Some(around)) => Arc::ptr_eq(one, around),
                (None, None) => true,
                _ => false,
            };
            match outer {
                Some((id, before)) if same(&before) => id,
                _ => around.clone(),
            }
        });
        (id.is_some() || around.is_some()).then(|| Box::new(Self { id, around }))
    }

    /// That of a task that comes from another process.
    pub(crate) fn carried(text: Option<&str>) -> Option<Box<Self>> {
        let id = text?.parse::<CorrelationId>().ok()?;
        USED.store(true, Ordering::Relaxed);
        Some(Box::new(Self { id: Some(id.0), around: None }))
    }

    pub(crate) const fn id(&self) -> Option<&Arc<str>> {
        self.id.as_ref()
    }
}

impl FromStr for CorrelationId {
    type Err = InvalidCorrelationId;

    fn from_str(text: &str) -> Result<Self, InvalidCorrelationId> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if (1..=LONGEST).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidCorrelationId)
        }
    }
}

impl fmt::Display for CorrelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for CorrelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CorrelationId").field(&self.0).finish()
    }
}

/// Has the id in the thread's cell as long as it lives; what was there before comes back.
struct Entered<'i>(&'i mut Option<Arc<str>>);

impl<'i> Entered<'i> {
    fn new(id: &'i mut Option<Arc<str>>) -> Self {
        exchange(id);
        Self(id)
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        exchange(self.0);
    }
}

fn exchange(id: &mut Option<Arc<str>>) {
    // During the thread's own destruction there is none any more.
    let _ = GIVEN.try_with(|given| std::mem::swap(&mut *given.borrow_mut(), id));
}

pin_project! {
    /// A future whose tasks have a correlation id, made by [`CorrelationId::scope`].
    #[must_use = "futures do nothing unless they are polled"]
    pub struct InCorrelation<F> {
        id: Option<Arc<str>>,
        #[pin]
        future: F,
    }
}

impl<F: Future> Future for InCorrelation<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _entered = Entered::new(this.id);
        this.future.poll(cx)
    }
}

impl<F> fmt::Debug for InCorrelation<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InCorrelation").field("id", &self.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_everywhere_is_looked_at_first() {
        let long = "x".repeat(LONGEST);
        for right in ["a", "Req_4711-b", &long] {
            assert_eq!(right.parse::<CorrelationId>().unwrap().as_str(), right);
        }
        for wrong in ["", "a b", "a\n", "ä", "a;b", "a=b", &format!("{long}x")] {
            assert_eq!(wrong.parse::<CorrelationId>(), Err(InvalidCorrelationId), "{wrong}");
        }
    }
}
