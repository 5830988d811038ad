//! A connection's bytes through the listener's own HTTP: whatever comes out has one meaning, and how
//! the bytes were cut does not change it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stillguard::net::fuzz::{Forwarded, exchanges};

fuzz_target!(|bytes: &[u8]| {
    let [cut, bytes @ ..] = bytes else { return };
    let whole = exchanges(&mut [bytes].into_iter());
    whole.iter().for_each(sound);
    let pieces = exchanges(&mut bytes.chunks(usize::from(*cut).max(1)));
    assert_eq!(whole, pieces, "how a request is cut must not matter");
});

fn sound(request: &Forwarded) {
    let Forwarded { target, fields, body } = request;
    let plain = target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    assert!(plain && (target.starts_with('/') || target == "*"), "{request:?}");
    let all = |name: &str| fields.iter().filter(|(own, _)| own == name).collect::<Vec<_>>();
    assert!(all("host").len() <= 1, "{request:?}");
    let lengths = all("content-length");
    assert!(lengths.len() <= 1 && all("transfer-encoding").is_empty(), "{request:?}");
    for (_, length) in lengths {
        assert_eq!(*length, body.len().to_string().into_bytes(), "{request:?}");
    }
    for (name, value) in fields {
        let posing = name.replace(['_', '.'], "-");
        let protected = ["content-length", "transfer-encoding", "host", "authorization"];
        assert!(posing == *name || !protected.contains(&posing.as_str()), "{request:?}");
        assert!(!name.starts_with("x-stillguard-"), "{request:?}");
        assert!(value.iter().all(|&byte| byte == b'\t' || byte >= 32 && byte != 127), "{request:?}");
    }
}
