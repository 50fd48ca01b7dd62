//! A collector that answers as it is told: OTLP/HTTP on a loopback port of its own.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part of this")]

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;

/// What the collector does with a request.
#[derive(Clone)]
pub enum Answer {
    Reply(Reply),
    /// Says nothing while the collector lives.
    Hang,
    /// Takes the spans, and would say so when the client no longer listens.
    TooLate,
    /// Closes the connection without a word.
    Close,
    /// Closes the connection in the middle of the request, and the port with it.
    Die,
}

/// An HTTP response.
#[derive(Clone)]
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// Each byte is written by itself.
    bytewise: bool,
    /// The connection is closed so many bytes before the end.
    missing: usize,
    /// The connection is closed after it, as by a server that is tired of an idle one.
    closes: bool,
}

impl Reply {
    pub fn new(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
            bytewise: false,
            missing: 0,
            closes: false,
        }
    }

    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// A protobuf message as the body.
    pub fn message(self, message: &impl prost::Message) -> Self {
        self.header("content-type", "application/x-protobuf").body(message.encode_to_vec())
    }

    pub fn bytewise(mut self) -> Self {
        self.bytewise = true;
        self
    }

    pub fn cut(mut self, missing: usize) -> Self {
        self.missing = missing;
        self
    }

    pub fn closing(mut self) -> Self {
        self.closes = true;
        self
    }

    fn write(&self, stream: &mut dyn Write) -> std::io::Result<()> {
        let mut bytes = format!("HTTP/1.1 {} Said\r\n", self.status).into_bytes();
        for (name, value) in &self.headers {
            bytes.extend(format!("{name}: {value}\r\n").into_bytes());
        }
        bytes.extend(format!("content-length: {}\r\n\r\n", self.body.len()).into_bytes());
        bytes.extend(&self.body);
        bytes.truncate(bytes.len() - self.missing);
        if self.bytewise {
            for byte in bytes {
                stream.write_all(&[byte])?;
                stream.flush()?;
            }
            return Ok(());
        }
        stream.write_all(&bytes)?;
        stream.flush()
    }
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Self {
        Self::Reply(reply)
    }
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    pub at: Instant,
    pub wall: SystemTime,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The request that an uncompressed protobuf body holds.
    pub fn decoded(&self) -> ExportTraceServiceRequest {
        ExportTraceServiceRequest::decode(&*self.body).expect("the exporter sends OTLP")
    }

    pub fn spans(&self) -> Vec<Span> {
        all_spans(self.decoded())
    }
}

/// The spans of a request, of whatever resource and scope.
pub fn all_spans(request: ExportTraceServiceRequest) -> Vec<Span> {
    let scopes = request.resource_spans.into_iter().flat_map(|r| r.scope_spans);
    scopes.flat_map(|scope| scope.spans).collect()
}

/// The running collector; dropping it ends it.
pub struct Collector {
    address: SocketAddr,
    shared: Arc<Shared>,
    scheme: &'static str,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    answers: VecDeque<Answer>,
    /// The answer to everything else, while it lasts.
    fault: Option<Answer>,
    seen: Vec<Seen>,
    /// Spans in requests that were answered with success.
    accepted: usize,
    ended: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds this lock")
    }

    fn end(&self, address: SocketAddr) {
        self.state().ended = true;
        self.changed.notify_all();
        // wakes the accepting thread, which then sees that it is over
        let _ = TcpStream::connect(address);
    }
}

/// What a connection is made into before HTTP is spoken on it.
pub type Wrap = dyn Fn(TcpStream) -> Option<Box<dyn Stream>> + Send + Sync;

pub trait Stream: Read + Write + Send {}

impl<S: Read + Write + Send> Stream for S {}

impl Collector {
    /// Gives these answers in turn, and then 200 to everything.
    pub fn start(answers: impl IntoIterator<Item = impl Into<Answer>>) -> Self {
        Self::serve("http", answers, Arc::new(|stream| Some(Box::new(stream))))
    }

    /// 200 to everything.
    pub fn kind() -> Self {
        Self::start(Vec::<Answer>::new())
    }

    pub fn serve(
        scheme: &'static str,
        answers: impl IntoIterator<Item = impl Into<Answer>>,
        wrap: Arc<Wrap>,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let collector = Self::at(scheme, listener, wrap);
        collector.shared.state().answers = answers.into_iter().map(Into::into).collect();
        collector
    }

    /// Gives this answer to everything until it [recovers](Self::recover).
    pub fn failing(fault: impl Into<Answer>) -> Self {
        let collector = Self::kind();
        collector.shared.state().fault = Some(fault.into());
        collector
    }

    /// 200 to everything, on a socket that is there already.
    pub fn on(listener: TcpListener) -> Self {
        Self::at("http", listener, Arc::new(|stream| Some(Box::new(stream))))
    }

    fn at(scheme: &'static str, listener: TcpListener, wrap: Arc<Wrap>) -> Self {
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::<Shared>::default();
        let of_thread = shared.clone();
        let accepting = thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if of_thread.state().ended {
                    return;
                }
                let (shared, wrap) = (of_thread.clone(), wrap.clone());
                thread::spawn(move || wrap(stream).map(|stream| serve(stream, &shared, address)));
            }
        });
        Self { address, shared, scheme, accepting: Some(accepting) }
    }

    /// From here on 200 to everything; what was held up goes on.
    pub fn recover(&self) {
        {
            let mut state = self.shared.state();
            state.answers.clear();
            state.fault = None;
        }
        self.shared.changed.notify_all();
    }

    /// After [`Answer::Die`]: another process in its place.
    pub fn back(mut self) -> Self {
        let accepting = self.accepting.take().expect("only this takes it");
        accepting.join().expect("it does not panic");
        Self::on(TcpListener::bind(self.address).expect("the port was just given back"))
    }

    /// Spans in requests that were answered with success.
    pub fn accepted(&self) -> usize {
        self.shared.state().accepted
    }

    pub fn url(&self) -> String {
        let host = if self.scheme == "https" { "localhost" } else { "127.0.0.1" };
        format!("{}://{host}:{}", self.scheme, self.address.port())
    }

    /// Everything that has come so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.state().seen.clone()
    }

    /// Waits until requests with `n` spans have been answered with success.
    #[track_caller]
    pub fn wait_for_spans(&self, n: usize) {
        let few = |state: &mut State| state.accepted < n;
        let waited = self.shared.changed.wait_timeout_while(self.shared.state(), PATIENCE, few);
        let (state, timeout) = waited.expect("nothing panics while it holds this lock");
        assert!(!timeout.timed_out(), "{} of {n} spans came", state.accepted);
    }

    /// Waits until `n` requests have come.
    #[track_caller]
    pub fn wait_for(&self, n: usize) -> Vec<Seen> {
        let (state, timeout) = self
            .shared
            .changed
            .wait_timeout_while(self.shared.state(), PATIENCE, |state| state.seen.len() < n)
            .expect("nothing panics while it holds this lock");
        assert!(!timeout.timed_out(), "{} of {n} requests came", state.seen.len());
        state.seen.clone()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.shared.end(self.address);
    }
}

/// The requests of one connection.
fn serve(stream: Box<dyn Stream>, shared: &Shared, address: SocketAddr) {
    let mut stream = BufReader::new(stream);
    loop {
        if matches!(shared.state().fault, Some(Answer::Die)) {
            let mut some = [0; 64];
            let _ = stream.read_exact(&mut some);
            return shared.end(address);
        }
        let Some(seen) = read(&mut stream) else { return };
        let (answer, spans) = {
            let mut state = shared.state();
            let spans = ExportTraceServiceRequest::decode(&*seen.body).map(all_spans);
            state.seen.push(seen);
            let fault = state.fault.clone();
            (state.answers.pop_front().or(fault), spans.map_or(0, |spans| spans.len()))
        };
        shared.changed.notify_all();
        match answer.unwrap_or(Answer::Reply(Reply::new(200))) {
            Answer::Close | Answer::Die => return,
            Answer::TooLate => {
                shared.state().accepted += spans;
                // until the client hangs up
                let _ = stream.read_to_end(&mut Vec::new());
                shared.changed.notify_all();
                return;
            }
            Answer::Hang => {
                let for_once = shared.state().fault.is_none();
                let hangs = |s: &mut State| !s.ended && (for_once || s.fault.is_some());
                let _ended = shared.changed.wait_while(shared.state(), hangs);
                return;
            }
            Answer::Reply(reply) => {
                if reply.status == 200 && reply.missing == 0 {
                    shared.state().accepted += spans;
                    shared.changed.notify_all();
                }
                let written = reply.write(stream.get_mut());
                if written.is_err() || reply.missing > 0 || reply.closes {
                    return;
                }
            }
        }
    }
}

fn read(stream: &mut BufReader<Box<dyn Stream>>) -> Option<Seen> {
    let mut line = String::new();
    stream.read_line(&mut line).ok().filter(|n| *n > 0)?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = Vec::new();
    loop {
        line.clear();
        stream.read_line(&mut line).ok()?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let mut body = vec![0; length.map_or(0, |(_, n)| n.parse().expect("a length is a number"))];
    stream.read_exact(&mut body).ok()?;
    Some(Seen { at: Instant::now(), wall: SystemTime::now(), path, headers, body })
}

/// A port of this machine that nobody listens on.
pub fn dead_url() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    format!("http://{}", listener.local_addr().expect("a bound socket has an address"))
}

const PATIENCE: Duration = Duration::from_secs(20);
