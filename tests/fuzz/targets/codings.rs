//! Decoders of coded bodies: bounded, and indifferent to how bytes are cut.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let [coding, cut, coded @ ..] = bytes else { return };
    let whole = stillguard::guard::fuzz::decode(*coding, &mut [coded].into_iter());
    let cut = usize::from(*cut).max(1);
    let pieces = stillguard::guard::fuzz::decode(*coding, &mut coded.chunks(cut));
    if let (Some(whole), Some(pieces)) = (&whole, &pieces) {
        assert_eq!(whole, pieces);
    }
    assert_eq!(whole.is_some(), pieces.is_some());
    let most = (1 << 20).max(coded.len() * 100);
    assert!(whole.is_none_or(|plain| plain.len() <= most));
});
