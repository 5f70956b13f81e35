//! From a template to code as this project formats it.

use std::io::Write as _;
use std::process::{Command, Stdio};

use minijinja::Environment;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use serde_json::Value as Json;

use super::home::Home;
use crate::failure::Failure;

/// The code of a template. Formatted by rustfmt with the project's settings where there is a rustfmt.
pub(crate) fn code(home: &Home, template: &str, mut context: Json) -> Result<String, Failure> {
    context["krate"] = home.krate.as_str().into();
    // In a program nobody may call it yet, which in a library is the caller's business.
    context["is_program"] = home.is_program.into();
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true).build();
    environment.set_syntax(syntax.map_err(|error| Failure::cannot(format!("a template: {error}")))?);
    let text = environment
        .render_str(template, Serde(context))
        .map_err(|error| Failure::cannot(format!("a template: {error}")))?;
    Ok(formatted(home, &text).unwrap_or(text))
}

fn formatted(home: &Home, text: &str) -> Option<String> {
    let mut rustfmt = Command::new("rustfmt")
        .args(["--edition", &home.edition])
        .current_dir(&home.root)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    rustfmt.stdin.take()?.write_all(text.as_bytes()).ok()?;
    let output = rustfmt.wait_with_output().ok()?;
    output.status.success().then(|| String::from_utf8(output.stdout).ok()).flatten()
}
