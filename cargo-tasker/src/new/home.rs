//! The package that code is written into: where its root is, and how it likes things.

use std::path::{Path, PathBuf};

use cargo_metadata::{Package, TargetKind};

use crate::args::{BinaryArgs, ProjectArgs};
use crate::failure::Failure;
use crate::project;

/// A package.
#[derive(Debug)]
pub(crate) struct Home {
    /// The folder of its manifest.
    pub(crate) root: PathBuf,
    /// Its `Cargo.toml`.
    pub(crate) manifest: PathBuf,
    /// `src/lib.rs`, or `src/main.rs` where there is no library.
    pub(crate) root_file: PathBuf,
    /// Whether it is a program without a library: there, what nobody calls yet is a warning.
    pub(crate) is_program: bool,
    /// The name of the package.
    pub(crate) package: String,
    /// The name of the crate, with underscores.
    pub(crate) krate: String,
    pub(crate) edition: String,
}

impl Home {
    pub(crate) fn find(args: &ProjectArgs) -> Result<Self, Failure> {
        let metadata = project::metadata(args.manifest_path.as_deref(), false)?;
        let binary = BinaryArgs {
            package: args.package.clone(),
            manifest_path: args.manifest_path.clone(),
            ..BinaryArgs::default()
        };
        Self::of(&project::package(&metadata, &binary)?)
    }

    fn of(package: &Package) -> Result<Self, Failure> {
        let of_kind = |kind: &TargetKind| package.targets.iter().find(|target| target.kind.contains(kind));
        let library = of_kind(&TargetKind::Lib).or_else(|| of_kind(&TargetKind::RLib));
        let target = library.or_else(|| of_kind(&TargetKind::Bin)).ok_or_else(|| {
            Failure::wrong(format!(
                "the package `{}` has neither a library nor a program to write code into",
                package.name
            ))
        })?;
        let manifest = package.manifest_path.clone().into_std_path_buf();
        Ok(Self {
            root: manifest.parent().map(Path::to_owned).unwrap_or_default(),
            manifest,
            root_file: target.src_path.clone().into_std_path_buf(),
            is_program: library.is_none(),
            package: package.name.to_string(),
            krate: target.name.replace('-', "_"),
            edition: package.edition.to_string(),
        })
    }

    /// The folder of the modules: `src`.
    pub(crate) fn source(&self) -> PathBuf {
        self.root_file.parent().map(Path::to_owned).unwrap_or_default()
    }

    /// Whether modules with children are `name/mod.rs` here, and not `name.rs`.
    pub(crate) fn likes_mod_rs(&self) -> bool {
        let Ok(entries) = std::fs::read_dir(self.source()) else { return false };
        entries.flatten().any(|entry| entry.path().join("mod.rs").is_file())
    }
}
