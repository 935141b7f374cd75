//! The trait that a plugin implements.

use crate::{Host, Job, Limits, Outcome, Request, Response, Result};
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

/// A plugin. One value of it is one instance in the host's config; several may live in one process, each on a runtime of its own.
///
/// Panics are caught at every entry: in `new` or a supervised task the instance fails and is restarted, in `handle` the one job fails
/// its attempt.
#[async_trait]
pub trait Plugin: Send + Sync + Sized + 'static {
    /// The table `[plugins.<instance>.settings]`. Say `#[serde(deny_unknown_fields)]`, so that a typing mistake is told.
    type Settings: DeserializeOwned + JsonSchema;

    /// Checks the settings as far as no I/O is needed. What the schema says is already checked.
    fn new(settings: Self::Settings, host: Host) -> Result<Self>;

    /// Asked once, after `new`.
    fn limits(&self) -> Limits {
        Limits::default()
    }

    /// Gets ready, within the host's `start_seconds`; long-running tasks are given to [`Host::spawn`] here.
    async fn start(&self) -> Result<()> {
        Ok(())
    }

    /// Does one job. The future is dropped when the job's time is over or the instance stops.
    async fn handle(&self, job: Job) -> Outcome {
        let _ = job;
        Outcome::discard("this plugin takes no jobs")
    }

    /// Answers a request under `/plugins/<instance>/`.
    async fn http(&self, request: Request) -> Response {
        let _ = request;
        Response::json(404, &serde_json::json!({ "error": "this plugin serves no requests" }))
    }

    /// Puts away what needs it. [`Host::stopping`] has already resolved; running jobs are cancelled afterwards and come back later.
    async fn stop(&self) {}
}

/// Exports the plugin: its manifest in a section that the host reads without running code, its entry symbol, and a unit test that keeps
/// the manifest in step with the types.
///
/// The crate is a `cdylib`, and the manifest lies beside its `Cargo.toml`:
///
/// ```ignore
/// export_plugin!(WebChat);                              // plugin.json
/// export_plugin!(WebChat, manifest = "web_chat.json");
/// ```
#[macro_export]
macro_rules! export_plugin {
    ($plugin:ty) => {
        $crate::export_plugin!($plugin, manifest = "plugin.json");
    };
    ($plugin:ty, manifest = $file:literal) => {
        #[cfg(panic = "abort")]
        compile_error!(
            "an Arcuate plugin must unwind: a panic would end the host. Remove `panic = \"abort\"` from the profile."
        );

        #[doc(hidden)]
        #[allow(unsafe_code)]
        const _: () = {
            const JSON: &[u8] = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/", $file));

            // Exported and `used`: a plain `pub static` does not survive strip and link-time optimisation.
            #[used]
            #[unsafe(no_mangle)]
            #[unsafe(link_section = ".arcuate.manifest")]
            pub static ARCUATE_PLUGIN_MANIFEST: $crate::raw::ManifestStatic<{ JSON.len() }> =
                $crate::raw::ManifestStatic::new(include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/", $file)));

            #[unsafe(no_mangle)]
            pub extern "C" fn arcuate_plugin_entry() -> *const $crate::raw::PluginTable {
                $crate::raw::table::<$plugin>()
            }
        };

        #[cfg(test)]
        mod arcuate_manifest {
            use super::*;

            #[test]
            fn manifest_is_what_the_crate_says() {
                $crate::Manifest::check::<$plugin>(
                    ::std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/", $file)),
                    env!("CARGO_CRATE_NAME"),
                    env!("CARGO_PKG_VERSION"),
                    env!("CARGO_PKG_DESCRIPTION"),
                );
            }
        }
    };
}
