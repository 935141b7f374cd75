//! The configuration of a running host: read by everybody at any time, replaced as a whole.

use super::{Config, Loaded};
use arc_swap::{ArcSwap, ArcSwapOption};
use std::path::PathBuf;
use std::sync::Arc;

/// See the module's text.
#[derive(Debug)]
pub struct Live {
    current: ArcSwap<Config>,
    origin: ArcSwapOption<PathBuf>,
}

impl Live {
    pub fn new(loaded: Loaded) -> Self {
        let origin = ArcSwapOption::new(loaded.origin.map(Arc::new));
        Self { current: ArcSwap::from_pointee(loaded.config), origin }
    }

    /// What counts now. Who asks twice may be told two.
    pub fn now(&self) -> Arc<Config> {
        self.current.load_full()
    }

    /// From here on this one counts.
    pub fn replace(&self, loaded: Loaded) {
        self.current.store(Arc::new(loaded.config));
        self.origin.store(loaded.origin.map(Arc::new));
    }

    /// The file that it was read from; None: the defaults hold, without one.
    pub fn origin(&self) -> Option<PathBuf> {
        self.origin.load().as_deref().cloned()
    }
}
