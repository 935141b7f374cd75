//! Standard Webhooks (standardwebhooks.com): three headers by which the agent knows that a question comes from this host and is new.

use base64::Engine;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use plugin_api::{Error, Result, Secret};
use sha2::Sha256;
use std::time::SystemTime;

/// Secrets are copied from all kinds of pages, with padding and without.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &ALPHABET,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Signs with one secret.
#[derive(Clone)]
pub(crate) struct Signer(Hmac<Sha256>);

impl Signer {
    pub(crate) fn new(secret: &Secret) -> Result<Self> {
        let key = match secret.expose().strip_prefix("whsec_") {
            Some(encoded) => LENIENT.decode(encoded).map_err(|_| {
                Error::new("secret: what stands behind `whsec_` is not base64; copy it whole, or use a secret without that prefix")
            })?,
            None => secret.expose().as_bytes().to_vec(),
        };
        if key.is_empty() {
            return Err(Error::new("secret: nothing stands behind `whsec_`"));
        }
        Ok(Self(Hmac::new_from_slice(&key)?))
    }

    /// Names and values for a body sent now under `id`.
    pub(crate) fn headers(&self, id: &str, body: &[u8]) -> [(&'static str, String); 3] {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let signature = self.sign(id, now, body);
        [("webhook-id", id.into()), ("webhook-timestamp", now.to_string()), ("webhook-signature", signature)]
    }

    fn sign(&self, id: &str, timestamp: u64, body: &[u8]) -> String {
        let mut mac = self.0.clone();
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer(secret: &str) -> Result<Signer> {
        Signer::new(&Secret::new(secret))
    }

    #[test]
    fn signature_equals_the_example_of_standard_webhooks() {
        // From the test vectors of the reference libraries.
        let signer = signer("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed = signer.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn secret_may_lack_padding_but_not_sense() {
        let sign = |secret: &str| signer(secret).unwrap().sign("1", 2, b"x");
        assert_eq!(sign("whsec_YWI="), sign("whsec_YWI"));
        assert_eq!(sign("whsec_YWI="), sign("ab"));
        for wrong in ["whsec_%%", "whsec_"] {
            let error = signer(wrong).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.starts_with("secret: "), "{wrong}: {error}");
        }
    }
}
