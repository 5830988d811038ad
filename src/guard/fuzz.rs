//! Doors for fuzz targets: readers of hostile bytes that nobody else may call.

use super::challenge;
use super::coding::{Coding, Decoder, Undecodable};

/// What `pieces` come to in the coding that `which` stands for; none if they are not one whole
/// stream of it, or a bomb.
pub fn decode(which: u8, pieces: &mut dyn Iterator<Item = &[u8]>) -> Option<Vec<u8>> {
    let codings = [Coding::Gzip, Coding::Br, Coding::Zstd, Coding::Deflate];
    let mut decoder = Decoder::new(codings[usize::from(which) % codings.len()], 100);
    let mut plain = Vec::new();
    for piece in pieces {
        let fed = decoder.feed(piece, |bytes| {
            plain.extend_from_slice(bytes);
            Ok::<_, Undecodable>(())
        });
        fed.ok()?;
    }
    decoder.is_whole().then_some(plain)
}

/// Opens `bytes` as a token, and a token made of them.
pub fn tokens(bytes: &[u8]) {
    challenge::fuzz(bytes);
}
