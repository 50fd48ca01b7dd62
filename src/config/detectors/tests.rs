use std::ffi::OsString;
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// A file system of its own, gone with the test.
pub(super) struct Root(pub(super) PathBuf);

impl Root {
    pub(super) fn with(files: &[(&str, &str)]) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("otel-setup-detect-{}-{number}", std::process::id());
        let root = Self(std::env::temp_dir().join(name));
        fs::create_dir_all(&root.0).expect("the temporary directory is writable");
        for (path, text) in files {
            let path = root.0.join(path);
            fs::create_dir_all(path.parent().expect("it is below the root")).expect("writable");
            fs::write(path, text).expect("writable");
        }
        root
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub(super) fn env(pairs: &'static [(&str, &str)]) -> Env {
    Env::new(move |name| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| OsString::from(v)))
}

fn detects(
    kind: ResourceDetectorKind,
    pairs: &'static [(&str, &str)],
    files: &[(&str, &str)],
) -> Vec<String> {
    let root = Root::with(files);
    let mut findings = Findings::default();
    let found = detect(&[kind], &env(pairs), &root.0, Duration::from_secs(60), &mut findings);
    assert_eq!(findings.warnings(false).count(), 0);
    assert!(found.iter().all(|found| found.detector == kind.name()));
    let shown = found.iter().map(|found| match &found.value {
        AttributeValue::String(text) => format!("{}={text}", found.key),
        other => format!("{}={other:?}", found.key),
    });
    shown.collect()
}

#[track_caller]
fn container_is(cgroup: &str, mountinfo: &str, expected: &[&str]) {
    let files = [("proc/self/cgroup", cgroup), ("proc/self/mountinfo", mountinfo)];
    let found = detects(ResourceDetectorKind::Container, &[], &files);
    assert_eq!(found, expected, "{cgroup} {mountinfo}");
}

const ID: &str = "8afe480d66074930353da456a1344caca810fe31c1e31f3e08a2a9f6d5e1e2e5";
const FOUND: &str = "container.id=8afe480d66074930353da456a1344caca810fe31c1e31f3e08a2a9f6d5e1e2e5";

#[test]
fn containers_by_the_first_version_of_control_groups() {
    for path in [
        format!("12:pids:/docker/{ID}"),
        format!("1:name=systemd:/system.slice/docker-{ID}.scope"),
        format!("4:cpu:/kubepods/besteffort/pod2d3da189-2dc4-4b2f-a3c3-9ea9d0f5b3a0/{ID}"),
        format!("0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-{ID}.scope"),
        format!("2:memory:/machine.slice/libpod-{ID}.scope"),
        format!(
            "2:memory:/system.slice/containerd.service/kubepods-pod1.slice:cri-containerd:{ID}"
        ),
        format!("9:devices:/kubepods/crio-{ID}"),
    ] {
        container_is(&format!("13:misc:/\n{path}\n"), "", &[FOUND]);
    }
    let task = "10f60a0ee1a94b3e9d0ef2a9b3a6f0c1-1234567890";
    let found = format!("container.id={task}");
    container_is(&format!("1:cpu:/ecs/10f60a0ee1a94b3e9d0ef2a9b3a6f0c1/{task}"), "", &[&found]);
    for nothing in ["", "0::/", "0::/user.slice/user-1000.slice/session-3.scope", "rubbish", "::"] {
        container_is(nothing, "", &[]);
    }
    container_is(&format!("0::/docker/{}", &ID[1..]), "", &[]);
}

#[test]
fn containers_by_the_second_version_of_control_groups() {
    let docker = format!(
        "631 621 254:1 /var/lib/docker/containers/{ID}/hostname /etc/hostname rw - ext4 /dev/vda1 rw"
    );
    container_is("0::/", &docker, &[FOUND]);
    let podman = format!(
        "1 2 0:1 /containers/storage/overlay-containers/{ID}/userdata/hostname /etc/hostname rw"
    );
    container_is("0::/", &podman, &[FOUND]);
    // a pod's sandbox is not the container
    let sandbox = format!(
        "1 2 8:1 /var/lib/containerd/io.containerd.grpc.v1.cri/sandboxes/{ID}/hostname /etc/hostname rw"
    );
    container_is("0::/", &sandbox, &[]);
    container_is("0::/", "1 2 3\n\n", &[]);
}

#[test]
fn pods_by_the_downward_api_and_the_namespace_file() {
    let pod = ResourceDetectorKind::Kubernetes;
    let namespace = ("var/run/secrets/kubernetes.io/serviceaccount/namespace", "shop\n");
    assert_eq!(detects(pod, &[("NODE_NAME", "jenkins"), ("POD_NAME", "x")], &[]), [""; 0]);
    assert_eq!(
        detects(pod, &[("HOSTNAME", "cart-1")], &[namespace]),
        ["k8s.namespace.name=shop", "k8s.pod.name=cart-1"]
    );
    assert_eq!(
        detects(
            pod,
            &[
                ("KUBERNETES_SERVICE_HOST", "10.0.0.1"),
                ("POD_NAMESPACE", "other"),
                ("K8S_POD_NAME", "cart-2"),
                ("POD_NAME", "less"),
                ("POD_UID", "uid"),
                ("NODE_NAME", "node"),
                ("K8S_CONTAINER_NAME", "cart"),
                ("HOSTNAME", "host"),
            ],
            &[namespace],
        ),
        [
            "k8s.namespace.name=other",
            "k8s.pod.name=cart-2",
            "k8s.pod.uid=uid",
            "k8s.node.name=node",
            "k8s.container.name=cart",
        ]
    );
}

#[test]
fn pods_by_what_the_kubelet_has_made() {
    let uid = "k8s.pod.uid=2d3da189-2dc4-4b2f-a3c3-9ea9d0f5b3a0";
    for (path, text) in [
        ("proc/self/cgroup", "1:cpu:/kubepods/burstable/pod2d3da189-2dc4-4b2f-a3c3-9ea9d0f5b3a0/x"),
        (
            "proc/self/cgroup",
            "0::/kubepods.slice/kubepods-pod2d3da189_2dc4_4b2f_a3c3_9ea9d0f5b3a0.slice/y.scope",
        ),
        (
            "proc/self/mountinfo",
            "1 2 8:1 /var/lib/kubelet/pods/2d3da189-2dc4-4b2f-a3c3-9ea9d0f5b3a0/etc-hosts /etc/hosts rw",
        ),
    ] {
        let found = detects(
            ResourceDetectorKind::Kubernetes,
            &[("KUBERNETES_SERVICE_HOST", "10.0.0.1")],
            &[(path, text)],
        );
        assert_eq!(found, [uid], "{text}");
    }
}

#[test]
fn hosts_and_systems_from_their_files() {
    let found = detects(
        ResourceDetectorKind::Host,
        &[],
        &[
            ("proc/sys/kernel/hostname", "box\n"),
            ("etc/machine-id", "0123456789abcdef0123456789abcdef\n"),
        ],
    );
    assert!(found.contains(&"host.name=box".to_owned()), "{found:?}");
    assert!(found.contains(&"host.id=0123456789abcdef0123456789abcdef".to_owned()), "{found:?}");
    assert!(found.iter().any(|found| found.starts_with("host.arch=")), "{found:?}");
    let first_boot = [("etc/machine-id", "uninitialized\n")];
    let found = detects(ResourceDetectorKind::Host, &[], &first_boot);
    assert!(!found.iter().any(|found| found.starts_with("host.id")), "{found:?}");

    let release = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME='Debian GNU/Linux'\n\
                   VERSION_ID=12\nNAME_OF_NOTHING=x\n";
    let found = detects(ResourceDetectorKind::Os, &[], &[("etc/os-release", release)]);
    assert_eq!(
        found[1..],
        [
            "os.name=Debian GNU/Linux",
            "os.version=12",
            "os.description=Debian GNU/Linux 12 (bookworm)",
        ]
    );
    assert_eq!(detects(ResourceDetectorKind::Os, &[], &[]).len(), 1);
}

#[test]
fn processes_and_instances() {
    let found = detects(ResourceDetectorKind::Process, &[], &[]);
    assert_eq!(found[0], format!("process.pid=Int({})", std::process::id()));
    let [first, second] = [0, 1].map(|_| detects(ResourceDetectorKind::Service, &[], &[]).concat());
    assert_ne!(first, second, "each start is an instance of its own");
    let uuid = first.strip_prefix("service.instance.id=").expect("that is what it detects");
    assert_eq!(uuid.len(), 36);
    assert_eq!(&uuid[14..15], "4", "{uuid}");
    assert!(["8", "9", "a", "b"].contains(&&uuid[19..20]), "{uuid}");
}

/// Opening a pipe that nobody writes to waits for ever.
#[cfg(unix)]
#[test]
fn a_file_system_that_hangs_costs_its_attributes_and_not_the_start() {
    let root = Root::with(&[("proc/self/cgroup", "0::/")]);
    let pipe = root.0.join("proc/self/mountinfo");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("mkfifo can be run").success());
    let kinds = [
        ResourceDetectorKind::Process,
        ResourceDetectorKind::Container,
        ResourceDetectorKind::Host,
    ];
    let mut findings = Findings::default();
    let budget = Duration::from_secs(1);
    let found = detect(&kinds, &env(&[]), &root.0, budget, &mut findings);
    assert!(found.iter().all(|found| found.detector == "process"), "{found:?}");
    assert!(!found.is_empty());
    let said: Vec<_> = findings.warnings(false).collect();
    let expected = "OTEL_RUST_RESOURCE_DETECTORS: container did not answer within 1s; what it \
                    detects is missing";
    assert_eq!(said, [expected]);
    assert!(findings.error(true).is_none(), "no fault of the settings");
    // lets the thread go
    drop(fs::OpenOptions::new().write(true).open(&pipe));
}
