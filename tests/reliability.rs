//! The page on reliability names tests that exist.

use std::path::{Path, PathBuf};

/// `file::test` of `tests/`, `it::file::test`, `pipeline::tests::test`, or `model::test`.
fn files(path: &[&str]) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    match path {
        ["it", file] => match std::fs::read_dir(root.join(format!("tests/it/{file}"))) {
            Ok(files) => files.map(|entry| entry.expect("it can be read").path()).collect(),
            Err(_) => vec![root.join(format!("tests/it/{file}.rs"))],
        },
        ["pipeline", "tests"] => vec![root.join("src/pipeline/tests/mod.rs")],
        ["model"] => ["pipeline", "state"]
            .map(|room| root.join(format!("tests/model/src/{room}_checks.rs")))
            .into(),
        [file] => vec![root.join(format!("tests/{file}.rs"))],
        other => panic!("no test lies at {other:?}"),
    }
}

fn is_a_test(text: &str, name: &str) -> bool {
    let declared = format!("fn {name}() {{");
    text.match_indices(&declared).any(|(at, _)| text[..at].trim_end().ends_with("#[test]"))
}

#[test]
fn every_test_that_the_page_names_exists() {
    let page = include_str!("../src/reliability.md");
    let mut named = 0;
    for row in page.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<_> = row.split(" | ").collect();
        assert_eq!(cells.len(), 4, "{row}");
        if cells[0] == "| fault" {
            continue;
        }
        let tests: Vec<_> = cells[3].split('`').skip(1).step_by(2).collect();
        assert!(!tests.is_empty(), "nothing proves {row}");
        for test in tests {
            let path: Vec<_> = test.split("::").collect();
            let (name, path) = path.split_last().expect("a path has an end");
            let found = files(path).into_iter().any(|file| {
                let text = std::fs::read_to_string(&file);
                is_a_test(&text.unwrap_or_else(|error| panic!("{}: {error}", file.display())), name)
            });
            assert!(found, "there is no test {test}");
            named += 1;
        }
    }
    assert!(named > 40, "{named} tests");
}
