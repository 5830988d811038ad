//! Exchanges for the tests of this room.

use super::crowd::Crowds;
use super::exchange::{Ask, Completion, Ending, Exchange, ExchangeId, Phrases, Prompt};
use super::habits::Habits;
use super::pivot::New;
use super::registry::{Asked, Ended, Signal};
use super::share::{Params, Phrased, Share};
use super::sketch::Sketch;
use crate::identity::{Caller, Keyring, Tag};
use crate::time::Timestamp;

pub(super) fn keyring() -> Keyring {
    Keyring::new([7; 32])
}

pub(super) fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(1_750_000_000_000 + seconds * 1000)
}

pub(super) fn exchange(account: u8, seconds: u64, prompt: Prompt) -> Exchange {
    let ask =
        Ask { id: ExchangeId(Tag(1)), at: at(seconds), caller: Caller::sample(account), prompt };
    let (ended, completion) = (at(seconds + 1), Completion::default());
    Exchange { ask, ended, ending: Ending::Complete, status: 200, completion }
}

/// The account asks the endpoint, word for word what `body` stands for, and is answered.
pub(super) fn asks(account: u8, seconds: u64, body: u64) -> Exchange {
    exchange(account, seconds, Prompt { body: Tag(body), ..Prompt::default() })
}

/// It asks, and is denied.
pub(super) fn denied(account: u8, seconds: u64, body: u64) -> Exchange {
    Exchange { ending: Ending::Refused, status: 429, ..asks(account, seconds, body) }
}

/// A prompt whose last user turn is `text`.
pub(super) fn user(text: &str) -> Prompt {
    let keyring = keyring();
    Prompt {
        user: Sketch::of(text, &keyring),
        last: keyring.tag("last", text.as_bytes()),
        phrases: super::lexicon::find(text),
        ..Prompt::default()
    }
}

pub(super) fn saying(phrases: Phrases) -> Prompt {
    Prompt { phrases, ..Prompt::default() }
}

/// What twenty such requests in a row come to.
pub(super) fn habit_of<S: Phrased>(prompt: Prompt) -> Option<f32> {
    let (around, mut account) = (Around::default(), Share::default());
    let ended = exchange(1, 0, prompt);
    let ended = around.ended(&ended);
    (0..20).fold(None, |_, _| S::learn(&Params::default(), &ended, &mut account, &()))
}

/// What the engine hands to signals, with memory of the test's own.
#[derive(Default)]
pub(super) struct Around {
    pub(super) habits: Habits,
    pub(super) crowds: Crowds,
    pub(super) aged: bool,
    pub(super) news: Vec<New>,
    pub(super) unserved: bool,
    pub(super) condemned: bool,
}

impl Around {
    pub(super) fn asked<'a>(&'a self, ask: &'a Ask) -> Asked<'a> {
        Asked {
            ask,
            aged: self.aged,
            unserved: self.unserved,
            habits: &self.habits,
            crowds: &self.crowds,
            news: &self.news,
        }
    }

    pub(super) fn ended<'a>(&'a self, exchange: &'a Exchange) -> Ended<'a> {
        Ended {
            exchange,
            aged: self.aged,
            unserved: self.unserved,
            condemned: self.condemned,
            habits: &self.habits,
            crowds: &self.crowds,
            news: &self.news,
        }
    }

    /// `count` new accounts, `aged` of them established, join every key of `habits`.
    pub(super) fn join(&self, habits: &Habits, count: u32, aged: u32) {
        for (facet, key) in habits.keys() {
            for member in 0..count {
                let old = u32::from(member < aged);
                self.crowds.join(facet, key, at(0), |crowd| crowd.aged += old);
            }
        }
    }
}

/// One template, ten things to fill in: the shape of a harvest.
pub(super) const SUBJECTS: [&str; 10] = [
    "a falling cat rotates without external torque",
    "antibodies recognise foreign proteins",
    "interest rates influence housing markets",
    "glaciers carve valleys over millennia",
    "compilers allocate registers for loops",
    "sourdough rises in cold kitchens",
    "medieval guilds regulated apprenticeships",
    "satellites keep geostationary orbits",
    "bees communicate distances by dancing",
    "lithium batteries lose capacity",
];

pub(super) fn filled(subject: &str) -> String {
    format!(
        "Act as a senior domain expert. Explain thoroughly how {subject}. First enumerate relevant \
         principles, derive intermediate conclusions carefully, examine alternative hypotheses, \
         reject weak arguments explicitly, then state a confident verdict with supporting evidence."
    )
}

/// What one person asks in an afternoon.
pub(super) const CHAT: [&str; 10] = [
    "Can you recommend a good recipe for lentil soup with carrots and cumin?",
    "My laptop fan spins loudly after the latest update, what might cause that?",
    "Translate the sentence 'the ferry leaves at dawn' into Portuguese and Greek.",
    "Draft a birthday message for a colleague who loves hiking and photography.",
    "What documents do I need to register a used car bought from a neighbour?",
    "Summarise the plot of Moby Dick for a ten year old in three sentences.",
    "Which houseplants survive in a dark bathroom with high humidity?",
    "Fix this SQL query: the join returns duplicate customers per order line.",
    "How long should a beginner train before running a half marathon?",
    "Compare renting and buying an apartment when interest rates rise quickly.",
];

/// Long answers, in English, French and Chinese.
pub(super) const ANSWERS: [&str; 3] = [
    "The harbour silts up because the river drops its load where the current slackens. Behind the \
     breakwater the water hardly moves, so sand that was carried for thirty kilometres settles within \
     an hour. Dredging removes about forty thousand tonnes every spring, yet a single winter storm \
     brings half of that back. A longer mole would shift the problem eastward, towards the beach where \
     the fishermen keep their boats, and the council has refused that twice. What remains is to let \
     some of the flow through: culverts under the breakwater keep the bottom clean, though they make \
     the berths uneasy when the wind stands in the north. The engineers who studied a similar port in \
     Brittany found that three openings of two metres each were enough, provided that gates close them \
     during gales. Such gates need care, because mussels grow in their hinges and divers must scrape \
     them off each autumn. In sum the cheapest measure is a pair of gated culverts, the dearest a new \
     mole, and the most popular among sailors, unfortunately, is to do nothing at all.",
    "La tour de l'horloge penche parce que ses fondations reposent sur une argile qui gonfle avec les \
     pluies d'automne. Chaque hiver, le mur oriental monte de deux millimetres pendant que le mur \
     occidental, abrite par le couvent, reste immobile. Les artisans du quartier ont pose des temoins \
     de platre sur les fissures; la moitie etaient rompus au printemps suivant. Il faudrait drainer la \
     place, mais le vieux reseau de caves, ou l'on gardait jadis le vin des chanoines, interdit les \
     tranchees profondes. Une injection de resine consoliderait le sol sans vibrations, au prix d'un \
     chantier de six mois et d'une fermeture du marche couvert. Les archives montrent d'ailleurs que \
     l'architecte avait prevu un contrefort, abandonne faute d'argent apres la mauvaise recolte. \
     Reprendre ce dessin couterait moins cher, resterait reversible et plairait aux historiens, tandis \
     que les commercants redoutent surtout la poussiere et le bruit devant leurs vitrines.",
    "湖水变绿主要是因为上游农田的肥料随雨水流入河道,磷在浅水区沉积,夏天气温升高以后藻类迅速繁殖。当地渔民最早\
     发现鱼群聚集到出水口附近,因为那里氧气比较充足。研究人员连续三年测量水质,结果显示春季第一次暴雨带来的磷几乎\
     占全年一半。因此在河口建造芦苇湿地效果最好,芦苇根系吸收养分,冬天收割以后可以造纸。另外一种办法是抽取深层冷水\
     补充表层,可是耗电很大,而且会搅动底泥。镇政府打算先改造两条支流,再补贴农户使用缓释肥料,预计五年内透明度恢复到\
     两米。旅游公司担心施工影响游船,工程师建议分段进行,先做北岸,等候鸟离开以后再做南岸。",
];
