use std::{env, fs, path::Path};

/// Compares `generated` with the committed file, or writes it when asked to.
#[track_caller]
fn check_committed(file: &Path, generated: &[u8]) {
    #[expect(clippy::disallowed_methods, reason = "a switch of this test alone")]
    let bless = env::var_os("MERGANSER_BLESS").is_some();
    if bless {
        fs::write(file, generated).unwrap();
    }
    let committed = fs::read(file).unwrap_or_default();
    assert!(committed == generated, "{} is stale: run MERGANSER_BLESS=1 cargo test --release proto", file.display());
}

#[test]
fn the_committed_code_is_what_the_proto_files_say() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = protox::Compiler::new([root.join("proto")])
        .unwrap()
        .include_imports(true)
        .include_source_info(true)
        .open_file("merganser/v1/actions.proto")
        .unwrap()
        .file_descriptor_set();
    let out = tempfile::tempdir().unwrap();
    let mut config = prost_build::Config::new();
    // Equal messages have equal bytes.
    config.btree_map(["."]);
    config.enable_type_names().type_name_domain(["."], "type.googleapis.com").out_dir(out.path());
    config.compile_fds(files.clone()).unwrap();
    let code = fs::read(out.path().join("merganser.v1.rs")).unwrap();
    check_committed(&root.join("src/proto/merganser.v1.rs"), &code);
    check_committed(&root.join("src/proto/descriptor.bin"), &prost::Message::encode_to_vec(&files));
}
