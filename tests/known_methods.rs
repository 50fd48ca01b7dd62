//! `OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS` is of the process, for servers and clients alike.
#![cfg(feature = "tower")]

mod support;

use std::convert::Infallible;

use http::{Request, Response};
use otel_setup::tower::{ClientLayer, ServerLayer};
use otel_setup::{LogFormat, Setup};
use support::{child, is_child, memory, run, spans};
use tower::{Service as _, ServiceBuilder};

#[test]
fn the_variable_has_other_methods_in_place_of_the_usual_ones() {
    let case = "the_variable_has_other_methods_in_place_of_the_usual_ones";
    if !is_child(case) {
        let names = |list: &str| {
            let mut command = child(case);
            command.env("OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS", list);
            let child = run(&mut command);
            let names = child.assert_success().stdout.clone();
            names.lines().find_map(|line| line.split_once("names: ")).map(|(_, names)| names.into())
        };
        let usual: Option<String> = Some("GET GET HTTP HTTP".into());
        assert_eq!(names(""), usual);
        assert_eq!(names(" , "), usual);
        assert_eq!(names("get, PURGE"), Some("HTTP HTTP PURGE PURGE".into()));
        return;
    }
    let (exporter, seen) = memory();
    let setup = Setup::new("methods").with_env(|_| None).with_log_format(LogFormat::Off);
    let stack = setup.with_exporter(exporter).build().expect("these settings are right");
    tracing::dispatcher::with_default(stack.dispatch(), || {
        let mut service = ServiceBuilder::new()
            .layer(ServerLayer::new())
            .layer(ClientLayer::new())
            .service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(String::new())));
        for method in ["GET", "PURGE"] {
            let request = Request::builder().method(method).uri("http://a/").body(());
            let mut answer = std::pin::pin!(service.call(request.expect("it is valid")));
            let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(answer.as_mut().poll(&mut cx).is_ready());
        }
    });
    stack.flush(std::time::Duration::from_secs(10)).expect("nothing is lost");
    let names: Vec<_> = spans(&seen).into_iter().map(|span| span.name.into_owned()).collect();
    println!("names: {}", names.join(" "));
}
