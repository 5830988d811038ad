use proptest::prelude::*;

use super::*;
use crate::identity::{Keyring, Tag};

const TEXT: &str = "ErUBCkYIBxgCIkDq+/0sZWFsZWQ=";

fn caller(account: u8, org: Option<u64>) -> Caller {
    Caller { org: org.map(Tag), egress: Tag(0), ..Caller::sample(account) }
}

fn keys(written: &str) -> Keys {
    Keys::parse(&written.repeat(32), &Keyring::new([1; 32])).unwrap()
}

fn wrapped(keys: &Keys, caller: &Caller, text: &str) -> String {
    wrap(keys.first(), caller, (text, Alphabet::Standard), [0; 8])
}

fn whose(keys: &Keys, caller: &Caller, text: &str) -> Whose {
    open(keys, caller, text).unwrap().whose
}

/// Whoever changes what wrappings are made of voids every one that callers hold: then, raise the
/// version.
#[test]
fn a_wrapping_is_made_as_it_was_when_this_was_written() {
    let (keys, caller) = (keys("0f"), caller(7, Some(9)));
    let made = wrap(keys.first(), &caller, ("seal", Alphabet::Url), [3; 8]);
    assert_eq!(made, VECTOR);
    assert_eq!(wrap_call(keys.first(), &caller, "toolu_01", false), CALL_VECTOR);
}

const VECTOR: &str = "sgb1OXoBN1in34S7cKHfI8kLWTe5OAMDAwMDAwMDc2VhbGl6s642a7b_eHfQtfev330=";
const CALL_VECTOR: &str = "toolu_01_sgb1OXo3WKffhLu9RmouETlrrErs";

#[test]
fn a_seal_comes_back_to_its_account_and_to_no_other() {
    let (keys, own) = (keys("0f"), caller(1, None));
    let text = wrapped(&keys, &own, TEXT);
    assert!(text.starts_with(MARKED) && STANDARD.decode(&text).is_ok(), "{text}");
    let opened = open(&keys, &own, &text).unwrap();
    assert_eq!((opened.text.as_deref(), opened.whose), (Some(TEXT), Whose::Own));
    assert_eq!(whose(&keys, &caller(2, None), &text), Whose::Foreign);
    let elsewhere = Caller { tenant: "other".into(), ..own };
    assert_eq!(whose(&keys, &elsewhere, &text), Whose::Foreign);
    assert_eq!(open(&keys, &elsewhere, TEXT), None);
}

#[test]
fn an_organisations_accounts_are_kin_where_it_is_known() {
    let keys = keys("0f");
    let text = wrapped(&keys, &caller(1, Some(5)), TEXT);
    assert_eq!(whose(&keys, &caller(2, Some(5)), &text), Whose::Kin);
    assert_eq!(whose(&keys, &caller(2, Some(6)), &text), Whose::Foreign);
    let nobodys = wrapped(&keys, &caller(1, None), TEXT);
    assert_eq!(whose(&keys, &caller(2, None), &nobodys), Whose::Foreign, "zero is no organisation");
    let call = wrap_call(keys.first(), &caller(1, Some(5)), "toolu_0123", true);
    assert_eq!(open_call(&keys, &caller(2, Some(5)), &call).unwrap().whose, Whose::Kin);
    let call = wrap_call(keys.first(), &caller(1, Some(5)), "toolu_0123", false);
    assert_eq!(open_call(&keys, &caller(2, Some(5)), &call).unwrap().whose, Whose::Foreign);
}

#[test]
fn sdks_that_hold_bytes_may_spell_them_their_own_way() {
    let (keys, own) = (keys("0f"), caller(1, None));
    for text in ["", "a", "ab", "ÿ?>~"] {
        let text = wrapped(&keys, &own, text);
        let bytes = STANDARD.decode(&text).unwrap();
        for spelt in [URL_SAFE.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)] {
            assert_eq!(whose(&keys, &own, &spelt), Whose::Own, "{spelt}");
        }
    }
}

#[test]
fn keys_rotate_and_a_retired_one_is_told_from_an_altered_text() {
    let keyring = Keyring::new([1; 32]);
    let (old, own) = (keys("0f"), caller(1, None));
    let text = wrapped(&old, &own, TEXT);
    let both = format!("{}\n{}", "a0".repeat(32), "0f".repeat(32));
    let both = Keys::parse(&both, &keyring).unwrap();
    assert_eq!(whose(&both, &own, &text), Whose::Own);
    assert_ne!(wrapped(&both, &own, TEXT), text, "the first key signs");
    let new = keys("a0");
    let opened = open(&new, &own, &text).unwrap();
    assert_eq!((opened.text.as_deref(), opened.whose), (Some(TEXT), Whose::Retired));
    let before = wrapped(&Keys::own(&keyring), &own, TEXT);
    assert_eq!(whose(&new, &own, &before), Whose::Own, "the deployment's own key goes on");
}

#[test]
fn the_id_of_a_call_stays_readable_and_what_it_was_made_of() {
    let (keys, own) = (keys("0f"), caller(1, None));
    let id = "toolu_01A09q90qw90lq917835lq9";
    let call = wrap_call(keys.first(), &own, id, true);
    assert!(call.starts_with(id) && call.len() <= 64, "{call}");
    assert!(call.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)));
    assert_eq!(inside(&call).as_deref(), Some(id));
    let opened = open_call(&keys, &own, &call).unwrap();
    assert_eq!((opened.text.as_deref(), opened.whose), (Some(id), Whose::Own));
    assert_eq!(open_call(&keys, &caller(2, None), &call).unwrap().whose, Whose::Foreign);
    assert_eq!(open_call(&keys, &own, id), None);
    let other = call.replace("01A09q", "01A09r");
    assert_eq!(open_call(&keys, &own, &other).unwrap().whose, Whose::Altered);
}

proptest! {
    #[test]
    fn any_text_comes_back_as_it_was(text in "\\PC{0,80}", url: bool, conversation: [u8; 8]) {
        let (keys, own) = (keys("0f"), caller(1, None));
        let alphabet = if url { Alphabet::Url } else { Alphabet::Standard };
        let made = wrap(keys.first(), &own, (&text, alphabet), conversation);
        let opened = open(&keys, &own, &made).unwrap();
        prop_assert_eq!(opened, Opened { text: Some(text.clone()), whose: Whose::Own, conversation });
        prop_assert_eq!(inside(&made), Some(text));
    }

    #[test]
    fn every_changed_character_shows(at in 0..100_usize, letter in "[A-Za-z0-9+/]") {
        let (keys, own) = (keys("0f"), caller(1, None));
        let made = wrapped(&keys, &own, TEXT);
        let mut other = made.clone();
        other.replace_range(at..at + 1, &letter);
        let opened = open(&keys, &own, &other).map(|opened| opened.whose);
        if other == made {
            prop_assert_eq!(opened, Some(Whose::Own));
        } else if at < MARKED.len() {
            prop_assert_eq!(opened, None, "it is no wrapping any more: bare");
        } else {
            prop_assert!(matches!(opened, Some(Whose::Altered | Whose::Retired)), "{opened:?}");
        }
    }

    #[test]
    fn junk_opens_nothing_and_panics_nowhere(junk in "\\PC{0,90}") {
        let (keys, own) = (keys("0f"), caller(1, None));
        prop_assert_eq!(open(&keys, &own, &junk), None);
        let marked = open(&keys, &own, &format!("{MARKED}{junk}"));
        prop_assert!(matches!(marked.unwrap().whose, Whose::Altered | Whose::Retired));
        if let Some(opened) = open_call(&keys, &own, &format!("{junk}{CALL_MARK}{junk}")) {
            prop_assert!(opened.whose != Whose::Own);
        }
    }
}
