use super::samples::{Around, exchange, keyring};
use super::*;
use crate::dialect::{Api, Delta, Kind, Part, Request, Role};

#[test]
fn an_account_takes_few_bytes() {
    assert!(size_of::<Account>() <= 512, "{}", size_of::<Account>());
    let all = size_of::<Account>() + size_of::<Habits>();
    assert!(all <= 832, "{all}");
}

#[test]
fn every_entry_of_the_catalogue_is_filled_in() {
    for spec in CATALOGUE {
        let texts = [spec.id, spec.name, spec.says, spec.lookalike];
        assert!(texts.iter().all(|text| !text.is_empty()), "{}", spec.name);
        assert!(spec.id.starts_with(&format!("{:?}", spec.family)), "{}", spec.name);
        assert!(spec.weight > 0.0 && spec.half_life >= 12.0, "{}", spec.name);
    }
    let names = CATALOGUE.map(|spec| spec.name);
    assert!((1..COUNT).all(|at| !names[..at].contains(&names[at])));
}

#[test]
fn every_tail_rises_while_its_share_falls() {
    for spec in CATALOGUE {
        assert!(!spec.tail.is_empty(), "{}", spec.name);
        for pair in spec.tail.windows(2) {
            assert!(pair[0].0 < pair[1].0 && pair[0].1 > pair[1].1, "{}", spec.name);
        }
        let shares = spec.tail.iter().map(|(_, share)| *share);
        assert!(shares.into_iter().all(|share| (0.001..1.0).contains(&share)), "{}", spec.name);
    }
}

#[test]
fn a_name_in_the_catalogue_is_its_key_in_the_settings() {
    let settings = serde_json::to_value(Settings::default()).expect("serialises");
    assert!(CATALOGUE.iter().all(|spec| settings.get(spec.name).is_some()));
    let wrong = r#"{"elicitation": {"params": {"at_last": 4}}}"#;
    assert!(serde_json::from_str::<Settings>(wrong).is_err());
    let right = r#"{"elicitation": {"mode": "off", "params": {"at_least": 9}}}"#;
    let read: Settings = serde_json::from_str(right).expect("known knobs");
    assert_eq!((read.elicitation.mode, read.elicitation.params.at_least), (Mode::Off, 9));
}

#[test]
fn signals_that_are_off_stay_silent_and_plain_chat_moves_no_evidence() {
    let (mut around, fleet) = (Around::default(), Fleet::default());
    let (settings, mut account) = (Settings::default(), Account::default());
    let mut off = Settings::default();
    off.elicitation.mode = Mode::Off;
    for (second, text) in samples::CHAT.iter().enumerate() {
        let ended = exchange(1, second as u64, samples::user(text));
        let asked = ask(&settings, &around.asked(&ended.ask), &account, &fleet);
        around.habits.take(&ended);
        let said = learn(&settings, &around.ended(&ended), &mut account, &fleet);
        for (at, spec) in CATALOGUE.iter().enumerate() {
            let loud = |x: Option<f32>| x.is_some_and(|x| x >= spec.tail[0].0);
            assert!(!loud(asked[at]) && !loud(said[at]), "{}: {text}", spec.name);
        }
        assert_eq!(learn(&off, &around.ended(&ended), &mut account, &fleet)[0], None);
    }
}

/// One turn of a conversation as two accounts' relay sends it: the whole history each time.
fn turn(account: u8, second: u64, history: &[(Role, &str)], answer: &str) -> Exchange {
    let parts = history.iter().zip(0..).map(|(&(role, text), turn)| Part {
        turn,
        role,
        kind: Kind::Text,
        text: text.into(),
    });
    let request = Request { parts: parts.collect(), ..Request::default() };
    let prompt = inspect(&request, Api::OpenaiChat, 500, &keyring());
    let mut gathered = Answer::new(&prompt, keyring());
    for piece in answer.split_inclusive(' ') {
        let pieces = vec![(Kind::Text, piece.into())];
        gathered.take(&Delta { pieces, ..Delta::default() });
    }
    Exchange { completion: gathered.finish(), ..exchange(account, second, prompt) }
}

#[test]
fn a_conversation_passed_from_account_to_account_is_seen_from_text_to_statistic() {
    const FIRST: &str = "Tides follow the moon, whose pull is stronger on the near side than far.";
    const SECOND: &str =
        "The sun does the same at half the strength, so that both add up twice a month.";
    let asked = [
        (Role::User, "Why tides?"),
        (Role::Assistant, FIRST),
        (Role::User, "And the sun?"),
        (Role::Assistant, SECOND),
        (Role::User, "Thanks, and on Mars?"),
    ];
    let (settings, fleet, around) = (Settings::default(), Fleet::default(), Around::default());
    let at = CATALOGUE.iter().position(|spec| spec.id == "L2").expect("listed");
    let mut accounts = [Account::default(), Account::default()];
    let mut says = |account: u8, turns: usize, answer| {
        let ended = turn(account, 10 * turns as u64, &asked[..turns], answer);
        let memory = &mut accounts[usize::from(account)];
        let before = ask(&settings, &around.asked(&ended.ask), memory, &fleet)[at];
        assert_eq!(learn(&settings, &around.ended(&ended), memory, &fleet)[at], before);
        before
    };
    assert_eq!(says(0, 1, FIRST), None);
    assert_eq!(says(1, 3, SECOND), Some(1.0));
    assert_eq!(says(0, 5, "No seas there."), Some(1.0));
}
