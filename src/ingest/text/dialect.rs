//! The dialect of a CSV file, found by reading all of it.
//!
//! A delimiter is taken if it gives every record the same number of fields, two or more. The usual one is tried first, so
//! that most files are read once. If none does so, and the first record has several fields, the records that differ are
//! faults. If it has one, the file has one column, unless a delimiter gives most records the same number of fields: then
//! the first record is a title, or the delimiter is missing in it, and the file is refused.

use std::collections::HashMap;

use super::{
    inspected::MAX_REJECTS,
    options::{Options, Sign},
    record::{Dialect, Read, Record, Records},
    scalar::Scalar,
    source::{Fault, TextFile},
};
use crate::error::{Error, Result};

/// What reading a file in a dialect showed.
#[derive(Debug)]
pub(super) struct Survey {
    pub dialect: Dialect,
    /// The fields of the first record.
    pub first: Vec<String>,
    /// The line of the first record.
    pub first_line: u64,
    /// The types of the columns, without the first record.
    pub types: Vec<Scalar>,
    /// The records, without the first and the faulty ones.
    pub records: u64,
    /// The faulty records, each with its text.
    pub faults: Vec<(Fault, String)>,
    /// The number of faulty records.
    pub faulty: u64,
    /// A fault after which nothing was read.
    pub lost: Option<Fault>,
    /// How many records have how many fields, if more than one.
    counts: HashMap<usize, u64>,
}

/// Surveys `file` in the dialect of `options`, and finds what they leave open.
pub(super) fn survey(file: &TextFile, options: &Options) -> Result<Survey> {
    let mut best: Option<Survey> = None;
    let candidates = candidates(file, options);
    for dialect in &candidates {
        let survey = Survey::new(file, options, *dialect)?;
        if survey.is_clean() && survey.first.len() > 1 {
            return Ok(survey);
        }
        let first_or_better = best.as_ref().is_none_or(|best| survey.is_better_than(best));
        if first_or_better {
            best = Some(survey);
        }
    }
    match best {
        Some(survey) if survey.first.len() > 1 || survey.is_clean() || options.delimiter.is_set() => Ok(survey),
        Some(survey) => {
            survey.check_title(file)?;
            Survey::new(file, options, Dialect { delimiter: None, ..candidates[0] })
        }
        None => Err(Error::internal("no dialect to try")),
    }
}

/// The dialects to try, the most usual one first.
fn candidates(file: &TextFile, options: &Options) -> Vec<Dialect> {
    let delimiters = match options.delimiter {
        Sign::Unset if file.is_tsv() => vec![Some(b'\t'), Some(b','), Some(b';'), Some(b'|')],
        Sign::Unset => vec![Some(b','), Some(b';'), Some(b'\t'), Some(b'|')],
        said => vec![said.byte()],
    };
    let quote = if options.quote.is_set() { options.quote.byte() } else { Some(b'"') };
    let escapes = match options.escape {
        Sign::Unset if !options.quote.is_set() => vec![None, Some(b'\\')],
        // The quote as its own escape character is the doubled quote.
        said => vec![said.byte().filter(|escape| Some(*escape) != quote)],
    };
    let comment = options.comment.byte();
    let dialect = |escape, delimiter: &Option<u8>| Dialect { delimiter: *delimiter, quote, escape, comment };
    escapes.into_iter().flat_map(|escape| delimiters.iter().map(move |delimiter| dialect(escape, delimiter))).collect()
}

// === impl Survey ===

impl Survey {
    fn new(file: &TextFile, options: &Options, dialect: Dialect) -> Result<Self> {
        let mut records = Records::new(file.open(options.encoding)?, dialect);
        records.skip_lines(options.skip)?;
        let mut survey = Self {
            dialect,
            first: Vec::new(),
            first_line: 0,
            types: Vec::new(),
            records: 0,
            faults: Vec::new(),
            faulty: 0,
            lost: None,
            counts: HashMap::new(),
        };
        let mut record = Record::default();
        loop {
            match records.read(&mut record)? {
                Read::Record => survey.add(&record, options),
                Read::Faulty(fault) => survey.add_fault(fault, record.text(dialect.delimiter)),
                Read::Lost(fault) => {
                    survey.lost = Some(fault);
                    return Ok(survey);
                }
                Read::End => return Ok(survey),
            }
        }
    }

    fn add(&mut self, record: &Record, options: &Options) {
        if self.first.is_empty() {
            if !record.is_blank() {
                self.first = record.fields().map(|field| field.text.to_owned()).collect();
                self.first_line = record.line;
                self.types = vec![Scalar::Unknown; self.first.len()];
            }
            return;
        }
        if record.len() > 1 {
            *self.counts.entry(record.len()).or_default() += 1;
        }
        match fault(record, self.first.len(), options) {
            Err(None) => {}
            Err(Some(fault)) => self.add_fault(fault, record.text(self.dialect.delimiter)),
            Ok(()) => {
                self.records += 1;
                for (scalar, field) in self.types.iter_mut().zip(record.fields()) {
                    // An empty text is a missing number as well.
                    if *scalar != Scalar::Text && !field.text.is_empty() && !options.is_null(field) {
                        *scalar = scalar.widen(Scalar::of_text(field.text));
                    }
                }
            }
        }
    }

    fn add_fault(&mut self, fault: Fault, text: String) {
        self.faulty += 1;
        if self.faults.len() < MAX_REJECTS {
            self.faults.push((fault, text));
        }
    }

    fn is_clean(&self) -> bool {
        self.faulty == 0 && self.lost.is_none()
    }

    /// Fails if most records have the same number of fields, two or more, while the first has one.
    fn check_title(&self, file: &TextFile) -> Result<()> {
        let most = self.counts.iter().find(|(_, records)| **records * 2 > self.records + self.faulty);
        let Some((fields, _)) = most else { return Ok(()) };
        let delimiter = char::from(self.dialect.delimiter.unwrap_or_default());
        let reason = format!("it has 1 field, most records have {fields}, separated by {delimiter:?}");
        let fault = Fault { line: self.first_line, reason };
        Err(file.error(&fault, "; skip a title with \"skip\", or set \"delimiter\", \"\" for one column"))
    }

    /// Whether more of the file makes sense in this dialect: the first record has several fields, and more records as
    /// many.
    fn is_better_than(&self, other: &Self) -> bool {
        let quality = |survey: &Self| {
            let several = survey.first.len() > 1;
            let most = survey.counts.values().max().copied().unwrap_or_default();
            let records = if several { survey.records } else { most };
            (several && records > 0, several, survey.lost.is_none(), records)
        };
        quality(self) > quality(other)
    }
}

/// Why `record` is not a row of `columns` columns; `Err(None)` for an empty line, which is none.
pub(super) fn fault(record: &Record, columns: usize, options: &Options) -> std::result::Result<(), Option<Fault>> {
    let count = record.len();
    if count == columns || (count < columns && options.null_padding && !record.is_blank()) {
        return Ok(());
    }
    if record.is_blank() {
        return Err(None);
    }
    let fields = if count == 1 { "1 field".to_owned() } else { format!("{count} fields") };
    Err(Some(record.fault(format!("it has {fields}, the first record has {columns}"))))
}
