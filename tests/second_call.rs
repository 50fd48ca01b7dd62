//! A second call shares the first setup, and warns once when it asks for another name.

mod support;

use otel_setup::setup_tracing;
use support::{child, is_child, run};

#[test]
fn another_name_is_warned_about_once_with_both_places() {
    if is_child("another_name_is_warned_about_once_with_both_places") {
        let _first = setup_tracing("first").expect("nobody was before");
        for name in ["second", "third", "first"] {
            let _shared = setup_tracing(name).expect("it shares the first");
        }
        return;
    }
    let out = run(&mut child("another_name_is_warned_about_once_with_both_places"));
    let said: Vec<_> = out.assert_success().stderr.lines().collect();
    let (first, second) = (line!() - 8, line!() - 6);
    assert_eq!(
        said,
        [format!(
            "otel-setup: warning: tests/second_call.rs:{second}:27 asks for service \"second\", \
             but tracing was already set up for \"first\" at tests/second_call.rs:{first}:22; the \
             first setup is used"
        )]
    );
}
