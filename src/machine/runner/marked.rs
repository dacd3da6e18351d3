//! The output of a session, between the two marks that the guest sets around it. Pure.

use memchr::memmem;

use super::MARK;

/// Exit status of a session whose end mark has none that can be read.
const NO_STATUS: i32 = 255;
/// Digits of an exit status, and the end of its line.
const STATUS_BYTES: usize = 8;

/// One of a session's two outputs, as it comes.
#[derive(Debug)]
pub(super) struct Marked {
    begin: Vec<u8>,
    end: Vec<u8>,
    begun: bool,
    /// Bytes that may be a part of a mark: before the begin mark, or after the command has ended.
    held: Vec<u8>,
}

impl Marked {
    /// The output of session `number`, in a guest that proves itself by `nonce`.
    pub(super) fn new(nonce: &str, number: u64) -> Self {
        let mark = |word: &str, last: char| format!("{MARK}goldsmith {nonce} {word} {number}{last}").into_bytes();
        Self { begin: mark("begin", '\n'), end: mark("end", ' '), begun: false, held: Vec::new() }
    }

    /// Whether the guest has begun the session.
    pub(super) fn has_begun(&self) -> bool {
        self.begun
    }

    /// Take in `bytes`. The bytes that certainly come from the command go to `output`; its exit status is given when the end mark is whole.
    ///
    /// While the command runs (`ended` is false), there is no end mark, and nothing is held back: it may have written the first byte of a mark
    /// and wait for an answer to it, as each 256th packet of ssh does.
    pub(super) fn take(&mut self, bytes: &[u8], ended: bool, output: &mut Vec<u8>) -> Option<i32> {
        self.held.extend_from_slice(bytes);
        if !self.begun {
            match memmem::find(&self.held, &self.begin) {
                Some(at) => drop(self.held.drain(..at + self.begin.len())),
                // These bytes are left over from an earlier session.
                None => {
                    let kept = self.held.len().min(self.begin.len() - 1);
                    self.held.drain(..self.held.len() - kept);
                    return None;
                }
            }
            self.begun = true;
        }
        if !ended {
            output.append(&mut self.held);
            return None;
        }
        if let Some(at) = memmem::find(&self.held, &self.end) {
            output.extend(self.held.drain(..at));
            let rest = &self.held[self.end.len()..];
            let line = rest.iter().position(|byte| *byte == b'\n');
            let status = line.map(|end| std::str::from_utf8(&rest[..end]).ok().and_then(|text| text.parse().ok()));
            return status.map(|status| status.unwrap_or(NO_STATUS)).or((rest.len() > STATUS_BYTES).then_some(NO_STATUS));
        }
        let tail = self.held.len().saturating_sub(self.end.len() - 1);
        let partial =
            memchr::memchr_iter(self.end[0], &self.held[tail..]).map(|at| tail + at).find(|at| self.end.starts_with(&self.held[*at..]));
        output.extend(self.held.drain(..partial.unwrap_or(self.held.len())));
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_is_what_stands_between_the_marks_however_it_is_cut() {
        let begin = "\u{1e}goldsmith n0 begin 7\n";
        for (said, expected, status) in [
            (format!("{begin}hello\n\u{1e}goldsmith n0 end 7 0\n"), "hello\n", Some(0)),
            (format!("left behind\u{1e}goldsmith n0 begin 6\n{begin}\u{1e}goldsmith n0 end 7 127\nmore"), "", Some(127)),
            // Marks of another session or run count as output of the command.
            (
                format!("{begin}\u{1e}goldsmith n0 end 6 0\n\u{1e}\u{1e}\u{1e}goldsmith n0 end 7 3\n"),
                "\u{1e}goldsmith n0 end 6 0\n\u{1e}\u{1e}",
                Some(3),
            ),
            (format!("{begin}half"), "half", None),
            (format!("{begin}x\u{1e}goldsmith n0 end 7 "), "x", None),
            (format!("{begin}x\u{1e}goldsmith n0 end 7 x\n"), "x", Some(NO_STATUS)),
            (format!("{begin}x\u{1e}goldsmith n0 end 7 123456789"), "x", Some(NO_STATUS)),
            ("no beginning".to_owned(), "", None),
        ] {
            for size in [1, 2, 3, 7, 1000] {
                let (mut marked, mut output, mut found) = (Marked::new("n0", 7), Vec::new(), None);
                for piece in said.as_bytes().chunks(size) {
                    found = found.or_else(|| marked.take(piece, true, &mut output));
                }
                assert_eq!((String::from_utf8(output).unwrap().as_str(), found), (expected, status), "{said:?} in pieces of {size}");
            }
        }
    }

    #[test]
    fn nothing_is_held_back_while_the_command_runs() {
        let (begin, end) = (&b"\x1egoldsmith n0 begin 7\n"[..], &b"\x1egoldsmith n0 end 7 0\n"[..]);
        for size in [1, 2, 3, 7, 1000] {
            let (mut marked, mut output) = (Marked::new("n0", 7), Vec::new());
            [begin, end].concat().chunks(size).for_each(|piece| assert_eq!(marked.take(piece, false, &mut output), None));
            assert_eq!(output, end, "in pieces of {size}");
            output.clear();
            assert_eq!(marked.take(&[b"left", end].concat(), true, &mut output), Some(0));
            assert_eq!(output, b"left");
        }
    }

    #[test]
    fn little_is_held_back() {
        let (mut marked, mut output) = (Marked::new("n0", 7), Vec::new());
        marked.take(b"\x1egoldsmith n0 begin 7\n", true, &mut output);
        for _ in 0..100 {
            marked.take(&[0x1e; 4096], true, &mut output);
            assert!(marked.held.len() < marked.end.len());
        }
        let (mut silent, mut nothing) = (Marked::new("n0", 8), Vec::new());
        (0..100).for_each(|_| assert_eq!(silent.take(&[b'x'; 4096], false, &mut nothing), None));
        assert!(silent.held.len() < silent.begin.len() && nothing.is_empty());
    }
}
