//! Files of others', whatever is in them: nothing, or something well-formed; and what is right in
//! the middle of noise is found.

use std::fs;

use proptest::collection::vec;
use proptest::prelude::*;

use super::tests::{Root, env};
use super::*;

const ID: &str = "8afe480d66074930353da456a1344caca810fe31c1e31f3e08a2a9f6d5e1e2e5";
const UID: &str = "2d3da189-2dc4-4b2f-a3c3-9ea9d0f5b3a0";
const NAMESPACE: &str = "var/run/secrets/kubernetes.io/serviceaccount/namespace";

const FILES: [&str; 7] = [
    "proc/self/cgroup",
    "proc/self/mountinfo",
    "proc/sys/kernel/hostname",
    "etc/machine-id",
    "etc/os-release",
    "usr/lib/os-release",
    NAMESPACE,
];

/// What matters to the parsers, more often than chance would have it, and any bytes.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(
        &[
            "\n",
            "\r\n",
            ":",
            "::",
            "/",
            " ",
            "=",
            "\"",
            "'",
            "\\",
            "-",
            "_",
            ".scope",
            ".slice",
            "docker-",
            "0::/",
            "1 2 0:1 /",
            "containers/",
            "overlay-containers/",
            "pod",
            "/kubelet/pods/",
            "NAME=",
            "VERSION_ID=",
            "PRETTY_NAME=",
            "\u{1b}[31m",
            "\u{7f}",
            "\u{85}",
            "\0",
            "é",
            ID,
            UID,
            "0123456789abcdef0123456789abcdef",
            "uninitialized",
            "10f60a0ee1a94b3e9d0ef2a9b3a6f0c1-1234567890",
        ][..],
    );
    let piece = prop_oneof![
        6 => known.prop_map(|text| text.as_bytes().to_vec()),
        2 => "[0-9a-fA-F]{1,70}".prop_map(String::into_bytes),
        2 => vec(any::<u8>(), 0..12),
        1 => (any::<u8>(), 200_usize..2000).prop_map(|(byte, n)| vec![byte; n]),
    ];
    vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// A line in which nothing is to be found: none of its letters is a hexadecimal digit, and no key
/// of a release is in it.
fn noise() -> impl Strategy<Value = String> {
    vec("[g-oq-z:/=. ]{0,40}", 0..6).prop_map(|lines| lines.join("\n"))
}

/// Everything that is detected from these files.
fn detected(
    files: &[(&str, &[u8])],
    pairs: &'static [(&str, &str)],
) -> Vec<(&'static str, String)> {
    let root = Root::with(&[]);
    for (path, bytes) in files {
        let path = root.0.join(path);
        fs::create_dir_all(path.parent().expect("it is below the root")).expect("writable");
        fs::write(path, bytes).expect("writable");
    }
    let (files, env) = (Files::below(root.0.clone()), env(pairs));
    let kinds = [
        ResourceDetectorKind::Host,
        ResourceDetectorKind::Os,
        ResourceDetectorKind::Container,
        ResourceDetectorKind::Kubernetes,
    ];
    let found = kinds.into_iter().flat_map(|kind| kind.attributes(&files, &env));
    found
        .map(|(key, value)| match value {
            AttributeValue::String(text) => (key, text),
            other => panic!("{key} is {other:?}"),
        })
        .collect()
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_well_formed(key: &str, value: &str) -> bool {
    let is_plain = !value.is_empty() && value.len() <= 1024 && !value.chars().any(char::is_control);
    is_plain
        && match key {
            "container.id" => {
                let task = value.split_once('-').is_some_and(|(task, n)| {
                    is_hex(task, 32) && !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit())
                });
                is_hex(value, 64) || task
            }
            "k8s.pod.uid" => {
                let parts: Vec<_> = value.split('-').collect();
                parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12])
                    && parts.iter().all(|part| is_hex(part, part.len()))
            }
            "host.id" => is_hex(value, 32),
            _ => true,
        }
}

proptest! {
    // each writes files
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_is_in_a_file_is_nothing_or_well_formed(
        contents in vec(bytes(), FILES.len()),
        missing in vec(any::<bool>(), FILES.len()),
    ) {
        let files = FILES.iter().zip(&contents).zip(missing);
        let files: Vec<_> = files
            .filter(|(_, missing)| !missing)
            .map(|((path, bytes), _)| (*path, bytes.as_slice()))
            .collect();
        for (key, value) in detected(&files, &[("KUBERNETES_SERVICE_HOST", "10.0.0.1")]) {
            prop_assert!(is_well_formed(key, &value), "{} is {:?}", key, value);
        }
    }

    #[test]
    fn what_is_right_is_found_in_the_middle_of_noise(
        before in noise(),
        after in noise(),
        cgroup in prop::sample::select(vec![
            format!("12:pids:/docker/{ID}"),
            format!("1:name=systemd:/system.slice/docker-{ID}.scope"),
            format!("0::/kubepods.slice/kubepods-pod{UID}.slice/cri-containerd-{ID}.scope"),
        ]),
        mount in prop::sample::select(vec![
            format!("631 621 254:1 /var/lib/docker/containers/{ID}/hostname /etc/hostname rw"),
            format!("1 2 0:1 /storage/overlay-containers/{ID}/userdata/hostname /etc/hostname rw"),
        ]),
        is_mounted in any::<bool>(),
    ) {
        let amid = |text: &str| format!("{before}\n{text}\n{after}").into_bytes();
        let (cgroup, mount) = if is_mounted { ("0::/", &*mount) } else { (&*cgroup, "") };
        let pod = format!("1 2 8:1 /var/lib/kubelet/pods/{UID}/etc-hosts /etc/hosts rw");
        let (cgroup, mount) = (amid(cgroup), amid(&format!("{mount}\n{pod}")));
        let release = amid("NAME='Debian GNU/Linux'\nVERSION_ID=\"12\"");
        let files = [
            ("proc/self/cgroup", &*cgroup),
            ("proc/self/mountinfo", &mount),
            ("etc/os-release", &release),
            ("etc/machine-id", b"0123456789abcdef0123456789abcdef\n"),
            (NAMESPACE, b"shop"),
        ];
        let found = detected(&files, &[]);
        for (key, expected) in [
            ("container.id", ID),
            ("k8s.pod.uid", UID),
            ("k8s.namespace.name", "shop"),
            ("os.name", "Debian GNU/Linux"),
            ("os.version", "12"),
            ("host.id", "0123456789abcdef0123456789abcdef"),
        ] {
            let value = found.iter().find(|(k, _)| *k == key).map(|(_, value)| value.as_str());
            prop_assert_eq!(value, Some(expected), "{}", key);
        }
    }

    /// They come from manifests, which anybody may have written.
    #[test]
    fn variables_of_the_downward_api_are_nothing_or_well_formed(
        piece in "[ -~]{0,9}|.{0,9}|\\PC{0,9}",
        times in prop::sample::select(vec![1, 1, 1, 500]),
    ) {
        let text = piece.repeat(times);
        let env = Env::new(move |name| match name {
            "KUBERNETES_SERVICE_HOST" => Some("10.0.0.1".into()),
            _ => Some(text.clone().into()),
        });
        let root = Root::with(&[]);
        let files = Files::below(root.0.clone());
        for kind in [ResourceDetectorKind::Host, ResourceDetectorKind::Kubernetes] {
            for (key, value) in kind.attributes(&files, &env) {
                let AttributeValue::String(value) = value else { panic!("{key} is {value:?}") };
                let is_plain = !value.is_empty() && !value.chars().any(char::is_control);
                prop_assert!(is_plain && value.len() <= 1024, "{} is {:?}", key, value);
            }
        }
    }
}

#[test]
fn a_value_of_nothing_but_backslashes_was_an_empty_attribute() {
    let found = detected(&[("etc/os-release", b"NAME=\\\\\nVERSION_ID=\"\\\"\n")], &[]);
    assert!(found.iter().all(|(key, _)| !["os.name", "os.version"].contains(key)), "{found:?}");
}

#[test]
fn control_characters_and_endless_lines_were_taken_as_they_are() {
    let endless = vec![b'x'; 1 << 20];
    let files: &[(&str, &[u8])] = &[
        ("proc/sys/kernel/hostname", b"box\x1b[31m\n"),
        ("etc/os-release", b"NAME=\"a\x07b\"\n"),
        (NAMESPACE, &endless),
    ];
    let found = detected(files, &[("POD_NAME", "a\u{1b}b"), ("NODE_NAME", "node")]);
    let keys: Vec<_> = found.iter().map(|(key, _)| *key).collect();
    assert_eq!(keys, ["host.arch", "os.type", "k8s.node.name"], "{found:?}");
}
