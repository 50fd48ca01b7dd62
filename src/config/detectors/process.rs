//! The process itself (semantic conventions, "Process" and "Service").

use rand::RngCore as _;

use super::Attributes;

pub(super) fn process() -> Attributes {
    let mut found = Attributes::new();
    found.push(("process.pid", i64::from(std::process::id()).into()));
    #[cfg(unix)]
    found.push(("process.parent_pid", i64::from(std::os::unix::process::parent_id()).into()));
    if let Ok(path) = std::env::current_exe() {
        if let Some(name) = path.file_name() {
            found.push(("process.executable.name", name.to_string_lossy().into_owned().into()));
        }
        found.push(("process.executable.path", path.to_string_lossy().into_owned().into()));
    }
    found
}

pub(super) fn instance() -> Attributes {
    vec![("service.instance.id", uuid().into())]
}

/// Random, version 4 (RFC 9562).
fn uuid() -> String {
    let mut bytes = [0; 16];
    rand::rng().fill_bytes(&mut bytes);
    let mut bits = u128::from_be_bytes(bytes);
    bits = bits & !(0xf << 76) | 4 << 76;
    bits = bits & !(0b11 << 62) | 0b10 << 62;
    let digits = format!("{bits:032x}");
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| &digits[part]);
    parts.join("-")
}
