//! The project: two versions of one library, crates whose steps are not in the program, subscriptions that nothing answers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, Metadata, Package, PackageId, TargetKind};

use super::finding::Finding;
use crate::args::BinaryArgs;
use crate::project;
use crate::reader::{self, Found};

/// Libraries of which two versions do not know each other's values.
const ONE_VERSION: [(&str, &str); 3] = [
    (
        "opentelemetry",
        "spans of one are no parents for the other, and its context is empty: let all crates use the version that tasker-telemetry uses (`cargo tree -d -i opentelemetry`)",
    ),
    ("opentelemetry_sdk", "exporters made for one cannot be given to the other (`cargo tree -d -i opentelemetry_sdk`)"),
    (
        "tasker-telemetry",
        "steps of one are not in the catalog and the traces of the other (`cargo tree -d -i tasker-telemetry`)",
    ),
];

/// Versions in the lock file.
pub(super) fn versions(lock: &str) -> Vec<Finding> {
    let area = "Cargo.lock";
    let Ok(document) = lock.parse::<toml_edit::DocumentMut>() else {
        return vec![Finding::broken(area, "cannot be read", "`cargo generate-lockfile` makes it anew")];
    };
    let mut found: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in document.get("package").and_then(toml_edit::Item::as_array_of_tables).into_iter().flatten() {
        let text = |key: &str| package.get(key).and_then(toml_edit::Item::as_str);
        if let (Some(name), Some(version)) = (text("name"), text("version")) {
            found.entry(name).or_default().push(version);
        }
    }
    let mut findings = Vec::new();
    for (name, advice) in ONE_VERSION {
        if let Some(versions) = found.get(name).filter(|versions| versions.len() > 1) {
            findings.push(Finding::broken(
                area,
                format!("`{name}` is there in versions {}", versions.join(" and ")),
                advice,
            ));
        }
    }
    if findings.is_empty() {
        findings.push(Finding::good(area, "one version of each library that there may be only one of"));
    }
    findings
}

/// What is linked into the program, as far as it was built: nothing is built here.
pub(super) fn program(metadata: &Metadata, args: &BinaryArgs) -> Vec<Finding> {
    let area = "program";
    let built = match (&args.path, project::package(metadata, args)) {
        (Some(path), package) => Ok((path.clone(), package.ok())),
        (None, Ok(package)) => {
            let name = args.bin.clone().or_else(|| package.default_run.clone()).or_else(|| {
                let is_program = |target: &&cargo_metadata::Target| target.kind.contains(&TargetKind::Bin);
                package.targets.iter().find(is_program).map(|target| target.name.clone())
            });
            match name {
                Some(name) => {
                    let file = format!("{name}{}", std::env::consts::EXE_SUFFIX);
                    let path = folder(metadata, args).join(file);
                    if path.is_file() {
                        Ok((path, Some(package)))
                    } else {
                        Err(format!("{} was not built", path.display()))
                    }
                }
                None => Err(format!("the package `{}` has no program", package.name)),
            }
        }
        (None, Err(failure)) => Err(failure.to_string()),
    };
    let (path, package) = match built {
        Ok(built) => built,
        Err(why) => {
            return vec![Finding::skipped(
                area,
                why,
                "`cargo build` first, or name a binary, to see what is linked in",
            )];
        }
    };
    let found = match reader::read(&path) {
        Ok(found) => found,
        Err(error) => {
            return vec![Finding::broken(
                area,
                format!("{} {error}", path.display()),
                "does the program name a crate with steps? see `tasker_telemetry::link!`",
            )];
        }
    };
    let mut findings = catalog(area, &path, &found);
    if let Some(package) = package {
        findings.extend(linked_out(metadata, args, &package, &found));
    }
    findings
}

fn folder(metadata: &Metadata, args: &BinaryArgs) -> PathBuf {
    let profile = match (&args.profile, args.release) {
        (Some(profile), _) if profile != "dev" => profile.as_str(),
        (_, true) => "release",
        _ => "debug",
    };
    metadata.target_directory.as_std_path().join(profile)
}

fn catalog(area: &str, path: &Path, found: &Found) -> Vec<Finding> {
    let catalog = &found.catalog;
    let mut findings = vec![Finding::good(
        area,
        format!(
            "{}: {} steps, {} tasks, {} subscribers, of {}",
            path.display(),
            catalog.steps().len(),
            catalog.tasks().len(),
            catalog.subscribers().len(),
            if found.crates.is_empty() { "no crate".to_owned() } else { found.crates.join(", ") }
        ),
    )];
    if catalog.steps().is_empty() && catalog.tasks().is_empty() {
        findings.push(Finding::warning(
            area,
            "it has no steps and no tasks",
            "annotate some: `cargo tasker new task NAME`",
        ));
    }
    if let Some(version) = found.version.as_deref().filter(|version| *version != env!("CARGO_PKG_VERSION")) {
        findings.push(Finding::warning(
            area,
            format!("it was built with tasker-telemetry {version}, and this is {}", env!("CARGO_PKG_VERSION")),
            "`cargo install cargo-tasker` with the version of the library",
        ));
    }
    for problem in catalog.problems() {
        findings.push(Finding::broken(
            area,
            problem.to_string(),
            "correct the declaration; of a crate that is not linked in, see `tasker_telemetry::link!`",
        ));
    }
    findings
}

/// The crates that the program depends on, that were built and left records, and are not in it.
fn linked_out(metadata: &Metadata, args: &BinaryArgs, package: &Package, found: &Found) -> Vec<Finding> {
    let mut findings = Vec::new();
    let libraries = folder(metadata, args).join("deps");
    for dependency in reachable(metadata, &package.id) {
        let uses_us = dependency.dependencies.iter().any(|used| used.name == "tasker-telemetry");
        let Some(library) = dependency.targets.iter().find(|target| target.kind.contains(&TargetKind::Lib)) else {
            continue;
        };
        let krate = library.name.replace('-', "_");
        if !uses_us || found.crates.contains(&krate) {
            continue;
        }
        let Some(file) = newest(&libraries, &format!("lib{krate}-")) else { continue };
        let Ok(own) = reader::read(&file) else { continue };
        if !own.crates.contains(&krate) {
            continue;
        }
        let (steps, tasks) = (own.catalog.steps().len(), own.catalog.tasks().len());
        findings.push(Finding::broken(
            "program",
            format!(
                "the crate `{krate}` has {steps} steps, {tasks} tasks and {} subscribers, and none of them is in the program: its code names the crate nowhere, so the linker left it out",
                own.catalog.subscribers().len()
            ),
            format!("write `tasker_telemetry::link!({krate});` in the program"),
        ));
    }
    findings
}

/// The packages that a package depends on, directly or not, tests and build scripts aside.
fn reachable<'a>(metadata: &'a Metadata, root: &PackageId) -> Vec<&'a Package> {
    let Some(resolve) = &metadata.resolve else { return Vec::new() };
    let (mut seen, mut open) = (vec![root.clone()], vec![root.clone()]);
    while let Some(id) = open.pop() {
        let Some(node) = resolve.nodes.iter().find(|node| node.id == id) else { continue };
        for next in &node.deps {
            let normal = next.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal);
            if normal && !seen.contains(&next.pkg) {
                seen.push(next.pkg.clone());
                open.push(next.pkg.clone());
            }
        }
    }
    metadata.packages.iter().filter(|package| package.id != *root && seen.contains(&package.id)).collect()
}

/// The library that was built last, of those whose name begins so.
fn newest(folder: &Path, prefix: &str) -> Option<PathBuf> {
    let entries = std::fs::read_dir(folder).ok()?.flatten();
    let libraries = entries.filter(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        name.starts_with(prefix) && name.ends_with(".rlib")
    });
    libraries
        .max_by_key(|entry| entry.metadata().and_then(|metadata| metadata.modified()).ok())
        .map(|entry| entry.path())
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    #[test]
    fn two_versions_are_seen() {
        let one = "[[package]]\nname = \"opentelemetry\"\nversion = \"0.33.0\"\n";
        assert_eq!(versions(one)[0].level, Level::Good);
        let two = format!("{one}\n[[package]]\nname = \"opentelemetry\"\nversion = \"0.31.0\"\n");
        let found = versions(&two);
        assert_eq!((found.len(), found[0].level), (1, Level::Broken));
        assert!(found[0].message.contains("0.33.0 and 0.31.0"), "{found:?}");
        assert_eq!(versions("[[")[0].level, Level::Broken);
    }
}
