//! The container (semantic conventions, "Container").

use super::Attributes;
use super::files::Files;

pub(super) fn container(files: &Files) -> Attributes {
    // version 1 of control groups has the id in the path; under version 2 the path is hidden by a
    // namespace, and what the container's engine mounts has it
    let id = files
        .text("proc/self/cgroup")
        .and_then(|text| text.lines().find_map(in_cgroup))
        .or_else(|| {
            let text = files.text("proc/self/mountinfo")?;
            text.lines().find_map(in_mount)
        });
    id.map(|id| ("container.id", id.into())).into_iter().collect()
}

/// `hierarchy:controllers:path`
fn in_cgroup(line: &str) -> Option<String> {
    let path = line.splitn(3, ':').nth(2)?;
    let last = path.trim_end_matches('/').rsplit('/').next()?;
    // a unit of systemd's, or a group in a group (`…/cri-containerd:<id>`)
    let last = last.strip_suffix(".scope").unwrap_or(last);
    let last = last.rsplit(':').next().unwrap_or(last);
    if is_task(last) {
        return Some(last.to_owned());
    }
    let last = last.rsplit('-').next().unwrap_or(last);
    is_id(last).then(|| last.to_owned())
}

/// The fourth field is what of the file system is mounted. A sandbox is a pod's and not a
/// container's.
fn in_mount(line: &str) -> Option<String> {
    let root = line.split(' ').nth(3)?;
    let mut segments = root.split('/').peekable();
    while let Some(segment) = segments.next() {
        let of_engine = ["containers", "overlay-containers"].contains(&segment);
        if let Some(id) = segments.peek().filter(|id| of_engine && is_id(id)) {
            return Some((*id).to_owned());
        }
    }
    None
}

fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Of ECS on Fargate: 32 hexadecimal digits, and a number.
fn is_task(text: &str) -> bool {
    text.split_once('-').is_some_and(|(task, number)| {
        let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        task.len() == 32 && task.bytes().all(|byte| byte.is_ascii_hexdigit()) && digits
    })
}
