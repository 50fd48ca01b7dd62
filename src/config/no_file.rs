//! Without the feature `config-file` there is no configuration file.

use std::path::Path;
use std::time::Duration;

use super::resolver::Resolver;
use super::{Env, ExporterKind, SamplerConfig, Settings};

#[derive(Debug, Default)]
pub(crate) struct ConfigFile;

#[expect(clippy::unused_self, reason = "the face of the real one")]
impl ConfigFile {
    pub(crate) fn load(_: Option<&Path>, _: &Env, _: bool) -> Self {
        Self
    }

    pub(crate) fn settings(&self) -> Option<&Settings> {
        None
    }

    pub(crate) fn records_nothing(&self) -> bool {
        false
    }

    pub(crate) fn tell(&self, _: &mut Resolver<'_>) {}

    pub(crate) fn sampler(&self) -> Option<SamplerConfig> {
        None
    }

    pub(crate) fn exporters(&self) -> Option<Vec<(ExporterKind, Option<Duration>)>> {
        None
    }
}
