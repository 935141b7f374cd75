//! The configuration of a running host: read by everybody at any time, replaced as a whole.

use super::{Config, Loaded};
use arc_swap::ArcSwap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// See the module's text.
#[derive(Debug)]
pub struct Live {
    current: ArcSwap<Config>,
    origin: Option<PathBuf>,
}

impl Live {
    pub fn new(loaded: Loaded) -> Self {
        Self { current: ArcSwap::from_pointee(loaded.config), origin: loaded.origin }
    }

    /// What counts now. Who asks twice may be told two.
    pub fn now(&self) -> Arc<Config> {
        self.current.load_full()
    }

    /// From here on this one counts.
    pub fn replace(&self, config: Config) {
        self.current.store(Arc::new(config));
    }

    /// The file that it was read from; None: the defaults hold, without one.
    pub fn origin(&self) -> Option<&Path> {
        self.origin.as_deref()
    }
}
