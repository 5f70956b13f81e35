//! The comparison: which span is of what, what is missing and what is too many.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::mismatch::{Mismatch, Mismatches};
use super::run::{AttemptId, End, Run, Task, text};
use super::values::shown;
use super::{Caller, Checker, Report, STEP_SPAN, TASK_SPAN};
use crate::span::{ReceivedSpan, Value};

pub(super) fn check(checker: &Checker, spans: &[ReceivedSpan], run: &Run) -> Result<Report, Mismatches> {
    let mut check = Check::new(checker, spans);
    for problem in &run.problems {
        check.says("the events", problem.clone());
    }
    check.messages();
    for (task_id, task) in &run.tasks {
        check.task(task_id, task);
    }
    check.traces();
    check.leftovers();
    if check.mismatches.is_empty() { Ok(check.report) } else { Err(Mismatches(check.mismatches)) }
}

/// Spans by what they say they are, and what was found so far.
pub(super) struct Check<'a> {
    pub(super) checker: &'a Checker,
    pub(super) spans: &'a [ReceivedSpan],
    pub(super) roots: HashMap<&'a str, Vec<usize>>,
    pub(super) attempts: HashMap<&'a str, BTreeMap<AttemptId, Vec<usize>>>,
    /// The spans that belong to what ran.
    pub(super) used: HashSet<usize>,
    /// The tasks of each trace.
    pub(super) tasks_of_trace: BTreeMap<&'a str, HashSet<&'a str>>,
    /// Parents that need not be there, since their task has not ended.
    pub(super) pending_roots: HashSet<&'a str>,
    pub(super) report: Report,
    pub(super) mismatches: Vec<Mismatch>,
}

impl<'a> Check<'a> {
    fn new(checker: &'a Checker, spans: &'a [ReceivedSpan]) -> Self {
        let mut roots: HashMap<&str, Vec<usize>> = HashMap::new();
        let mut attempts: HashMap<&str, BTreeMap<AttemptId, Vec<usize>>> = HashMap::new();
        for (index, span) in spans.iter().enumerate() {
            let Some(task_id) = span.text("tasker.task_id") else { continue };
            if span.name == TASK_SPAN {
                roots.entry(task_id).or_default().push(index);
            } else if span.name == STEP_SPAN
                && let (Some(step_id), Some(number)) = (span.text("tasker.step_id"), span.int("tasker.attempt_number"))
            {
                let id = AttemptId { step_id: step_id.to_owned(), number };
                attempts.entry(task_id).or_default().entry(id).or_default().push(index);
            }
        }
        for of_task in roots.values_mut() {
            of_task.sort_by_key(|index| spans[*index].end);
        }
        Self {
            checker,
            spans,
            roots,
            attempts,
            used: HashSet::new(),
            tasks_of_trace: BTreeMap::new(),
            pending_roots: HashSet::new(),
            report: Report::default(),
            mismatches: Vec::new(),
        }
    }

    pub(super) fn says(&mut self, subject: impl Into<String>, problem: impl Into<String>) {
        self.mismatches.push(Mismatch { subject: subject.into(), problem: problem.into() });
    }

    pub(super) fn expects<T: PartialEq + std::fmt::Debug>(
        &mut self,
        subject: &str,
        what: &str,
        expected: &T,
        seen: &T,
    ) {
        if expected != seen {
            self.says(subject, format!("{what}: expected {expected:?}, seen {seen:?}"));
        }
    }

    /// What each span must be, whatever it is of.
    fn messages(&mut self) {
        let mut seen = HashSet::new();
        for span in self.spans {
            let subject = span.to_string();
            for problem in &span.problems {
                self.says(subject.as_str(), problem.clone());
            }
            if span.end < span.start {
                self.says(subject.as_str(), format!("ends {} ns before it starts", span.start - span.end));
            }
            if span.dropped > 0 {
                self.says(subject.as_str(), format!("{} attributes, events or links were left out", span.dropped));
            }
            if self.checker.fidelity.duplicates && !seen.insert((&span.trace_id, &span.span_id)) {
                self.says(subject.as_str(), "came twice: expected one span of that id");
            }
            for (name, value) in &self.checker.resource {
                let found = span.resource.get(name);
                if found != Some(&Value::Str(value.clone())) {
                    self.says(subject.as_str(), format!("resource {name}: expected {value:?}, seen {}", shown(found)));
                }
            }
        }
    }

    fn task(&mut self, task_id: &str, task: &Task) {
        let roots = self.roots.get(task_id).cloned().unwrap_or_default();
        let mut attempts = self.attempts.remove(task_id).unwrap_or_default();
        if self.checker.whole_or_absent && roots.is_empty() && attempts.is_empty() {
            self.report.absent += 1;
            return;
        }
        let name = task.runs.first().and_then(|run| text(&run.event, "task_name")).unwrap_or_default();
        let subject = format!("task {name} {task_id}");
        if roots.len() != task.runs.len() {
            let problem = format!(
                "expected {} spans {TASK_SPAN}, as often as it ended; seen {}",
                task.runs.len(),
                self.listed(&roots)
            );
            self.says(subject.as_str(), problem);
        }
        // Those that are too many are reported above.
        self.used.extend(&roots);
        for (ended, root) in task.runs.iter().zip(&roots) {
            self.report.tasks += 1;
            let (first, this) = (&self.spans[roots[0]].trace_id, &self.spans[*root].trace_id);
            self.expects(&subject, "trace id of a further run", first, this);
            self.root(&subject, task_id, task, ended, *root);
        }
        let mut trace_id = roots.first().map(|root| self.spans[*root].trace_id.as_str());
        let mut parent_of_all = None;
        let mut span_of: HashMap<AttemptId, usize> = HashMap::new();
        for (id, attempt) in &task.attempts {
            let found = attempts.remove(id).unwrap_or_default();
            self.used.extend(&found);
            let subject = format!("{subject} / step {} {} attempt {}", attempt.step_name, id.step_id, id.number);
            match (&attempt.ended, &found[..]) {
                (None, []) => {}
                // It was cancelled while it waited for its turn, so there may be nothing to show.
                (Some(ended), []) if ended.end == End::Cancelled && !attempt.is_started => {}
                (None, found) => {
                    let problem = format!("never ended: expected no span, seen {}", self.listed(found));
                    self.says(subject.as_str(), problem);
                }
                (Some(_), []) => self.says(subject.as_str(), format!("expected one span {STEP_SPAN}, seen none")),
                (Some(_), [_, ..]) => {
                    if found.len() > 1 {
                        let problem = format!("expected one span {STEP_SPAN}, seen {}", self.listed(&found));
                        self.says(subject.as_str(), problem);
                    }
                    span_of.insert(id.clone(), found[0]);
                }
            }
        }
        let by_span: HashMap<&str, (&AttemptId, usize)> =
            span_of.iter().map(|(id, index)| (self.spans[*index].span_id.as_str(), (id, *index))).collect();
        for (id, index) in &span_of {
            let Some((attempt, ended)) =
                task.attempts.get(id).and_then(|attempt| Some((attempt, attempt.ended.as_ref()?)))
            else {
                continue;
            };
            self.report.attempts += 1;
            let span = &self.spans[*index];
            let subject = format!(
                "{subject} / step {} {} attempt {} (span {})",
                attempt.step_name, id.step_id, id.number, span.span_id
            );
            let expected = *trace_id.get_or_insert(&span.trace_id);
            self.expects(&subject, "trace id", &expected, &span.trace_id.as_str());
            self.attempt(&subject, &attempt.step_name, ended, span);
            self.link(&subject, id, task, &span_of, span);
            self.parent(&subject, &attempt.step_name, task, &roots, &by_span, &mut parent_of_all, span);
        }
        if let Some(trace_id) = trace_id {
            let task_id =
                roots.iter().chain(span_of.values()).find_map(|index| self.spans[*index].text("tasker.task_id"));
            self.tasks_of_trace.entry(trace_id).or_default().extend(task_id);
        }
    }

    /// One trace per task, and one task per trace unless a caller's trace holds them all.
    fn traces(&mut self) {
        if matches!(self.checker.caller, Caller::Parent { .. }) {
            return;
        }
        for (trace_id, tasks) in std::mem::take(&mut self.tasks_of_trace) {
            if tasks.len() > 1 {
                self.says(format!("trace {trace_id}"), format!("expected one task, seen {tasks:?}"));
            }
        }
    }

    /// Spans of what did not run.
    fn leftovers(&mut self) {
        let ids: HashSet<(&str, &str)> = self.spans.iter().map(|s| (s.trace_id.as_str(), s.span_id.as_str())).collect();
        for (index, span) in self.spans.iter().enumerate() {
            if self.used.contains(&index) {
                continue;
            }
            if span.name == TASK_SPAN || span.name == STEP_SPAN {
                self.says(
                    span.to_string(),
                    format!("expected no such span: nothing that ran is of {}", identity(span)),
                );
            } else if !self.checker.foreign {
                self.says(span.to_string(), "expected no span of that name");
            } else {
                self.report.foreign += 1;
                let parent = span.parent_span_id.as_str();
                if !parent.is_empty()
                    && !ids.contains(&(span.trace_id.as_str(), parent))
                    && !self.pending_roots.contains(parent)
                {
                    self.says(span.to_string(), format!("its parent {parent} is not in trace {}", span.trace_id));
                }
            }
        }
    }

    fn listed(&self, indices: &[usize]) -> String {
        match indices {
            [] => "none".to_owned(),
            some => {
                let ids: Vec<_> = some.iter().map(|index| self.spans[*index].span_id.as_str()).collect();
                format!("{}: {}", ids.len(), ids.join(" "))
            }
        }
    }
}

/// What a span says it is of.
fn identity(span: &ReceivedSpan) -> String {
    let value = |name: &str| shown(span.attributes.get(name));
    if span.name == TASK_SPAN {
        return format!("task {}", value("tasker.task_id"));
    }
    format!(
        "task {} step {} attempt {}",
        value("tasker.task_id"),
        value("tasker.step_id"),
        value("tasker.attempt_number")
    )
}
