//! Editing a file: one text in the place of another.

use sha2::{Digest as _, Sha256};

use super::{Files, WriteOptions};
use crate::error::{ErrorKind, Result};

impl Files {
    /// Puts `new` in the place of `old`, which must be in the file exactly once, and writes the file
    /// in one step as [`write`](Self::write) does. What somebody else writes meanwhile is not lost:
    /// the file is looked at again right before the new one takes its place. Its contents are read
    /// once more only where it was written in the last three seconds, since times are whole ones.
    ///
    /// # Errors
    /// [`ErrorKind::Changed`] where `old` is not in the file, or more than once, or where somebody
    /// else wrote the file meanwhile; [`ErrorKind::InvalidInput`] for an empty `old`; and as
    /// [`read`](Self::read) and [`write`](Self::write).
    ///
    /// # Cancel safety
    /// As [`write`](Self::write).
    pub async fn replace_text(
        &self,
        path: impl AsRef<[u8]>,
        old: impl AsRef<[u8]>,
        new: impl AsRef<[u8]>,
    ) -> Result<()> {
        let (path, old, new) = (path.as_ref(), old.as_ref(), new.as_ref());
        let tried = self.tried("replace text", path);
        if old.is_empty() {
            let what = "an empty text is everywhere: say what is to be replaced";
            return Err(tried.error(ErrorKind::InvalidInput, what));
        }
        let (known, contents) = self.read_known(path).await?;
        let find = |text: &[u8]| text.windows(old.len()).position(|there| there == old);
        let Some(at) = find(&contents) else {
            let what = "the text to be replaced is not in it";
            return Err(tried.error(ErrorKind::Changed, what));
        };
        if find(&contents[at + 1..]).is_some() {
            let what = "the text to be replaced is in it more than once";
            return Err(tried.error(ErrorKind::Changed, what));
        }
        let edited = [&contents[..at], new, &contents[at + old.len()..]].concat();
        let sum = Sha256::digest(&contents).into();
        let options = WriteOptions::new().just_read(&known, sum);
        self.write_with(path, edited, &options).await
    }
}
