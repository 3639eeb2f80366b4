//! Records of a JSON file: its top-level values, or the elements of its array.
//!
//! Only strings and brackets are looked at here; each record is parsed when its shape is. If the first value fills the
//! first line, every line is a record (newline-delimited JSON), so that a broken one does not take the next with it.

use std::io::BufRead;

use super::source::Fault;
use crate::error::Result;

/// Values nested deeper than this are faults: what reads them is recursive.
const MAX_DEPTH: usize = 1000;

/// A record.
#[derive(Debug, Default)]
pub(super) struct Value {
    /// The line on which it begins, from 1.
    pub line: u64,
    pub text: Vec<u8>,
}

/// What was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Read {
    Value,
    /// A record that cannot be read; the next one can.
    Faulty(Fault),
    /// A fault that leaves the rest of the file unread.
    Lost(Fault),
    End,
}

/// Reads records.
#[derive(Debug)]
pub(super) struct Values<R> {
    reader: R,
    line: u64,
    form: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Nothing was read.
    Unknown,
    /// One value on each line.
    Lines,
    /// Values one after the other, with white space or nothing between.
    Sequence,
    /// The elements of an array; `true` if a comma must come before the next.
    Array { comma: bool },
    /// After the array.
    AfterArray,
}

// === impl Values ===

impl<R: BufRead> Values<R> {
    pub fn new(reader: R) -> Self {
        Self { reader, line: 1, form: Form::Unknown }
    }

    /// Reads the next record.
    pub fn read(&mut self, value: &mut Value) -> Result<Read> {
        value.text.clear();
        let Some(first) = self.skip_space()? else { return Ok(self.end(value)) };
        value.line = self.line;
        if let Some(form) = self.form.after(first) {
            self.reader.consume(1);
            self.form = form;
            return self.read(value);
        }
        match self.form {
            Form::Unknown => self.read_first(value),
            Form::Lines => self.read_line(value),
            Form::Sequence | Form::Array { comma: false } => self.read_value(value),
            Form::Array { comma: true } => Ok(Read::Lost(value.fault("expected a comma or the end of the array"))),
            Form::AfterArray => Ok(Read::Lost(value.fault("text follows the array"))),
        }
    }

    fn end(&self, value: &mut Value) -> Read {
        value.line = self.line;
        match self.form {
            Form::Array { .. } => Read::Lost(value.fault("the array does not end")),
            _ => Read::End,
        }
    }

    /// Skips white space; returns the next byte, without consuming it.
    fn skip_space(&mut self) -> Result<Option<u8>> {
        loop {
            let bytes = self.reader.fill_buf()?;
            let Some(&first) = bytes.first() else { return Ok(None) };
            if !first.is_ascii_whitespace() {
                return Ok(Some(first));
            }
            self.line += u64::from(first == b'\n');
            self.reader.consume(1);
        }
    }

    /// Reads the first record, and finds out whether every line is one.
    fn read_first(&mut self, value: &mut Value) -> Result<Read> {
        let line = self.line;
        self.form = Form::Sequence;
        let read = self.read_value(value)?;
        let is_line = self.line == line && self.is_at_line_end()?;
        if is_line {
            self.form = Form::Lines;
        }
        Ok(read)
    }

    fn is_at_line_end(&mut self) -> Result<bool> {
        loop {
            let bytes = self.reader.fill_buf()?;
            match bytes.first() {
                Some(b' ' | b'\t' | b'\r') => self.reader.consume(1),
                first => return Ok(first.is_none_or(|first| *first == b'\n')),
            }
        }
    }

    fn read_line(&mut self, value: &mut Value) -> Result<Read> {
        self.reader.read_until(b'\n', &mut value.text)?;
        self.line += u64::from(value.text.ends_with(b"\n"));
        value.text.truncate(value.text.trim_ascii_end().len());
        let mut nesting = Nesting::default();
        Ok(match value.text.iter().try_for_each(|byte| nesting.take(*byte)) {
            Ok(()) => Read::Value,
            Err(reason) => Read::Faulty(value.fault(reason)),
        })
    }

    /// Reads one value by its brackets and strings.
    fn read_value(&mut self, value: &mut Value) -> Result<Read> {
        let mut nesting = Nesting::default();
        loop {
            let bytes = self.reader.fill_buf()?;
            if bytes.is_empty() {
                let is_whole = nesting.is_whole() && !matches!(self.form, Form::Array { .. });
                return Ok(if is_whole { Read::Value } else { Read::Lost(value.fault("the value does not end")) });
            }
            let (mut used, mut ended) = (0, false);
            for &byte in bytes {
                if nesting.ends_before(byte) && !value.text.is_empty() {
                    ended = true;
                    break;
                }
                used += 1;
                self.line += u64::from(byte == b'\n');
                value.text.push(byte);
                if let Err(reason) = nesting.take(byte) {
                    return Ok(Read::Lost(value.fault(reason)));
                }
                if nesting.has_closed() {
                    ended = true;
                    break;
                }
            }
            self.reader.consume(used);
            if ended {
                if let Form::Array { comma } = &mut self.form {
                    *comma = true;
                }
                return Ok(Read::Value);
            }
        }
    }
}

// === impl Form ===

impl Form {
    /// The form after a sign that belongs to the array of the records; `None` for a record's first byte.
    fn after(self, sign: u8) -> Option<Self> {
        match (self, sign) {
            (Self::Unknown, b'[') | (Self::Array { comma: true }, b',') => Some(Self::Array { comma: false }),
            (Self::Array { .. }, b']') => Some(Self::AfterArray),
            _ => None,
        }
    }
}

// === impl Value ===

impl Value {
    /// A fault of this record.
    pub fn fault(&self, reason: impl Into<String>) -> Fault {
        Fault { line: self.line, reason: reason.into() }
    }
}

/// The strings and brackets of a value.
#[derive(Debug, Default)]
struct Nesting {
    depth: usize,
    in_string: bool,
    is_escaped: bool,
    /// A bracket or string of the top level has closed.
    closed: bool,
}

// === impl Nesting ===

impl Nesting {
    fn take(&mut self, byte: u8) -> std::result::Result<(), String> {
        self.closed = false;
        if self.in_string {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' => self.is_escaped = true,
                b'"' => {
                    self.in_string = false;
                    self.closed = self.depth == 0;
                }
                _ => {}
            }
            return Ok(());
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => {
                self.depth += 1;
                if self.depth > MAX_DEPTH {
                    return Err(format!("it is nested deeper than {MAX_DEPTH} levels"));
                }
            }
            b'}' | b']' => {
                self.depth = self.depth.checked_sub(1).ok_or("a bracket closes that was not opened")?;
                self.closed = self.depth == 0;
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether the value ended with the last byte.
    fn has_closed(&self) -> bool {
        self.closed
    }

    /// Whether a number or word would end before `byte`.
    fn ends_before(&self, byte: u8) -> bool {
        self.is_whole() && (byte.is_ascii_whitespace() || matches!(byte, b',' | b']' | b'}' | b'{' | b'[' | b'"'))
    }

    fn is_whole(&self) -> bool {
        self.depth == 0 && !self.in_string
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<String> {
        let mut values = Values::new(std::io::BufReader::with_capacity(1, text.as_bytes()));
        let (mut value, mut all) = (Value::default(), Vec::new());
        loop {
            match values.read(&mut value).unwrap() {
                Read::Value => all.push(format!("{}: {}", value.line, String::from_utf8_lossy(&value.text))),
                Read::Faulty(fault) => all.push(format!("{}? {}", fault.line, fault.reason)),
                Read::Lost(fault) => {
                    all.push(format!("{}! {}", fault.line, fault.reason));
                    return all;
                }
                Read::End => return all,
            }
        }
    }

    #[test]
    fn arrays_lines_and_sequences() {
        assert_eq!(read("[{\"a\": \"]}\\\"\"}, 1\n,[2] ]\n"), ["1: {\"a\": \"]}\\\"\"}", "1: 1", "2: [2]"]);
        assert_eq!(read("{\"a\": 1}\n\n{\"a\":\n"), ["1: {\"a\": 1}", "3: {\"a\":"]);
        assert_eq!(read("{\n\"a\": 1}{} \"x\" 2"), ["1: {\n\"a\": 1}", "2: {}", "2: \"x\"", "2: 2"]);
        assert_eq!(read("[]"), [""; 0]);
        assert_eq!(read(""), [""; 0]);
    }

    #[test]
    fn what_does_not_end_is_a_fault() {
        assert_eq!(read("[{}\n"), ["1: {}", "2! the array does not end"]);
        assert_eq!(read("[{} {}]"), ["1: {}", "1! expected a comma or the end of the array"]);
        assert_eq!(read("{\"a\": [1"), ["1! the value does not end"]);
        assert_eq!(read("[1]\n[2]"), ["1: 1", "2! text follows the array"]);
        let deep = "[".repeat(2000);
        assert_eq!(read(&format!("1\n{deep}")), ["1: 1", "2? it is nested deeper than 1000 levels"]);
    }
}
