//! Small text files that people write or name: settings, secrets, layouts, manifests. What is longer is something else (a disk, a
//! device that never ends), and is not read into memory to find that out.

use std::{fs::File, io, io::Read, path::Path};

/// Longest of such files, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// A whole file as text.
pub fn read(file: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(file)?.take(MAX_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {MAX_BYTES} bytes")));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_ends_is_refused() {
        let refused = read(Path::new("/dev/zero")).expect_err("endless");
        assert_eq!(refused.kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(read(Path::new("/dev/null")).expect("empty"), "");
    }
}
