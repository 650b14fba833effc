//! Where inputs lie: `regressions/<target>/` what was found once, `corpus/<target>/` what the encoders write.

use std::fs;
use std::io;
use std::path::PathBuf;

/// A folder of inputs.
pub fn folder(kind: &str, target: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), kind, target].iter().collect()
}

/// The inputs of a folder by name, in the order of their names; none where there is no such folder.
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
