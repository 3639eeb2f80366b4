//! Media in the place of their URIs: in a column of texts, or of lists of texts.

use std::{collections::BTreeSet, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, AsArray, BinaryArray, ListArray, StringArray, StructArray},
    buffer::{NullBuffer, OffsetBuffer},
    datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef},
};

use crate::error::{Error, Result};

/// The URIs of a column.
#[derive(Debug)]
pub struct Uris {
    /// All of them, in the order of the rows.
    pub texts: StringArray,
    lists: Option<Lists>,
}

/// Which of them are in a list of their own.
#[derive(Debug)]
struct Lists {
    item: FieldRef,
    offsets: OffsetBuffer<i32>,
    nulls: Option<NullBuffer>,
}

/// The columns of `schema`, with media in place of URIs in those that are called like one of `columns`.
pub fn placed(schema: &Schema, columns: &BTreeSet<String>) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| {
        if !columns.contains(field.name()) {
            return Arc::clone(field);
        }
        let data_type = match field.data_type() {
            DataType::List(item) => DataType::List(item_of(item)),
            _ => DataType::Struct(fields()),
        };
        Field::new(field.name(), data_type, true).into()
    });
    Schema::new(fields.collect::<Fields>()).into()
}

/// Media as `datasets` has them: bytes, or the address of a file.
pub fn media(bytes: BinaryArray, paths: StringArray) -> StructArray {
    let nulls = paths.nulls().cloned();
    StructArray::new(fields(), vec![Arc::new(bytes), Arc::new(paths)], nulls)
}

/// Whether it is no object of the store, and stays where it is.
pub fn is_on_the_web(uri: &str) -> bool {
    ["http://", "https://", "hf://"].iter().any(|start| uri.starts_with(start))
}

// === impl Uris ===

impl Uris {
    /// Those of a column.
    ///
    /// # Errors
    /// Internal for one of another type.
    pub fn of(column: &ArrayRef) -> Result<Self> {
        let texts = |column: &ArrayRef| {
            let texts: Option<&StringArray> = column.as_string_opt();
            texts.cloned().ok_or_else(|| Error::internal("a column of media is not text"))
        };
        let Some(lists) = column.as_list_opt::<i32>() else { return Ok(Self { texts: texts(column)?, lists: None }) };
        let DataType::List(item) = lists.data_type() else { return Err(Error::internal("a list has no items")) };
        // A part of a column has the items of all of it.
        let place = |offset: Option<&i32>| offset.map_or(0, |offset| usize::try_from(*offset).unwrap_or_default());
        let (start, end) = (place(lists.offsets().first()), place(lists.offsets().last()));
        let offsets = OffsetBuffer::from_lengths(lists.offsets().lengths());
        let found = Lists { item: item_of(item), offsets, nulls: lists.nulls().cloned() };
        Ok(Self { texts: texts(&lists.values().slice(start, end - start))?, lists: Some(found) })
    }

    /// The column with `media` in their place.
    pub fn replaced(self, media: StructArray) -> ArrayRef {
        match self.lists {
            None => Arc::new(media),
            Some(Lists { item, offsets, nulls }) => Arc::new(ListArray::new(item, offsets, Arc::new(media), nulls)),
        }
    }
}

fn fields() -> Fields {
    vec![Field::new("bytes", DataType::Binary, true), Field::new("path", DataType::Utf8, true)].into()
}

fn item_of(item: &Field) -> FieldRef {
    Field::new(item.name(), DataType::Struct(fields()), true).into()
}

#[cfg(test)]
mod tests {
    use arrow::{array::ListBuilder, array::StringBuilder};

    use super::*;

    #[test]
    fn media_are_where_their_uris_were() {
        let mut lists = ListBuilder::new(StringBuilder::new());
        for list in [Some(vec![Some("a"), None]), None, Some(vec![]), Some(vec![Some("b")]), Some(vec![Some("c")])] {
            match list {
                Some(items) => lists.append_value(items),
                None => lists.append_null(),
            }
        }
        let column: ArrayRef = Arc::new(lists.finish());
        let uris = Uris::of(&column.slice(0, 4)).unwrap();
        assert_eq!(uris.texts.iter().collect::<Vec<_>>(), [Some("a"), None, Some("b")]);
        let of = |uris: Uris| {
            let texts = uris.texts.clone();
            uris.replaced(media(BinaryArray::new_null(texts.len()), texts))
        };
        assert_eq!(of(uris).to_data(), of(Uris::of(&column).unwrap()).slice(0, 4).to_data());
        let last = of(Uris::of(&column.slice(3, 2)).unwrap());
        let last = last.as_list::<i32>();
        assert_eq!((last.len(), last.value_length(0), last.values().len()), (2, 1, 2));
        let schema = Schema::new(vec![Field::new("m", column.data_type().clone(), true)]);
        let columns = BTreeSet::from(["m".to_owned()]);
        assert_eq!(placed(&schema, &columns).field(0).data_type(), last.data_type());
    }
}
