//! The way of most steps: it begins at once, in the scope around it, and ends well in its first poll. What it has to remember
//! lies on the stack of that poll; what turns out otherwise becomes a [`StepRun`] like all others.

use std::cell::{RefCell, RefMut};
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread;

use super::meter::Metering;
use super::{Kept, Outside, Phase, StepRun, Times};
use crate::catalog::StepSpec;
use crate::event::EventKind;
use crate::lifecycle::Pace;
use crate::lifecycle::dying::Dying;
use crate::lifecycle::late::Late;
use crate::log_span::LogSpan;
use crate::metrics::Took;
use crate::otel::{Attached, Spot};
use crate::publisher::{Fact, Numbers, ShortStep, StepPlace};
use crate::scope::{self, Here, Lent, LentTask, Scope};
use crate::state::State;
use crate::time::Moment;
use crate::trace::SpanId;

/// A body as this way sees it, whatever it returns: what it does with that is compiled for each type.
pub(in crate::lifecycle) trait Body {
    /// Calls it, or polls it for the first time.
    fn run(&mut self) -> Went;

    /// The same where it does not matter how it ends. Says whether it has.
    fn run_quietly(&mut self) -> bool;

    /// Tells the step how it failed.
    fn fail(&mut self, run: &mut StepRun);

    /// Where the step lies if it goes on after that poll, and what stands behind the body. `None`: there is no further poll.
    fn rest(&mut self) -> Option<(&mut Late, &mut Dying)>;
}

/// How far a body has come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::lifecycle) enum Went {
    /// It has ended well.
    Well,
    /// It goes on after this poll.
    On,
    /// It has failed.
    Badly,
}

/// Polls a body for the first time, as a step that begins in the scope around it. `false`: it cannot, and nothing has happened.
#[inline(never)]
pub(in crate::lifecycle) fn poll(spec: &'static StepSpec, body: &mut dyn Body) -> bool {
    scope::with_place(|here| run::<true>(here, spec, body))
}

/// The same for a plain function, which is called.
#[inline(never)]
pub(in crate::lifecycle) fn call(spec: &'static StepSpec, body: &mut dyn Body) -> bool {
    scope::with_place(|here| run::<false>(here, spec, body))
}

/// The same; `POLLS`: it is polled.
#[inline(always)]
#[allow(clippy::inline_always, reason = "called in two places, each the way of each step of its kind")]
fn run<const POLLS: bool>(here: &RefCell<Here>, spec: &'static StepSpec, body: &mut dyn Body) -> bool {
    let Ok(mut looked) = here.try_borrow_mut() else { return false };
    let Here { scope, polling, .. } = &mut *looked;
    let Scope::Task(task, place, _) = scope else {
        drop(looked);
        return run_outside_tasks(spec, POLLS, body);
    };
    if task.is_told_of_fully() {
        return !LogSpan::is_wanted(task) && run_told::<true, POLLS>(here, looked, spec, body);
    }
    match task.pace() {
        Pace::Short => !LogSpan::is_wanted(task) && run_told::<false, POLLS>(here, looked, spec, body),
        Pace::Quiet => {
            let lent = LentTask::begin(place, StepPlace::of(spec, task), polling, POLLS);
            drop(looked);
            run_quietly(here, spec, lent, body)
        }
        Pace::Long => false,
    }
}

/// One of which somebody is told; `FULLY`: of its beginning, and of its end. All of it in one function, so that what is to be
/// remembered while the body runs stays where it is.
#[inline(always)]
#[allow(clippy::inline_always, reason = "called in two places, each the way of most steps in many programs")]
fn run_told<const FULLY: bool, const POLLS: bool>(
    here: &RefCell<Here>,
    mut looked: RefMut<'_, Here>,
    spec: &'static StepSpec,
    body: &mut dyn Body,
) -> bool {
    let (started, step, outer, was_polling);
    {
        let Here { scope, polling, lanes, .. } = &mut *looked;
        let Scope::Task(task, place, _) = scope else { return false };
        let task = &**task;
        started = Moment::now();
        let numbers = task.open();
        // Other libraries see the step until its body is over.
        let (mut parent, mut attached) = (0, Attached::NOTHING);
        if let Some(trace) = task.trace().filter(|trace| trace.is_recorded()) {
            let current = attached.attach_step(trace, SpanId::of_first_attempt(task.first_attempts(), numbers.step()));
            parent = trace.parent_among(current, || place.map(|place| place.span(task)));
        }
        if let Some(metrics) = task.metrics() {
            metrics.short_step_began();
        }
        let inner = StepPlace { spec, number: numbers.step(), attempt: 1, parent };
        (outer, was_polling) = (*place, *polling);
        *place = Some(inner);
        *polling |= POLLS;
        step = ShortStep { spec, numbers, at: started.timestamp(), parent, opens: true };
        if !task.tell_opening::<FULLY>(lanes, step) {
            looked.send_short(spec, numbers, (step.at, parent), (true, None));
        }
        drop(looked);

        let went = catch_unwind(AssertUnwindSafe(|| body.run()));
        if !matches!(went, Ok(Went::Well)) {
            let lent = LentTask::new(outer, was_polling);
            Short { started, numbers, attached: &mut attached }.goes_otherwise(spec, lent, body, went);
            return true;
        }
    }

    let nanos = started.nanos_since();
    let Ok(mut looked) = here.try_borrow_mut() else { return true };
    let Here { scope, polling, lanes, .. } = &mut *looked;
    let Scope::Task(task, place, _) = scope else { return true };
    let task = &**task;
    (*place, *polling) = (outer, was_polling);
    task.step_completed();
    if let Some(metrics) = task.metrics() {
        let end_unix_nanos = step.at.as_unix_nanos().wrapping_add(nanos);
        metrics.short_step_completed(spec, Took { nanos, end_unix_nanos, trace: || task.exemplar() });
    }
    if let Err(numbers) = task.tell_short_end::<FULLY>(lanes, step, nanos) {
        looked.send_short(spec, numbers, (step.at, step.parent), (false, Some(nanos)));
    }
    true
}

/// The same where nobody is to be told.
#[inline(always)]
#[allow(clippy::inline_always, reason = "as above")]
fn run_quietly(here: &RefCell<Here>, spec: &'static StepSpec, lent: LentTask, body: &mut dyn Body) -> bool {
    match catch_unwind(AssertUnwindSafe(|| body.run_quietly())) {
        Ok(true) => lent.end(here),
        Ok(false) => go_on(spec, body, |run| run.become_quiet(lent.keep())),
        Err(panic) => {
            lent.end(here);
            resume_unwind(panic);
        }
    }
    true
}

/// The same outside tasks, where it can if nobody is to be told.
fn run_outside_tasks(spec: &'static StepSpec, polls: bool, body: &mut dyn Body) -> bool {
    let Some(lent) = Lent::begin(spec, polls) else { return false };
    match catch_unwind(AssertUnwindSafe(|| body.run_quietly())) {
        Ok(true) => lent.end(),
        Ok(false) => go_on(spec, body, |run| run.become_quiet(lent.keep())),
        Err(panic) => {
            lent.end();
            resume_unwind(panic);
        }
    }
    true
}

fn go_on(spec: &'static StepSpec, body: &mut dyn Body, become_it: impl FnOnce(&mut StepRun)) {
    if let Some((late, dying)) = body.rest() {
        late.go_on(spec, dying, become_it);
    }
}

/// What is to be remembered of a step on that way that was told of.
struct Short<'a> {
    started: Moment,
    numbers: Numbers,
    /// Other libraries see the step, until its first poll ends.
    attached: &'a mut Attached,
}

impl Short<'_> {
    /// It does not end well in that poll.
    #[inline(never)]
    fn goes_otherwise(self, spec: &'static StepSpec, lent: LentTask, body: &mut dyn Body, went: thread::Result<Went>) {
        if let Ok(Went::On) = went {
            return go_on(spec, body, |run| run.become_told(lent, self));
        }
        self.attached.detach();
        let mut run = StepRun::new(spec, None);
        run.become_told(lent, self);
        match went {
            Ok(_) => body.fail(&mut run),
            Err(panic) => {
                run.panicked(&*panic);
                resume_unwind(panic);
            }
        }
    }
}

impl StepRun {
    /// A step that has just been made becomes one of which nobody is told, after its first poll. (It is made where it stays: moved
    /// there, it costs 30 instructions each time.)
    fn become_quiet(&mut self, scope: Scope) {
        self.set_scope(scope);
        self.phase = Phase::Running;
    }

    /// The same for one that was told of; or its body failed or panicked in that poll.
    fn become_told(&mut self, lent: LentTask, short: Short<'_>) {
        self.become_quiet(lent.keep());
        let Short { started, numbers, attached } = short;
        if let Kept::Scope(Scope::Task(task, Some(place), _), outside, _) = &mut self.kept {
            self.watched = task.is_watched();
            self.metering = if task.metrics().is_some() { Metering::Step } else { Metering::Off };
            let spot = task.trace().map(|trace| attached.take_back(trace, place.span(task)));
            if let Some(spot) = spot.filter(Spot::is_there) {
                // There is nothing in it: forgotten, it is not asked what it holds.
                mem::forget(outside.replace(Outside { spot, log: LogSpan::none() }));
            }
        }
        self.times = Some(Times { asked: started, started });
        self.opened = numbers;
        self.meter_late_start();
        self.state = State::InProgress;
    }

    /// A step that began as a short one ends well, after further polls. `false`: it did not, and nothing has happened.
    pub(super) fn short_completed(&mut self) -> bool {
        let numbers = self.opened;
        let (Some(Times { started, .. }), Some((task, place))) = (self.times, self.task()) else { return false };
        if numbers == Numbers::NONE {
            return false;
        }
        let nanos = started.nanos_since();
        let end = started.timestamp().after(nanos);
        task.step_completed();
        let StepPlace { spec, parent, .. } = place;
        let step = ShortStep { spec, numbers, at: started.timestamp(), parent, opens: true };
        let told = scope::with_lanes(|lanes| {
            if let Err(numbers) = task.tell_short_end::<false>(lanes, step, nanos) {
                let since = (started.timestamp(), parent);
                task.core().publisher().send_short(lanes, task, spec, numbers, since, (false, Some(nanos)));
            }
        });
        if told.is_none() {
            let fact = || Fact::Completed { nanos, queue_nanos: 0, inputs: None };
            task.emit(EventKind::StepCompleted, end, Some(place), fact); // the thread is being torn down
        }
        self.meter_short_completed(task, end, nanos);
        self.state = State::Complete;
        true
    }
}
