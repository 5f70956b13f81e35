//! Dependencies of the project, added to `Cargo.toml` without touching anything else in it.

use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, Value};

use super::home::Home;
use crate::failure::Failure;
use crate::files::{Plan, read_text};

/// A dependency that the new code needs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Dependency<'a> {
    pub(crate) name: &'a str,
    pub(crate) version: &'a str,
    /// A folder instead of a version.
    pub(crate) path: Option<String>,
    pub(crate) features: &'a [&'a str],
    /// Whether only tests need it.
    pub(crate) dev: bool,
}

/// Plans the dependencies that are missing, and the features that are.
pub(crate) fn depend(plan: &mut Plan, home: &Home, dependencies: &[Dependency<'_>]) -> Result<(), Failure> {
    let on_disk = read_text(&home.manifest)?;
    let text = plan.text_of(&home.manifest).map_or_else(|| on_disk.clone(), str::to_owned);
    let mut document: DocumentMut =
        text.parse().map_err(|error| Failure::cannot(format!("{}: {error}", home.manifest.display())))?;
    let mut changed = false;
    for dependency in dependencies {
        changed |= add(&mut document, dependency);
    }
    if changed {
        plan.edit(home.manifest.clone(), on_disk, document.to_string());
    }
    Ok(())
}

/// Whether the project depends on that package, by that name.
pub(crate) fn has(home: &Home, name: &str) -> Result<bool, Failure> {
    let document: DocumentMut = read_text(&home.manifest)?
        .parse()
        .map_err(|error| Failure::cannot(format!("{}: {error}", home.manifest.display())))?;
    Ok(document.get("dependencies").and_then(|table| table.get(name)).is_some())
}

fn add(document: &mut DocumentMut, dependency: &Dependency<'_>) -> bool {
    let is_there = |section: &str| document.get(section).and_then(|table| table.get(dependency.name)).is_some();
    let section = if is_there("dependencies") || !dependency.dev { "dependencies" } else { "dev-dependencies" };
    let table = document.entry(section).or_insert_with(|| Item::Table(Table::new()));
    let Some(table) = table.as_table_like_mut() else { return false };
    if let Some(known) = table.get_mut(dependency.name) {
        return add_features(known, dependency.features);
    }
    let mut value = InlineTable::new();
    match &dependency.path {
        Some(path) => value.insert("path", path.as_str().into()),
        None => value.insert("version", dependency.version.into()),
    };
    if !dependency.features.is_empty() {
        value.insert("features", Value::Array(dependency.features.iter().copied().collect::<Array>()));
    }
    let plain = dependency.path.is_none() && dependency.features.is_empty();
    let value = if plain { Value::from(dependency.version) } else { Value::InlineTable(value) };
    table.insert(dependency.name, toml_edit::value(value));
    true
}

/// Adds features to a dependency that is there, in whatever form.
fn add_features(known: &mut Item, features: &[&str]) -> bool {
    let missing: Vec<&str> = features.iter().copied().filter(|feature| !has_feature(known, feature)).collect();
    if missing.is_empty() {
        return false;
    }
    if let Some(version) = known.as_str().map(str::to_owned) {
        let mut table = InlineTable::new();
        table.insert("version", version.into());
        *known = toml_edit::value(table);
    }
    let Some(table) = known.as_table_like_mut() else { return false };
    let list = table.entry("features").or_insert_with(|| toml_edit::value(Array::new()));
    let Some(list) = list.as_array_mut() else { return false };
    list.extend(missing);
    list.fmt();
    true
}

fn has_feature(known: &Item, feature: &str) -> bool {
    let list = known.get("features").and_then(Item::as_array);
    list.is_some_and(|list| list.iter().any(|known| known.as_str() == Some(feature)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added(manifest: &str, dependency: &Dependency<'_>) -> String {
        let mut document: DocumentMut = manifest.parse().unwrap();
        add(&mut document, dependency);
        document.to_string()
    }

    #[test]
    fn what_is_there_stays_as_it_is() {
        let serde = Dependency { name: "serde", version: "1", features: &["derive"], ..Dependency::default() };
        for (before, after) in [
            ("[package]\n", "[package]\n\n[dependencies]\nserde = { version = \"1\", features = [\"derive\"] }\n"),
            (
                "[dependencies]\nserde = \"1.0\" # why\n",
                "[dependencies]\nserde = { version = \"1.0\", features = [\"derive\"] }\n",
            ),
            (
                "[dependencies]\nserde.workspace = true\n",
                "[dependencies]\nserde.workspace = true\nserde.features = [\"derive\"]\n",
            ),
            (
                "[dependencies]\nserde = { version = \"1\", features = [\"rc\"] }\n",
                "[dependencies]\nserde = { version = \"1\", features = [\"rc\", \"derive\"] }\n",
            ),
            (
                "[dependencies.serde]\nversion = \"1\"\nfeatures = [\"derive\"]\n",
                "[dependencies.serde]\nversion = \"1\"\nfeatures = [\"derive\"]\n",
            ),
        ] {
            assert_eq!(added(before, &serde), after);
        }
        let tokio = Dependency { name: "tokio", version: "1", dev: true, ..Dependency::default() };
        assert_eq!(added("", &tokio), "[dev-dependencies]\ntokio = \"1\"\n");
        assert_eq!(added("[dependencies]\ntokio = \"1\"\n", &tokio), "[dependencies]\ntokio = \"1\"\n");
    }
}
