//! Where a websocket's frames end (RFC 6455, section 5.2), so that nothing is put inside one.

/// Follows one direction of a websocket. Holds no more than a frame's head.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Frames {
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
    pub(super) fn between(&self) -> bool {
        self.seen == 0 && self.left == 0
    }

    pub(super) fn pass(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = &bytes[self.step(bytes)..];
        }
    }

    /// How many of `bytes` belong to the frame under way; none between frames.
    pub(super) fn rest(mut self, bytes: &[u8]) -> usize {
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

/// The frame with which a server closes a socket for a policy's sake. Longer reasons than a control
/// frame holds are cut off.
pub(super) fn close(reason: &str) -> Vec<u8> {
    const POLICY_VIOLATION: [u8; 2] = 1008_u16.to_be_bytes();
    let reason = &reason.as_bytes()[..reason.len().min(123)];
    let length = u8::try_from(reason.len() + 2).unwrap_or(125);
    [&[0x88, length], &POLICY_VIOLATION[..], reason].concat()
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
        let bytes = close("too long");
        assert_eq!(bytes, b"\x88\x0a\x03\xf0too long");
        let mut frames = Frames::default();
        frames.pass(&close(&"x".repeat(500)));
        assert!(frames.between());
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
        fn no_bytes_confuse_it(bytes in vec(any::<u8>(), 0..200)) {
            let mut frames = Frames::default();
            frames.pass(&bytes);
            prop_assert!(frames.rest(&bytes) <= bytes.len());
        }
    }
}
