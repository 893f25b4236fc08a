//! The floor of compacting: each log of a folder is read, unpacked and parsed, and what would be its row is
//! packed by zstd level 3, a megabyte at a time: the body as one column, everything else as another. No
//! order, no Parquet, no file. What a compactor takes above this is its own.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use analyzer::logs::decode::{Decoder, RECORD_LIMIT};
use anyhow::Context as _;
use clap::Parser;
use schemas::record::LogRecord;
use zstd::bulk::Compressor;

/// Bytes that are packed at a time.
const PAGE_BYTES: usize = 1 << 20;

/// Unpack, parse and pack every log below a folder
#[derive(Parser)]
struct Arguments {
    /// The folder above logs/
    place: PathBuf,
}

/// A column that is packed page by page, and dropped.
struct Column {
    page: Vec<u8>,
    packed: Vec<u8>,
    zstd: Compressor<'static>,
    bytes: usize,
}

impl Column {
    fn new() -> io::Result<Self> {
        let packed = Vec::with_capacity(zstd::zstd_safe::compress_bound(PAGE_BYTES * 2));
        Ok(Self { page: Vec::new(), packed, zstd: Compressor::new(3)?, bytes: 0 })
    }

    fn push(&mut self, value: &[u8]) -> io::Result<()> {
        self.page.extend_from_slice(value);
        if self.page.len() >= PAGE_BYTES { self.pack() } else { Ok(()) }
    }

    fn pack(&mut self) -> io::Result<()> {
        self.packed.clear();
        self.packed.reserve(zstd::zstd_safe::compress_bound(self.page.len()));
        self.bytes += self.zstd.compress_to_buffer(&self.page, &mut self.packed)?;
        self.page.clear();
        Ok(())
    }
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let mut decoder = Decoder::default();
    let (mut body, mut rest) = (Column::new()?, Column::new()?);
    let mut logs = 0_u64;
    for path in files(&arguments.place.join("logs"))? {
        let bytes = fs::read(&path)?;
        let json = decoder.decode(&bytes, RECORD_LIMIT)?;
        let record: LogRecord =
            serde_json::from_slice(json).with_context(|| path.display().to_string())?;
        body.push(record.response_body.as_bytes())?;
        let small = LogRecord { response_body: String::new(), ..record };
        rest.push(&small.to_json()?.0)?;
        logs += 1;
    }
    body.pack()?;
    rest.pack()?;
    writeln!(io::stdout(), "{logs} {}", body.bytes + rest.bytes)?;
    Ok(())
}

fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(self::files(&path)?);
        } else {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
