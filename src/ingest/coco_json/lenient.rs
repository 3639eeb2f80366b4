//! JSON as Python writes it: with a byte order mark, and with `NaN` and `Infinity`, which are no JSON.

use std::io::{self, BufRead, Read};

/// Reads JSON without a byte order mark, and with `null` in place of `NaN`, `Infinity` and `-Infinity`.
#[derive(Debug)]
pub(super) struct Lenient<R> {
    reader: R,
    at_start: bool,
    in_string: bool,
    is_escaped: bool,
    /// A word outside of strings that is not complete yet, with its sign.
    word: Vec<u8>,
    /// Bytes that did not fit into the caller's buffer.
    left: Vec<u8>,
}

// === impl Lenient ===

impl<R: BufRead> Lenient<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, at_start: true, in_string: false, is_escaped: false, word: Vec::new(), left: Vec::new() }
    }

    fn skip_mark(&mut self) -> io::Result<()> {
        self.at_start = false;
        let has_mark = self.reader.fill_buf()?.starts_with(b"\xEF\xBB\xBF");
        self.reader.consume(if has_mark { 3 } else { 0 });
        Ok(())
    }

    /// Takes bytes until some can be returned; returns false at the end.
    fn refill(&mut self) -> io::Result<bool> {
        while self.left.is_empty() {
            let bytes = self.reader.fill_buf()?;
            if bytes.is_empty() {
                end_word(&mut self.word, &mut self.left);
                return Ok(!self.left.is_empty());
            }
            for &byte in bytes {
                let in_word = !self.in_string && (byte.is_ascii_alphabetic() || (byte == b'-' && self.word.is_empty()));
                if in_word {
                    self.word.push(byte);
                    continue;
                }
                end_word(&mut self.word, &mut self.left);
                self.left.push(byte);
                match byte {
                    _ if self.is_escaped => self.is_escaped = false,
                    b'\\' if self.in_string => self.is_escaped = true,
                    b'"' => self.in_string = !self.in_string,
                    _ => {}
                }
            }
            let used = bytes.len();
            self.reader.consume(used);
        }
        Ok(true)
    }
}

fn end_word(word: &mut Vec<u8>, out: &mut Vec<u8>) {
    if matches!(word.as_slice(), b"NaN" | b"Infinity" | b"-Infinity") {
        out.extend(b"null");
    } else {
        out.extend(&*word);
    }
    word.clear();
}

impl<R: BufRead> Read for Lenient<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at_start {
            self.skip_mark()?;
        }
        if buffer.is_empty() || !self.refill()? {
            return Ok(0);
        }
        let count = buffer.len().min(self.left.len());
        buffer[..count].copy_from_slice(&self.left[..count]);
        self.left.drain(..count);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_are_none_are_null() {
        let text = "\u{feff}{\"NaN\": NaN, \"a\\\"NaN\": [-Infinity,Infinity, -1e-5, \"-\", true], \"n\": Nanny}";
        let read = io::read_to_string(Lenient::new(io::BufReader::with_capacity(4, text.as_bytes()))).unwrap();
        assert_eq!(read, "{\"NaN\": null, \"a\\\"NaN\": [null,null, -1e-5, \"-\", true], \"n\": Nanny}");
    }
}
