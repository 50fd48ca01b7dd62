//! What is said of a file: each is a failure that was there.

use otel_setup::{BatchSettings, Explanation, Setup, Source};

use crate::support::{Said, memory};
use crate::{Yaml, run, traces};

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

#[test]
fn an_error_in_a_file_hid_its_warnings() {
    let yaml = Yaml::new(&traces("  sampler: nothing\nunheard_of: 1\nmeter_provider:\n"));
    let path = yaml.text();
    let warnings = [
        format!("{path}:6: unheard_of is not known, and has no effect"),
        format!("{path}:7: meter_provider has no effect: this crate makes no metrics"),
    ];
    let error = format!("{path}:5: tracer_provider.sampler: it is not a map");
    let setup = || yaml.setup().with_env(|_| None);
    let explained = setup().explain().to_string();
    for line in warnings.iter().chain([&error]) {
        assert!(explained.contains(line), "{line}: {explained}");
    }
    assert_eq!(said_by(setup()), (warnings.to_vec(), Some(error.clone())));
    // each once: what is an error is no warning
    let [unknown, for_others] = warnings;
    let both = format!("{error}; {unknown}");
    assert_eq!(said_by(setup().strict()), (vec![for_others], Some(both)));
}

#[test]
fn a_batch_that_is_more_than_the_queue_was_blamed_on_a_variable() {
    let yaml = Yaml::new(
        "file_format: '1.0'\n\
         tracer_provider:\n\
         \x20 processors:\n\
         \x20   - batch:\n\
         \x20       max_queue_size: 10\n\
         \x20       max_export_batch_size: 20\n\
         \x20       exporter: {console: }\n",
    );
    let path = yaml.text();
    let setup = || yaml.setup().with_env(|_| None);
    let at = "tracer_provider.processors[0].batch.max_export_batch_size";
    let expected = format!("{path}:6: {at}: 20 is more than the queue's 10; 10 is used");
    assert_eq!(said_by(setup()), (vec![expected.clone()], None));
    assert_eq!(said_by(setup().strict()), (vec![], Some(expected.clone())));
    let explanation = setup().explain();
    let size = "OTEL_BSP_MAX_EXPORT_BATCH_SIZE";
    assert_eq!(effective(&explanation, size), ("10", Source::File));
    // the code's queue is less than what the file says of batches
    let setup = setup().with_batch(BatchSettings::new().with_max_queue_size(5));
    let of_code =
        format!("{path}: max_export_batch_size: 10 is more than the queue's 5; 5 is used");
    assert_eq!(said_by(setup), (vec![expected, of_code], None));
}

#[cfg(target_os = "linux")]
#[test]
fn a_pipe_or_a_device_for_a_file_was_waited_for() {
    let pipe = std::env::temp_dir().join(format!("otel-setup-pipe-{}", std::process::id()));
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("it is installed");
    assert!(made.success());
    let pipe_name = pipe.to_str().expect("a name of ASCII");
    for path in [pipe_name, "/dev/zero", "/"] {
        let setup = Setup::new("code").with_env(|_| None).with_config_file(path);
        let (_, error) = said_by(setup);
        let expected = format!("configuration file {path:?}: it is not a regular file");
        assert_eq!(error.as_deref(), Some(expected.as_str()));
    }
    std::fs::remove_file(&pipe).expect("it was just made");
}
