//! The standard variables of Hugging Face and Kaggle: credentials and addresses. They have no flags and no keys in the file.

use url::Url;

use super::{
    env::{self, Environment},
    fault::Fault,
    source::Origin,
};
use crate::hub::{Credentials, HubAccess, KaggleAccess};

/// Reads the variables of Hugging Face.
pub(super) fn hugging_face(environment: &dyn Environment, faults: &mut Vec<Fault>) -> HubAccess {
    let credentials =
        given(environment, env::HF_TOKEN).and_then(|token| known(Credentials::bearer(&token), env::HF_TOKEN, faults));
    let address = address(environment, env::HF_ENDPOINT, faults);
    HubAccess { endpoint: address.map_or(HubAccess::PUBLIC.endpoint, Into::into), credentials }
}

/// Reads the variables of Kaggle. A token takes precedence over user and key.
pub(super) fn kaggle(environment: &dyn Environment, faults: &mut Vec<Fault>) -> KaggleAccess {
    let credentials = match given(environment, env::KAGGLE_API_TOKEN) {
        Some(token) => known(Credentials::bearer(&token), env::KAGGLE_API_TOKEN, faults),
        None => match (given(environment, env::KAGGLE_USERNAME), given(environment, env::KAGGLE_KEY)) {
            (Some(user), Some(key)) => known(Credentials::basic(&user, &key), env::KAGGLE_KEY, faults),
            _ => None,
        },
    };
    match address(environment, env::KAGGLE_API_ENDPOINT, faults) {
        Some(address) => KaggleAccess { endpoint: address.clone().into(), service: address.into(), credentials },
        None => KaggleAccess { credentials, ..KaggleAccess::PUBLIC },
    }
}

/// The value of a variable without the line break that files of secrets end with; `None` if it is empty.
fn given(environment: &dyn Environment, name: &str) -> Option<String> {
    let text = environment.get(name)?.to_string_lossy().trim().to_owned();
    Some(text).filter(|text| !text.is_empty())
}

fn known(credentials: Option<Credentials>, name: &str, faults: &mut Vec<Fault>) -> Option<Credentials> {
    if credentials.is_none() {
        let message = "contains an invalid character, such as a line break";
        faults.push(Fault::new(Origin::Variable(name.to_owned()), message));
    }
    credentials
}

/// An address without the slash at its end. The value is left out of the fault, because it may contain credentials.
fn address(environment: &dyn Environment, name: &str, faults: &mut Vec<Fault>) -> Option<String> {
    let text = given(environment, name)?;
    let is_plain = |url: &Url| {
        matches!(url.scheme(), "http" | "https")
            && url.host().is_some()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    };
    if Url::parse(&text).is_ok_and(|url| is_plain(&url)) {
        return Some(text.trim_end_matches('/').to_owned());
    }
    faults.push(Fault::new(Origin::Variable(name.to_owned()), "expected http://HOST:PORT or https://HOST:PORT"));
    None
}
