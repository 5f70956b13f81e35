//! A file may say anything: whatever it says, the reader answers with a catalog or with words. `scripts/fuzz-catalog` runs the
//! properties here as long as you like.

mod support;

use std::fs;

use cargo_tasker::reader::{ReadError, read_bytes};
use object::write::{Object, StandardSegment};
use object::{Architecture, BinaryFormat, Endianness, SectionKind};
use proptest::prelude::*;

const STEP: &str = "\n{\"tasker\":1,\"kind\":\"step\",\"file\":\"a.rs\",\"line\":3,\"crate\":\"shop\",\"name\":\"charge\",\"retry_limit\":2}\n";
const EVENT: &str = "\n{\"tasker\":1,\"kind\":\"event\",\"file\":\"a.rs\",\"line\":9,\"name\":\"a.b\",\"type\":\"B\",\"module\":\"shop::a\",\"fields\":[{\"name\":\"x\",\"type\":\"u32\"}]}\n";
const LIBRARY: &str = "\n{\"tasker\":1,\"kind\":\"library\",\"version\":\"0.1.0\"}\n";

/// An object file with that content in the section of the records, as the platform names it.
fn binary(format: BinaryFormat, content: &[u8]) -> Vec<u8> {
    let mut object = Object::new(format, Architecture::X86_64, Endianness::Little);
    let (segment, name) = match format {
        BinaryFormat::MachO => (b"__DATA".to_vec(), b"__tasker".to_vec()),
        BinaryFormat::Coff => (Vec::new(), b".tasker".to_vec()),
        _ => (object.segment_name(StandardSegment::Data).to_vec(), b"tasker_catalog".to_vec()),
    };
    let section = object.add_section(segment, name, SectionKind::ReadOnlyData);
    object.append_section_data(section, content, 1);
    object.write().unwrap()
}

fn elf(content: &str) -> Vec<u8> {
    binary(BinaryFormat::Elf, content.as_bytes())
}

/// An archive of these members.
fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = b"!<arch>\n".to_vec();
    for (name, content) in members {
        let name = format!("{name}/");
        bytes.extend(format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, 644, content.len()).bytes());
        bytes.extend_from_slice(content);
        if content.len() % 2 == 1 {
            bytes.push(b'\n');
        }
    }
    bytes
}

fn steps(bytes: &[u8]) -> Vec<&'static str> {
    read_bytes(bytes).unwrap().catalog.steps().iter().map(|step| step.name).collect()
}

#[test]
fn every_kind_of_binary_is_read() {
    let padded = format!("\0\0{LIBRARY}\0\0\0{STEP}\0{EVENT}\0\0");
    for format in [BinaryFormat::Elf, BinaryFormat::MachO, BinaryFormat::Coff] {
        let found = read_bytes(&binary(format, padded.as_bytes())).unwrap();
        assert_eq!(found.version.as_deref(), Some("0.1.0"), "{format:?}");
        assert_eq!(found.crates, ["shop"]);
        assert_eq!((found.catalog.steps()[0].name, found.catalog.steps()[0].retry_limit), ("charge", 2));
        let event = found.catalog.events().iter().find(|event| event.name == "a.b").unwrap();
        assert_eq!((event.fields[0].json_type, event.spec.type_name), ("integer", "shop::a::B"));
        // The library's own are always there.
        assert_eq!(found.catalog.events().len(), 25);
    }
    let other = elf(&STEP.replace("charge", "refund"));
    let archive = archive(&[("lib.rmeta", b"rust\0metadata"), ("a.o", &elf(STEP)), ("b.o", &other)]);
    assert_eq!(steps(&archive), ["charge", "refund"]);
}

#[test]
fn what_is_wrong_is_said() {
    let error = |bytes: &[u8]| read_bytes(bytes).unwrap_err();
    assert_eq!(error(b""), ReadError::Foreign);
    assert_eq!(error(b"#!/bin/sh\necho hello, this is no program at all\n"), ReadError::Foreign);
    assert_eq!(error(&elf("")), ReadError::NoRecords);
    assert_eq!(error(&elf("\0\0\0")), ReadError::NoRecords);
    assert_eq!(error(&elf(&STEP.replace("\"tasker\":1", "\"tasker\":2"))), ReadError::Newer { found: 2 });
    let cut = elf(&format!("{LIBRARY}{}", &STEP[..STEP.len() - 9]));
    assert!(
        matches!(error(&cut), ReadError::Record { offset, .. } if offset == LIBRARY.len() + 1),
        "{:?}",
        error(&cut)
    );
    assert!(matches!(error(&elf("\nnot json\n")), ReadError::Record { offset: 1, .. }));
    assert!(matches!(error(&elf(&STEP.replace("\"retry_limit\":2", "\"retry_limit\":-2"))), ReadError::Record { .. }));
    assert_eq!(error(b"!<thin>\n"), ReadError::Thin);
    // A kind that is not known yet is no mistake, and neither is a key.
    assert_eq!(steps(&elf(&format!("{STEP}{}", STEP.replace("\"step\"", "\"saga\"")))), ["charge"]);
    assert_eq!(steps(&elf(&STEP.replace("\"retry_limit\"", "\"colour\":{\"a\":[1]},\"retry_limit\""))), ["charge"]);
    let whole = elf(STEP);
    for end in 0..whole.len() {
        let _ = read_bytes(&whole[..end]);
    }
}

#[test]
fn the_command_says_it_with_the_file_and_the_code() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("hostile");
    fs::create_dir_all(&folder).unwrap();
    for (name, content, says) in [
        ("text.txt", b"hello".to_vec(), "is no program"),
        ("newer", elf(&STEP.replace("\"tasker\":1", "\"tasker\":7")), "records of version 7"),
        ("cut", elf(&STEP[..40]), "damaged catalog"),
        ("plain", elf(""), "has no catalog"),
    ] {
        let path = folder.join(name);
        fs::write(&path, content).unwrap();
        let ran = support::tasker(&["catalog", path.to_str().unwrap()]).ended(3);
        assert!(ran.err.contains(says) && ran.err.contains(name), "{}", ran.err);
        assert!(!ran.err.contains('\u{1b}'), "colours without a terminal: {:?}", ran.err);
        let json = support::tasker(&["catalog", path.to_str().unwrap(), "--format", "json"]).ended(3).json();
        assert_eq!(json["exit_code"], 3);
    }
    let missing = support::tasker(&["catalog", folder.join("missing").to_str().unwrap()]).ended(3);
    assert!(missing.err.contains("cannot be read"), "{}", missing.err);
    support::tasker(&["catalog", folder.to_str().unwrap()]).ended(3);
    support::tasker(&["catalogue"]).ended(2);
}

/// A binary of any kind, with any content in its section.
fn any_binary() -> impl Strategy<Value = Vec<u8>> {
    let content = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        Just(format!("{LIBRARY}{STEP}\0\0{EVENT}").into_bytes()),
    ];
    (0..4_usize, content).prop_map(|(kind, content)| match kind {
        0 => binary(BinaryFormat::Elf, &content),
        1 => binary(BinaryFormat::MachO, &content),
        2 => binary(BinaryFormat::Coff, &content),
        _ => archive(&[("a.o", &binary(BinaryFormat::Elf, &content)), ("b", &content)]),
    })
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = read_bytes(&bytes);
    }

    /// Numbers in headers that are nearly right are worse than noise.
    #[test]
    fn no_damage_makes_it_panic(
        whole in any_binary(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
        end in any::<prop::sample::Index>(),
    ) {
        let mut bytes = whole;
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if bytes.len() % 3 == 0 {
            let end = end.index(bytes.len());
            bytes.truncate(end);
        }
        if let Ok(found) = read_bytes(&bytes) {
            let _ = (found.catalog.table(), found.catalog.json(), found.catalog.problems());
        }
    }
}
