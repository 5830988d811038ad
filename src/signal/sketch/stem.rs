//! Which words carry no content, and what is left of the others without their endings.

/// Words of grammar and of politeness, per language. At most eight bytes each.
const STOP_WORDS: &[&str] = &[
    // English
    "a an the and or but nor so if then else than that this these those there here it its it's he \
     she they them their his her him we us our you your yours me my mine who whom whose which what \
     when where why how is are was were be been being am do does did done doing have has had having \
     will would shall should can could may might must of in on at by to from for with without into \
     onto over under about as not no yes also just only very too more most some any all each both \
     such same other own up out off down again ever please don didn isn aren doesn ve ll re",
    // French
    "le la les un une des du de et ou mais donc car ni ne pas plus que qui quoi dont ce cet cette \
     ces il elle ils elles on nous vous je tu me te se moi toi lui leur leurs mon ton son ma ta sa \
     mes tes ses notre votre nos vos est sont suis es sommes a ont ai as avez avons dans sur sous \
     par pour avec sans en au aux si tout tous toute comme bien aussi merci",
    // Spanish, Portuguese, Italian
    "el los las una unos y o pero del al lo su sus mi tu es son era con por para sin sobre que como \
     cuando donde este esta estos estas ese esa muy ya se os um uma uns e mas do da dos das no na \
     nos nas seu sua com por sem em ao il gli uno di del della nel nella che chi non per con su tra \
     sono questo questa",
    // German, Dutch
    "der die das den dem des ein eine einen einem einer und oder aber nicht kein ist sind war sein \
     hat haben ich du er sie es wir ihr mich dich sich mein dein mit von zu zum zur im in auf aus \
     bei nach vor als wie auch nur noch wenn dass bitte het een van en niet met voor op zijn dat",
];

const TABLE: usize = 1024;

/// The stop words packed into integers, open addressing; zero is free.
static STOPS: [u64; TABLE] = {
    let mut table = [0; TABLE];
    let mut list = 0;
    while list < STOP_WORDS.len() {
        let text = STOP_WORDS[list].as_bytes();
        let (mut at, mut packed, mut len) = (0, 0_u64, 0);
        while at <= text.len() {
            if at < text.len() && text[at] != b' ' {
                packed |= (text[at] as u64) << (8 * len);
                len += 1;
            } else if len > 0 {
                let mut place = slot_of(packed);
                while table[place] != 0 && table[place] != packed {
                    place = (place + 1) % TABLE;
                }
                table[place] = packed;
                (packed, len) = (0, 0);
            }
            at += 1;
        }
        list += 1;
    }
    table
};

const fn slot_of(packed: u64) -> usize {
    (packed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 54) as usize
}

/// Whether a word of at most eight bytes, packed first byte lowest, is a stop word.
pub(super) fn is_stop(packed: u64) -> bool {
    let mut place = slot_of(packed);
    while STOPS[place] != 0 {
        if STOPS[place] == packed {
            return true;
        }
        place = (place + 1) % TABLE;
    }
    false
}

/// The word without its inflection, so that "explained" and "explaining" meet: at least three bytes
/// stay. Wrongly merged words do no harm, a sketch compares sets.
pub(super) fn stem(word: &[u8]) -> &[u8] {
    let stem = without_ending(word);
    let cut = stem.len() < word.len();
    match stem {
        [rest @ .., b'e' | b'y'] if rest.len() >= 3 => rest,
        [rest @ .., a, b] if cut && a == b && rest.len() >= 2 && doubles(*a) => {
            &stem[..rest.len() + 1]
        }
        _ => stem,
    }
}

/// Longest endings first.
fn without_ending(word: &[u8]) -> &[u8] {
    match word {
        [rest @ .., b'n', b'e', b's', b's'] if rest.len() >= 3 => rest,
        [.., b's', b's'] | [b'0'..=b'9', ..] => word,
        [rest @ .., b'f', b'u', b'l', b'l', b'y']
        | [rest @ .., b'm', b'e', b'n', b't', b's']
        | [rest @ .., b'm', b'e', b'n', b't']
        | [rest @ .., b'e', b'd', b'l', b'y']
        | [rest @ .., b'i', b'n', b'g', b's']
        | [rest @ .., b'i', b'n', b'g']
        | [rest @ .., b'i', b'e', b's']
        | [rest @ .., b'e', b'd']
        | [rest @ .., b'e', b's']
        | [rest @ .., b'l', b'y']
        | [rest @ .., b's']
            if rest.len() >= 3 =>
        {
            rest
        }
        _ => word,
    }
}

/// Consonants that English doubles before an ending, as in "planned".
fn doubles(byte: u8) -> bool {
    byte.is_ascii_lowercase() && !b"aeiouls".contains(&byte)
}
