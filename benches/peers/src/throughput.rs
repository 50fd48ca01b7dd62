//! What it takes to get spans out of the process: ours beside the stock stack, over OTLP/HTTP.
//!
//! Waves that fit both queues, each flushed before the next: nothing is dropped, and all the work is
//! in the figures. The collector is the rotel-agent that `OTEL_SETUP_ROTEL` names, or else the one
//! of this bench.

use std::hint::black_box;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use cpu_time::ProcessTime;

use crate::collector::Collector;
use crate::stacks;

/// A stack, set up to export or to discard; what comes back waits until all is exported.
struct Row {
    name: &'static str,
    install: fn(is_exporting: bool) -> Box<dyn Fn()>,
}

const ROWS: [Row; 2] = [
    Row { name: "tracing-opentelemetry", install: stacks::stock_in_waves },
    Row { name: "otel-setup", install: stacks::ours_in_waves },
];

/// What one run of a row took.
#[derive(Clone, Copy)]
struct Took {
    /// A second, all told.
    spans: f64,
    /// Microseconds of all threads, a span.
    processor: f64,
}

/// Prints the table. `command` runs this program as the child of that name.
pub(crate) fn print(command: impl Fn(&str, &str) -> Result<Command, String>) -> Result<(), String> {
    let own = Collector::start().map_err(|e| format!("no port on loopback: {e}"))?;
    let rotel = std::env::var_os("OTEL_SETUP_ROTEL").map(Rotel::start).transpose()?;
    let endpoint = rotel.as_ref().map_or(own.endpoint(), |rotel| &rotel.endpoint);
    let collector = if rotel.is_some() { "rotel" } else { "the collector of this bench" };
    println!(
        "spans with 4 attributes and an event, over OTLP/HTTP to {collector}, in waves of {WAVE};\n\
         median of {ROUNDS} rounds of {SPANS} spans, in which the rows take turns"
    );
    let mut rounds = [const { [const { Vec::new() }; 2] }; 2];
    for _ in 0..ROUNDS {
        for (row, rounds) in ROWS.iter().zip(&mut rounds) {
            for (what, rounds) in [DISCARD, EXPORT].into_iter().zip(rounds) {
                rounds.push(took(&mut command(&format!("{what}{}", row.name), endpoint)?)?);
            }
        }
    }
    let medians = rounds.map(|row| row.map(median));
    println!(
        "{:<28}{:>12}{:>24}{:>28}",
        "", "spans/s", "processor, us a span", "of these to export, us"
    );
    for (row, [made, exported]) in ROWS.iter().zip(medians) {
        let Took { spans, processor } = exported;
        println!(
            "{:<28}{spans:>12.0}{processor:>24.2}{:>28.2}",
            row.name,
            processor - made.processor
        );
    }
    let [[stock_made, stock], [made, ours]] = medians;
    println!(
        "ours/stock{:>30.2}{:>24.2}{:>28.2}",
        ours.spans / stock.spans,
        ours.processor / stock.processor,
        (ours.processor - made.processor) / (stock.processor - stock_made.processor),
    );
    Ok(())
}

/// In the child: the work, and a line with what it took. Whether `case` is one of these.
pub(crate) fn child(case: &str) -> bool {
    let (is_exporting, name) = match (case.strip_prefix(EXPORT), case.strip_prefix(DISCARD)) {
        (Some(name), _) => (true, name),
        (None, Some(name)) => (false, name),
        (None, None) => return false,
    };
    let row = ROWS.iter().find(|row| row.name == name).expect("the parent knows the rows");
    let flush = (row.install)(is_exporting);
    let wave = || {
        (0..WAVE).for_each(span);
        flush();
    };
    // the first makes the connection
    wave();
    let (clock, used) = (Instant::now(), ProcessTime::now());
    (0..SPANS / WAVE).for_each(|_| wave());
    let (clock, used) = (clock.elapsed(), used.elapsed());
    let spans = (SPANS / WAVE * WAVE) as f64;
    println!("{} {}", spans / clock.as_secs_f64(), used.as_secs_f64() * 1e6 / spans);
    true
}

#[inline(never)]
fn span(n: u64) {
    let span = tracing::info_span!("request", n, user = "alice", cached = true, ratio = 0.5);
    let _entered = span.enter();
    tracing::info!(rows = 3, "answered");
    black_box(n);
}

fn took(command: &mut Command) -> Result<Took, String> {
    let output = command.stderr(Stdio::inherit()).output().map_err(|e| e.to_string())?;
    let said = String::from_utf8_lossy(&output.stdout);
    let mut numbers = said.split_whitespace().map(str::parse);
    match (output.status.success(), numbers.next(), numbers.next()) {
        (true, Some(Ok(spans)), Some(Ok(processor))) => Ok(Took { spans, processor }),
        _ => Err(format!("the child failed ({}): {said}", output.status)),
    }
}

fn median(mut rounds: Vec<Took>) -> Took {
    let mut of = |field: fn(&Took) -> f64| {
        rounds.sort_by(|a, b| field(a).total_cmp(&field(b)));
        field(&rounds[rounds.len() / 2])
    };
    Took { spans: of(|took| took.spans), processor: of(|took| took.processor) }
}

/// A running rotel that throws away what it gets.
struct Rotel {
    process: Child,
    endpoint: String,
}

impl Rotel {
    fn start(agent: std::ffi::OsString) -> Result<Self, String> {
        let [grpc, http] = [free_port()?, free_port()?];
        let pid = std::env::temp_dir().join(format!("otel-setup-rotel-{http}.pid"));
        let process = Command::new(agent)
            .args(["start", "--exporter", "blackhole"])
            .args(["--otlp-grpc-endpoint", &format!("127.0.0.1:{grpc}")])
            .args(["--otlp-http-endpoint", &format!("127.0.0.1:{http}")])
            .arg("--pid-file")
            .arg(pid)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| format!("cannot run OTEL_SETUP_ROTEL: {e}"))?;
        let rotel = Self { process, endpoint: format!("http://127.0.0.1:{http}") };
        let patience = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(("127.0.0.1", http)).is_err() {
            if Instant::now() > patience {
                return Err("rotel does not listen".to_owned());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(rotel)
    }
}

impl Drop for Rotel {
    fn drop(&mut self) {
        // it may have ended by itself
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_port() -> Result<u16, String> {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    port.map(|address| address.port()).map_err(|e| format!("no port on loopback: {e}"))
}

const EXPORT: &str = "export by ";
const DISCARD: &str = "discard by ";
/// Fits the stock stack's queue of 2,048.
const WAVE: u64 = 1_536;
const SPANS: u64 = 1_536 * 100;
const ROUNDS: usize = 7;
