//! CSV files as rows of text, and the types of their columns.

use std::collections::HashSet;

use indexmap::IndexMap;

use super::{
    column::{Column, Source},
    dialect::{self, Survey},
    feed::Feed,
    inspected::{Inspected, Reject},
    options::Options,
    record::{Read, Record, Records},
    scalar::Scalar,
    source::TextFile,
};
use crate::{
    error::{Error, Result},
    jobs::Progress,
};

/// CSV files that were read once.
#[derive(Debug)]
pub(super) struct Csv {
    files: Vec<CsvFile>,
    /// The columns of all files, by their name in lower case.
    columns: IndexMap<String, CsvColumn>,
}

#[derive(Debug)]
struct CsvFile {
    file: TextFile,
    survey: Survey,
    has_header: bool,
    /// For each column of the file, the number of the table's column.
    places: Vec<usize>,
}

#[derive(Debug)]
struct CsvColumn {
    name: String,
    scalar: Scalar,
}

// === impl Csv ===

impl Csv {
    /// Reads the files.
    ///
    /// # Errors
    /// `InvalidArgument` for a record that is no row, unless such records are rejected.
    pub fn inspect(files: Vec<TextFile>, options: &Options, progress: &Progress) -> Result<Inspected<Self>> {
        let mut csv = Self { files: Vec::new(), columns: IndexMap::new() };
        let mut rejects = Vec::new();
        for file in files {
            progress.check()?;
            let mut survey = dialect::survey(&file, options)?;
            check(&file, &survey, options)?;
            rejects.extend(survey.faults.drain(..).map(|(fault, record)| Reject::new(&file, fault, record)));
            csv.add(file, survey, options);
            progress.advance(1);
        }
        if csv.columns.is_empty() {
            return Err(Error::invalid("the source has no records, so no columns"));
        }
        Ok(Inspected { format: csv, rejects })
    }

    /// The columns; each is staged as text under its number.
    pub fn columns(&self) -> Vec<Column> {
        let column = |(index, column): (usize, &CsvColumn)| Column {
            name: column.name.clone(),
            data_type: column.scalar.sql().unwrap_or("VARCHAR").to_owned(),
            is_demanded: false,
            source: Source::Text { index },
        };
        self.columns.values().enumerate().map(column).collect()
    }

    /// The number of columns.
    pub fn width(&self) -> usize {
        self.columns.len()
    }

    /// Sends the rows.
    pub fn feed(&self, options: &Options, feed: &mut Feed) -> Result<()> {
        for file in &self.files {
            file.feed(options, self.columns.len(), feed)?;
        }
        Ok(())
    }

    fn add(&mut self, file: TextFile, survey: Survey, options: &Options) {
        let has_header = options.header.unwrap_or_else(|| has_header(&survey));
        let names = names(&survey.first, has_header);
        let mut places = Vec::with_capacity(names.len());
        for (index, name) in names.into_iter().enumerate() {
            let mut scalar = survey.types[index];
            if !has_header && !survey.first[index].is_empty() {
                scalar = scalar.widen(Scalar::of_text(&survey.first[index]));
            }
            let entry = self.columns.entry(name.to_lowercase());
            places.push(entry.index());
            let column = entry.or_insert(CsvColumn { name, scalar: Scalar::Unknown });
            column.scalar = column.scalar.widen(scalar);
        }
        self.files.push(CsvFile { file, survey, has_header, places });
    }
}

/// Fails for what would be lost.
fn check(file: &TextFile, survey: &Survey, options: &Options) -> Result<()> {
    if let Some(lost) = &survey.lost {
        return Err(file.error(lost, ": the rest of the file would be lost; see \"quote\" and \"escape\""));
    }
    match survey.faults.first() {
        Some((fault, _)) if !options.rejects => {
            let more =
                if survey.faulty > 1 { format!(" (and {} more records)", survey.faulty - 1) } else { String::new() };
            let remedy = "; correct the file, set the options of the reader (\"delimiter\", \"quote\", \"skip\", \
                          \"null_padding\", \"encoding\"), or collect such records with \"rejects\"";
            Err(file.error(fault, &format!("{more}{remedy}")))
        }
        _ if survey.faulty > survey.faults.len() as u64 => {
            Err(Error::invalid(format!("read \"{}\": {} records cannot be read", file.name, survey.faulty)))
        }
        _ => Ok(()),
    }
}

/// Whether the first record names the columns: it does unless a column of another type than text has its value there.
fn has_header(survey: &Survey) -> bool {
    let typed = |(text, scalar): (&String, &Scalar)| {
        let first = Scalar::of_text(text);
        let is_typed = !matches!(first, Scalar::Text | Scalar::Unknown) && !text.is_empty();
        let fits = *scalar != Scalar::Text && scalar.widen(first) != Scalar::Text;
        is_typed && fits && (*scalar != Scalar::Unknown || survey.records == 0)
    };
    !survey.first.iter().zip(&survey.types).any(typed)
}

/// The names of the columns, each once without regard to case.
fn names(first: &[String], has_header: bool) -> Vec<String> {
    let mut taken = HashSet::new();
    let unique = |(index, text): (usize, &String)| {
        let name = if has_header && !text.is_empty() { text.clone() } else { format!("column{index}") };
        let numbered = (1..).map(|number| format!("{name}_{number}"));
        std::iter::once(name.clone()).chain(numbered).find(|name| taken.insert(name.to_lowercase())).unwrap_or(name)
    };
    first.iter().enumerate().map(unique).collect()
}

// === impl CsvFile ===

impl CsvFile {
    fn feed(&self, options: &Options, columns: usize, feed: &mut Feed) -> Result<()> {
        let mut records = Records::new(self.file.open(options.encoding)?, self.survey.dialect);
        records.skip_lines(options.skip)?;
        let mut record = Record::default();
        loop {
            match records.read(&mut record)? {
                Read::Record if self.is_row(&record, options) => {
                    let mut row = vec![None; columns];
                    for (place, field) in self.places.iter().zip(record.fields()) {
                        row[*place] = Some(field.text).filter(|_| !options.is_null(field));
                    }
                    if !feed.push(&self.file.name, record.line, &row)? {
                        return Ok(());
                    }
                }
                Read::Record | Read::Faulty(_) => {}
                Read::Lost(_) | Read::End => return Ok(()),
            }
        }
    }

    /// Whether a record is neither before the first one, nor the header, nor at fault.
    fn is_row(&self, record: &Record, options: &Options) -> bool {
        let first = self.survey.first_line + u64::from(self.has_header);
        record.line >= first && dialect::fault(record, self.places.len(), options).is_ok()
    }
}
