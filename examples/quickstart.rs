//! Walks a directory, hashes the text files in it, and shows the trace of it.
//!
//! `cargo run --example quickstart [DIRECTORY]`; without a directory it makes a small one, with a
//! file in it that is not text, so that the trace has an error to show. `OTEL_TRACES_EXPORTER=tree`
//! shows the trace as a tree with bars on a time axis.

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::path::{Path, PathBuf};

use tracing::{info, instrument, warn};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // the one call; from here on every `tracing` macro of the program is part of a trace
    let _guard = otel_setup::setup_tracing("quickstart")?;

    let given = std::env::args_os().nth(1).map(PathBuf::from);
    let directory = given.clone().map_or_else(sample_directory, Ok)?;
    let (hashed, failed) = hash_tree(&directory)?;
    info!(hashed, failed, "done");

    if given.is_none() {
        fs::remove_dir_all(directory)?;
    }
    Ok(())
}

/// Hashes every file below a directory; a file that cannot be hashed does not end the walk.
#[instrument(fields(directory = %directory.display()))]
fn hash_tree(directory: &Path) -> io::Result<(u64, u64)> {
    let (mut hashed, mut failed) = (0, 0);
    let mut entries = fs::read_dir(directory)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs::DirEntry::path);
    for entry in entries {
        if entry.file_type()?.is_dir() {
            let (h, f) = hash_tree(&entry.path())?;
            (hashed, failed) = (hashed + h, failed + f);
        } else if hash_file(&entry.path()).is_ok() {
            hashed += 1;
        } else {
            warn!(file = %entry.path().display(), "left out");
            failed += 1;
        }
    }
    Ok((hashed, failed))
}

#[instrument(err, fields(bytes, hash))]
fn hash_file(path: &Path) -> io::Result<()> {
    let text = fs::read_to_string(path)?;
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    let span = tracing::Span::current();
    span.record("bytes", text.len());
    span.record("hash", format!("{:016x}", hasher.finish()));
    Ok(())
}

fn sample_directory() -> io::Result<PathBuf> {
    let root = std::env::temp_dir().join(format!("otel-setup-quickstart-{}", std::process::id()));
    fs::create_dir_all(root.join("poems"))?;
    fs::write(root.join("notes.txt"), "one call in main\n")?;
    fs::write(root.join("picture.png"), b"\x89PNG\xff\xfe")?;
    fs::write(root.join("poems").join("haiku.txt"), "an old silent pond\n")?;
    Ok(root)
}
