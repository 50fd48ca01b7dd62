//! `OTEL_TRACES_SAMPLER` and its argument. What they do to spans is in `variables.rs`.

use super::{is, warns};

const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
const ARG: &str = "OTEL_TRACES_SAMPLER_ARG";
const DEFAULT: &str = "parentbased_always_on";

#[test]
fn names() {
    for name in [
        "always_on",
        "always_off",
        "traceidratio",
        "parentbased_always_on",
        "parentbased_always_off",
        "parentbased_traceidratio",
    ] {
        is("Java configureSampler, Datadog test_stable_values", &[(SAMPLER, name)], SAMPLER, name);
    }
    is("Datadog test_default_matches_specification", &[], SAMPLER, DEFAULT);
    is("Datadog test_empty_is_treated_as_unset", &[(SAMPLER, "")], SAMPLER, DEFAULT);
    for name in ["catsampler", "invalid-sampler", "invalid"] {
        let case =
            "Java configureSampler, Go invalid-sampler, Datadog test_invalid_value_is_ignored";
        let part = format!("\"{name}\" is not one of always_on, ");
        warns(case, &[(SAMPLER, name)], SAMPLER, DEFAULT, &[(SAMPLER, &part)]);
    }
    for name in ["jaeger_remote", "parentbased_jaeger_remote", "xray"] {
        let case = "Datadog test_stable_values, test_third_party_values";
        let part = format!("\"{name}\" is not supported by this crate");
        warns(case, &[(SAMPLER, name)], SAMPLER, DEFAULT, &[(SAMPLER, &part)]);
    }
}

#[test]
fn arguments() {
    for sampler in ["traceidratio", "parentbased_traceidratio"] {
        let sampler = (SAMPLER, sampler);
        for (text, expected) in [("0", "0"), ("0.1", "0.1"), ("0.25", "0.25"), ("1", "1")] {
            let case = "Datadog test_stable_values, Go traceidratio";
            is(case, &[sampler, (ARG, text)], ARG, expected);
        }
        // Go writes its arguments with %g
        is("Go traceidratio", &[sampler, (ARG, "5e-05")], ARG, "0.00005");
        is("Datadog test_default_matches_specification", &[sampler], ARG, "1");
        is("Datadog test_empty_is_treated_as_unset", &[sampler, (ARG, "")], ARG, "1");
        for bad in ["-0.1", "1.1", "not-a-number", "bar", "1.0.1", "invalid-ignored-string"] {
            let case = "Datadog test_*_range_is_ignored, Java invalidTraceIdRatio, invalidDouble, \
                        Go errNegativeTraceIDRatio, errGreaterThanOneTraceIDRatio";
            let part = format!("\"{bad}\" is not a number from 0 to 1; 1 is used");
            warns(case, &[sampler, (ARG, bad)], ARG, "1", &[(ARG, &part)]);
        }
    }
    // Go does not look at it, and so says nothing
    for sampler in ["always_on", "always_off", "parentbased_always_on", "parentbased_always_off"] {
        warns(
            "Go invalid sampler arg",
            &[(SAMPLER, sampler), (ARG, "invalid-ignored-string")],
            SAMPLER,
            sampler,
            &[(ARG, &format!("{sampler} takes no argument"))],
        );
    }
}
