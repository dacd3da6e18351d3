//! The runs of bytes that a filesystem's reader finds free, and why it may not know them.

use std::ops::Range;

/// Runs of a filesystem that are kept: 64 MiB of memory. 8 GiB whose every second block is free have a quarter of it.
const MAX_RUNS: usize = 4 << 20;

/// Why a filesystem's free space is not known. Each filesystem's reader says it in words without the disk's name.
pub(super) enum Unknown {
    /// The filesystem may be fine, but this reader does not know its form.
    Incompatible(String),
    /// The filesystem is damaged.
    Corrupt(String),
}

impl From<std::io::Error> for Unknown {
    fn from(error: std::io::Error) -> Self {
        Self::Corrupt(format!("it cannot be read: {error}"))
    }
}

/// Runs in rising order. Those that touch become one.
#[derive(Debug, Default)]
pub(super) struct Runs(pub Vec<Range<u64>>);

impl Runs {
    /// Add a run that begins where the last one ends, or later.
    pub(super) fn push(&mut self, run: Range<u64>) -> Result<(), Unknown> {
        if let Some(last) = self.0.last_mut().filter(|last| last.end == run.start) {
            last.end = run.end;
            return Ok(());
        }
        if self.0.len() == MAX_RUNS {
            return Err(Unknown::Incompatible(format!("its free space has more than {MAX_RUNS} pieces")));
        }
        self.0.push(run);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_that_touch_are_one() {
        let mut runs = Runs::default();
        for run in [0..1, 1..3, 4..5, 5..6] {
            assert!(runs.push(run).is_ok());
        }
        assert_eq!(runs.0, [0..3, 4..6]);
    }
}
