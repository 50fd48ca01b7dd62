//! What a status, or the lack of one, means (OTLP specification, "OTLP/gRPC Response").

use std::error::Error;
use std::io;

use prost::Message as _;
use tonic::Code;

use crate::pipeline::export::{Failure, Retry};
use crate::pipeline::exporter::otlp::secrets::Secrets;
#[cfg(feature = "tls")]
use crate::pipeline::exporter::otlp::verdict::tls_problem;
use crate::pipeline::exporter::otlp::verdict::{Status, io_problem, message, pause};

/// Why an attempt failed.
#[derive(Debug)]
pub(super) enum Problem {
    /// There is nothing to drive the attempt.
    Runtime(io::Error),
    /// There is no connection.
    Connection(tonic::transport::Error),
    /// The connection broke before the answer came.
    Broken(tonic::Status),
    Timeout,
    /// The backend answered, and not with success.
    Answer(tonic::Status),
}

impl Problem {
    /// Whether another connection may be all that it takes.
    pub(super) fn is_broken_connection(&self) -> bool {
        match self {
            Self::Connection(_) => true,
            Self::Broken(status) => find::<tonic::TimeoutExpired>(status).is_none(),
            _ => false,
        }
    }
}

pub(super) fn failure(problem: &Problem, endpoint: &str, secrets: &Secrets) -> Failure {
    let problem = match problem {
        Problem::Answer(status) => return refused(status, endpoint, secrets),
        Problem::Runtime(cause) => format!("cannot start a runtime ({cause}) for"),
        Problem::Timeout => NO_ANSWER.to_owned(),
        Problem::Connection(error) => broken(error),
        Problem::Broken(status) => broken(status),
    };
    Failure { message: format!("{problem} {endpoint}"), retry: Retry::Backoff }
}

fn refused(status: &tonic::Status, endpoint: &str, secrets: &Secrets) -> Failure {
    let details = Status::decode(status.details()).unwrap_or_default();
    let retry = match (status.code(), details.retry_delay()) {
        (code, Some(asked)) if is_retryable(code) || code == Code::ResourceExhausted => {
            pause(asked)
        }
        (code, None) if is_retryable(code) => Retry::Backoff,
        // exhausted without a word on when it will be recovered: it will not be
        _ => Retry::Never,
    };
    let said = format!("{endpoint} answered {:?}", status.code());
    let message = match message(status.message(), secrets) {
        Some(words) => format!("{said}: {words}"),
        None => said,
    };
    Failure { message, retry }
}

fn is_retryable(code: Code) -> bool {
    matches!(
        code,
        Code::Cancelled
            | Code::DeadlineExceeded
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unavailable
            | Code::DataLoss
    )
}

/// The cause at the bottom, in words that the endpoint's name follows.
fn broken(error: &(dyn Error + 'static)) -> String {
    if find::<tonic::TimeoutExpired>(error).is_some() {
        return NO_ANSWER.to_owned();
    }
    #[cfg(feature = "tls")]
    if let Some(cause) = find::<rustls::Error>(error) {
        return tls_problem(cause);
    }
    if let Some(cause) = find::<io::Error>(error) {
        return io_problem(cause);
    }
    let mut bottom = error;
    while let Some(cause) = bottom.source() {
        bottom = cause;
    }
    format!("connection broken ({bottom}) by")
}

/// The cause of this type in the chain of causes.
fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

const NO_ANSWER: &str = "no answer in time from";
