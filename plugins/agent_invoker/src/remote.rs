//! An agent that gets each question in one request with everything that it needs: the backends `http` and `openai`.

use crate::conversation::Question;
use crate::dialect::{self, Dialect};
use crate::failure::Failure;
use crate::settings::{Kind, Settings};
use crate::signature::Signer;
use crate::wire::{self, Wire};
use plugin_api::{Host, Job, Result};
use reqwest::{Method, RequestBuilder, Url};
use std::time::Duration;
use tokio::time::timeout;

/// An agent behind HTTP.
pub(crate) struct Remote {
    wire: Wire,
    address: Url,
    dialect: Box<dyn Dialect>,
    signer: Option<Signer>,
    timeout: Duration,
}

impl Remote {
    pub(crate) fn new(settings: &Settings, host: Host) -> Result<Self> {
        let (dialect, address) = dialect::of(settings, dialect::root(settings)?);
        let signed = settings.backend == Kind::Http && !settings.secret.is_empty();
        Ok(Self {
            wire: Wire::new(settings, &address, dialect.address_settings(), host)?,
            signer: if signed { Some(Signer::new(&settings.secret)?) } else { None },
            timeout: settings.timeout()?,
            address,
            dialect,
        })
    }

    /// The answer, whole; while it grows it is shown in the room.
    pub(crate) async fn ask(&self, job: &Job, question: &Question<'_>) -> Result<String, Failure> {
        let request = self.request(question)?;
        let asked = self.wire.ask(request, &*self.dialect, self.dialect.is_stream(), job);
        let answered = timeout(self.timeout, asked).await.unwrap_or_else(|_| Err(wire::too_long(self.timeout)));
        answered.map_err(|failure| self.wire.masked(failure))
    }

    fn request(&self, question: &Question<'_>) -> Result<RequestBuilder, Failure> {
        let body = self.dialect.body(question).map_err(|error| Failure::Rejected {
            why: format!("the question cannot be written: {error}"),
            status: None,
        })?;
        let mut request = self.wire.request(Method::POST, self.address.clone(), question.job_id);
        if let Some(signer) = &self.signer {
            for (name, value) in signer.headers(question.job_id, &body) {
                request = request.header(name, value);
            }
        }
        Ok(request.body(body))
    }
}
