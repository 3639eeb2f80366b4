//! References to tables of the lake.

use std::fmt;

use crate::{
    error::{Error, Result},
    quote::identifier,
};

/// A table by schema and name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableRef {
    /// The schema.
    pub schema: String,
    /// The name.
    pub name: String,
}

// === impl TableRef ===

impl TableRef {
    /// Parses `schema.name`.
    ///
    /// # Errors
    /// `InvalidArgument` for another form.
    pub fn parse(text: &str) -> Result<Self> {
        match text.split('.').collect::<Vec<_>>().as_slice() {
            [schema, name] if !schema.is_empty() && !name.is_empty() => {
                Ok(Self { schema: (*schema).to_owned(), name: (*name).to_owned() })
            }
            _ => Err(Error::invalid(format!("\"{text}\" is not a table reference: expected schema.name"))),
        }
    }

    /// The table with `suffix` appended to its name.
    #[must_use]
    pub fn with_suffix(&self, suffix: &str) -> Self {
        Self { schema: self.schema.clone(), name: format!("{}_{suffix}", self.name) }
    }

    /// The qualified name in SQL.
    pub fn sql(&self) -> String {
        format!("lake.{}.{}", identifier(&self.schema), identifier(&self.name))
    }
}

impl fmt::Display for TableRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_a_schema() {
        assert!(TableRef::parse("raw.t").is_ok());
        assert!(TableRef::parse("t").is_err());
        assert!(TableRef::parse("a.b.c").is_err());
    }
}
