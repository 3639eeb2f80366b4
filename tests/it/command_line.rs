//! The program as a user calls it.

use std::process::{Command, Output};

use crate::fixture::TestServer;

fn merganser(arguments: &[&str], url: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_merganser")).args(arguments).env("MERGANSER_URL", url).output().unwrap()
}

/// Runs a command that must succeed and gives what it printed.
#[track_caller]
fn check_prints(arguments: &[&str], url: &str, words: &[&str]) -> String {
    let output = merganser(arguments, url);
    let stdout = String::from_utf8(output.stdout).unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {stderr}");
    for word in words {
        assert!(stdout.contains(word), "{arguments:?} printed {stdout}, not {word}");
    }
    stdout
}

/// Runs a command that must fail with `code` and say `words` on stderr, and nothing on stdout.
#[track_caller]
fn check_fails(arguments: &[&str], url: &str, code: i32, words: &[&str]) {
    let output = merganser(arguments, url);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{arguments:?}");
    for word in words {
        assert!(stderr.contains(word), "{arguments:?} said {stderr}, not {word}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lake_is_filled_transformed_and_rolled_back_from_the_shell() {
    let server = TestServer::start().await;
    let url = server.url();
    let folder = tempfile::tempdir().unwrap();
    let coco = folder.path().join("coco");
    let coco = coco.to_str().unwrap();
    check_prints(&["sample", coco, "--images", "40"], url, &["wrote 40 images"]);
    check_prints(&["ingest", coco], url, &["raw.coco_images", "40 assets"]);
    check_prints(&["transform"], url, &["gold.coco_samples", "created"]);
    check_prints(&["transform", "gold"], url, &["unchanged"]);
    check_prints(&["tag", "good"], url, &["good"]);
    check_prints(&["sql", "DELETE FROM gold.coco_samples"], url, &["40"]);
    check_prints(&["rollback", "gold.coco_samples", "--tag", "good", "--dry-run"], url, &["restored"]);
    check_prints(&["sql", "--format", "csv", "SELECT count(*) AS n FROM gold.coco_samples"], url, &["n\n0\n"]);
    check_prints(&["rollback", "gold.coco_samples", "--tag", "good"], url, &["restored"]);
    let rows = check_prints(&["sql", "--json", "SELECT count(*) AS n FROM gold.coco_samples"], url, &[]);
    assert_eq!(rows, "{\"n\":40}\n");
    check_prints(&["jobs"], url, &["ingest", "rollback", "succeeded"]);
    let events = check_prints(&["tag", "--json"], url, &["\"job_id\"", "\"succeeded\""]);
    assert!(events.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()), "{events}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_are_said_on_stderr_with_the_right_exit_code() {
    let server = TestServer::start().await;
    let url = server.url();
    check_fails(&["sql", "SELEC 1"], url, 1, &["syntax error", "LINE 1"]);
    check_fails(&["ingest", "/nowhere/data.csv"], url, 1, &["/nowhere/data.csv"]);
    check_fails(&["serve", "--lisen", "x"], url, 2, &["--lisen"]);
    check_fails(&["serve", "--threads", "many", "--max-connections", "0"], url, 2, &["2 faults", "--threads"]);
    check_fails(&["sql", "SELECT 1", "--url", "grpc://127.0.0.1:1"], url, 1, &["no server answers", "merganser serve"]);
    check_fails(&["sample", env!("CARGO_MANIFEST_DIR")], url, 1, &["not empty"]);
    server.stop().await;
}

#[test]
fn sample_writes_either_layout_and_refuses_flags_of_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let [coco, visdrone] = ["coco", "visdrone"].map(|name| folder.path().join(name).to_str().unwrap().to_owned());
    let (coco, visdrone) = (coco.as_str(), visdrone.as_str());
    check_fails(&["sample", coco, "--frames", "5"], "", 2, &["--frames needs --layout visdrone"]);
    check_fails(&["sample", coco, "--sequences", "5"], "", 2, &["--sequences needs --layout visdrone"]);
    let images = ["sample", visdrone, "--layout", "visdrone", "--images", "5"];
    check_fails(&images, "", 2, &["--images needs --layout coco"]);
    let frames = ["sample", visdrone, "--layout", "visdrone", "--frames", "0"];
    check_fails(&frames, "", 1, &["\"frames\" is 0, not 1 to 3000"]);
    check_fails(&["sample", coco, "--layout", "kitti"], "", 2, &["kitti", "coco", "visdrone"]);
    check_prints(&["sample", coco, "--layout", "coco", "--images", "3"], "", &["wrote 3 images"]);
    let small = ["sample", visdrone, "--layout", "visdrone", "--sequences", "4", "--frames", "20", "--json"];
    let summary: serde_json::Value = serde_json::from_str(&check_prints(&small, "", &[])).unwrap();
    assert_eq!((&summary["sequences"], &summary["frames"]), (&4.into(), &80.into()));
    let frames = |split: &str, name: &serde_json::Value| {
        let sequences = folder.path().join(format!("visdrone/VisDrone2019-MOT-{split}/sequences"));
        std::fs::read_dir(sequences.join(name.as_str().unwrap())).unwrap().count()
    };
    for sequence in summary["by_sequence"].as_array().unwrap() {
        assert_eq!(frames(sequence["split"].as_str().unwrap(), &sequence["name"]), 20);
    }
}

#[test]
fn check_examines_a_lake_that_is_not_served() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path().to_str().unwrap();
    check_prints(&["check", "--home", home], "", &["configuration  ok", "DuckDB         ok", "catalog        ok"]);
}
