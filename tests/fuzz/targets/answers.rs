//! Every dialect's reader of answers, whole and streamed, in each of the three framings.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stillguard::dialect::{DIALECTS, Frames, Framing};

const TYPES: [&str; 3] =
    ["text/event-stream", "application/vnd.amazon.eventstream", "application/json"];

fuzz_target!(|bytes: &[u8]| {
    let [dialect, kind, cut, answer @ ..] = bytes else { return };
    let dialect = DIALECTS[usize::from(*dialect) % DIALECTS.len()];
    let _whole = dialect.read_answer(answer);
    let kind = TYPES[usize::from(*kind) % TYPES.len()];
    let events = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let mut frames = Frames::of(Framing::JsonArray, kind).expect("a framing");
        let mut events = Vec::new();
        for piece in pieces {
            frames.push(piece, |event| {
                let _read = dialect.read_event(event);
                events.push((event.name.map(str::to_owned), event.data.to_owned()));
            });
            assert!(frames.pending().is_none_or(|held| held <= 1 << 20));
        }
        events
    };
    let whole = events(&mut [answer].into_iter());
    let pieces = events(&mut answer.chunks(usize::from(*cut).max(1)));
    assert_eq!(whole, pieces, "how an answer is cut must not matter");
});
