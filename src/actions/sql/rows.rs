//! Events as rows, and rows of parameters as values.

use std::sync::{Arc, LazyLock};

use arrow::{
    array::{ArrayRef, Int64Array, RecordBatch, StringArray},
    datatypes::{DataType, Field, Schema, SchemaRef},
    json::{WriterBuilder, writer::JsonArray},
};
use serde_json::{Map, Value};

use crate::{
    error::{Error, Result},
    proto::{self, Event},
};

static COLUMNS: LazyLock<SchemaRef> = LazyLock::new(|| {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let whole = |name: &str| Field::new(name, DataType::Int64, true);
    let (names, counts) = (["job_id", "state", "phase"], ["done", "total"]);
    let fields = names.map(text).into_iter().chain(counts.map(whole)).chain(["unit", "message", "result"].map(text));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
});

/// The columns of events.
pub(super) fn columns() -> SchemaRef {
    SchemaRef::clone(&COLUMNS)
}

/// One event; the result as JSON, and NULL for empty fields.
pub(super) fn batch(event: &Event) -> Result<RecordBatch> {
    let text = |text: &str| -> ArrayRef { Arc::new(StringArray::from(vec![(!text.is_empty()).then_some(text)])) };
    let count = |count: Option<u64>| -> ArrayRef {
        Arc::new(Int64Array::from(vec![count.map(|count| i64::try_from(count).unwrap_or(i64::MAX))]))
    };
    let result = event.result.as_ref().map(proto::any_to_json).transpose()?;
    let result = result.map(|result| result.to_string()).unwrap_or_default();
    let row = vec![
        text(&event.job_id),
        text(event.state().as_str_name()),
        text(&event.phase),
        count(Some(event.done)),
        count(event.total),
        text(&event.unit),
        text(&event.message),
        text(&result),
    ];
    RecordBatch::try_new(columns(), row).map_err(|err| Error::internal("write an event as a row").with_source(err))
}

/// The values of a batch's only row, in the order of its columns.
pub(super) fn values(batch: &RecordBatch) -> Result<Vec<Value>> {
    let refused = |err| Error::invalid(format!("a parameter is of a type that no action takes: {err}"));
    // The client's names may be the same for several columns.
    let names = (0..batch.num_columns()).map(|index| index.to_string());
    let given = batch.schema();
    let fields = names.zip(given.fields()).map(|(name, field)| field.as_ref().clone().with_name(name));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let batch = RecordBatch::try_new(schema, batch.columns().to_vec()).map_err(refused)?;
    let mut json = Vec::new();
    let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, JsonArray>(&mut json);
    writer.write(&batch).map_err(refused)?;
    writer.finish().map_err(refused)?;
    let rows: Vec<Map<String, Value>> =
        serde_json::from_slice(&json).map_err(|err| Error::internal("read parameters").with_source(err))?;
    let mut row = rows.into_iter().next().unwrap_or_default();
    Ok((0..batch.num_columns()).map(|index| row.remove(&index.to_string()).unwrap_or(Value::Null)).collect())
}
