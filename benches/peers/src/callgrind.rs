//! Counts the instructions of one function with valgrind, on the thread that calls it.

use std::process::Command;

/// Instructions in `work::counted_by_callgrind` and all that it calls.
///
/// # Errors
///
/// When valgrind is not installed, or the process fails under it.
pub(crate) fn measured(run: impl FnOnce(&mut Command)) -> Result<f64, String> {
    let itself = std::env::current_exe().map_err(|e| format!("no path to this bench: {e}"))?;
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    command.arg("--toggle-collect=*counted_by_callgrind*").arg(itself);
    run(&mut command);
    let output = command
        .output()
        .map_err(|e| format!("cannot start valgrind ({e}); install it to count instructions"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("the bench failed under valgrind:\n{said}"));
    }
    said.lines()
        .find_map(|line| line.split_once("Collected : "))
        .and_then(|(_, count)| count.trim().parse().ok())
        .ok_or_else(|| format!("valgrind printed no count:\n{said}"))
}
