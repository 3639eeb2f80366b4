//! The standard AWS variables: credentials and address of the object store. They have no flags and no keys in the file.

use super::{
    env::{self, Environment},
    fault::Fault,
    source::Origin,
};
use crate::storage::{Access, DEFAULT_REGION, Endpoint};

/// Reads the variables.
pub(super) fn read(environment: &dyn Environment, faults: &mut Vec<Fault>) -> Access {
    let mut first = |names: &[&'static str], sound: fn(char) -> bool| {
        let (name, text) = names.iter().find_map(|name| Some((*name, given(environment, name)?)))?;
        if text.chars().all(sound) {
            return Some((name, text));
        }
        faults.push(fault(name, "contains an invalid character, such as a space or a line break"));
        None
    };
    let plain = |c: char| c.is_ascii_graphic();
    let key_id = first(&[env::AWS_ACCESS_KEY_ID], plain);
    let secret_key = first(&[env::AWS_SECRET_ACCESS_KEY], plain);
    let session_token = first(&[env::AWS_SESSION_TOKEN], plain);
    let region = first(&[env::AWS_REGION, env::AWS_DEFAULT_REGION], |c| c.is_ascii_alphanumeric() || c == '-');
    let endpoint = first(&[env::AWS_ENDPOINT_URL_S3, env::AWS_ENDPOINT_URL], |_| true);
    let ca_bundle = first(&[env::AWS_CA_BUNDLE], |_| true);
    let needed = [(env::AWS_ACCESS_KEY_ID, &key_id), (env::AWS_SECRET_ACCESS_KEY, &secret_key)];
    for (name, _) in needed.iter().filter(|(name, found)| found.is_none() && given(environment, name).is_none()) {
        faults.push(fault(name, "required for a storage on S3"));
    }
    let text = |found: Option<(_, String)>| found.map(|(_, text)| text);
    Access {
        key_id: text(key_id).unwrap_or_default(),
        secret_key: text(secret_key).unwrap_or_default(),
        session_token: text(session_token),
        region: text(region).unwrap_or_else(|| DEFAULT_REGION.to_owned()),
        endpoint: endpoint.and_then(|(name, uri)| {
            let endpoint = Endpoint::parse(&uri);
            if endpoint.is_none() {
                // Omits the value, which may contain credentials.
                faults.push(fault(name, "expected http://HOST:PORT or https://HOST:PORT"));
            }
            endpoint
        }),
        ca_bundle: text(ca_bundle).map(Into::into),
    }
}

/// The value of a variable; `None` if it is empty.
fn given(environment: &dyn Environment, name: &str) -> Option<String> {
    environment.get(name).map(|text| text.to_string_lossy().into_owned()).filter(|text| !text.is_empty())
}

fn fault(name: &str, message: &str) -> Fault {
    Fault::new(Origin::Variable(name.to_owned()), message)
}
