//! What shaping has done, by name.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One thing that shaping does. Its name stands in logs, metrics and the announcement.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Deed {
    /// Log probabilities were withheld.
    Logprobs,
    /// Fewer answers to one prompt were asked for.
    Choices,
    /// Fewer output tokens were asked for.
    OutputTokens,
    /// Thinking or reasoning text was withheld.
    Reasoning,
    /// A request for very many answers to one prompt was refused.
    Sweep,
    /// Thinking was taken out of a request whose seal was not issued to its caller.
    Unsealed,
    /// A request with something that was not issued to its caller was refused.
    Unbound,
}

impl Deed {
    pub const ALL: [Self; 7] = [
        Self::Logprobs,
        Self::Choices,
        Self::OutputTokens,
        Self::Reasoning,
        Self::Sweep,
        Self::Unsealed,
        Self::Unbound,
    ];

    pub const fn index(self) -> usize {
        self as usize
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Logprobs => "logprobs",
            Self::Choices => "choices",
            Self::OutputTokens => "output-tokens",
            Self::Reasoning => "reasoning",
            Self::Sweep => "sweep",
            Self::Unsealed => "unsealed",
            Self::Unbound => "unbound",
        }
    }
}

/// A set of deeds; a list of names in logs.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Deeds(u8);

impl Deeds {
    pub fn add(&mut self, deed: Deed) {
        self.0 |= 1 << deed.index();
    }

    pub fn join(&mut self, others: Self) {
        self.0 |= others.0;
    }

    pub fn is_empty(&self) -> bool {
        self.0 == 0
    }

    pub fn has(self, deed: Deed) -> bool {
        self.0 & (1 << deed.index()) != 0
    }

    pub fn iter(self) -> impl Iterator<Item = Deed> {
        Deed::ALL.into_iter().filter(move |deed| self.has(*deed))
    }
}

impl FromIterator<Deed> for Deeds {
    fn from_iter<I: IntoIterator<Item = Deed>>(deeds: I) -> Self {
        let mut all = Self::default();
        deeds.into_iter().for_each(|deed| all.add(deed));
        all
    }
}

impl Serialize for Deeds {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for Deeds {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(Vec::<Deed>::deserialize(from)?.into_iter().collect())
    }
}
