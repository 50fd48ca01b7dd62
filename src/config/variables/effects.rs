//! Where it is proven what each variable does: not that a field is set, but that a span is sampled,
//! a value cut, a header there.

use super::{Owner, all};

/// Variables, the file of a test, and the test.
type Proof = (&'static [&'static str], &'static str, &'static str);

macro_rules! proof {
    ($file:literal, $test:literal, $($name:literal)*) => {
        (&[$($name),*], include_str!(concat!("../../../tests/", $file)), $test)
    };
}

const PROOFS: &[Proof] = &[
    proof!(
        "config_file.rs",
        "what_the_file_says_arrives_at_the_collector_and_variables_count_for_nothing",
        "OTEL_CONFIG_FILE"
    ),
    proof!(
        "it/sdk_disabled.rs",
        "a_disabled_sdk_records_nothing_and_still_propagates",
        "OTEL_SDK_DISABLED"
    ),
    proof!(
        "it/variables.rs",
        "the_resource_carries_what_variables_say",
        "OTEL_SERVICE_NAME" "OTEL_RESOURCE_ATTRIBUTES"
    ),
    proof!("it/variables.rs", "our_own_voice_is_as_loud_as_it_is_asked_to_be", "OTEL_LOG_LEVEL"),
    proof!("it/other_suites/propagators.rs", "headers", "OTEL_PROPAGATORS"),
    proof!("it/variables.rs", "samplers_record_what_they_are_asked_to", "OTEL_TRACES_SAMPLER"),
    proof!(
        "it/variables.rs",
        "a_share_of_the_traces_and_so_many_a_second",
        "OTEL_TRACES_SAMPLER_ARG"
    ),
    proof!("it/variables.rs", "exporters_are_those_of_the_list", "OTEL_TRACES_EXPORTER"),
    proof!(
        "otlp_variables.rs",
        "endpoints_are_sent_to",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" "OTEL_EXPORTER_OTLP_ENDPOINT"
    ),
    proof!(
        "otlp_grpc.rs",
        "variables_choose_it_and_its_endpoint_as_it_is",
        "OTEL_EXPORTER_OTLP_TRACES_INSECURE" "OTEL_EXPORTER_OTLP_INSECURE"
    ),
    proof!(
        "otlp_tls.rs",
        "a_certificate_is_trusted_by_the_root_that_was_given",
        "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE" "OTEL_EXPORTER_OTLP_CERTIFICATE"
    ),
    proof!(
        "otlp_tls.rs",
        "a_client_certificate_is_shown_to_a_collector_that_wants_one",
        "OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE" "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"
        "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY" "OTEL_EXPORTER_OTLP_CLIENT_KEY"
    ),
    proof!(
        "otlp_variables.rs",
        "headers_arrive",
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS" "OTEL_EXPORTER_OTLP_HEADERS"
    ),
    proof!(
        "otlp_variables.rs",
        "protocols_and_compressions_are_spoken",
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL" "OTEL_EXPORTER_OTLP_PROTOCOL"
        "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION" "OTEL_EXPORTER_OTLP_COMPRESSION"
    ),
    proof!(
        "otlp_variables.rs",
        "timeouts_end_the_wait_for_a_collector_that_hangs",
        "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT" "OTEL_EXPORTER_OTLP_TIMEOUT" "OTEL_BSP_EXPORT_TIMEOUT"
    ),
    proof!("it/variables.rs", "a_batch_waits_no_longer_than_its_delay", "OTEL_BSP_SCHEDULE_DELAY"),
    proof!(
        "it/variables.rs",
        "a_queue_holds_no_more_than_its_bounds",
        "OTEL_BSP_MAX_QUEUE_SIZE" "OTEL_RUST_BSP_MAX_QUEUE_BYTES"
    ),
    proof!(
        "it/variables.rs",
        "batches_are_no_larger_than_asked_for",
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE"
    ),
    proof!(
        "it/variables.rs",
        "values_are_cut_at_their_length",
        "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT" "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"
    ),
    proof!(
        "it/variables.rs",
        "counts_are_cut_at_their_limits",
        "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT" "OTEL_ATTRIBUTE_COUNT_LIMIT"
        "OTEL_SPAN_EVENT_COUNT_LIMIT" "OTEL_SPAN_LINK_COUNT_LIMIT"
        "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT" "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT"
    ),
    proof!("log_lines.rs", "rust_log_silences_lines_and_not_traces", "RUST_LOG"),
    proof!(
        "it/variables.rs",
        "the_trace_filter_of_the_variable_decides_what_is_traced",
        "OTEL_RUST_TRACE_FILTER"
    ),
    proof!(
        "variables_of_a_process.rs",
        "the_format_of_log_lines_is_that_of_the_variable",
        "OTEL_RUST_LOG_FORMAT"
    ),
    proof!("variables_of_a_process.rs", "no_color_takes_the_colours_from_log_lines", "NO_COLOR"),
    proof!(
        "variables_of_a_process.rs",
        "the_flush_timeout_of_the_variable_ends_the_drop_of_a_guard",
        "OTEL_RUST_FLUSH_TIMEOUT"
    ),
    proof!("otlp_file.rs", "variables_name_it_and_its_path", "OTEL_RUST_OTLP_FILE"),
    proof!(
        "it/variables.rs",
        "detectors_find_what_they_are_asked_for_and_give_way_to_everybody",
        "OTEL_RUST_RESOURCE_DETECTORS"
    ),
    proof!(
        "known_methods.rs",
        "the_variable_has_other_methods_in_place_of_the_usual_ones",
        "OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS"
    ),
    proof!(
        "it/explain.rs",
        "it_is_said_at_the_start_where_a_variable_asks_for_it",
        "OTEL_RUST_EXPLAIN"
    ),
];

#[test]
fn what_each_variable_does_is_proven_by_a_test() {
    for row in all().filter(|row| matches!(row.owner, Owner::Specification | Owner::Ours)) {
        let proof = PROOFS.iter().find(|(names, ..)| names.contains(&row.name));
        let (_, file, test) = proof.unwrap_or_else(|| panic!("nobody proves {}", row.name));
        let body = file.split_once(&format!("\nfn {test}()")).map(|(_, rest)| rest);
        let body = body.unwrap_or_else(|| panic!("{}: there is no test {test}", row.name));
        let body = body.split("\n}\n").next().expect("a split has a first part");
        // a name that many share stands in a constant, or is put together
        let end = row.name.trim_start_matches("OTEL_EXPORTER_OTLP_").replace("TRACES_", "");
        let is_named = body.contains(row.name)
            || file.contains(&format!(": &str = \"{}\";", row.name))
            || end.starts_with("CLIENT_") && body.contains(&end);
        assert!(is_named, "{test} does not name {}", row.name);
    }
}
