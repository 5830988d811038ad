//! Where a websocket's frames end (RFC 6455, section 5.2), so that nothing is put inside one, and the
//! texts in them.

/// Follows one direction of a websocket. Holds no more than a frame's head.
#[derive(Clone, Copy, Debug, Default)]
pub struct Frames {
    head: [u8; LONGEST_HEAD],
    /// Bytes of the head seen so far.
    seen: usize,
    /// Bytes of the payload to come.
    left: u64,
}

/// Two bytes, a length of eight, a mask of four.
const LONGEST_HEAD: usize = 14;

impl Frames {
    /// Whether the last frame has ended and no other has begun.
    pub fn between(&self) -> bool {
        self.seen == 0 && self.left == 0
    }

    pub fn pass(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = &bytes[self.step(bytes)..];
        }
    }

    /// How many of `bytes` belong to the frame under way; none between frames.
    pub fn rest(mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        while !self.between() && taken < bytes.len() {
            taken += self.step(&bytes[taken..]);
        }
        taken
    }

    /// Takes at least one byte, and none of the next frame's after the last of this one's.
    fn step(&mut self, bytes: &[u8]) -> usize {
        if self.left > 0 {
            let taken = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
            self.left -= taken as u64;
            return taken;
        }
        if let Some((&byte, place)) = bytes.first().zip(self.head.get_mut(self.seen)) {
            *place = byte;
            self.seen += 1;
        }
        let short = self.head[1] & 0x7f;
        let extended = match short {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let mask = if self.head[1] & 0x80 == 0 { 0 } else { 4 };
        if self.seen >= 2 && self.seen == 2 + extended + mask {
            self.left = match extended {
                0 => short.into(),
                _ => self.head[2..2 + extended].iter().fold(0, |all, &b| all << 8 | u64::from(b)),
            };
            self.seen = 0;
        }
        1
    }
}

/// Follows what a client sends, and tells when it can be no websocket's (RFC 6455, sections 5.1 to 5.5):
/// bytes that an endpoint could take for something else do not reach it.
///
/// The first reserved bit is let be, for an extension may have a use for it. Texts are not read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Strict {
    frames: Frames,
    /// A message has begun, and its last frame has not.
    within: bool,
}

impl Strict {
    /// False once an endpoint would have to fail the connection.
    pub fn pass(&mut self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            let telling = self.frames.left == 0 && self.frames.seen == 1;
            bytes = &bytes[self.frames.step(bytes)..];
            if (telling && !self.admits()) || self.frames.left > LONGEST_FRAME {
                return false;
            }
        }
        true
    }

    /// Judges a frame by its first two bytes.
    fn admits(&mut self) -> bool {
        let [first, second, ..] = self.frames.head;
        let (last, short) = (first & FINAL != 0, second & !MASKED < 126);
        let fits = match first & OPCODE {
            0 => std::mem::replace(&mut self.within, !last),
            1 | 2 => !std::mem::replace(&mut self.within, !last),
            8..=10 => last && short,
            _ => false,
        };
        fits && first & RESERVED == 0 && second & MASKED != 0
    }
}

/// The highest bit of a length must be zero.
const LONGEST_FRAME: u64 = u64::MAX >> 1;
/// Two bits that no extension in use has taken.
const RESERVED: u8 = 0x30;

/// Takes the texts out of what a server sends over a websocket.
///
/// Holds no more than one unfinished message, at most 1 MiB of it. Longer ones, binary ones and coded
/// ones (which only an extension makes, RFC 7692) are passed over.
#[derive(Debug, Default)]
pub struct Splitter {
    frames: Frames,
    message: Vec<u8>,
    /// A message has begun, and its text is kept.
    kept: bool,
}

/// The longest message that is read. Audio comes in pieces of some KiB; what ends a response repeats
/// all that was said in it.
const LONGEST: usize = 1 << 20;

const FINAL: u8 = 0x80;
const CODED: u8 = 0x70;
const OPCODE: u8 = 0x0f;
const MASKED: u8 = 0x80;

impl Splitter {
    /// Takes the next bytes and hands every text they complete to `visit`.
    pub fn push(&mut self, mut bytes: &[u8], mut visit: impl FnMut(&str)) {
        while !bytes.is_empty() {
            let within = self.frames.left > 0;
            let (taken, rest) = bytes.split_at(self.frames.step(bytes));
            bytes = rest;
            if within && self.is_data() && self.kept {
                self.keep(taken);
            } else if !within && self.frames.seen == 0 {
                self.begin();
            }
            if self.frames.between() && self.is_data() && self.frames.head[0] & FINAL != 0 {
                if let Ok(text) = std::str::from_utf8(&self.message)
                    && self.kept
                {
                    visit(text);
                }
                (self.kept, self.message) = (false, Vec::new());
            }
        }
    }

    /// Control frames come between the frames of a message.
    fn is_data(&self) -> bool {
        self.frames.head[0] & OPCODE < 8
    }

    fn keep(&mut self, payload: &[u8]) {
        self.kept = self.message.len() + payload.len() <= LONGEST;
        if self.kept {
            self.message.extend_from_slice(payload);
        } else {
            self.message = Vec::new();
        }
    }

    /// A frame's head is there.
    fn begin(&mut self) {
        let [first, second, ..] = self.frames.head;
        let plain = first & CODED == 0 && second & MASKED == 0;
        match first & OPCODE {
            0 => self.kept &= plain,
            kind @ 1..8 => {
                self.message.clear();
                self.kept = kind == 1 && plain;
            }
            _ => {}
        }
    }
}

/// Codes with which a server closes a socket (RFC 6455 7.4.1).
pub const PROTOCOL_ERROR: u16 = 1002;
pub const POLICY_VIOLATION: u16 = 1008;

/// The frame with which a server closes a socket. Longer reasons than a control frame holds are cut off.
pub fn close(code: u16, reason: &str) -> Vec<u8> {
    let reason = &reason.as_bytes()[..reason.len().min(123)];
    let length = u8::try_from(reason.len() + 2).unwrap_or(125);
    [&[0x88, length], &code.to_be_bytes()[..], reason].concat()
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn frame(payload: usize, masked: bool) -> Vec<u8> {
        let mask = if masked { 0x80 } else { 0 };
        let mut bytes = vec![0x82];
        match u16::try_from(payload) {
            Ok(short @ 0..126) => bytes.push(mask | short as u8),
            Ok(middle) => {
                bytes.push(mask | 126);
                bytes.extend(middle.to_be_bytes());
            }
            Err(_) => {
                bytes.push(mask | 127);
                bytes.extend((payload as u64).to_be_bytes());
            }
        }
        bytes.extend(std::iter::repeat_n(0xff, payload + if masked { 4 } else { 0 }));
        bytes
    }

    #[test]
    fn a_close_is_a_frame_with_its_code_and_reason() {
        let bytes = close(POLICY_VIOLATION, "too long");
        assert_eq!(bytes, b"\x88\x0a\x03\xf0too long");
        let mut frames = Frames::default();
        frames.pass(&close(PROTOCOL_ERROR, &"x".repeat(500)));
        assert!(frames.between());
    }

    #[test]
    fn frames_that_no_client_may_send_are_told_however_they_are_cut() {
        let sound: [&[u8]; 5] = [
            b"\x81\x80mask",
            b"\xc1\x82maskhi",
            b"\x01\x81maskh\x89\x80mask\x80\x81maski",
            b"\x88\x82mask\x03\xe8",
            b"\x82\xff\x00\x00\x00\x01\x00\x00\x00\x00mask",
        ];
        let broken: [&[u8]; 12] = [
            b"\x81\x02hi",
            b"\xa1\x80mask",
            b"\x91\x80mask",
            b"\x83\x80mask",
            b"\x8b\x80mask",
            b"\x89\xfe\x00\x7emask",
            b"\x09\x80mask",
            b"\x80\x80mask",
            b"\x01\x80mask\x81\x80mask",
            b"\x81\x80mask\x80\x80mask",
            b"\x82\xff\x80\x00\x00\x00\x00\x00\x00\x00mask",
            b"GET / HTTP/1.1\r\nhost: a\r\n\r\n",
        ];
        for size in 1..30 {
            let passes = |bytes: &[u8]| {
                let mut strict = Strict::default();
                bytes.chunks(size).all(|piece| strict.pass(piece))
            };
            assert!(sound.iter().all(|bytes| passes(bytes)), "{size}");
            assert!(broken.iter().all(|bytes| !passes(bytes)), "{size}");
        }
    }

    /// A text in frames of at most `size` bytes, with a ping after each.
    fn message(text: &str, size: usize) -> Vec<u8> {
        let pieces: Vec<_> = text.as_bytes().chunks(size).collect();
        let mut bytes = Vec::new();
        for (at, piece) in pieces.iter().enumerate() {
            let mut one = frame(piece.len(), false);
            one.truncate(one.len() - piece.len());
            one[0] = if at == 0 { 1 } else { 0 } | if at + 1 == pieces.len() { FINAL } else { 0 };
            bytes.extend(one);
            bytes.extend_from_slice(piece);
            bytes.extend(b"\x89\x02hi");
        }
        bytes
    }

    fn texts(bytes: &[u8], cut: usize) -> Vec<String> {
        let (mut splitter, mut texts) = (Splitter::default(), Vec::new());
        for piece in bytes.chunks(cut) {
            splitter.push(piece, |text| texts.push(text.to_owned()));
        }
        texts
    }

    #[test]
    fn what_is_no_plain_text_is_passed_over_and_the_next_is_read() {
        let mut coded = message("coded", 9);
        coded[0] |= 0x40;
        let mut masked = frame(5, true);
        masked[0] = 0x81;
        let half = [&[0x01, 3][..], b"abc"].concat();
        for passed_over in
            [coded, masked, frame(9, false), half, message(&"x".repeat(LONGEST + 1), 70_000)]
        {
            let bytes = [passed_over, message("read", 2)].concat();
            assert_eq!(texts(&bytes, 4096), ["read"]);
        }
        assert_eq!(
            texts(&[message(&"x".repeat(LONGEST), 70_000), b"\x81\x00".to_vec()].concat(), 999)[1],
            ""
        );
    }

    proptest! {
        #[test]
        fn frames_end_where_they_were_made_to_however_they_are_cut(
            sizes in vec((prop_oneof![0..300_usize, 65_500..65_600_usize], any::<bool>()), 1..5),
            cut in 1..70_000_usize,
        ) {
            let mut frames = Frames::default();
            for (size, masked) in sizes {
                let bytes = frame(size, masked);
                let mut rest = &bytes[..];
                while !rest.is_empty() {
                    let (piece, after) = rest.split_at(cut.min(rest.len()));
                    frames.pass(piece);
                    prop_assert_eq!(frames.between(), after.is_empty());
                    let next = [after, &frame(5, false)].concat();
                    prop_assert_eq!(frames.rest(&next), after.len());
                    rest = after;
                }
            }
        }

        #[test]
        fn texts_come_out_as_they_went_in_however_they_are_cut(
            sent in vec(("\\PC{1,300}", 1..400_usize), 1..5),
            cut in 1..500_usize,
        ) {
            let bytes: Vec<_> = sent.iter().flat_map(|(text, size)| message(text, *size)).collect();
            let sent: Vec<_> = sent.into_iter().map(|(text, _)| text).collect();
            prop_assert_eq!(texts(&bytes, cut), sent);
        }

        #[test]
        fn no_bytes_confuse_it(bytes in vec(any::<u8>(), 0..200)) {
            let mut frames = Frames::default();
            frames.pass(&bytes);
            prop_assert!(frames.rest(&bytes) <= bytes.len());
            let _ = texts(&bytes, 7);
        }
    }
}
