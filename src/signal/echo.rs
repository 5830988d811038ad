//! L5: stretches of answers given to one account come back in what another one asks.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::exchange::{Ask, Exchange};
use super::index::Tiers;
use super::linkage::{CAPACITY, Owner};
use super::registry::{Asked, Ended, Family, Signal, Spec};
use super::shelf::{Kept, Shelf, Shelved};
use crate::identity::Tag;
use crate::time::{Shift, Timestamp, days};

pub(super) struct Echo;

/// To whom each chunk was said.
#[derive(Debug)]
pub(super) struct Spoken(Tiers<Chunk>);

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
struct Chunk {
    owner: Owner,
    /// Who else has shown it last, in 32 bits, and how often that changed.
    last: u32,
    shown: u16,
    /// Said to several accounts: what anybody is told.
    common: bool,
}

/// Echoes of one account, told apart by 16 bits. Counts to six; forgotten when none was added for a
/// month, the half-life of linkage evidence.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(super) struct Echoes {
    seen: [u16; 6],
    len: u8,
    /// Days since the epoch.
    day: u16,
}

const DAY: u64 = 24 * 3_600_000;
const FORGET_DAYS: u16 = 30;

impl Kept for Echoes {
    fn shift(&mut self, by: Shift) {
        let days = i16::try_from(by.0 / DAY as i64).unwrap_or_default();
        if self.len > 0 {
            self.day = self.day.saturating_add_signed(days);
        }
    }
}

impl Echoes {
    /// How many there are with this one. None when the account has shown it before.
    fn insert(&mut self, chunk: Tag, now: Timestamp) -> Option<f32> {
        let day = u16::try_from(now.as_millis() / DAY).unwrap_or(u16::MAX);
        if day.saturating_sub(self.day) > FORGET_DAYS {
            self.len = 0;
        }
        let len = usize::from(self.len).min(self.seen.len());
        let print = (chunk.0 >> 20) as u16;
        if self.seen[..len].contains(&print) {
            return None;
        }
        self.day = self.day.max(day);
        if let Some(place) = self.seen.get_mut(len) {
            *place = print;
            self.len += 1;
        }
        Some(f32::from(self.len))
    }
}

impl Kept for Chunk {}

impl Shelved for Spoken {
    fn shelf(&self) -> Option<&dyn Shelf> {
        Some(&self.0)
    }
}

impl Default for Spoken {
    fn default() -> Self {
        Self(Tiers::new(CAPACITY))
    }
}

impl Signal for Echo {
    const SPEC: Spec = Spec {
        id: "L5",
        name: "echo",
        family: Family::L,
        says: "feeds in stretches of answers that were given to other accounts",
        lookalike: "people who paste answers that others have published or sent them",
        weight: 3.5,
        half_life: 720.0,
        // Guessed: an answer is sent on to a colleague now and then; who keeps feeding in what
        // others were told works with them. Fatter than L2's: text can be copied by hand.
        tail: &[(1.0, 0.05), (2.0, 0.015), (3.0, 0.006), (5.0, 0.002)],
    };

    type Params = Params;
    type Account = Echoes;
    type Fleet = Spoken;

    fn ask(params: &Params, asked: &Asked<'_>, account: &Echoes, fleet: &Spoken) -> Option<f32> {
        if asked.ask.prompt.heard.is_empty() {
            return None;
        }
        fleet.echoed(params, asked.ask, &mut account.clone())
    }

    fn learn(
        params: &Params,
        ended: &Ended<'_>,
        account: &mut Echoes,
        fleet: &Spoken,
    ) -> Option<f32> {
        let exchange = ended.exchange;
        let echoed = fleet.echoed(params, &exchange.ask, account);
        fleet.show(&exchange.ask, ended.aged);
        if exchange.served() {
            fleet.say(exchange, ended.aged);
        }
        echoed
    }

    fn tick(params: &Params, fleet: &Spoken, now: Timestamp) {
        fleet.0.tick(now, days(params.days));
    }
}

impl Spoken {
    /// Different echoes of others' answers from this account, if the request holds another one: two
    /// chunks or more of what one and the same account was told.
    fn echoed(&self, params: &Params, ask: &Ask, account: &mut Echoes) -> Option<f32> {
        let caller = Owner::of(&ask.caller);
        let foreign = |chunk: &Tag| {
            let known = self.0.get(*chunk)?;
            let private = !known.common && known.shown < params.accounts;
            (private && known.owner.is_foreign_to(&caller)).then_some((known.owner, *chunk))
        };
        let found: Vec<(Owner, Tag)> = ask.prompt.heard.iter().filter_map(foreign).collect();
        let of_one = |(owner, _): &&(Owner, Tag)| {
            found.iter().filter(|(other, _)| other.is_account(owner)).count() >= params.chunks
        };
        let (_, chunk) = found.iter().find(of_one)?;
        account.insert(*chunk, ask.at)
    }

    /// Counts who shows a chunk besides its owner: what many show is published.
    fn show(&self, ask: &Ask, aged: bool) {
        let caller = Owner::of(&ask.caller);
        let [a, b, c, d, ..] = ask.caller.account.0;
        let who = u32::from_be_bytes([a, b, c, d]);
        for &chunk in &ask.prompt.heard {
            if self.0.get(chunk).is_none_or(|known| known.owner.is_account(&caller)) {
                continue;
            }
            self.0.update(chunk, aged, |known| {
                if known.last != who {
                    known.shown = known.shown.saturating_add(u16::from(known.last != 0));
                    known.last = who;
                }
            });
        }
    }

    /// Notes what an account was told. What it had put in itself was not the model's.
    fn say(&self, exchange: &Exchange, aged: bool) {
        let (to, heard) = (Owner::of(&exchange.ask.caller), &exchange.ask.prompt.heard);
        for &chunk in exchange.completion.said.iter().filter(|chunk| !heard.contains(chunk)) {
            self.0.update(chunk, aged, |known| known.common |= known.owner.claim(to));
        }
    }
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[schemars(rename = "EchoParams")]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// Chunks of one account's answers in one request before they are an echo.
    #[schemars(range(min = 1))]
    pub chunks: usize,
    /// Accounts that show a chunk from which it is public.
    #[schemars(range(min = 1))]
    pub accounts: u16,
    /// Days after which a chunk is forgotten at the latest; sooner when memory is full.
    #[schemars(range(min = 1))]
    pub days: u32,
}

impl Default for Params {
    fn default() -> Self {
        Self { chunks: 2, accounts: 3, days: 14 }
    }
}

#[cfg(test)]
mod tests {
    use super::super::exchange::Prompt;
    use super::super::samples::{ANSWERS, Around, exchange, keyring};
    use super::super::sketch::Sketch;
    use super::super::sketch::chunks::Listener;
    use super::*;

    /// A request that holds `text`, answered by `answer`.
    fn turn(account: u8, text: &str, answer: &str) -> Exchange {
        let heard = Sketch::with_chunks(text, &keyring(), Prompt::MAX_HEARD).1;
        let mut turn = exchange(account, 0, Prompt { heard, ..Prompt::default() });
        let mut listener = Listener::new(4);
        listener.take(answer, &keyring());
        turn.completion.said = listener.finish(&keyring());
        turn
    }

    fn learn(fleet: &Spoken, account: &mut Echoes, turn: &Exchange) -> Option<f32> {
        let around = Around::default();
        let asked = Echo::ask(&Params::default(), &around.asked(&turn.ask), account, fleet);
        let said = Echo::learn(&Params::default(), &around.ended(turn), account, fleet);
        assert_eq!(asked, said);
        said
    }

    fn told(fleet: &Spoken, account: u8, answer: &str) {
        learn(fleet, &mut Echoes::default(), &turn(account, "Tell me.", answer));
    }

    fn pasted(answer: &str) -> String {
        format!("Clean this trace up for the training set:\n{answer}\nKeep its steps.")
    }

    #[test]
    fn answers_fed_back_by_another_account_count_on_it_alone() {
        let (fleet, mut cleaner) = (Spoken::default(), Echoes::default());
        ANSWERS.iter().for_each(|answer| told(&fleet, 1, answer));
        let fed = ANSWERS.map(|answer| learn(&fleet, &mut cleaner, &turn(2, &pasted(answer), "")));
        assert_eq!(fed, [Some(1.0), Some(2.0), Some(3.0)]);
        let again = turn(2, &pasted(ANSWERS[0]), "");
        assert_eq!(learn(&fleet, &mut cleaner, &again), None, "counted before");
        let own = turn(1, &pasted(ANSWERS[0]), "");
        assert_eq!(learn(&fleet, &mut Echoes::default(), &own), None, "the issuer is not blamed");
    }

    #[test]
    fn what_many_paste_is_public() {
        let fleet = Spoken::default();
        told(&fleet, 1, ANSWERS[0]);
        let paste =
            |who| learn(&fleet, &mut Echoes::default(), &turn(who, &pasted(ANSWERS[0]), ""));
        (2..6).for_each(|who| assert_eq!(paste(who), Some(1.0)));
        (6..20).for_each(|who| assert_eq!(paste(who), None, "{who}"));
    }

    #[test]
    fn what_the_model_tells_everybody_is_nobodys() {
        let fleet = Spoken::default();
        told(&fleet, 1, ANSWERS[0]);
        told(&fleet, 2, ANSWERS[0]);
        let paste = turn(3, &pasted(ANSWERS[0]), "");
        assert_eq!(learn(&fleet, &mut Echoes::default(), &paste), None);
    }

    #[test]
    fn a_text_given_back_to_who_brought_it_stays_everybodys() {
        let fleet = Spoken::default();
        let mended = turn(1, &pasted(ANSWERS[0]), ANSWERS[0]);
        learn(&fleet, &mut Echoes::default(), &mended);
        let paste = turn(3, &pasted(ANSWERS[0]), "");
        assert_eq!(learn(&fleet, &mut Echoes::default(), &paste), None);
    }

    #[test]
    fn colleagues_may_pass_answers_on() {
        let ours = |mut turn: Exchange| {
            turn.ask.caller.org = Some(Tag(8));
            turn
        };
        let fleet = Spoken::default();
        let told = ours(turn(1, "Tell me.", ANSWERS[0]));
        learn(&fleet, &mut Echoes::default(), &told);
        let paste = ours(turn(2, &pasted(ANSWERS[0]), ""));
        assert_eq!(learn(&fleet, &mut Echoes::default(), &paste), None);
    }
}
