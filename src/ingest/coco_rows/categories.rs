//! Categories: their ids and names.
//!
//! | `category` | id | name |
//! |---|---|---|
//! | number, with a `ClassLabel` in the Parquet files | the number | that of the `ClassLabel` |
//! | number | the number | the number |
//! | text | from the hash of the text, the same in every ingest | the text |

use serde::Deserialize;
use serde_json::Value;

use super::form::Objects;
use crate::{
    engine::Connection,
    error::{Error, Result},
    quote::literal,
};

/// The categories of objects.
#[derive(Clone, Debug)]
pub(super) enum Categories {
    /// The names of the numbers from 0 on.
    Named(Vec<String>),
    Numbers,
    Texts,
}

#[derive(Deserialize)]
struct Features {
    value: String,
}

#[derive(Deserialize)]
struct Outside {
    image_id: i64,
    category: String,
}

// === impl Categories ===

impl Categories {
    /// Those of `objects` from the files `parquet`.
    ///
    /// # Errors
    /// `InvalidArgument` if files have different names; errors of DuckDB.
    pub fn of(connection: &Connection, objects: &Objects, parquet: &[String]) -> Result<Self> {
        if objects.are_texts {
            return Ok(Self::Texts);
        }
        let mut all = Vec::new();
        if !parquet.is_empty() {
            let files: Vec<_> = parquet.iter().map(|file| literal(file)).collect();
            let sql = format!(
                "SELECT DISTINCT decode(value) AS value FROM parquet_kv_metadata([{}]) WHERE key = 'huggingface'::BLOB",
                files.join(", ")
            );
            let found: Vec<Features> = connection.records(&sql, &[])?;
            all.extend(found.iter().filter_map(|features| names(&features.value, objects.category)));
        }
        all.dedup();
        match (all.pop(), all.is_empty()) {
            (Some(names), true) => Ok(Self::Named(names)),
            (None, _) => Ok(Self::Numbers),
            (Some(_), false) => Err(Error::invalid(
                "the files name the categories differently; ingest each of them into a table of its own",
            )),
        }
    }

    /// Checks that every number in the table `parts` has a name.
    ///
    /// # Errors
    /// `InvalidArgument` for one that has none; errors of DuckDB.
    pub fn check(&self, connection: &Connection, parts: &str) -> Result<()> {
        let Self::Named(names) = self else { return Ok(()) };
        let sql = format!(
            "SELECT image_id, category::VARCHAR AS category FROM {parts} \
             WHERE category NOT BETWEEN -1 AND {} - 1 ORDER BY ALL LIMIT 1",
            names.len()
        );
        match connection.records::<Outside>(&sql, &[])?.as_slice() {
            [] => Ok(()),
            [Outside { image_id, category }, ..] => Err(Error::invalid(format!(
                "an object of the image {image_id} has the category {category}, but the {} names are for 0 to {}; correct \
                 the files, or load the columns as they are with \"as_delivered\"",
                names.len(),
                names.len().saturating_sub(1)
            ))),
        }
    }

    /// The id of a category in SQL.
    pub fn id(&self) -> &'static str {
        match self {
            // -1 is a missing label.
            Self::Named(_) => "nullif(category, -1)",
            Self::Numbers => "category",
            Self::Texts => "md5_number_lower(category) >> 1",
        }
    }

    /// A query for `id` and `name`, from the table `parts`.
    pub fn query(&self, parts: &str) -> String {
        match self {
            Self::Named(names) => {
                let names: Vec<_> = names.iter().map(|name| literal(name)).collect();
                let (count, names) = (names.len(), names.join(", "));
                format!("SELECT unnest(range({count})) AS id, unnest([{names}]::VARCHAR[]) AS name")
            }
            Self::Numbers | Self::Texts => format!(
                "SELECT DISTINCT {} AS id, category::VARCHAR AS name FROM {parts} WHERE category IS NOT NULL",
                self.id()
            ),
        }
    }
}

/// The names of the field `category` of `objects` in the metadata of a Parquet file; `None` if it has none.
fn names(metadata: &str, category: &str) -> Option<Vec<String>> {
    let metadata: Value = serde_json::from_str(metadata).ok()?;
    let objects = element(metadata.pointer("/info/features/objects")?);
    let names = element(objects.get(category)?).get("names")?.as_array()?;
    names.iter().map(|name| name.as_str().map(str::to_owned)).collect()
}

/// The feature of the elements of a list; that of any other feature itself.
fn element(mut feature: &Value) -> &Value {
    while let (Some(Value::String(_)), Some(inner)) = (feature.get("_type"), feature.get("feature")) {
        feature = inner;
    }
    feature
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(objects: &str, expected: Option<&[&str]>) {
        let metadata = format!(r#"{{"info": {{"features": {{"objects": {objects}}}}}}}"#);
        let expected = expected.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
        assert_eq!(names(&metadata, "category"), expected);
    }

    #[test]
    fn names_are_found_in_all_forms_of_lists() {
        let label = r#"{"names": ["a", "b"], "_type": "ClassLabel"}"#;
        for list in ["List", "Sequence", "LargeList"] {
            check(&format!(r#"{{"category": {{"feature": {label}, "_type": "{list}"}}}}"#), Some(&["a", "b"]));
            check(&format!(r#"{{"feature": {{"category": {label}}}, "_type": "{list}"}}"#), Some(&["a", "b"]));
        }
        check(r#"{"category": {"feature": {"dtype": "int64", "_type": "Value"}, "_type": "List"}}"#, None);
        check(r#"{"category": {"feature": {"num_classes": 3, "_type": "ClassLabel"}, "_type": "List"}}"#, None);
        check("[]", None);
        assert_eq!(names("{", "category"), None);
    }
}
