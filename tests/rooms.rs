//! Who may know whom among the modules: a room imports from no others than its list names.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A room and the ones that it may know. Those that are not listed here know everybody.
const ROOMS: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("sync", &[]),
    ("streams", &[]),
    ("guarded", &[]),
    ("exception", &["guarded"]),
    ("tracer", &[]),
    ("propagation", &[]),
    ("integrations", &["propagation", "exception"]),
    ("config", &["error"]),
    ("diagnostics", &["error", "guarded", "streams"]),
    ("layer", &["config", "error", "guarded", "streams", "sync", "tracer"]),
    (
        "pipeline",
        &["config", "diagnostics", "error", "exception", "guarded", "streams", "sync", "tracer"],
    ),
    ("stack", &["diagnostics", "error", "layer", "pipeline", "propagation"]),
    ("global", &["error", "exception", "stack"]),
    ("guard", &["error", "global", "pipeline"]),
];

/// What sets the state of the whole process.
const GLOBALS: &[&str] = &[
    "set_global_default(",
    "set_text_map_propagator(",
    "set_tracer_provider(",
    "set_boxed_logger(",
    "set_hook(",
];

#[test]
fn a_room_knows_only_those_that_it_may() {
    for (room, may_know) in ROOMS {
        let files = files_of(room);
        assert!(!files.is_empty(), "{room} is there");
        for file in files {
            for known in names_of_rooms(&code_of(&file)) {
                // a module that is public by another name is an integration's own
                let own = known == *room || (*room == "integrations" && known == "tower");
                assert!(
                    own || may_know.contains(&&*known),
                    "{} knows `{known}`, which {room} may not",
                    file.display()
                );
            }
        }
    }
}

#[test]
fn only_one_room_sets_the_state_of_the_process() {
    let mut found = false;
    for file in rust_files(&source()) {
        let code = code_of(&file);
        for setter in GLOBALS {
            let is_here = code.contains(setter);
            found |= is_here;
            let may = file.starts_with(source().join("global"));
            assert!(!is_here || may, "{} calls {setter}…)", file.display());
        }
    }
    assert!(found, "the names are those that the source uses");
}

/// Every `name` of a `crate::name` in it.
fn names_of_rooms(code: &str) -> BTreeSet<String> {
    let name = |rest: &str| -> String {
        rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect()
    };
    code.split("crate::").skip(1).map(name).filter(|name| !name.is_empty()).collect()
}

/// Without comments and without its tests, which may look everywhere.
fn code_of(file: &Path) -> String {
    let text = fs::read_to_string(file).expect("the source is text");
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.collect::<Vec<_>>().join("\n")
}

fn files_of(room: &str) -> Vec<PathBuf> {
    let file = source().join(format!("{room}.rs"));
    let mut files = if file.exists() { vec![file] } else { Vec::new() };
    files.extend(rust_files(&source().join(room)));
    files
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.expect("the folder can be read").path());
    let is_test = |path: &Path| path.file_stem().is_some_and(|stem| stem == "tests");
    paths
        .filter(|path| !is_test(path))
        .flat_map(|path| if path.is_dir() { rust_files(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}
