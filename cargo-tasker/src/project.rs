//! The cargo project at hand: what it is, and building it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cargo_metadata::{Artifact, Message, MetadataCommand, Package, TargetKind};

use crate::args::BinaryArgs;
use crate::failure::Failure;

/// The cargo that started us, or the one on the path.
pub(crate) fn cargo() -> PathBuf {
    std::env::var_os("CARGO").map_or_else(|| "cargo".into(), PathBuf::from)
}

/// The binary that is meant: the file that was named, or what the project here builds.
pub(crate) fn binary(args: &BinaryArgs) -> Result<PathBuf, Failure> {
    match &args.path {
        Some(path) => Ok(path.clone()),
        None => build(args),
    }
}

/// What cargo says of the project; with `dependencies`, of everything that it is built of.
pub(crate) fn metadata(manifest: Option<&Path>, dependencies: bool) -> Result<cargo_metadata::Metadata, Failure> {
    let mut command = MetadataCommand::new();
    command.cargo_path(cargo());
    if let Some(manifest) = manifest {
        command.manifest_path(manifest);
    }
    if dependencies {
        // What was built needs nothing from elsewhere, and waiting for a registry has no limit.
        command.other_options(vec!["--offline".to_owned()]);
    } else {
        command.no_deps();
    }
    command.exec().map_err(|error| match error {
        cargo_metadata::Error::CargoMetadata { stderr } => Failure::cannot(stderr.trim().trim_start_matches("error: ")),
        other => Failure::cannot(format!("cargo metadata: {other}")),
    })
}

/// The package in whose folder we are, or the one that was named; of a workspace with one package, that one.
pub(crate) fn package(metadata: &cargo_metadata::Metadata, args: &BinaryArgs) -> Result<Package, Failure> {
    let packages = metadata.workspace_packages();
    if let Some(name) = &args.package {
        return packages
            .iter()
            .find(|package| package.name.as_str() == name)
            .map(|package| (*package).clone())
            .ok_or_else(|| {
                Failure::wrong(format!("the workspace has no package `{name}`: it has {}", names(&packages)))
            });
    }
    let manifest = match &args.manifest_path {
        Some(path) => path.clone(),
        None => nearest_manifest().unwrap_or_default(),
    };
    let manifest = manifest.canonicalize().unwrap_or(manifest);
    if let Some(here) = packages.iter().find(|package| package.manifest_path.as_std_path() == manifest) {
        return Ok((*here).clone());
    }
    let with_programs: Vec<_> = packages.iter().filter(|package| !programs(package).is_empty()).copied().collect();
    match (packages.as_slice(), with_programs.as_slice()) {
        ([only], _) | (_, [only]) => Ok((*only).clone()),
        _ => Err(Failure::wrong(format!("which package? `--package` with one of {}", names(&packages)))),
    }
}

fn names(packages: &[&Package]) -> String {
    let names: Vec<_> = packages.iter().map(|package| package.name.as_str()).collect();
    names.join(", ")
}

fn nearest_manifest() -> Option<PathBuf> {
    let here = std::env::current_dir().ok()?;
    here.ancestors().map(|folder| folder.join("Cargo.toml")).find(|path| path.is_file())
}

/// The names of a package's programs.
fn programs(package: &Package) -> Vec<&str> {
    let of_kind = package.targets.iter().filter(|target| target.kind.contains(&TargetKind::Bin));
    of_kind.map(|target| target.name.as_str()).collect()
}

/// Builds the package and answers with the file: its program, or of a package without one its library.
fn build(args: &BinaryArgs) -> Result<PathBuf, Failure> {
    let metadata = metadata(args.manifest_path.as_deref(), false)?;
    let package = package(&metadata, args)?;
    let programs = programs(&package);
    let mut command = Command::new(cargo());
    command.args(["build", "--quiet", "--message-format=json-render-diagnostics"]);
    command.arg("--manifest-path").arg(&package.manifest_path);
    let wanted = match (&args.example, &args.bin) {
        (Some(example), _) => {
            command.args(["--example", example]);
            Some(example.clone())
        }
        (None, Some(bin)) => {
            command.args(["--bin", bin]);
            Some(bin.clone())
        }
        (None, None) => match (programs.as_slice(), &package.default_run) {
            ([], _) => None,
            ([only], _) => Some((*only).to_owned()),
            (_, Some(default)) => Some(default.clone()),
            _ => return Err(Failure::wrong(format!("which program? `--bin` with one of {}", programs.join(", ")))),
        },
    };
    match &wanted {
        Some(bin) if args.example.is_none() && args.bin.is_none() => {
            command.args(["--bin", bin]);
        }
        Some(_) => {}
        None => {
            command.arg("--lib");
        }
    }
    if let Some(profile) = &args.profile {
        command.args(["--profile", profile]);
    }
    if args.release {
        command.arg("--release");
    }
    for features in &args.features {
        command.args(["--features", features]);
    }
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| Failure::cannot(format!("cargo cannot be started: {error}")))?;
    if !output.status.success() {
        return Err(Failure::cannot("the project does not build: see above"));
    }
    built(&output.stdout, &package, wanted.as_deref())
        .ok_or_else(|| Failure::cannot("cargo built nothing that could be read: name the binary"))
}

/// The file that cargo says it built.
fn built(messages: &[u8], package: &Package, wanted: Option<&str>) -> Option<PathBuf> {
    let artifacts = Message::parse_stream(messages).filter_map(|message| match message {
        Ok(Message::CompilerArtifact(artifact)) if artifact.package_id == package.id => Some(artifact),
        _ => None,
    });
    let file = |artifact: Artifact| {
        if let Some(name) = wanted {
            let executable = artifact.executable?;
            (artifact.target.name == name).then(|| executable.into_std_path_buf())
        } else {
            let is_library = |path: &cargo_metadata::camino::Utf8PathBuf| path.extension() != Some("rmeta");
            artifact.filenames.into_iter().find(is_library).map(cargo_metadata::camino::Utf8PathBuf::into_std_path_buf)
        }
    };
    artifacts.filter_map(file).last()
}
