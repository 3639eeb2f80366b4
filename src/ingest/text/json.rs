//! JSON files as records, and the types of their keys.

use std::collections::HashSet;

use super::{
    column::{Column, Source},
    feed::Feed,
    inspected::{Inspected, MAX_REJECTS, Reject},
    options::Options,
    shape::{Object, Shape, Unfit, is_object},
    source::{Fault, TextFile},
    values::{Read, Value, Values},
};
use crate::{
    error::{Error, Result},
    jobs::Progress,
};

/// The column of records that are no objects.
const COLUMN: &str = "json";
/// JSON files that were read once.
#[derive(Debug)]
pub(super) struct Json {
    files: Vec<TextFile>,
    records: Records,
    /// The records that are not sent, by the number of the file and of the record in it.
    rejected: HashSet<(usize, u64)>,
}

/// The shape of all records: the first one decides which.
#[derive(Debug)]
enum Records {
    Unknown,
    Objects(Object),
    Values(Shape),
}

// === impl Json ===

impl Json {
    /// Reads the files.
    ///
    /// # Errors
    /// `InvalidArgument` for a record that cannot be read, unless such records are rejected.
    pub fn inspect(files: Vec<TextFile>, options: &Options, progress: &Progress) -> Result<Inspected<Self>> {
        let mut json = Self { files: Vec::new(), records: Records::Unknown, rejected: HashSet::new() };
        let mut rejects = Vec::new();
        for file in files {
            progress.check()?;
            json.add(file, options, &mut rejects)?;
            progress.advance(1);
        }
        json.check_names()?;
        Ok(Inspected { format: json, rejects })
    }

    fn add(&mut self, file: TextFile, options: &Options, rejects: &mut Vec<Reject>) -> Result<()> {
        let mut values = Values::new(file.open(options.encoding)?);
        let mut value = Value::default();
        for number in 0.. {
            let fault = match values.read(&mut value)? {
                Read::Value => self.records.take(&value).err(),
                Read::Faulty(fault) => Some(fault),
                Read::Lost(fault) => return Err(file.error(&fault, "")),
                Read::End => break,
            };
            let Some(fault) = fault else { continue };
            if !options.rejects || rejects.len() == MAX_REJECTS {
                return Err(file.error(&fault, "; correct the file, or collect such records with \"rejects\""));
            }
            self.rejected.insert((self.files.len(), number));
            rejects.push(Reject::new(&file, fault, String::from_utf8_lossy(&value.text).into_owned()));
        }
        self.files.push(file);
        Ok(())
    }

    /// The columns, as parts of the records, which are staged as text in a column "0".
    pub fn columns(&self) -> Vec<Column> {
        let column = |name: &str, place: String, data_type: String| Column {
            name: name.to_owned(),
            data_type,
            is_demanded: false,
            source: Source::Json { pointer: place },
        };
        match &self.records {
            Records::Unknown => Vec::new(),
            Records::Objects(object) => object.keys().map(|(name, found)| column(name, pointer(name), found)).collect(),
            Records::Values(shape) => vec![column(COLUMN, String::new(), shape.sql())],
        }
    }

    /// Sends the records.
    pub fn feed(&self, options: &Options, feed: &mut Feed) -> Result<()> {
        for (index, file) in self.files.iter().enumerate() {
            let mut values = Values::new(file.open(options.encoding)?);
            let mut value = Value::default();
            for number in 0.. {
                match values.read(&mut value)? {
                    Read::Value if !self.rejected.contains(&(index, number)) => {
                        // Checked when it was parsed.
                        let text = String::from_utf8_lossy(&value.text);
                        if !feed.push(&file.name, value.line, &[Some(&text)])? {
                            return Ok(());
                        }
                    }
                    Read::Value | Read::Faulty(_) => {}
                    Read::Lost(_) | Read::End => break,
                }
            }
        }
        Ok(())
    }

    /// Names of columns differ in more than case.
    fn check_names(&self) -> Result<()> {
        let Records::Objects(object) = &self.records else {
            return match self.records {
                Records::Unknown => Err(Error::invalid("the source has no records, so no columns")),
                _ => Ok(()),
            };
        };
        let mut seen = HashSet::new();
        for (name, _) in object.keys() {
            if name.is_empty() {
                return Err(Error::invalid("a record has the key \"\", which cannot name a column"));
            }
            if !seen.insert(name.to_lowercase()) {
                return Err(Error::invalid(format!(
                    "the records have a key \"{name}\" and one that differs from it only in case: names of columns are \
                     compared without case"
                )));
            }
        }
        Ok(())
    }
}

// === impl Records ===

impl Records {
    /// Widens the shape by a record.
    fn take(&mut self, value: &Value) -> Result<(), Fault> {
        let is_object = is_object(&value.text);
        if let Self::Unknown = self {
            *self = if is_object { Self::Objects(Object::default()) } else { Self::Values(Shape::default()) };
        }
        let taken = match self {
            Self::Objects(object) if is_object => object.widen_by(&value.text),
            Self::Values(shape) if !is_object => shape.widen_by(&value.text),
            Self::Objects(_) => return Err(value.fault("it is not an object, as the first record is")),
            _ => return Err(value.fault("it is an object, which the first record is not")),
        };
        taken.map_err(|unfit| match unfit {
            Unfit::Syntax(err) => value.fault(format!("it is not JSON: {err}")),
            Unfit::Twice(key) => value.fault(format!("an object has the key \"{key}\" twice")),
        })
    }
}

/// The JSON pointer to a key, by RFC 6901.
fn pointer(key: &str) -> String {
    format!("/{}", key.replace('~', "~0").replace('/', "~1"))
}
