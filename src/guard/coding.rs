//! Content codings: a bounded copy is decoded and read, the coded bytes themselves are passed on.

use std::fmt;
use std::io;

use compression_codecs::core::util::{PartialBuffer, WriteBuffer};
use compression_codecs::zstd::params::DParameter;
use compression_codecs::{BrotliDecoder, DecodeV2, GzipDecoder, ZlibDecoder, ZstdDecoder};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A coding that can be read.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Coding {
    Gzip,
    Br,
    Zstd,
    /// Of answers alone: half of the world's readers take it for another format than the other
    /// half, and no client is known to send it.
    #[serde(skip)]
    #[schemars(skip)]
    Deflate,
}

impl Coding {
    const ALL: [Self; 4] = [Self::Gzip, Self::Br, Self::Zstd, Self::Deflate];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Br => "br",
            Self::Zstd => "zstd",
            Self::Deflate => "deflate",
        }
    }

    /// The coding that the values of one `content-encoding` header name, or none of them if the
    /// body is plain. Codings on top of each other are never read.
    pub(super) fn of<'v>(
        values: impl IntoIterator<Item = &'v http::HeaderValue>,
    ) -> Result<Option<Self>, Unknown> {
        let mut found = None;
        for value in values {
            let name = value.as_bytes().trim_ascii();
            if name.eq_ignore_ascii_case(b"identity") {
                continue;
            }
            let own = |coding: &Self| name.eq_ignore_ascii_case(coding.name().as_bytes());
            let coding = Self::ALL.into_iter().find(own).ok_or(Unknown)?;
            if found.replace(coding).is_some() {
                return Err(Unknown);
            }
        }
        Ok(found)
    }
}

/// No coding we read, or several at once.
#[derive(Debug, PartialEq)]
pub(super) struct Unknown;

/// Why coded bytes could not be decoded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Undecodable {
    /// They break the coding's rules, or something follows their end.
    Broken,
    /// More comes out of them than their number allows.
    Bomb,
}

/// Bytes that may come out of few: below it, no ratio is held against them.
const FREE: u64 = 1 << 20;

/// The largest window that HTTP's zstd may ask for (RFC 9659), as a power of two.
const ZSTD_WINDOW: u32 = 23;

/// Takes coded bytes in any pieces and gives plain ones.
///
/// Holds the coding's window: 32 KiB of gzip, at most 8 MiB of zstd and 16 MiB of brotli.
pub(super) struct Decoder {
    codec: Codec,
    ratio: u64,
    taken: u64,
    given: u64,
    ended: bool,
    /// Whether another stream may follow the first, as gzip's members do.
    chained: bool,
}

enum Codec {
    Gzip(GzipDecoder),
    Zlib(ZlibDecoder),
    Brotli(BrotliDecoder),
    Zstd(ZstdDecoder),
}

impl Decoder {
    /// Decodes one stream and nothing after it, of which at most `ratio` bytes come out per byte:
    /// readers differ in what they do with a second one.
    pub(super) fn new(coding: Coding, ratio: u32) -> Self {
        let window = [DParameter::window_log_max(ZSTD_WINDOW)];
        let codec = match coding {
            Coding::Gzip => Codec::Gzip(GzipDecoder::new()),
            Coding::Deflate => Codec::Zlib(ZlibDecoder::new()),
            Coding::Br => Codec::Brotli(BrotliDecoder::new()),
            Coding::Zstd => Codec::Zstd(ZstdDecoder::new_with_params(&window)),
        };
        Self { codec, ratio: ratio.into(), taken: 0, given: 0, ended: false, chained: false }
    }

    /// The same, but one stream may follow another, as endpoints that flush often write them.
    pub(super) fn chained(coding: Coding, ratio: u32) -> Self {
        let chained = matches!(coding, Coding::Gzip | Coding::Zstd);
        Self { chained, ..Self::new(coding, ratio) }
    }

    /// Takes `coded` and hands what it comes to, in pieces, to `sink`. Whatever fails, nothing of
    /// use can follow.
    pub(super) fn feed<E: From<Undecodable>>(
        &mut self,
        coded: &[u8],
        mut sink: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.taken == 0 && self.codec.is_oversized(coded) {
            return Err(Undecodable::Broken.into());
        }
        self.taken += coded.len() as u64;
        let mut input = PartialBuffer::new(coded);
        let mut space = [0; 8 << 10];
        loop {
            if self.ended && !self.begin_next(&input)? {
                return Ok(());
            }
            let before = input.written_len();
            let mut output = WriteBuffer::new_initialized(&mut space);
            self.ended = self.codec.step(&mut input, &mut output).map_err(|_| BROKEN)?;
            let plain = output.written();
            self.given += plain.len() as u64;
            if self.given > FREE.max(self.taken.saturating_mul(self.ratio)) {
                return Err(Undecodable::Bomb.into());
            }
            if !plain.is_empty() {
                sink(plain)?;
            }
            let idle = plain.is_empty() && input.written_len() == before;
            let drained = input.unwritten().is_empty() && !output.has_no_spare_space();
            if !self.ended && (idle || drained) {
                return Ok(());
            }
        }
    }

    /// Whether the coded bytes have come to their own end.
    pub(super) fn is_whole(&self) -> bool {
        self.ended
    }

    /// Gets ready for what follows an ended stream. False: nothing does, yet.
    fn begin_next(&mut self, input: &PartialBuffer<&[u8]>) -> Result<bool, Undecodable> {
        if input.unwritten().is_empty() {
            return Ok(false);
        }
        if !self.chained {
            return Err(BROKEN);
        }
        self.codec.inner().reinit().map_err(|_| BROKEN)?;
        self.ended = false;
        Ok(true)
    }
}

const BROKEN: Undecodable = Undecodable::Broken;

impl Codec {
    fn inner(&mut self) -> &mut dyn DecodeV2 {
        match self {
            Self::Gzip(codec) => codec,
            Self::Zlib(codec) => codec,
            Self::Brotli(codec) => codec,
            Self::Zstd(codec) => codec,
        }
    }

    /// Whether a stream that begins with `first` asks for a window beyond brotli's own bound, up to
    /// 1 GiB: an extension that HTTP does not have, and that this decoder knows all the same.
    fn is_oversized(&self, first: &[u8]) -> bool {
        matches!(self, Self::Brotli(_)) && first.first().is_some_and(|byte| byte & 0x7f == 0x11)
    }

    /// True at the end of a stream.
    fn step(
        &mut self,
        input: &mut PartialBuffer<&[u8]>,
        output: &mut WriteBuffer<'_>,
    ) -> io::Result<bool> {
        if input.unwritten().is_empty() && matches!(self, Self::Gzip(_) | Self::Zlib(_)) {
            // Having nothing more to give is an error to them. A true one comes again, or shows in
            // the end that is missing.
            return self.inner().decode(input, output).or(Ok(false));
        }
        self.inner().decode(input, output)
    }
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder").field("taken", &self.taken).finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(super) mod tests;
