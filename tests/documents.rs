//! The console blocks of the texts for people, run from the repository's root as a
//! reader runs them. `TRYCMD=overwrite cargo test --test documents` writes them
//! anew.

use std::{env, path::Path};

#[test]
fn console_blocks_of_the_texts_are_what_the_program_prints() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    env::set_current_dir(root).expect("the root is there");
    let cases = trycmd::TestCases::new();
    cases.register_bin("rr-mem", Path::new(env!("CARGO_BIN_EXE_rr-mem")));
    for texts in ["*.md", "docs/*.md", "gdb/README.md", "rr-mem-py/README.md", "tests/*/README.md"]
    {
        cases.case(root.join(texts));
    }
}
