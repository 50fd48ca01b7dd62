//! A configuration file of any bytes: it is read or refused, and no variable that it does not name
//! is in what is said of it.

#![no_main]

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use otel_setup::Setup;

static FILE: LazyLock<PathBuf> = LazyLock::new(|| {
    std::env::temp_dir().join(format!("otel-setup-fuzz-{}.yaml", std::process::id()))
});

fuzz_target!(|text: &[u8]| {
    fs::write(&*FILE, text).expect("the file is ours");
    let setup = Setup::new("fuzz").with_config_file(&*FILE).with_env(|name| match name {
        "SECRET" => Some(OsString::from("h0nter2: [")),
        "NUMBER" => Some(OsString::from("0.25")),
        _ => None,
    });
    let explanation = setup.explain();
    let said = format!("{explanation}{}", explanation.to_json());
    let names_it = text.windows(6).any(|window| window == b"SECRET");
    assert!(names_it || !said.contains("h0nter2"), "{said}");
});
