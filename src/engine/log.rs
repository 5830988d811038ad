//! The decision log's lines: what the proxy writes and a replay reads.
//!
//! One JSON object per line, in the order things happened, so a replay that calls `assess`, `learn`
//! and `tick` line by line gives the engine what the live proxy gave it:
//!
//! ```json
//! {"v":1,"kind":"ask","ask":{},"verdict":{}}
//! {"v":1,"kind":"end","id":"00000000000000a1","ended":0,"ending":"complete","status":200,"completion":{}}
//! {"v":1,"kind":"trial","account":"acct_…","at":0,"step":"issued","from":"00000000000000a1","took":0}
//! {"v":1,"kind":"tick","at":0}
//! ```

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{Order, Verdict};
use crate::signal::{Ask, Completion, Ending, Exchange, ExchangeId, Trial};
use crate::time::Timestamp;

/// One line of the decision log. Features only: no text, no key.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "passed on boxed; half of all lines are asks")]
pub enum Line {
    /// A request was judged.
    Ask { ask: Ask, verdict: Verdict },
    /// The endpoint accepted the caller of an exchange that goes on.
    Accepted { id: ExchangeId, at: Timestamp },
    /// An exchange ended. Its ask was written before, unless a refusal came before judgement.
    End(End),
    /// A challenge was put to an account, or answered.
    Trial(Trial),
    /// Memory expired as of this time.
    Tick { at: Timestamp },
    /// An operator's order was carried out.
    Order { at: Timestamp, order: Order },
}

/// An exchange's end, without its ask.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct End {
    /// The id of its ask.
    pub id: ExchangeId,
    pub ended: Timestamp,
    pub ending: Ending,
    pub status: u16,
    pub completion: Completion,
}

impl Line {
    /// The schema's version. It rises when a reader of the one before would misread a line.
    pub const VERSION: u32 = 1;

    pub fn ask(ask: &Ask, verdict: &Verdict) -> Self {
        Self::Ask { ask: ask.clone(), verdict: verdict.clone() }
    }

    pub fn end(exchange: &Exchange) -> Self {
        Self::End(End {
            id: exchange.ask.id,
            ended: exchange.ended,
            ending: exchange.ending,
            status: exchange.status,
            completion: exchange.completion.clone(),
        })
    }

    /// Event time.
    pub fn at(&self) -> Timestamp {
        match self {
            Self::Ask { ask, .. } => ask.at,
            Self::End(end) => end.ended,
            Self::Trial(trial) => trial.at,
            Self::Tick { at } | Self::Accepted { at, .. } | Self::Order { at, .. } => *at,
        }
    }
}

impl End {
    /// The whole exchange again.
    pub fn joined(self, ask: Ask) -> Exchange {
        Exchange {
            ask,
            ended: self.ended,
            ending: self.ending,
            status: self.status,
            completion: self.completion,
        }
    }
}

/// How a line is spelt, its version aside.
#[derive(Deserialize, Serialize)]
#[serde(remote = "Line", tag = "kind", rename_all = "kebab-case")]
#[expect(clippy::large_enum_variant, reason = "never made: it only says how a line is spelt")]
enum Spelling {
    Ask { ask: Ask, verdict: Verdict },
    Accepted { id: ExchangeId, at: Timestamp },
    End(End),
    Trial(Trial),
    Tick { at: Timestamp },
    Order { at: Timestamp, order: Order },
}

/// A line as it stands in the file: the version comes first, so that a reader can tell early.
#[derive(Serialize)]
struct Written<'a> {
    v: u32,
    #[serde(flatten, with = "Spelling")]
    line: &'a Line,
}

#[derive(Deserialize)]
struct Read {
    #[serde(rename = "v", deserialize_with = "version")]
    _version: (),
    #[serde(flatten, with = "Spelling")]
    line: Line,
}

impl Serialize for Line {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        Written { v: Self::VERSION, line: self }.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Line {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Read::deserialize(from).map(|read| read.line)
    }
}

fn version<'de, D: Deserializer<'de>>(from: D) -> Result<(), D::Error> {
    let found = u32::deserialize(from)?;
    if found == Line::VERSION {
        return Ok(());
    }
    let known = Line::VERSION;
    Err(de::Error::custom(format_args!("version {found} of the log; this build reads {known}")))
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
