//! Where the records are in a file: the section's content, out of whatever kind of binary.

use object::read::archive::ArchiveFile;
use object::read::macho::{FatArch, MachOFatFile32, MachOFatFile64};
use object::{File, FileKind, Object as _, ObjectSection as _, ReadRef};

use super::ReadError;

/// The section's name in ELF, Mach-O and PE; see `record.rs` of the macros.
const NAMES: [&[u8]; 3] = [b"tasker_catalog", b"__tasker", b".tasker"];

/// No catalog is larger, in bytes: what a file claims beyond it is no section of ours.
const LARGEST: usize = 64 << 20;

/// The contents of all sections with records.
pub(super) fn sections<'data, R: ReadRef<'data>>(data: R) -> Result<Vec<Vec<u8>>, ReadError> {
    let mut found = Sections::default();
    found.of_file(data)?;
    Ok(found.contents)
}

#[derive(Default)]
struct Sections {
    contents: Vec<Vec<u8>>,
    size: usize,
}

impl Sections {
    fn of_file<'data, R: ReadRef<'data>>(&mut self, data: R) -> Result<(), ReadError> {
        if data.read_bytes_at(0, 8) == Ok(b"!<thin>\n") {
            return Err(ReadError::Thin);
        }
        match FileKind::parse(data) {
            Ok(FileKind::Archive) => self.of_archive(data),
            // The same program for several processors: the catalog is the same in each.
            Ok(FileKind::MachOFat32) => self.of_first(data, MachOFatFile32::parse(data)?.arches()),
            Ok(FileKind::MachOFat64) => self.of_first(data, MachOFatFile64::parse(data)?.arches()),
            Ok(
                FileKind::Elf32
                | FileKind::Elf64
                | FileKind::MachO32
                | FileKind::MachO64
                | FileKind::Pe32
                | FileKind::Pe64
                | FileKind::Coff
                | FileKind::CoffBig,
            ) => self.of_object(&File::parse(data)?),
            Ok(_) | Err(_) => Err(ReadError::Foreign),
        }
    }

    fn of_first<'data, R: ReadRef<'data>>(&mut self, data: R, arches: &[impl FatArch]) -> Result<(), ReadError> {
        let Some(arch) = arches.first() else { return Err(ReadError::Foreign) };
        self.of_object(&File::parse(arch.data(data)?)?)
    }

    fn of_archive<'data, R: ReadRef<'data>>(&mut self, data: R) -> Result<(), ReadError> {
        let archive = ArchiveFile::parse(data)?;
        for member in archive.members() {
            let (offset, size) = member?.file_range();
            let content = data
                .read_bytes_at(offset, size)
                .map_err(|()| ReadError::Damaged("a member of the archive lies outside of it".to_owned()))?;
            // An archive of Rust's holds other things, too: metadata, and code that is no object file yet.
            if let Ok(object) = File::parse(content) {
                self.of_object(&object)?;
            }
        }
        Ok(())
    }

    fn of_object<'data, R: ReadRef<'data>>(&mut self, object: &File<'data, R>) -> Result<(), ReadError> {
        for section in object.sections() {
            if !section.name_bytes().is_ok_and(|name| NAMES.contains(&name)) {
                continue;
            }
            let content = section.data()?;
            self.size = self.size.saturating_add(content.len());
            if self.size > LARGEST {
                return Err(ReadError::Damaged("its catalog claims to be larger than 64 MiB".to_owned()));
            }
            self.contents.push(content.to_vec());
        }
        Ok(())
    }
}
