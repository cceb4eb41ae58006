//! Reading key files: only regular ones, only as much as a key can be, wiped afterwards.

use std::path::Path;

use zeroize::Zeroizing;

/// No key is longer; a longer file is something else.
const MAX_KEY_FILE: u64 = 1 << 20;

/// What a file holds.
pub(super) struct KeyText {
    pub(super) text: Zeroizing<String>,
    /// The file's mode, where the file is ours and others may read it.
    pub(super) exposed: Option<u32>,
}

/// Reads a key file. Blocks, but never on whoever should write to it.
pub(super) fn read(path: &Path) -> std::io::Result<KeyText> {
    let refuse = |why: String| std::io::Error::new(std::io::ErrorKind::InvalidData, why);
    let mut options = std::fs::OpenOptions::new();
    options.read(true);
    // Opening a pipe would wait for whoever writes to it.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(
        &mut options,
        rustix::fs::OFlags::NONBLOCK.bits().cast_signed(),
    );
    let file = options.open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(refuse("it is no regular file".into()));
    }
    let length = metadata.len();
    if length > MAX_KEY_FILE {
        return Err(refuse(format!(
            "{length} bytes are too many for a private key"
        )));
    }
    // Read into a buffer that never grows: growing would leave copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(length as usize + 1));
    std::io::Read::read_to_end(&mut std::io::Read::take(file, length), &mut bytes)?;
    let text = match String::from_utf8(std::mem::take(&mut *bytes)) {
        Ok(text) => Zeroizing::new(text),
        Err(error) => {
            drop(Zeroizing::new(error.into_bytes()));
            return Err(refuse("it is no text, as keys are".into()));
        }
    };
    Ok(KeyText {
        text,
        exposed: exposure(&metadata),
    })
}

/// Why a file that others may read is left alone.
pub(super) fn exposed(mode: u32) -> String {
    format!(
        "it is ignored, as ssh does, because others may read it: \
         its mode is {mode:04o} and should be 0600"
    )
}

/// As ssh judges it: another owner's file is that owner's business.
#[cfg(unix)]
fn exposure(metadata: &std::fs::Metadata) -> Option<u32> {
    use std::os::unix::fs::MetadataExt as _;
    let ours = metadata.uid() == rustix::process::getuid().as_raw();
    (ours && metadata.mode() & 0o077 != 0).then_some(metadata.mode() & 0o777)
}

#[cfg(not(unix))]
fn exposure(_: &std::fs::Metadata) -> Option<u32> {
    None
}
