//! Arguments that are values of an enum of `proto/`, with its comments as their help.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

use crate::proto::{self, EnumValue};

/// Parses the values of the enum `name`, such as `IngestRequest.Mode`, into their numbers.
pub(super) fn words(name: &'static str) -> impl TypedValueParser<Value = i32> {
    let values = proto::enum_values(name);
    let parser = PossibleValuesParser::new(values.iter().map(possible_value));
    parser.try_map(move |word| {
        let found = values.iter().find(|value| value.name == word);
        found.map(|value| value.number).ok_or("unknown value")
    })
}

fn possible_value(value: &EnumValue) -> PossibleValue {
    PossibleValue::new(value.name.clone()).help(value.comment.trim_end_matches('.').to_owned())
}
