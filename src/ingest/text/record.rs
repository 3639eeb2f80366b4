//! Records of a CSV file.
//!
//! The format of RFC 4180: fields separated by a delimiter, records by a line break (`\n`, `\r\n` or `\r`), and fields in
//! quotes, in which the quote is doubled or escaped. What is not certainly one reading is a fault: text after a closing
//! quote, a quote that is never closed, bytes that are not UTF-8.

use std::io::BufRead;

use super::source::Fault;
use crate::error::Result;

/// How the records of a file are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dialect {
    /// `None` if each line is one field.
    pub delimiter: Option<u8>,
    pub quote: Option<u8>,
    /// What stands before a quote in a quoted field; `None` if it is doubled.
    pub escape: Option<u8>,
    /// Lines that begin with it are no records.
    pub comment: Option<u8>,
}

/// The fields of a record.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// The line on which it begins, from 1.
    pub line: u64,
    text: Vec<u8>,
    ends: Vec<End>,
}

#[derive(Clone, Copy, Debug)]
struct End {
    at: usize,
    is_quoted: bool,
}

/// A field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field<'a> {
    pub text: &'a str,
    pub is_quoted: bool,
}

/// Reads records.
#[derive(Debug)]
pub(super) struct Records<R> {
    reader: R,
    dialect: Dialect,
    line: u64,
    /// The last byte was `\r`: a `\n` belongs to it.
    after_return: bool,
}

/// What was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Read {
    Record,
    /// A record that cannot be read; the next one can.
    Faulty(Fault),
    /// A fault that leaves the rest of the file unread.
    Lost(Fault),
    End,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    RecordStart,
    FieldStart,
    Unquoted,
    Quoted,
    /// After the escape character in a quoted field.
    Escaped,
    /// After a quote in a quoted field.
    QuoteSeen,
    Comment,
    /// After a fault, up to the end of the line.
    Faulty,
}

// === impl Records ===

impl<R: BufRead> Records<R> {
    pub fn new(reader: R, dialect: Dialect) -> Self {
        Self { reader, dialect, line: 1, after_return: false }
    }

    /// Skips lines.
    pub fn skip_lines(&mut self, count: u64) -> Result<()> {
        for _ in 0..count {
            self.line += u64::from(self.reader.skip_until(b'\n')? > 0);
        }
        Ok(())
    }

    /// Reads the next record. An empty line is a record with one empty field.
    pub fn read(&mut self, record: &mut Record) -> Result<Read> {
        record.clear(self.line);
        let mut state = State::RecordStart;
        loop {
            let bytes = self.reader.fill_buf()?;
            if bytes.is_empty() {
                return Ok(end(record, state));
            }
            let (mut used, mut ended) = (0, false);
            for &byte in bytes {
                used += 1;
                let follows_return = std::mem::replace(&mut self.after_return, byte == b'\r');
                if byte == b'\n' && follows_return {
                    if state == State::Quoted {
                        record.text.push(byte);
                    }
                    continue;
                }
                let is_break = byte == b'\n' || byte == b'\r';
                self.line += u64::from(is_break);
                if state == State::Comment && is_break {
                    state = State::RecordStart;
                    record.line = self.line;
                    continue;
                }
                if is_break && !matches!(state, State::Quoted | State::Escaped) {
                    ended = true;
                    break;
                }
                state = self.dialect.take(record, state, byte);
            }
            self.reader.consume(used);
            if ended {
                return Ok(record.finish(state));
            }
        }
    }
}

/// The outcome at the end of the file.
fn end(record: &mut Record, state: State) -> Read {
    match state {
        State::RecordStart | State::Comment => Read::End,
        State::Quoted | State::Escaped => Read::Lost(record.fault("a quoted field is not closed")),
        _ => record.finish(state),
    }
}

// === impl Dialect ===

impl Dialect {
    /// Takes a byte that does not end the record.
    fn take(self, record: &mut Record, state: State, byte: u8) -> State {
        let byte_is = |sign: Option<u8>| sign == Some(byte);
        match state {
            State::RecordStart if byte_is(self.comment) => State::Comment,
            State::RecordStart | State::FieldStart if byte_is(self.quote) => State::Quoted,
            State::RecordStart | State::FieldStart | State::Unquoted if byte_is(self.delimiter) => {
                record.end_field(false)
            }
            State::RecordStart | State::FieldStart | State::Unquoted => record.push(byte, State::Unquoted),
            State::Quoted if byte_is(self.escape) => State::Escaped,
            State::Quoted if byte_is(self.quote) => State::QuoteSeen,
            State::Escaped if !byte_is(self.quote) && !byte_is(self.escape) => {
                // The escape character stands for itself.
                record.text.extend(self.escape);
                record.push(byte, State::Quoted)
            }
            State::Quoted | State::Escaped => record.push(byte, State::Quoted),
            State::QuoteSeen if byte_is(self.quote) && self.escape.is_none() => record.push(byte, State::Quoted),
            State::QuoteSeen if byte_is(self.delimiter) => record.end_field(true),
            State::QuoteSeen | State::Faulty => record.push(byte, State::Faulty),
            State::Comment => State::Comment,
        }
    }
}

// === impl Record ===

impl Record {
    /// The number of fields.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether it is an empty line.
    pub fn is_blank(&self) -> bool {
        matches!(self.ends.as_slice(), [End { at: 0, is_quoted: false }])
    }

    /// The fields.
    pub fn fields(&self) -> impl Iterator<Item = Field<'_>> {
        let starts = std::iter::once(0).chain(self.ends.iter().map(|end| end.at));
        starts.zip(&self.ends).map(|(start, end)| Field {
            // Checked when the record was finished.
            text: std::str::from_utf8(&self.text[start..end.at]).unwrap_or_default(),
            is_quoted: end.is_quoted,
        })
    }

    /// A fault of this record.
    pub fn fault(&self, reason: impl Into<String>) -> Fault {
        Fault { line: self.line, reason: reason.into() }
    }

    /// Its text, for a report: the fields with `delimiter` between.
    pub fn text(&self, delimiter: Option<u8>) -> String {
        let delimiter = delimiter.map(char::from).map(String::from).unwrap_or_default();
        if self.ends.is_empty() {
            return String::from_utf8_lossy(&self.text).into_owned();
        }
        self.fields().map(|field| field.text).collect::<Vec<_>>().join(&delimiter)
    }

    fn clear(&mut self, line: u64) {
        self.line = line;
        self.text.clear();
        self.ends.clear();
    }

    fn push(&mut self, byte: u8, next: State) -> State {
        self.text.push(byte);
        next
    }

    fn end_field(&mut self, is_quoted: bool) -> State {
        self.ends.push(End { at: self.text.len(), is_quoted });
        State::FieldStart
    }

    fn finish(&mut self, state: State) -> Read {
        if state == State::Faulty {
            self.ends.clear();
            return Read::Faulty(self.fault("text follows the closing quote of a field"));
        }
        self.end_field(state == State::QuoteSeen);
        if self.is_utf8() {
            return Read::Record;
        }
        self.ends.clear();
        Read::Faulty(self.fault("it is not UTF-8"))
    }

    /// Whether every field is UTF-8: a record could be so although its fields are not.
    fn is_utf8(&self) -> bool {
        std::str::from_utf8(&self.text).is_ok_and(|text| self.ends.iter().all(|end| text.is_char_boundary(end.at)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMA: Dialect = Dialect { delimiter: Some(b','), quote: Some(b'"'), escape: None, comment: None };

    /// The records of `text`, with quoted fields in brackets, and the faults with their line.
    fn read(text: &str, dialect: Dialect) -> Vec<String> {
        // Small buffers: every state is left in the middle once.
        let mut records = Records::new(std::io::BufReader::with_capacity(1, text.as_bytes()), dialect);
        let (mut record, mut all) = (Record::default(), Vec::new());
        loop {
            all.push(match records.read(&mut record).unwrap() {
                Read::Record => {
                    let shown = |field: Field<'_>| {
                        if field.is_quoted { format!("[{}]", field.text) } else { field.text.to_owned() }
                    };
                    format!("{}: {}", record.line, record.fields().map(shown).collect::<Vec<_>>().join("|"))
                }
                Read::Faulty(fault) | Read::Lost(fault) => format!("{}! {}", fault.line, fault.reason),
                Read::End => return all,
            });
            if all.last().is_some_and(|last| last.contains("not closed")) {
                return all;
            }
        }
    }

    #[test]
    fn fields_records_and_line_breaks() {
        assert_eq!(read("a,b\n1,\r\n,2\rx,y", COMMA), ["1: a|b", "2: 1|", "3: |2", "4: x|y"]);
        assert_eq!(read("a\n\n#b\n", COMMA), ["1: a", "2: ", "3: #b"]);
        assert_eq!(read("#a\nb\n#c", Dialect { comment: Some(b'#'), ..COMMA }), ["2: b"]);
        assert_eq!(read("", COMMA), [""; 0]);
    }

    #[test]
    fn quotes() {
        assert_eq!(read("\"a,\"\"b\"\"\n\r\nc\",\"\",d\"e\nf", COMMA), ["1: [a,\"b\"\n\r\nc]|[]|d\"e", "4: f"]);
        assert_eq!(read("\"a\"b,c\nd", COMMA), ["1! text follows the closing quote of a field", "2: d"]);
        assert_eq!(read("a\n\"b\nc", COMMA), ["1: a", "2! a quoted field is not closed"]);
        let escaped = Dialect { escape: Some(b'\\'), ..COMMA };
        assert_eq!(read(r#""a \"b\" \\ \n",c"#, escaped), [r#"1: [a "b" \ \n]|c"#]);
    }
}
