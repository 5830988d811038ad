//! Bodies in the model's own shape, and the chunks that wrap them in a stream.

use std::borrow::Cow;

use serde::Deserialize;

use crate::dialect::found::object;
use crate::dialect::given::Given;
use crate::dialect::{Delta, Dialect, Malformed, Request, Usage, anthropic, sse};

/// Bodies of Anthropic's models, known by either's name: a profile's path hides the model.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Shape<'a> {
    anthropic_version: Given<'a>,
}

pub(super) fn request<'a>(model: Cow<'a, str>, body: &'a [u8]) -> Result<Request<'a>, Malformed> {
    let says_so = !object::<Shape<'a>>(body)?.anthropic_version.is_null();
    if says_so || model.contains("anthropic.") {
        anthropic::read_for(model, body)
    } else {
        Ok(Request { model, ..Request::default() })
    }
}

/// A streamed event of the model's own, coded.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Chunk<'a> {
    bytes: Given<'a>,
}

/// What Bedrock counts itself, in the last chunk of any model.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Counted<'a> {
    #[serde(rename = "amazon-bedrock-invocationMetrics")]
    metrics: Given<'a, Metrics<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
struct Metrics<'a> {
    input_token_count: Given<'a>,
    output_token_count: Given<'a>,
    cache_read_input_token_count: Given<'a>,
    cache_write_input_token_count: Given<'a>,
}

pub(super) fn chunk(data: &str) -> Result<Delta<'static>, Malformed> {
    let coded = object::<Chunk<'_>>(data.as_bytes())?.bytes.text().unwrap_or_default();
    let bytes = decoded(&coded).and_then(|bytes| String::from_utf8(bytes).ok());
    let text = bytes.ok_or_else(|| Malformed("a chunk is not text in base64".to_owned()))?;
    let delta = anthropic::Messages.read_event(sse::Event { name: None, data: &text })?;
    let mut delta = delta.into_owned();
    if let Given::Object(metrics) = object::<Counted<'_>>(text.as_bytes())?.metrics {
        delta.usage.get_or_insert_default().update(metrics.into_usage());
        delta.last = true;
    }
    Ok(delta)
}

impl Metrics<'_> {
    fn into_usage(self) -> Usage {
        let cached = self.cache_read_input_token_count.count();
        let written = self.cache_write_input_token_count.count().unwrap_or_default();
        let beside = cached.unwrap_or_default().saturating_add(written);
        Usage {
            input: self.input_token_count.count().map(|fresh| fresh.saturating_add(beside)),
            output: self.output_token_count.count(),
            cached,
            reasoning: None,
        }
    }
}

/// Bytes of standard base64, with or without padding.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=').as_bytes();
    let mut out = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    for group in digits.chunks(4) {
        let bits = group.iter().try_fold(0, |bits, &digit| Some(bits << 6 | value(digit)?))?;
        let whole: u32 = bits << (6 * (4 - group.len()));
        let length = group.len() * 6 / 8;
        out.extend_from_slice(whole.to_be_bytes().get(1..=length).filter(|_| length > 0)?);
    }
    Some(out)
}

fn value(digit: u8) -> Option<u32> {
    Some(u32::from(match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    }))
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
    }
}
