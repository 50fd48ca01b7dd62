//! Resource detectors: what a process can know of itself and its surroundings without asking the
//! network.
//!
//! They read files and variables that others have put there, on a thread of their own and within a
//! budget: a file system that hangs costs its attributes, never the start of the program. What the
//! root of the file system is, is told, so that tests bring their own.

mod container;
mod files;
mod host;
mod kubernetes;
mod process;

use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use self::files::Files;
use super::AttributeValue;
use super::choice::{Choice, choices};
use super::env::Env;
use super::findings::Findings;
use super::parse::Problems;
use super::variables::RESOURCE_DETECTORS;

/// Something that detects attributes of the resource, for
/// [`Setup::with_resource_detectors`](crate::Setup::with_resource_detectors).
///
/// None of them asks the network, fails the setup, or delays it by more than 200 ms in all. What
/// they read, others have written: a name with a control character in it, or longer than 1024 bytes,
/// is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResourceDetectorKind {
    /// `service.instance.id`, `service`: a random UUID, new with each start.
    Service,
    /// `host.name`, `host.arch` and, on Linux, `host.id`, `host`.
    Host,
    /// `os.type` and, on Linux, `os.name`, `os.version` and `os.description`, `os`.
    Os,
    /// `process.pid`, `process.parent_pid`, `process.executable.name` and
    /// `process.executable.path`, `process`. Arguments are left out, since they may be secret.
    Process,
    /// `container.id`, `container`: from the control groups (versions 1 and 2) of Docker, Podman,
    /// containerd, CRI-O and ECS. Outside of a container it finds nothing.
    Container,
    /// `k8s.pod.name`, `k8s.pod.uid`, `k8s.namespace.name`, `k8s.node.name` and
    /// `k8s.container.name`, `k8s`: from the variables that the downward API is told to set
    /// (`K8S_POD_NAME`, `POD_NAME` and the like), the service account's namespace file, and the
    /// control groups. Outside of a cluster it finds nothing.
    Kubernetes,
}

/// What was found, and by whom.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Detected {
    pub(super) key: &'static str,
    pub(super) value: AttributeValue,
    pub(super) detector: &'static str,
}

type Attributes = Vec<(&'static str, AttributeValue)>;

impl ResourceDetectorKind {
    /// Those that are silent where there is nothing to say: a console on somebody's own machine
    /// gets no noise, and no host's name leaves a machine unasked.
    pub(super) const DEFAULT: &[Self] = &[Self::Container, Self::Kubernetes];

    fn attributes(self, files: &Files, env: &Env) -> Attributes {
        match self {
            Self::Service => process::instance(),
            Self::Host => host::host(files, env),
            Self::Os => host::os(files),
            Self::Process => process::process(),
            Self::Container => container::container(files),
            Self::Kubernetes => kubernetes::kubernetes(files, env),
        }
    }
}

/// Asks them one after the other, and takes what has come when the budget is spent.
pub(super) fn detect(
    kinds: &[ResourceDetectorKind],
    env: &Env,
    root: &Path,
    budget: Duration,
    findings: &mut Findings,
) -> Vec<Detected> {
    if kinds.is_empty() {
        return Vec::new();
    }
    let (sender, answers) = mpsc::channel();
    let deadline = Instant::now() + budget;
    let asked = Asked { kinds: kinds.to_vec(), env: env.clone(), root: root.to_owned() };
    let spawned = thread::Builder::new().name("otel-setup detect".to_owned()).spawn(move || {
        let files = Files::below(asked.root);
        for kind in asked.kinds {
            // nobody waits any more: the rest is not needed
            if sender.send((kind, kind.attributes(&files, &asked.env))).is_err() {
                return;
            }
        }
    });
    let row = &RESOURCE_DETECTORS.row;
    if let Err(error) = spawned {
        findings.told(row.name, format!("no thread for them: {error}; nothing is detected"));
        return Vec::new();
    }
    let mut detected = Vec::new();
    for kind in kinds {
        match answers.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok((kind, attributes)) => {
                let detector = kind.name();
                detected.extend(attributes.into_iter().map(|(key, value)| Detected {
                    key,
                    value,
                    detector,
                }));
            }
            Err(cause) => {
                let cause = match cause {
                    RecvTimeoutError::Timeout => format!("did not answer within {budget:?}"),
                    RecvTimeoutError::Disconnected => "panicked".to_owned(),
                };
                let name = kind.name();
                findings.told(row.name, format!("{name} {cause}; what it detects is missing"));
                break;
            }
        }
    }
    detected
}

struct Asked {
    kinds: Vec<ResourceDetectorKind>,
    env: Env,
    root: PathBuf,
}

/// A list of them, `all` or `none`.
pub(super) fn parse(text: &str, problems: &mut Problems) -> Option<Vec<ResourceDetectorKind>> {
    if text.eq_ignore_ascii_case("all") {
        return Some(ResourceDetectorKind::ALL.to_vec());
    }
    choices(text, problems)
}

impl Choice for ResourceDetectorKind {
    const ALL: &[Self] =
        &[Self::Service, Self::Host, Self::Os, Self::Process, Self::Container, Self::Kubernetes];

    fn name(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Host => "host",
            Self::Os => "os",
            Self::Process => "process",
            Self::Container => "container",
            Self::Kubernetes => "k8s",
        }
    }
}

/// In all. Files of the kernel's answer in microseconds.
pub(super) const BUDGET: Duration = Duration::from_millis(200);

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
