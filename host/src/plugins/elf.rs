//! The structure of a shared library, read without running any of it and without mapping it: the loader trusts a file so far that a
//! truncated one would kill the process, so everything that it would touch is compared with the file's real length here first.

use object::elf::{self, FileHeader64};
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader, SectionTable, Sym};
use object::read::{ReadCache, ReadRef};
use object::{Endianness, SectionIndex};
use plugin_api::raw;
use std::fs::File;
use std::io::{Read, Seek};
use std::mem::size_of;

type Header = FileHeader64<Endianness>;
type Cache<'c> = &'c ReadCache<File>;
type Sections<'c> = SectionTable<'c, Header, Cache<'c>>;

/// A manifest is a page of JSON; what is longer is something else.
const LONGEST_MANIFEST: u64 = 1024 * 1024;
/// Bytes that tell a text from anything else.
const BEGINNING: u64 = 512;
/// Offsets in the identification, from the ELF specification: class (2 is 64-bit) and data (1 is little-endian).
const CLASS: usize = 4;
const DATA: usize = 5;

/// What a library has that concerns a host of plugins.
#[derive(Debug)]
pub(super) struct Parts {
    /// Header and JSON, as they stand in the section.
    pub manifest: Option<Vec<u8>>,
    pub has_entry: bool,
}

/// Reads a file of `length` bytes. An error continues a sentence that the file's name began: "… is truncated".
pub(super) fn read(mut file: File, length: u64) -> Result<Parts, String> {
    let mut beginning = Vec::new();
    let read = file.by_ref().take(BEGINNING).read_to_end(&mut beginning).and_then(|_| file.rewind());
    read.map_err(|error| format!("cannot be read: {error}"))?;
    identify(&beginning, length)?;

    let cache = ReadCache::new(file);
    let header = Header::parse(&cache).map_err(damaged)?;
    let endian = header.endian().map_err(damaged)?;
    is_for_this_machine(header.e_machine(endian))?;
    let sections = is_complete(header, endian, &cache, length)?;
    is_shared_library(header, endian, &cache)?;
    let has_entry = has_entry(&sections, endian, &cache)?;
    Ok(Parts { manifest: manifest(&sections, endian, &cache)?, has_entry })
}

fn damaged(error: object::read::Error) -> String {
    format!("is a damaged shared library ({error})")
}

fn identify(beginning: &[u8], length: u64) -> Result<(), String> {
    if beginning.is_empty() {
        return Err("is empty".into());
    }
    if !beginning.starts_with(&elf::ELFMAG) {
        return Err(if is_text(beginning) {
            "is a text file, not a shared library"
        } else {
            "is not a shared library"
        }
        .into());
    }
    let (class, data) = (beginning.get(CLASS).copied(), beginning.get(DATA).copied());
    if class == Some(1) || data == Some(2) {
        let bits = if class == Some(1) { 32 } else { 64 };
        let order = if data == Some(2) { "big" } else { "little" };
        return Err(format!("is built for another machine ({bits}-bit, {order}-endian)"));
    }
    if length < size_of::<Header>() as u64 {
        return Err(truncated(size_of::<Header>() as u64, length));
    }
    Ok(())
}

fn is_text(beginning: &[u8]) -> bool {
    let valid = match std::str::from_utf8(beginning) {
        Ok(text) => text,
        // The end may cut a character in two.
        Err(error) if error.error_len().is_none() => return !beginning.contains(&0),
        Err(_) => return false,
    };
    !valid.contains('\0')
}

fn truncated(expected: u64, length: u64) -> String {
    format!("is truncated: {length} bytes of at least {expected} are there; copy or build it again")
}

fn is_for_this_machine(machine: elf::Machine) -> Result<(), String> {
    let name = |machine| match machine {
        elf::EM_X86_64 => "x86_64".to_owned(),
        elf::EM_AARCH64 => "aarch64".to_owned(),
        elf::EM_RISCV => "riscv64".to_owned(),
        elf::EM_LOONGARCH => "loongarch64".to_owned(),
        elf::Machine(number) => format!("machine {number}"),
    };
    let (built_for, here) = (name(machine), std::env::consts::ARCH);
    if built_for == here { Ok(()) } else { Err(format!("is built for {built_for}, this host runs on {here}")) }
}

/// Both tables, and everything that they point at, lie within the file.
fn is_complete<'c>(header: &Header, endian: Endianness, cache: Cache<'c>, length: u64) -> Result<Sections<'c>, String> {
    let table = |start: u64, entries: u16, size: u16| start.saturating_add(u64::from(entries) * u64::from(size));
    let programs = table(header.e_phoff(endian), header.e_phnum(endian), header.e_phentsize(endian));
    let sections = table(header.e_shoff(endian), header.e_shnum(endian), header.e_shentsize(endian));
    let tables = programs.max(sections);
    if tables > length {
        return Err(truncated(tables, length));
    }
    let segments = header.program_headers(endian, cache).map_err(damaged)?;
    let sections = header.sections(endian, cache).map_err(damaged)?;
    let of_segments = segments.iter().map(|segment| segment.file_range(endian));
    let of_sections = sections.iter().filter_map(|section| section.file_range(endian));
    let end = of_segments.chain(of_sections).map(|(start, size)| start.saturating_add(size)).max().unwrap_or(0);
    if end > length { Err(truncated(end, length)) } else { Ok(sections) }
}

fn is_shared_library(header: &Header, endian: Endianness, cache: Cache<'_>) -> Result<(), String> {
    let segments = header.program_headers(endian, cache).map_err(damaged)?;
    let starts_by_itself = segments.iter().any(|segment| segment.p_type(endian) == elf::PT_INTERP);
    match header.e_type(endian) {
        elf::ET_DYN if !starts_by_itself => Ok(()),
        elf::ET_DYN | elf::ET_EXEC => Err("is an executable, not a shared library".into()),
        elf::ET_REL => Err("is an object file, not a shared library".into()),
        elf::ET_CORE => Err("is a core dump, not a shared library".into()),
        _ => Err("is not a shared library".into()),
    }
}

fn manifest<'c>(sections: &Sections<'c>, endian: Endianness, cache: Cache<'c>) -> Result<Option<Vec<u8>>, String> {
    let Some((_, section)) = sections.section_by_name(endian, raw::MANIFEST_SECTION.as_bytes()) else {
        return Ok(None);
    };
    let (start, size) = section.file_range(endian).unwrap_or_default();
    let longest = LONGEST_MANIFEST + size_of::<raw::ManifestHeader>() as u64;
    if size > longest {
        return Err(format!("has a manifest of {size} bytes, at most {LONGEST_MANIFEST} are read"));
    }
    let bytes = cache.read_bytes_at(start, size).map_err(|()| "cannot be read where its manifest stands".to_owned())?;
    Ok(Some(bytes.to_vec()))
}

fn has_entry<'c>(sections: &Sections<'c>, endian: Endianness, cache: Cache<'c>) -> Result<bool, String> {
    let symbols = sections.symbols(endian, cache, elf::SHT_DYNSYM).map_err(damaged)?;
    let is_entry = |symbol: &elf::Sym64<Endianness>| {
        let defined = symbol.st_shndx(endian) != elf::SHN_UNDEF && symbol.st_type() == elf::STT_FUNC;
        defined && symbols.symbol_name(endian, symbol).is_ok_and(|name| name == raw::ENTRY_SYMBOL.as_bytes())
    };
    Ok(symbols.section() != SectionIndex(0) && symbols.iter().any(is_entry))
}
