//! `OTEL_RESOURCE_ATTRIBUTES` and `OTEL_SERVICE_NAME`.

use super::{Pairs, explained, is, says};

const LIST: &str = "OTEL_RESOURCE_ATTRIBUTES";
const NAME: &str = "OTEL_SERVICE_NAME";

#[track_caller]
fn attributes(case: &str, list: &str, expected: &[&str], wrong: Pairs<'_>) {
    let explanation = explained(&[(LIST, list)]);
    let of_list = explanation.settings().iter().filter(|s| s.setting == LIST);
    let found: Vec<_> = of_list.map(|s| s.value.as_str()).collect();
    assert_eq!(found, expected, "{case}: {explanation}");
    says(case, &explanation, wrong);
}

#[test]
fn lists() {
    // Java leaves out what has no value; by the specification it has an empty one
    attributes(
        "Java customConfigResourceWithDisabledKeys",
        "food=cheesecake,drink=juice,animal=  ,color=,shape=square,animal=d g",
        &["food=cheesecake", "drink=juice", "animal=d g", "color=", "shape=square"],
        &[],
    );
    attributes("Java createEnvironmentResource_EmptyResourceAttributes", "", &[], &[]);
    attributes("Go TestEmpty", "   ", &[], &[]);
    attributes(
        "Java uncleanMap",
        "  a=1  ,b=2,c = 3  ,  d=  4,,  ,",
        &["a=1", "b=2", "c=3", "d=4"],
        &[],
    );
    attributes("Java invalidMap", "a=1,b=", &["a=1", "b="], &[]);
    attributes("Java invalidMap", "a=1,b", &[], &[(LIST, "\"b\" is not key=value")]);
    attributes("Java invalidMap", "a=1,=b", &[], &[(LIST, "\"=b\" has no key")]);
    attributes("Go TestDetectOnePair", "key=value", &["key=value"], &[]);
    attributes("Go TestDetectURIEncodingOnePair", "key=x+y+z?q=123", &["key=x+y+z?q=123"], &[]);
    attributes(
        "Go TestDetectMultiPairs",
        "key=value, k = v , a= x, a=z, b=c%2Fd",
        &["key=value", "k=v", "a=z", "b=c/d"],
        &[],
    );
    attributes(
        "Go TestDetectURIEncodingMultiPairs",
        "key=x+y+z,namespace=localhost/test&verify",
        &["key=x+y+z", "namespace=localhost/test&verify"],
        &[],
    );
    // Go keeps what is right in it, and the raw text of what it cannot decode
    attributes(
        "Go TestMissingKeyError",
        "key=value,key",
        &[],
        &[(LIST, "\"key\" is not key=value; the whole variable is ignored")],
    );
    attributes(
        "Go TestInvalidPercentDecoding",
        "key=%invalid",
        &[],
        &[(LIST, "\"%invalid\" is not percent-encoded UTF-8; the whole variable is ignored")],
    );
    attributes(
        "Datadog test_percent_encoded_separators",
        "resource.test=comma%2Cequals%3Dvalue",
        &["resource.test=comma,equals=value"],
        &[],
    );
    attributes(
        "Datadog test_invalid_value_is_discarded",
        "resource.test=discarded,invalid",
        &[],
        &[(LIST, "\"invalid\" is not key=value; the whole variable is ignored")],
    );
    attributes(
        "Datadog test_stable_values",
        "resource.test=first,resource.extra=second",
        &["resource.test=first", "resource.extra=second"],
        &[],
    );
}

#[test]
fn names() {
    for name in ["checkout-service", "checkout.worker/v2"] {
        is("Datadog test_stable_values", &[(NAME, name)], NAME, name);
    }
    let list = (LIST, "service.name=myService,appName=MyApp");
    is("Java createEnvironmentResource_WithResourceAttributes", &[list], NAME, "myService");
    is("Java createEnvironmentResource_WithServiceName", &[(NAME, "a")], NAME, "a");
    let case = "Java createEnvironmentResource_ServiceNamePriority";
    is(case, &[list, (NAME, "ReallyMyService")], NAME, "ReallyMyService");
    is("Datadog test_empty_is_treated_as_unset", &[list, (NAME, "")], NAME, "myService");
    is(
        "Datadog test_reserved_attributes_are_mapped",
        &[(LIST, "deployment.environment=test1,service.name=test2,service.version=5,foo=bar1")],
        NAME,
        "test2",
    );
}
