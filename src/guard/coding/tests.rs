use compression_codecs::brotli::params::EncoderParams;
use compression_codecs::core::Level;
use compression_codecs::core::util::{PartialBuffer, WriteBuffer};
use compression_codecs::{BrotliEncoder, EncodeV2, GzipEncoder, ZlibEncoder, ZstdEncoder};
use proptest::prelude::*;

use super::*;

const CODINGS: [Coding; 4] = Coding::ALL;

/// `plain`, coded, with a flush every `flush` bytes.
pub(in crate::guard) fn encoded(coding: Coding, plain: &[u8], flush: usize) -> Vec<u8> {
    let mut encoder: Box<dyn EncodeV2> = match coding {
        Coding::Gzip => Box::new(GzipEncoder::new(Level::Default.into())),
        Coding::Deflate => Box::new(ZlibEncoder::new(Level::Default.into())),
        Coding::Br => {
            Box::new(BrotliEncoder::new(EncoderParams::default().quality(Level::Precise(4))))
        }
        Coding::Zstd => Box::new(ZstdEncoder::new(3)),
    };
    let mut coded = Vec::new();
    let mut space = [0; 4096];
    for piece in plain.chunks(flush.max(1)) {
        let mut input = PartialBuffer::new(piece);
        while !input.unwritten().is_empty() {
            let mut output = WriteBuffer::new_initialized(&mut space);
            encoder.encode(&mut input, &mut output).unwrap();
            coded.extend_from_slice(output.written());
        }
        let mut done = false;
        while !done {
            let mut output = WriteBuffer::new_initialized(&mut space);
            done = encoder.flush(&mut output).unwrap();
            coded.extend_from_slice(output.written());
        }
    }
    let mut done = false;
    while !done {
        let mut output = WriteBuffer::new_initialized(&mut space);
        done = encoder.finish(&mut output).unwrap();
        coded.extend_from_slice(output.written());
    }
    coded
}

fn decode<'c>(
    mut decoder: Decoder,
    pieces: impl IntoIterator<Item = &'c [u8]>,
) -> Result<(Vec<u8>, bool), Undecodable> {
    let mut plain = Vec::new();
    for piece in pieces {
        decoder.feed(piece, |piece| {
            plain.extend_from_slice(piece);
            Ok::<_, Undecodable>(())
        })?;
    }
    Ok((plain, decoder.is_whole()))
}

fn pieces<'c>(coded: &'c [u8], cuts: &[usize]) -> Vec<&'c [u8]> {
    let mut rest = coded;
    let mut pieces = Vec::new();
    for cut in cuts {
        let (piece, after) = rest.split_at((*cut).min(rest.len()));
        pieces.push(piece);
        rest = after;
    }
    pieces.push(rest);
    pieces
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    let words = prop::sample::select(vec!["stanza ", "verse\n", "\u{1f980}", "{\"a\":1}", "\0"]);
    let dull = prop::collection::vec(words, 0..4000).prop_map(|words| words.concat().into_bytes());
    prop_oneof![dull, prop::collection::vec(any::<u8>(), 0..40_000)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_cut_of_a_coded_body_decodes_alike(
        plain in text(),
        flush in 1..50_000_usize,
        cuts in prop::collection::vec(0..2000_usize, 0..40),
    ) {
        for coding in CODINGS {
            let coded = encoded(coding, &plain, flush.max(plain.len() / 16));
            let whole = decode(Decoder::new(coding, u32::MAX), [&coded[..]]);
            prop_assert!(whole == Ok((plain.clone(), true)), "{coding:?}");
            for cuts in [pieces(&coded, &cuts), coded.chunks(1).collect()] {
                let cut = decode(Decoder::new(coding, u32::MAX), cuts);
                let (length, ended) = cut.as_ref().map(|(plain, ended)| (plain.len(), *ended)).unwrap_or_default();
                prop_assert!(cut == whole, "{coding:?}: {length} of {}, ended {ended}", plain.len());
            }
        }
    }

    #[test]
    fn no_bytes_make_it_panic_or_go_beyond_its_bound(
        mut coded in prop::collection::vec(any::<u8>(), 0..400),
        from in prop::sample::select(CODINGS.to_vec()),
        honest: bool,
    ) {
        if honest {
            let noise = std::mem::take(&mut coded);
            coded = encoded(from, &vec![b'x'; 5 << 20], 1 << 22);
            for (at, byte) in noise.iter().enumerate().take(3) {
                let length = coded.len();
                coded[at * 97 % length] ^= byte;
            }
        }
        for coding in CODINGS {
            let mut given = 0;
            let outcome = Decoder::new(coding, 10).feed(&coded, |plain| {
                given += plain.len() as u64;
                Ok::<_, Undecodable>(())
            });
            let most = FREE.max(coded.len() as u64 * 10);
            prop_assert!(given <= most, "{given} of {outcome:?}");
        }
    }
}

#[test]
fn a_bomb_is_found_out_before_it_has_gone_off() {
    for coding in CODINGS {
        let coded = encoded(coding, &vec![0; 64 << 20], 64 << 20);
        assert!(coded.len() < 128 << 10, "{coding:?}: {}", coded.len());
        assert_eq!(decode(Decoder::new(coding, 100), [&coded[..]]), Err(Undecodable::Bomb));
        assert_eq!(decode(Decoder::new(coding, 100), coded.chunks(7)), Err(Undecodable::Bomb));
    }
}

#[test]
fn what_follows_the_end_is_refused_unless_streams_may_be_chained() {
    for coding in CODINGS {
        let coded = encoded(coding, b"verse", 64);
        let twice = [&coded[..], &coded[..]].concat();
        let tail = [&coded[..], b" "].concat();
        for bytes in [&twice, &tail] {
            let cut = bytes.split_at(coded.len());
            for pieces in [vec![&bytes[..]], vec![cut.0, cut.1]] {
                let outcome = decode(Decoder::new(coding, 100), pieces);
                assert_eq!(outcome, Err(Undecodable::Broken), "{coding:?}");
            }
        }
        let chained = decode(Decoder::chained(coding, 100), [&twice[..]]);
        match coding {
            Coding::Gzip | Coding::Zstd => assert_eq!(chained, Ok((b"verseverse".to_vec(), true))),
            Coding::Br | Coding::Deflate => assert_eq!(chained, Err(Undecodable::Broken)),
        }
    }
}

#[test]
fn half_a_body_is_not_whole_and_a_damaged_one_is_broken() {
    for coding in CODINGS {
        let coded = encoded(coding, &b"A verse, and another one.".repeat(40), 64);
        let half = decode(Decoder::new(coding, 100), [&coded[..coded.len() / 2]]).unwrap();
        assert!(!half.1 && half.0.len() < 1000, "{coding:?}");
        assert!(!decode(Decoder::new(coding, 100), []).unwrap().1);
    }
    let mut coded = encoded(Coding::Gzip, b"verse", 64);
    let last = coded.len() - 5;
    coded[last] ^= 1;
    assert_eq!(decode(Decoder::new(Coding::Gzip, 100), [&coded[..]]), Err(Undecodable::Broken));
}

#[test]
fn what_a_server_has_flushed_is_read_at_once() {
    for coding in CODINGS {
        let plain = b"data: {}\n\n".repeat(3);
        let coded = encoded(coding, &plain, 10);
        let unfinished = &coded[..coded.len() - if coding == Coding::Gzip { 10 } else { 1 }];
        let read = decode(Decoder::chained(coding, 100), unfinished.chunks(1)).unwrap();
        assert_eq!(read.0, plain, "{coding:?}");
    }
}

#[test]
fn windows_beyond_what_http_knows_are_refused() {
    // A frame of zstd that asks for 128 MiB, and brotli's private extension.
    let zstd = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 17 << 3, 0x01, 0x00, 0x00];
    assert_eq!(decode(Decoder::new(Coding::Zstd, 100), [&zstd[..]]), Err(Undecodable::Broken));
    let zstd = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 13 << 3, 0x01, 0x00, 0x00];
    assert_eq!(decode(Decoder::new(Coding::Zstd, 100), [&zstd[..]]), Ok((Vec::new(), true)));
    for first in [0x11, 0x91] {
        let outcome = decode(Decoder::new(Coding::Br, 100), [&[first, 0x1e][..]]);
        assert_eq!(outcome, Err(Undecodable::Broken));
    }
}

#[test]
fn one_known_coding_is_read_and_no_other() {
    let of = |values: &[&'static str]| {
        let values: Vec<_> = values.iter().map(|v| http::HeaderValue::from_static(v)).collect();
        Coding::of(&values)
    };
    assert_eq!(of(&[]), Ok(None));
    assert_eq!(of(&["identity", " Identity"]), Ok(None));
    assert_eq!(of(&["GZip"]), Ok(Some(Coding::Gzip)));
    assert_eq!(of(&["identity", "br"]), Ok(Some(Coding::Br)));
    for odd in [&["gzip, br"][..], &["gzip", "gzip"], &["x-gzip"], &["compress"], &[""], &["gzip,"]]
    {
        assert_eq!(of(odd), Err(Unknown), "{odd:?}");
    }
}
