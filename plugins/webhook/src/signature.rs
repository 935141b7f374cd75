//! How a receiver knows that a delivery comes from this host: the chat API's own signature over the body, and that of Standard Webhooks
//! (standardwebhooks.com) over id, time and body, which also tells old deliveries from new ones.

use base64::Engine;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Secrets are copied from all kinds of pages, with padding and without.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &ALPHABET,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// `X-Chat-Signature`: keyed with the secret as its owner gave it.
pub(crate) fn chat(secret: &str, body: &str) -> String {
    let digest = mac(secret.as_bytes(), &[body.as_bytes()]);
    digest.iter().fold("sha256=".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}

/// `webhook-signature`: a secret behind `whsec_` is base64, any other is taken as it is.
pub(crate) fn standard(secret: &str, id: &str, timestamp: u64, body: &str) -> String {
    let decoded = secret.strip_prefix("whsec_").and_then(|encoded| LENIENT.decode(encoded).ok());
    let key = decoded.filter(|key| !key.is_empty()).unwrap_or_else(|| secret.as_bytes().to_vec());
    let digest = mac(&key, &[format!("{id}.{timestamp}.").as_bytes(), body.as_bytes()]);
    format!("v1,{}", STANDARD.encode(digest))
}

fn mac(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    // A key of any length is one for HMAC.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Vec::new() };
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standard_equals_the_example_of_standard_webhooks() {
        // From the test vectors of the reference libraries.
        let (secret, id) = ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek");
        let signed = standard(secret, id, 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn chat_is_keyed_with_the_secret_as_given() {
        // RFC 4231, test case 2.
        let expected = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(chat("Jefe", "what do ya want for nothing?"), expected);
        assert_ne!(chat("whsec_YWI=", "x"), chat("ab", "x"), "nothing is decoded for it");
    }

    #[test]
    fn secret_may_lack_padding_or_be_no_base64_at_all() {
        let sign = |secret: &str| standard(secret, "1", 2, "x");
        assert_eq!(sign("whsec_YWI="), sign("whsec_YWI"));
        assert_eq!(sign("whsec_YWI="), sign("ab"));
        assert!(sign("whsec_%%").starts_with("v1,") && sign("whsec_").starts_with("v1,"));
    }
}
