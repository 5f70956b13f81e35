//! How an attempt comes to run: it asks, waits for a place if it must, and begins.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::{Hold, Kept, Outside, Phase, StepRun, Times};
use crate::event::EventKind;
use crate::lifecycle::TaskCore;
use crate::log_span::LogSpan;
use crate::otel::Spot;
use crate::publisher::{Fact, Inputs};
use crate::scope::{self, Permit, Scope};
use crate::state::State;
use crate::time::Moment;
use crate::trace::SpanId;

impl StepRun {
    /// Brings the next attempt to the point where its body may run.
    pub(in crate::lifecycle) fn poll_start(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.phase == Phase::Ready {
            if self.permit_needed().is_none() {
                self.ask_and_start();
                return Poll::Ready(());
            }
            self.ask();
            if let Some((semaphore, _)) = self.permit_needed() {
                let permit = Box::pin(semaphore.acquire_arc());
                self.set_hold(Some(Hold::Awaited(permit)));
            }
        }
        if let Some(Hold::Awaited(permit)) = self.hold_mut() {
            let guard = ready!(permit.as_mut().poll(cx));
            self.set_hold(Some(Hold::Permit(guard)));
        }
        self.start();
        Poll::Ready(())
    }

    /// The same for a plain function, which waits by blocking.
    #[inline(never)]
    pub(in crate::lifecycle) fn start_blocking(&mut self) {
        if self.permit_needed().is_none() {
            self.ask_and_start();
            return;
        }
        self.ask();
        if let Some((semaphore, task)) = self.permit_needed() {
            if !scope::is_polling() {
                let guard = semaphore.acquire_arc_blocking();
                self.set_hold(Some(Hold::Permit(guard)));
            } else if let Some(guard) = semaphore.try_acquire_arc() {
                self.set_hold(Some(Hold::Permit(guard)));
            } else {
                // This thread drives the futures that hold the permits: blocking it might be for ever.
                task.core().concurrency_overrun();
            }
        }
        self.start();
    }

    pub(super) fn permit_needed(&self) -> Option<(&Arc<async_lock::Semaphore>, &Arc<TaskCore>)> {
        match self.scope()? {
            Scope::Task(task, _, Permit::NotHeld) => task.permits().map(|permits| (permits, task)),
            _ => None,
        }
    }

    /// The attempt asks to run, and has nothing to wait for.
    fn ask_and_start(&mut self) {
        if !self.prepare() {
            self.phase = Phase::Running;
            return;
        }
        let Some(Times { asked, started: now }) = self.times else { return };
        // What an engine's queue made it wait for is told with the start, which takes a record of its own.
        let at_once = asked.nanos_until(now) == 0;
        match self.scope() {
            Some(Scope::Task(task, Some(place), _))
                if at_once && task.wants_begun() && self.state == State::Pending =>
            {
                task.emit_begun(now.timestamp(), *place, self.inputs());
                self.advance(State::InProgress);
                self.phase = Phase::Running;
                self.meter_start(0);
                self.find_spot();
            }
            _ => {
                self.tell_asked(now);
                self.start();
            }
        }
    }

    fn ask(&mut self) {
        self.phase = Phase::Asked;
        if self.prepare()
            && let Some(Times { started: now, .. }) = self.times
        {
            self.tell_asked(now);
        }
    }

    /// Takes down when the attempt asks to run, if anybody wants to know.
    fn prepare(&mut self) -> bool {
        if !self.has_to_tell() {
            return false;
        }
        let now = Moment::now();
        let is_first = self.times.is_none(); // here: an engine may have had others run elsewhere
        self.times = Some(Times { asked: now, started: now });
        if let Some(engine) = self.engine().filter(|_| is_first) {
            let asked = now.before(engine.take_queue_nanos());
            self.times = Some(Times { asked, started: now });
        }
        if is_first {
            self.find_parent();
            self.mask_fields();
        }
        true
    }

    fn tell_asked(&self, now: Moment) {
        self.emit(EventKind::StepExecutionRequested, now, || self.inputs().map_or(Fact::Bare, Fact::Inputs));
    }

    /// Finds the span that this one's is a child of.
    fn find_parent(&mut self) {
        let Some(Scope::Task(task, Some(place), _)) = self.scope_mut() else { return };
        if let Some(trace) = task.trace().filter(|trace| trace.is_recorded()) {
            place.parent = trace.parent_of_step(|| scope::step_span_in(task));
        }
    }

    /// From here on there are only values that may be shown.
    fn mask_fields(&mut self) {
        let spec = self.spec;
        if let Kept::Scope(Scope::Task(task, ..), _, Some(rare)) = &mut self.kept
            && let Some(fields) = rare.fields.take()
        {
            let (inputs, masked) = task.core().filter().fields(spec, "step_inputs", spec.fields, fields);
            task.secrets().add(masked);
            rare.inputs = Some(Arc::new(inputs));
        }
    }

    pub(super) fn inputs(&self) -> Option<Inputs> {
        self.rare()?.inputs.clone()
    }

    fn start(&mut self) {
        self.phase = Phase::Running;
        let waited = self.has_permit();
        if waited && let Some(Scope::Task(_, _, permit)) = self.scope_mut() {
            *permit = Permit::Held;
        }
        let Some(Times { asked, started }) = &mut self.times else { return };
        // Without a wait the two moments are one: it saves reading the clock again.
        if waited {
            *started = asked.later();
        }
        let (asked, now) = (*asked, *started);
        if let Some(event) = self.advance(State::InProgress) {
            let queue_nanos = asked.nanos_until(now);
            self.meter_start(queue_nanos);
            self.emit(event, now, || Fact::Started { queue_nanos });
            self.find_spot();
        }
    }

    /// Makes the attempt's span what other libraries see. In a task whose spans nobody wants, the task's own serves all steps.
    fn find_spot(&mut self) {
        let Some((task, place)) = self.task() else { return };
        let trace = task.trace().filter(|trace| self.owns_task || trace.is_recorded());
        let log = LogSpan::of_step(task, place);
        let outside = if trace.is_some() || log.is_there() {
            let span = SpanId::of_step(task.nonce(), place.number, place.attempt);
            Some(Outside { spot: trace.map_or_else(Spot::none, |trace| Spot::of_step(trace, span)), log })
        } else {
            None
        };
        self.set_outside(outside);
    }
}
