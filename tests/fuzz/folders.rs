//! The folders of inputs: `regressions/<target>/` has former findings, `corpus/<target>/` what the encoders write.

use std::fs;
use std::io;
use std::path::PathBuf;

/// A folder of inputs.
pub fn folder(kind: &str, target: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), kind, target].iter().collect()
}

/// The inputs of a folder with their names, sorted by name. None if the folder does not exist.
///
/// # Errors
/// The folder cannot be read.
pub fn inputs(kind: &str, target: &str) -> io::Result<Vec<(String, Vec<u8>)>> {
    let folder = folder(kind, target);
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let mut inputs = Vec::new();
    for file in fs::read_dir(folder)? {
        let file = file?;
        inputs.push((file.file_name().to_string_lossy().into_owned(), fs::read(file.path())?));
    }
    inputs.sort();
    Ok(inputs)
}
