//! The pod (semantic conventions, "Kubernetes"). The API server is not asked.

use super::Attributes;
use super::files::{Files, plain};
use crate::config::env::Env;

pub(super) fn kubernetes(files: &Files, env: &Env) -> Attributes {
    // names such as NODE_NAME mean other things elsewhere
    if env.text("KUBERNETES_SERVICE_HOST").is_none() && !files.exists(NAMESPACE) {
        return Attributes::new();
    }
    let held = |name: &str| env.text(name).and_then(plain);
    let first = |names: &[&str]| names.iter().find_map(|name| held(name));
    let found = [
        ("k8s.namespace.name", first(NAMESPACE_VARIABLES).or_else(|| files.line(NAMESPACE))),
        // the kubelet makes a pod's name its host's name
        ("k8s.pod.name", first(POD_NAME).or_else(|| held("HOSTNAME"))),
        ("k8s.pod.uid", first(POD_UID).or_else(|| pod_uid(files))),
        ("k8s.node.name", first(NODE_NAME)),
        ("k8s.container.name", first(CONTAINER_NAME)),
    ];
    found.into_iter().filter_map(|(key, value)| Some((key, value?.into()))).collect()
}

/// From the control group's path, or what the kubelet mounts.
fn pod_uid(files: &Files) -> Option<String> {
    let in_cgroup = files.text("proc/self/cgroup").and_then(|text| {
        let mut segments = text.lines().flat_map(|line| line.split('/'));
        segments.find_map(|segment| {
            let segment = segment.strip_suffix(".slice").unwrap_or(segment);
            let (before, uid) = segment.rsplit_once("pod")?;
            let of_kubelet = before.is_empty() || before.ends_with('-');
            uid_of(uid).filter(|_| of_kubelet)
        })
    });
    in_cgroup.or_else(|| {
        let text = files.text("proc/self/mountinfo")?;
        text.lines().find_map(|line| {
            let (_, rest) = line.split_once("/kubelet/pods/")?;
            uid_of(rest.split(['/', ' ']).next()?)
        })
    })
}

/// A UUID; units of systemd's have `_` for `-`.
fn uid_of(text: &str) -> Option<String> {
    let uid = text.replace('_', "-");
    let digits = uid.bytes().enumerate().all(|(at, byte)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    });
    (uid.len() == 36 && digits).then_some(uid)
}

const NAMESPACE: &str = "var/run/secrets/kubernetes.io/serviceaccount/namespace";
/// Names that manifests, and the OpenTelemetry operator, give to the downward API's fields.
const NAMESPACE_VARIABLES: &[&str] = &["K8S_NAMESPACE", "K8S_NAMESPACE_NAME", "POD_NAMESPACE"];
const POD_NAME: &[&str] = &["K8S_POD_NAME", "POD_NAME", "OTEL_RESOURCE_ATTRIBUTES_POD_NAME"];
const POD_UID: &[&str] = &["K8S_POD_UID", "POD_UID", "OTEL_RESOURCE_ATTRIBUTES_POD_UID"];
const NODE_NAME: &[&str] = &["K8S_NODE_NAME", "NODE_NAME", "OTEL_RESOURCE_ATTRIBUTES_NODE_NAME"];
const CONTAINER_NAME: &[&str] = &["K8S_CONTAINER_NAME", "CONTAINER_NAME"];
