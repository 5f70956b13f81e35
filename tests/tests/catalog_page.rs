//! `docs/catalog.md` is what the catalog says of the system events. `scripts/bless` writes it anew.

use std::fs;
use std::path::Path;

use tasker_telemetry::Catalog;

#[test]
fn the_page_is_up_to_date() {
    // This test declares no event, step or subscriber of its own: what is linked is the library's alone.
    let page = Catalog::markdown();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/catalog.md");
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(page == written, "docs/catalog.md is out of date: run scripts/bless");
    for event in Catalog::all() {
        assert!(!event.description.is_empty(), "{} has no description", event.name);
        for field in &event.fields {
            assert!(!field.description.is_empty(), "{}.{} has no description", event.name, field.name);
        }
    }
}
