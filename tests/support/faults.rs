//! What every fault of a collector must leave intact: the application is not blocked, the ledger
//! balances, a message names the cause, and spans flow again when it is over.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part of this")]

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use otel_setup::{DropReason, Exporter, LogFormat, Setup, Stack, Stats};
use tokio::net::TcpSocket;

use crate::support::{Said, spans_in, with_variables};

/// Spans that an application ends each time that it works.
pub const WORK: u64 = 100;

/// A stack whose collector is at fault, and an application that has done its work meanwhile.
pub struct Trial {
    stack: Arc<Stack>,
    said: Said,
    watch: Watch,
}

impl Trial {
    /// Returns when the application has ended its spans, the collector being as it is: the fault is
    /// lifted only later, so whoever waited for the collector would wait for ever.
    #[track_caller]
    pub fn under(exporter: impl Into<Exporter>) -> Self {
        let said = Said::default();
        let variables = [("OTEL_BSP_SCHEDULE_DELAY", "10"), ("OTEL_BSP_EXPORT_TIMEOUT", "120000")];
        let setup = Setup::new("checkout").with_exporter(exporter).with_log_format(LogFormat::Off);
        let setup = setup.with_env(with_variables(&variables)).with_diagnostics(said.sink());
        let stack = Arc::new(setup.build().expect("the settings are right"));
        let watch = Watch::start(&stack);
        let trial = Self { stack, said, watch };
        trial.work();
        trial
    }

    #[track_caller]
    fn work(&self) {
        let (done, all) = mpsc::channel();
        for _ in 0..2 {
            let (stack, done) = (self.stack.clone(), done.clone());
            thread::spawn(move || {
                spans_in(&stack, usize::try_from(WORK / 2).expect("it is small"));
                done.send(()).expect("it is waited for");
            });
        }
        for _ in 0..2 {
            all.recv_timeout(PATIENCE).expect("an application is not blocked by a collector");
        }
    }

    /// A line on our voice has all of these in it.
    #[track_caller]
    pub fn says(&self, parts: &[&str]) -> &Self {
        self.said.wait_for(parts);
        self
    }

    /// All that was made under the fault is lost, for this reason, and the flush has the cause.
    #[track_caller]
    pub fn loses(&self, reason: DropReason, cause: &[&str]) -> &Self {
        let error = self.stack.flush(PATIENCE).expect_err("the collector takes nothing");
        assert!(error.is_lost(), "{error}");
        let stats = balanced(self.stack.stats());
        assert_eq!(stats.exporters[0].dropped.by(reason), WORK, "{stats}");
        assert!(cause.iter().all(|part| error.to_string().contains(part)), "{error}");
        self.says(cause)
    }

    /// The collector is well again: what was kept arrives, and so does what is new. How many spans
    /// have been exported in all.
    #[track_caller]
    pub fn recovers(self) -> usize {
        self.stack.flush(PATIENCE).expect("nothing more is lost");
        let before = balanced(self.stack.stats());
        self.work();
        self.stack.flush(PATIENCE).expect("it has recovered");
        let stats = balanced(self.stack.stats());
        let (then, now) = (&before.exporters[0], &stats.exporters[0]);
        assert_eq!((stats.started, stats.live, now.in_flight), (2 * WORK, 0, 0), "{stats}");
        assert_eq!(now.exported, then.exported + WORK, "{stats}");
        assert_eq!(now.lost(), then.lost(), "{stats}");
        self.watch.end();
        usize::try_from(now.exported).expect("it is small")
    }

    /// Nothing at all was lost.
    #[track_caller]
    pub fn recovers_whole(self) {
        assert_eq!(self.recovers(), 2 * usize::try_from(WORK).expect("it is small"));
    }

    pub fn stats(&self) -> Stats {
        balanced(self.stack.stats())
    }

    /// When nothing is queued any more.
    pub fn settled(&self) -> Stats {
        let _ = self.stack.flush(PATIENCE);
        self.stats()
    }
}

/// Looks at the ledger all the time.
struct Watch {
    end: mpsc::Sender<()>,
    thread: JoinHandle<()>,
}

impl Watch {
    fn start(stack: &Arc<Stack>) -> Self {
        let (end, ended) = mpsc::channel();
        let stack = stack.clone();
        let thread = thread::spawn(move || {
            let (mut exported, mut lost) = (0, 0);
            let pause = Duration::from_millis(1);
            while ended.recv_timeout(pause) == Err(mpsc::RecvTimeoutError::Timeout) {
                let stats = balanced(stack.stats());
                let now = &stats.exporters[0];
                assert!(now.exported >= exported && now.lost() >= lost, "{stats}");
                (exported, lost) = (now.exported, now.lost());
            }
        });
        Self { end, thread }
    }

    #[track_caller]
    fn end(self) {
        drop(self.end);
        self.thread.join().expect("the ledger balances at every moment");
    }
}

#[track_caller]
pub fn balanced(stats: Stats) -> Stats {
    for exporter in &stats.exporters {
        let ended = exporter.exported + exporter.rejected + exporter.dropped.total();
        assert_eq!(stats.started, ended + exporter.in_flight, "{stats}");
        assert_eq!(stats.live + exporter.queued, exporter.in_flight, "{stats}");
    }
    stats
}

/// A port that is taken, and on which nobody listens yet.
pub struct Place {
    socket: TcpSocket,
    address: SocketAddr,
}

impl Place {
    pub fn take() -> Self {
        let socket = TcpSocket::new_v4().expect("there are sockets");
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).expect("a free port");
        let address = socket.local_addr().expect("it is bound");
        Self { socket, address }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn listen(self) -> TcpListener {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
        let listener = runtime.expect("a runtime").block_on(async {
            let listener = self.socket.listen(64).expect("a bound socket can listen");
            listener.into_std().expect("nobody else has it")
        });
        listener.set_nonblocking(false).expect("every socket can be");
        listener
    }
}

pub const PATIENCE: Duration = Duration::from_secs(60);
