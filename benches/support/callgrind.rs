//! Counts instructions with valgrind's callgrind: the same number on a busy machine as on an idle
//! one, so a bound on it can gate CI.

#![allow(dead_code, reason = "each bench counts in its own way")]

use std::collections::HashMap;
use std::process::Command;

/// Instructions that one more operation costs, over all threads of the process.
///
/// `run` sets up a process that does `n` operations; two runs of different length are compared, so
/// what happens once (start, installation, the end) cancels out. Cheap operations are done `times`
/// as often, so that a thread which wakes up in between does not count.
///
/// # Errors
///
/// When valgrind is not installed, or the process fails under it.
pub(crate) fn per_operation(times: u64, run: impl Fn(&mut Command, u64)) -> Result<f64, String> {
    between((FEW * times, MANY * times), run)
}

/// As [`per_operation`], with so many operations in the shorter and in the longer run.
///
/// # Errors
///
/// As [`per_operation`].
pub(crate) fn between(
    (few, many): (u64, u64),
    run: impl Fn(&mut Command, u64),
) -> Result<f64, String> {
    let less = total(|command| run(command, few))?;
    let more = total(|command| run(command, many))?;
    #[expect(clippy::cast_precision_loss, reason = "counts of instructions are far below 2^52")]
    let difference = more as f64 - less as f64;
    #[expect(clippy::cast_precision_loss, reason = "all are small constants")]
    let operations = (many - few) as f64;
    Ok(difference / operations)
}

/// Instructions that one more operation costs on the thread that `main` runs on.
///
/// # Errors
///
/// As [`per_operation`].
pub(crate) fn on_first_thread(run: impl Fn(&mut Command, u64)) -> Result<f64, String> {
    let few = of_first_thread(|command| run(command, FEW))?;
    let many = of_first_thread(|command| run(command, MANY))?;
    #[expect(clippy::cast_precision_loss, reason = "counts of instructions are far below 2^52")]
    let per_operation = (many as f64 - few as f64) / (MANY - FEW) as f64;
    Ok(per_operation)
}

/// callgrind writes a file for each thread; the first is that of `main`.
fn of_first_thread(run: impl FnOnce(&mut Command)) -> Result<u64, String> {
    let name = format!("otel-setup-callgrind-{}", std::process::id());
    let file = std::env::temp_dir().join(name);
    let out = format!("--callgrind-out-file={}", file.display());
    let said = valgrind(&["--separate-threads=yes", &out], run)?;
    let first = format!("{}-01", file.display());
    let text = std::fs::read_to_string(&first).map_err(|e| format!("{first}: {e}\n{said}"))?;
    for thread in 1..9 {
        // those of threads that did not run are not there
        let _ = std::fs::remove_file(format!("{}-{thread:02}", file.display()));
    }
    let _ = std::fs::remove_file(&file);
    text.lines()
        .find_map(|line| line.strip_prefix("summary: ").or(line.strip_prefix("totals: ")))
        .and_then(|count| count.trim().parse().ok())
        .ok_or_else(|| format!("no total in {first}"))
}

/// Instructions that one more operation costs, by the function that they were counted in.
///
/// # Errors
///
/// As [`per_operation`].
pub(crate) fn by_function(run: impl Fn(&mut Command, u64)) -> Result<HashMap<String, f64>, String> {
    let mut functions = of_functions(|command| run(command, MANY))?;
    for (name, few) in of_functions(|command| run(command, FEW))? {
        *functions.entry(name).or_default() -= few;
    }
    #[expect(clippy::cast_precision_loss, reason = "both are small constants")]
    let operations = (MANY - FEW) as f64;
    Ok(functions.into_iter().map(|(name, count)| (name, count / operations)).collect())
}

fn of_functions(run: impl FnOnce(&mut Command)) -> Result<HashMap<String, f64>, String> {
    let file = std::env::temp_dir().join(format!("otel-setup-parts-{}", std::process::id()));
    let out = format!("--callgrind-out-file={}", file.display());
    valgrind(&["--compress-strings=no", "--compress-pos=no", &out], run)?;
    let text = std::fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
    let _ = std::fs::remove_file(&file);
    let (mut functions, mut current, mut is_call) = (HashMap::new(), "", false);
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("fn=") {
            current = name;
        } else if line.starts_with("calls=") {
            // the next line is what the called function took, which stands under its own name
            is_call = true;
        } else if line.starts_with(|first: char| first.is_ascii_digit()) {
            let count = line.split(' ').nth(1).and_then(|count| count.parse::<f64>().ok());
            if !std::mem::take(&mut is_call) {
                *functions.entry(current.to_owned()).or_default() += count.unwrap_or(0.0);
            }
        }
    }
    Ok(functions)
}

fn total(run: impl FnOnce(&mut Command)) -> Result<u64, String> {
    let said = valgrind(&["--callgrind-out-file=/dev/null"], run)?;
    said.lines()
        .find_map(|line| line.split_once("Collected : "))
        .and_then(|(_, count)| count.trim().parse().ok())
        .ok_or_else(|| format!("valgrind printed no count:\n{said}"))
}

fn valgrind(options: &[&str], run: impl FnOnce(&mut Command)) -> Result<String, String> {
    let itself = std::env::current_exe().map_err(|e| format!("no path to this bench: {e}"))?;
    let mut command = Command::new("valgrind");
    command.arg("--tool=callgrind").args(options).arg(itself);
    run(&mut command);
    let output = command
        .output()
        .map_err(|e| format!("cannot start valgrind ({e}); install it to count instructions"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("the bench failed under valgrind:\n{said}"));
    }
    Ok(said.into_owned())
}

/// Below the queue's bound of every stack, so that no stack gains by dropping.
const FEW: u64 = 500;
const MANY: u64 = 2_000;
