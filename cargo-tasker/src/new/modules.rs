//! Declaring a new file as a module: `mod on_call;` in the file above it, and that one in the one above, up to the root.

use std::path::{Path, PathBuf};

use super::home::Home;
use crate::failure::Failure;
use crate::files::{Plan, read_if_there};

/// Plans the declarations that make `file` part of the crate. Answers with its module path: `["subscribers", "on_call"]`.
pub(crate) fn declare(plan: &mut Plan, home: &Home, file: &Path) -> Result<Vec<String>, Failure> {
    let source = home.source();
    let outside = || Failure::wrong(format!("{} is no `.rs` file under {}", file.display(), source.display()));
    let relative = file.strip_prefix(&source).map_err(|_| outside())?;
    if relative.extension().is_none_or(|extension| extension != "rs") {
        return Err(outside());
    }
    let modules: Vec<String> =
        relative.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if let Some(wrong) = modules.iter().find(|module| syn::parse_str::<syn::Ident>(module).is_err()) {
        return Err(Failure::wrong(format!("`{wrong}` cannot be the name of a module")));
    }
    for depth in 0..modules.len() {
        let parent = if depth == 0 { home.root_file.clone() } else { module_file(plan, home, &modules[..depth])? };
        let visibility = if depth == 0 && home.is_program { "" } else { "pub " };
        let before = match plan.text_of(&parent) {
            Some(text) => Some(text.to_owned()),
            None => read_if_there(&parent)?,
        };
        let text =
            before.unwrap_or_else(|| format!("//! {} of this crate.\n\n", super::names::sentence(&modules[depth - 1])));
        if let Some(with) = with_module(&text, &modules[depth], visibility) {
            match read_if_there(&parent)? {
                Some(on_disk) => plan.edit(parent, on_disk, with),
                None => plan.generated(parent, with),
            }
        }
    }
    Ok(modules)
}

/// The file of a module with children: the one that is there, or as this project likes it.
fn module_file(plan: &Plan, home: &Home, modules: &[String]) -> Result<PathBuf, Failure> {
    let mut folder = home.source();
    folder.extend(modules);
    let (nested, flat) = (folder.join("mod.rs"), folder.with_extension("rs"));
    for candidate in [&nested, &flat] {
        if plan.text_of(candidate).is_some() || read_if_there(candidate)?.is_some() {
            return Ok(candidate.clone());
        }
    }
    Ok(if home.likes_mod_rs() { nested } else { flat })
}

/// The text with the declaration among its fellows, in the order that rustfmt gives them; `None` when it is there already.
fn with_module(text: &str, name: &str, visibility: &str) -> Option<String> {
    let declared = |line: &str| -> Option<String> {
        let line = line.trim_end();
        let line = line.strip_prefix("pub(crate) ").or_else(|| line.strip_prefix("pub ")).unwrap_or(line);
        line.strip_prefix("mod ")?.strip_suffix(';').map(str::to_owned)
    };
    let lines: Vec<&str> = text.lines().collect();
    if lines.iter().any(|line| declared(line).is_some_and(|known| known == name)) {
        return None;
    }
    let declaration = format!("{visibility}mod {name};");
    let mut lines: Vec<String> = lines.into_iter().map(str::to_owned).collect();
    let group: Vec<usize> = (0..lines.len()).filter(|i| declared(&lines[*i]).is_some()).collect();
    if let Some(&first) = group.first() {
        // The first run of declarations: an attribute or a comment in between belongs to what follows it.
        let run = group.iter().zip(first..).take_while(|(line, expected)| **line == *expected).count();
        let place = (first..first + run)
            .find(|line| declared(&lines[*line]).is_some_and(|known| known.as_str() > name))
            .unwrap_or(first + run);
        lines.insert(place, declaration);
    } else {
        let head = lines.iter().take_while(|line| is_head(line)).count();
        // Behind a head that ends with a blank line, as it should.
        let mut addition = vec![declaration];
        if lines.get(head).is_some_and(|line| !line.trim().is_empty()) {
            addition.push(String::new());
        }
        if head > 0 && !lines[head - 1].trim().is_empty() {
            addition.insert(0, String::new());
        }
        lines.splice(head..head, addition);
    }
    Some(lines.join("\n") + "\n")
}

/// Whether a line belongs to the crate or module itself: its documentation and its `#![..]`.
fn is_head(line: &str) -> bool {
    let line = line.trim();
    line.is_empty()
        || line.starts_with("//!")
        || line.starts_with("#![")
        || (line.starts_with("//") && !line.starts_with("///"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations_stand_where_rustfmt_wants_them() {
        for (text, expected) in [
            ("", "mod b;\n"),
            ("fn main() {}\n", "mod b;\n\nfn main() {}\n"),
            (
                "//! Docs.\n#![forbid(unsafe_code)]\n\nuse x;\n",
                "//! Docs.\n#![forbid(unsafe_code)]\n\nmod b;\n\nuse x;\n",
            ),
            ("//! Docs.\nuse x;\n", "//! Docs.\n\nmod b;\n\nuse x;\n"),
            ("mod a;\npub mod c;\n\nuse x;\n", "mod a;\nmod b;\npub mod c;\n\nuse x;\n"),
            ("pub mod a;\n\nfn f() {}\n", "pub mod a;\nmod b;\n\nfn f() {}\n"),
            ("mod c;\n#[cfg(test)]\nmod tests;\n", "mod b;\nmod c;\n#[cfg(test)]\nmod tests;\n"),
        ] {
            assert_eq!(with_module(text, "b", "").as_deref(), Some(expected));
        }
        assert_eq!(with_module("pub(crate) mod b;\n", "b", ""), None);
    }
}
