use std::collections::HashMap;

use super::*;
use crate::proto::Takes;

/// The options of a job are decoded from the bytes of its request.
#[test]
fn requests_have_the_options_of_jobs_under_the_same_numbers() {
    let numbers =
        |message: &str| -> HashMap<String, u32> { proto::field_numbers(message).unwrap().into_iter().collect() };
    let options = numbers("JobOptions");
    assert_eq!(options.len(), 2);
    for action in ALL {
        for (name, number) in numbers(action.request) {
            let is_option = options.get(&name) == Some(&number);
            let is_other = !options.contains_key(&name) && !options.values().any(|taken| *taken == number);
            assert!(is_option || is_other, "{}: field {name} with number {number}", action.request);
        }
    }
}

#[test]
fn every_action_and_field_is_described() {
    for action in ALL {
        let described = proto::describe(action.request).unwrap();
        assert!(!described.comment.is_empty(), "{}", action.request);
        for field in described.fields {
            assert!(
                !field.comment.is_empty() || matches!(field.takes, Takes::Message(_)),
                "{}.{}",
                action.request,
                field.name
            );
        }
    }
}
