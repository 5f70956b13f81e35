//! Files that a command is about to write: all of them are decided on before the first is touched.

use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::output;

/// The changes to a project's files, in the order in which they were planned.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    changes: Vec<Change>,
}

#[derive(Debug)]
struct Change {
    path: PathBuf,
    /// What it says now; `None` for a new file.
    before: Option<String>,
    after: String,
    /// Whether it may be overwritten without being asked: files that are generated, and edits of what is there.
    is_ours: bool,
}

impl Plan {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A new file. If there is one that says something else, only `--force` overwrites it.
    pub(crate) fn create(&mut self, path: PathBuf, text: String) -> Result<(), Failure> {
        let before = read_if_there(&path)?;
        self.changes.push(Change { path, before, after: text, is_ours: false });
        Ok(())
    }

    /// A file that is generated anew each time, at a place that was named on the command line.
    pub(crate) fn generated(&mut self, path: PathBuf, text: String) {
        let before = std::fs::read_to_string(&path).ok();
        self.changes.push(Change { path, before, after: text, is_ours: true });
    }

    /// Another text for a file that is there, which is kept but for what the command adds.
    pub(crate) fn edit(&mut self, path: PathBuf, before: String, after: String) {
        self.changes.push(Change { path, before: Some(before), after, is_ours: true });
    }

    /// What the file will say once the plan is carried out.
    pub(crate) fn text_of(&self, path: &Path) -> Option<&str> {
        self.changes.iter().rev().find(|change| change.path == path).map(|change| change.after.as_str())
    }

    /// The files that say something else afterwards.
    pub(crate) fn changed(&self) -> impl Iterator<Item = &Path> {
        self.changes.iter().filter(|change| change.is_change()).map(|change| change.path.as_path())
    }

    /// As a unified diff, with the paths relative to `root`.
    pub(crate) fn diff(&self, root: &Path) -> String {
        let mut text = String::new();
        for change in self.changes.iter().filter(|change| change.is_change()) {
            let path = change.path.strip_prefix(root).unwrap_or(&change.path).display();
            let old = change.before.as_deref().unwrap_or_default();
            let from = if change.before.is_some() { format!("a/{path}") } else { "/dev/null".to_owned() };
            let diff = similar::TextDiff::from_lines(old, &change.after);
            text.push_str(&diff.unified_diff().header(&from, &format!("b/{path}")).to_string());
        }
        text
    }

    /// Writes everything, or nothing when a file is in the way. Answers with the files that were written.
    pub(crate) fn write(self, force: bool) -> Result<Vec<PathBuf>, Failure> {
        let in_the_way: Vec<_> = self
            .changes
            .iter()
            .filter(|change| !change.is_ours && change.before.is_some() && change.is_change())
            .map(|change| change.path.display().to_string())
            .collect();
        if !force && !in_the_way.is_empty() {
            return Err(Failure::wrong(format!(
                "there is {} already: `--force` overwrites it, `--dry-run` shows what would change",
                in_the_way.join(", ")
            )));
        }
        let mut written = Vec::new();
        for change in self.changes.into_iter().filter(Change::is_change) {
            let failed = |error: std::io::Error| Failure::cannot(format!("{}: {error}", change.path.display()));
            if let Some(folder) = change.path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
                std::fs::create_dir_all(folder).map_err(failed)?;
            }
            std::fs::write(&change.path, &change.after).map_err(failed)?;
            if !written.contains(&change.path) {
                written.push(change.path);
            }
        }
        Ok(written)
    }
}

impl Change {
    fn is_change(&self) -> bool {
        self.before.as_ref() != Some(&self.after)
    }
}

/// The text of a file that must be there.
pub(crate) fn read_text(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| Failure::cannot(format!("{}: {error}", path.display())))
}

/// The text of a file that may be there.
pub(crate) fn read_if_there(path: &Path) -> Result<Option<String>, Failure> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::cannot(format!("{}: {error}", path.display()))),
    }
}

/// Carries a plan out, or shows it, and tells so.
pub(crate) fn finish(plan: Plan, root: &Path, how: Finish) -> Result<(), Failure> {
    use serde_json::json;
    let relative = |path: &Path| path.strip_prefix(root).unwrap_or(path).display().to_string();
    if how.dry_run {
        let files: Vec<_> = plan.changed().map(relative).collect();
        let diff = plan.diff(root);
        return if how.json {
            output::print_json(&json!({"dry_run": true, "would_write": files, "diff": diff}))
        } else if diff.is_empty() {
            output::print("nothing would change")
        } else {
            output::print(&diff)
        };
    }
    let written: Vec<_> = plan.write(how.force)?.iter().map(|path| relative(path)).collect();
    if how.json {
        output::print_json(&json!({"written": written}))
    } else if written.is_empty() {
        output::print("nothing to change: it is all there")
    } else {
        let lines: Vec<_> = written.iter().map(|file| format!("wrote {file}")).collect();
        output::print(&lines.join("\n"))
    }
}

/// How a plan is carried out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Finish {
    pub(crate) dry_run: bool,
    pub(crate) force: bool,
    pub(crate) json: bool,
}
