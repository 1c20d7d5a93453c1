//! The program as users see it: the transcripts in `tests/cli`, each a command,
//! its output and its exit code. `TRYCMD=overwrite cargo test --test cli`
//! writes them anew.

#[test]
fn transcripts() {
    trycmd::TestCases::new()
        .case(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/cli/*.trycmd"))
        .case(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md"));
}
