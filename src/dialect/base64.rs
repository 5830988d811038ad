//! Standard base64, as event streams carry the events of models.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_allow_trailing_bits(true)
    .with_decode_padding_mode(DecodePaddingMode::Indifferent);

const ENGINE: GeneralPurpose = GeneralPurpose::new(&STANDARD, LENIENT);

/// Bytes of `text`, with or without padding.
pub(super) fn decoded(text: &str) -> Option<Vec<u8>> {
    ENGINE.decode(text).ok()
}

/// `bytes` as text, padded.
pub(super) fn encoded(bytes: &[u8]) -> String {
    ENGINE.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_decoded_with_and_without_padding() {
        for (coded, plain) in
            [("", ""), ("Zg==", "f"), ("Zm8", "fo"), ("Zm9v", "foo"), ("Zm9vYg==", "foob")]
        {
            assert_eq!(decoded(coded).as_deref(), Some(plain.as_bytes()), "{coded}");
        }
        assert_eq!(decoded("Z"), None);
        assert_eq!(decoded("Zm9*"), None);
        assert_eq!(encoded(b"f"), "Zg==");
    }
}
