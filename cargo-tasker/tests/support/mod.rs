//! Projects to try the command on: written into a folder of their own, built against this checkout.

#![allow(dead_code, unreachable_pub, reason = "each test uses its part")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value as Json;

/// A folder with a project. It stays after the test, for looking at; the next run begins anew.
pub struct Project(PathBuf);

/// The folder that holds all of them, and what they share: one target folder, so that the library is built once.
fn root() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("projects")
}

/// This checkout.
pub fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// How a manifest names the library.
pub fn dependency(options: &str) -> String {
    let path = checkout().join("tasker-telemetry").display().to_string();
    format!("tasker-telemetry = {{ path = {path:?}{options} }}")
}

impl Project {
    /// An empty folder of that name.
    pub fn new(name: &str) -> Self {
        let folder = root().join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        // The versions of this checkout: nothing is looked up elsewhere.
        fs::copy(checkout().join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
        Self(folder)
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.0.join(file)
    }

    pub fn write(&self, file: &str, text: &str) {
        let path = self.path(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn read(&self, file: &str) -> String {
        fs::read_to_string(self.path(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
    }

    pub fn replace(&self, file: &str, from: &str, to: &str) {
        let text = self.read(file);
        assert!(text.contains(from), "{file} has no {from:?}:\n{text}");
        self.write(file, &text.replace(from, to));
    }

    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.0).env("CARGO_TARGET_DIR", root().join("target")).env("CARGO_NET_OFFLINE", "true");
        command.env_remove("RUSTFLAGS").env("CARGO_TERM_COLOR", "never").env("NO_COLOR", "1");
        command
    }

    /// `cargo ..` in the project.
    pub fn cargo(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command(env!("CARGO")).args(arguments))
    }

    /// `cargo tasker ..` in the project.
    pub fn tasker(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command(env!("CARGO_BIN_EXE_cargo-tasker")).arg("tasker").args(arguments))
    }

    /// The same with these variables.
    pub fn tasker_with(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Ran {
        let mut command = self.command(env!("CARGO_BIN_EXE_cargo-tasker"));
        Ran::of(command.arg("tasker").args(arguments).envs(variables.iter().copied()))
    }
}

/// A program that was built.
pub fn program(profile: &str, name: &str) -> PathBuf {
    root().join("target").join(profile).join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
}

/// What a command did.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    pub fn of(command: &mut Command) -> Self {
        let Output { status, stdout, stderr } = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: status.code().unwrap_or(-1), out: text(stdout), err: text(stderr) }
    }

    /// It must have ended with that code.
    #[track_caller]
    pub fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}\n{}", self.out, self.err);
        self
    }

    #[track_caller]
    pub fn ok(self) -> Self {
        self.ended(0)
    }

    #[track_caller]
    pub fn json(&self) -> Json {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}\n{}", self.out, self.err))
    }
}

/// `cargo tasker ..` outside of every project.
pub fn tasker(arguments: &[&str]) -> Ran {
    Ran::of(Command::new(env!("CARGO_BIN_EXE_cargo-tasker")).args(arguments).env("NO_COLOR", "1"))
}
