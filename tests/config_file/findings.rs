//! What is said of a file: each is a failure that was there.

use otel_setup::{Explanation, Setup, Source};

use crate::support::{Said, memory};
use crate::{Yaml, run};

/// What is in effect under this name, from the file or not.
#[track_caller]
fn effective<'a>(explanation: &'a Explanation, setting: &str) -> (&'a str, Source) {
    let found = explanation.settings().iter().find(|effective| effective.setting == setting);
    let found = found.unwrap_or_else(|| panic!("{setting} is not in {explanation}"));
    (&found.value, found.source)
}

/// All that a build says, and its error if it fails.
fn said_by(setup: Setup) -> (Vec<String>, Option<String>) {
    let said = Said::default();
    let built = setup.with_diagnostics(said.sink()).build();
    (said.lines(), built.map(drop).err().map(|error| error.to_string()))
}

#[test]
fn the_greatest_of_each_left_out_the_defaults_of_processors_that_say_nothing() {
    let yaml = Yaml::new(
        "file_format: '1.0'\n\
         tracer_provider:\n\
         \x20 processors:\n\
         \x20   - batch: {max_queue_size: 10, export_timeout: 100, exporter: {console: }}\n\
         \x20   - batch: {exporter: {otlp_http: }}\n",
    );
    let explanation = yaml.setup().with_env(|_| None).explain();
    for (setting, value) in
        [("OTEL_BSP_MAX_QUEUE_SIZE", "65536"), ("OTEL_BSP_EXPORT_TIMEOUT", "30000")]
    {
        assert_eq!(effective(&explanation, setting), (value, Source::File), "{setting}");
    }
    assert_eq!(effective(&explanation, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE"), ("512", Source::Default));
    assert!(explanation.to_string().contains("here all have the greatest of each"));
}

#[test]
fn a_file_that_says_it_is_not_disabled_recorded_nothing_in_silence() {
    let yaml = Yaml::new("file_format: '1.0'\ndisabled: false\n");
    let setup = || yaml.setup().with_env(|_| None);
    let expected = format!("{}: there is no tracer_provider, so nothing is recorded", yaml.text());
    let explanation = setup().explain();
    assert_eq!(effective(&explanation, "OTEL_SDK_DISABLED"), ("false", Source::File));
    assert!(explanation.to_string().contains(&expected), "{explanation}");
    let said = Said::default();
    let stack = setup().with_diagnostics(said.sink()).build().expect("the file is right");
    run(&stack, || tracing::info_span!("work").in_scope(|| {}));
    assert_eq!(stack.stats().started, 0);
    assert_eq!(said.lines(), [expected]);
    // the code has somewhere to export to
    let (exporter, _) = memory();
    assert_eq!(said_by(setup().with_exporter(exporter)), (vec![], None));
    let yaml = Yaml::new("file_format: '1.0'\ndisabled: true\n");
    assert_eq!(said_by(yaml.setup().with_env(|_| None)), (vec![], None));
}
