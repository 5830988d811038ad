//! Token counts where no provider has counted.

use crate::dialect::Request;

/// Quarters of a token per byte of each width of UTF-8: four ASCII bytes make a token, two letters
/// with accents or of Cyrillic make one, a Chinese character is one. Off by 10-30 % from real
/// tokenizers on prose, more on code.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Estimate {
    quarters: u64,
}

/// Tokens that frame a message, and those that frame a tool, of which half is its types' spelling.
const PER_MESSAGE: u64 = 4;
const PER_TOOL: u64 = 12;
const PER_PARAM: u64 = 4;

impl Estimate {
    pub(super) fn take(&mut self, text: &str) {
        let bytes = text.len() as u64;
        if text.is_ascii() {
            self.quarters += bytes;
            return;
        }
        let (mut two, mut more) = (0, 0);
        for &byte in text.as_bytes() {
            two += u64::from((0xc0..0xe0).contains(&byte));
            more += u64::from(byte >= 0xe0);
        }
        let ascii = text.bytes().filter(u8::is_ascii).count() as u64;
        self.quarters += ascii + 2 * two + 4 * more;
    }

    pub(super) fn tokens(self) -> u32 {
        u32::try_from(self.quarters.div_ceil(4)).unwrap_or(u32::MAX)
    }
}

pub(super) fn of_request(request: &Request<'_>) -> u32 {
    let mut estimate = Estimate::default();
    request.parts.iter().for_each(|part| estimate.take(&part.text));
    for tool in &request.tools {
        estimate.take(&tool.name);
        tool.params.iter().for_each(|(name, _)| estimate.take(name));
    }
    let params: usize = request.tools.iter().map(|tool| tool.params.len()).sum();
    let frame = request.parts.len() as u64 * PER_MESSAGE
        + request.tools.len() as u64 * PER_TOOL
        + params as u64 * PER_PARAM;
    estimate.tokens().saturating_add(u32::try_from(frame).unwrap_or(u32::MAX))
}
