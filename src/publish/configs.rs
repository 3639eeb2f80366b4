//! The configurations of a data set: the one that is published, `default`, beside those that others made.

use serde_json::{Value, json};

use crate::error::{Error, Result};

/// The configuration that is published.
const OURS: &str = "default";
/// The folder of its files.
const DATA: &str = "data";

/// The configurations of a README that are not ours.
#[derive(Debug)]
pub struct Others {
    configs: Vec<Value>,
    infos: Vec<Value>,
}

// === impl Others ===

impl Others {
    /// Those of a front matter; none if it cannot be read.
    ///
    /// # Errors
    /// `FailedPrecondition` for one that reads files in our folder.
    pub fn of(front: &str) -> Result<Self> {
        let front: Value = serde_saphyr::from_str(front).unwrap_or_default();
        let is_other = |of: &&Value| name(of).is_some_and(|name| name != OURS);
        let configs: Vec<_> = front["configs"].as_array().into_iter().flatten().filter(is_other).cloned().collect();
        if let Some(config) =
            configs.iter().find(|config| reads_data(&config["data_files"]) || reads_data(&config["data_dir"]))
        {
            return Err(Error::precondition(format!(
                "the configuration \"{}\" of this data set reads files in the folder {DATA}, where the published ones go: move \
                 them, or publish to another data set",
                name(config).unwrap_or_default()
            )));
        }
        let infos = match &front["dataset_info"] {
            Value::Array(infos) => infos.clone(),
            info => vec![info.clone()],
        };
        let is_kept = |info: &Value| configs.iter().any(|config| name(config) == name(info));
        Ok(Self { infos: infos.into_iter().filter(is_kept).collect(), configs })
    }

    /// The value of `configs`, with the files of ours.
    pub fn configs(&self, data_files: &Value) -> Value {
        let ours = json!({"config_name": OURS, "data_files": data_files});
        Value::Array([ours].into_iter().chain(self.configs.iter().cloned()).collect())
    }

    /// The value of `dataset_info`, with ours.
    pub fn infos(&self, mut ours: Value) -> Value {
        if self.infos.is_empty() {
            return ours;
        }
        ours["config_name"] = OURS.into();
        Value::Array([ours].into_iter().chain(self.infos.iter().cloned()).collect())
    }
}

fn name(of: &Value) -> Option<&str> {
    of["config_name"].as_str()
}

/// Whether a path or pattern is in our folder; any of them, in lists and objects.
fn reads_data(paths: &Value) -> bool {
    match paths {
        Value::String(path) => path.trim_start_matches("./").split('/').next() == Some(DATA),
        Value::Array(paths) => paths.iter().any(reads_data),
        Value::Object(paths) => paths.values().any(reads_data),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRONT: &str = "configs:\n- config_name: default\n  data_files: data/*\n- config_name: en\n  data_files:\n  - split: train\n    \
                         path: en/*\n  default: true\n- data_files: x\ndataset_info:\n- config_name: default\n- config_name: en\n  \
                         download_size: 7\n- config_name: gone\n";

    #[test]
    fn configurations_of_others_stay() {
        let others = Others::of(FRONT).unwrap();
        let configs = others.configs(&json!("data/train-*"));
        let en = json!({"config_name": "en", "data_files": [{"split": "train", "path": "en/*"}], "default": true});
        assert_eq!(configs, json!([{"config_name": "default", "data_files": "data/train-*"}, en]));
        let infos = others.infos(json!({"download_size": 1}));
        assert_eq!(
            infos,
            json!([{"config_name": "default", "download_size": 1}, {"config_name": "en", "download_size": 7}])
        );
    }

    #[test]
    fn alone_ours_is_not_listed() {
        for front in
            ["", "license: mit\n", "dataset_info:\n  features: []\n", "configs:\n- config_name: default\n", "a: [\n"]
        {
            let others = Others::of(front).unwrap();
            assert_eq!(others.infos(json!({"features": []})), json!({"features": []}), "{front}");
            assert_eq!(others.configs(&json!([])).as_array().map(Vec::len), Some(1), "{front}");
        }
    }

    #[test]
    fn files_in_our_folder_are_not_those_of_others() {
        for files in ["data/en-*", "./data/x", "[x, data/en]", "{train: [data/a]}", "[{split: a, path: [data/b]}]"] {
            let err = Others::of(&format!("configs:\n- config_name: en\n  data_files: {files}\n")).unwrap_err();
            assert!(err.message().contains("\"en\""), "{files}");
        }
        assert!(Others::of("configs:\n- config_name: en\n  data_dir: data\n").is_err());
        assert!(Others::of("configs:\n- config_name: en\n  data_files: database/x\n").is_ok());
    }
}
