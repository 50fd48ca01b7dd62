//! The host and its operating system (semantic conventions, "Host" and "Operating System").

use super::Attributes;
use super::files::{Files, plain};
use crate::config::env::Env;

pub(super) fn host(files: &Files, env: &Env) -> Attributes {
    let mut found = Attributes::new();
    if let Some(name) = host_name(files).or_else(|| env.text("COMPUTERNAME").and_then(plain)) {
        found.push(("host.name", name.into()));
    }
    found.push(("host.arch", arch(std::env::consts::ARCH).into()));
    let ids = ["etc/machine-id", "var/lib/dbus/machine-id"];
    if let Some(id) = ids.into_iter().find_map(|path| files.line(path)).filter(|id| is_id(id)) {
        found.push(("host.id", id.into()));
    }
    found
}

pub(super) fn os(files: &Files) -> Attributes {
    let mut found = Attributes::new();
    found.push(("os.type", os_type(std::env::consts::OS).into()));
    let release = ["etc/os-release", "usr/lib/os-release"];
    let release = release.into_iter().find_map(|path| files.text(path)).unwrap_or_default();
    for (variable, key) in
        [("NAME", "os.name"), ("VERSION_ID", "os.version"), ("PRETTY_NAME", "os.description")]
    {
        if let Some(value) = assigned(&release, variable) {
            found.push((key, value.into()));
        }
    }
    found
}

fn host_name(files: &Files) -> Option<String> {
    if let Some(name) = files.line("proc/sys/kernel/hostname") {
        return Some(name);
    }
    #[cfg(all(unix, not(target_os = "linux")))]
    {
        let uname = rustix::system::uname();
        return uname.nodename().to_str().ok().map(str::to_owned).and_then(plain);
    }
    #[cfg(any(not(unix), target_os = "linux"))]
    None
}

/// As the conventions call it.
fn arch(rust: &str) -> &str {
    match rust {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "arm" => "arm32",
        "powerpc" => "ppc32",
        "powerpc64" => "ppc64",
        other => other,
    }
}

/// As the conventions call it.
fn os_type(rust: &str) -> &str {
    match rust {
        "macos" => "darwin",
        "dragonfly" => "dragonflybsd",
        other => other,
    }
}

/// 128 bits in hexadecimal digits; `uninitialized` on the first boot.
fn is_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Of `NAME=value` lines as a shell reads them, the value without its quotes.
fn assigned(release: &str, name: &str) -> Option<String> {
    let line =
        release.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix('='))?;
    let quoted = ['"', '\''].into_iter().find_map(|quote| {
        line.strip_prefix(quote).map(|rest| rest.strip_suffix(quote).unwrap_or(rest))
    });
    plain(quoted.unwrap_or(line).replace('\\', ""))
}
