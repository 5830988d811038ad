//! Tokens: reserved by estimate before an exchange, settled when it has ended.

use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use super::throttle;
use crate::dialect::Api;
use crate::engine::{Pace, Window};
use crate::policy::{Limits, Period, TokenPace};
use crate::signal::{Exchange, Prompt};
use crate::time::Timestamp;

/// Output tokens reserved for a completion that may be longer or names no limit. Most answers are
/// shorter; were it as high as models allow, an account's burst would be gone with a few requests.
const USUAL_OUTPUT: u32 = 1024;

/// What an exchange costs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Tokens {
    pub input: u32,
    pub output: u32,
}

impl Tokens {
    /// What a request will cost, by its own words. Output grows with the completions asked for.
    pub(super) fn estimated(prompt: &Prompt) -> Self {
        let completions = prompt.api.completions(&prompt.params);
        let output = match prompt.api {
            Api::Other | Api::OpenaiRealtime | Api::OpenaiEmbeddings | Api::GeminiEmbed => 0,
            _ => prompt.params.max_tokens.map_or(USUAL_OUTPUT, |most| most.min(USUAL_OUTPUT)),
        };
        let input = if completions == 0 { 0 } else { prompt.tokens };
        Self { input, output: output.saturating_mul(completions) }
    }

    /// What an exchange has cost: as its usage says, else as counted, else as `reserved`, though
    /// never more output than bytes that passed. A batch is answered elsewhere: its estimate holds.
    fn spent(exchange: &Exchange, reserved: Self) -> Self {
        if !exchange.served() {
            return Self::default();
        }
        if exchange.ask.prompt.api == Api::AnthropicBatches {
            return reserved;
        }
        let completion = &exchange.completion;
        let passed = u32::try_from(completion.bytes).unwrap_or(u32::MAX);
        Self {
            input: completion.usage.input.unwrap_or(reserved.input),
            output: completion.usage.output.unwrap_or_else(|| reserved.output.min(passed)),
        }
    }

    fn total(self) -> u32 {
        self.input.saturating_add(self.output)
    }

    /// In the order of an account's cells.
    fn each(self) -> [u32; 3] {
        [self.input, self.output, self.total()]
    }
}

/// Limits on tokens in the order of an account's cells.
pub(super) fn rates(limits: &Limits) -> [Option<TokenPace>; 3] {
    [limits.input_tokens, limits.output_tokens, limits.tokens]
}

/// Tokens taken for an exchange that has not ended. Dropped unsettled, all are given back.
#[derive(Debug)]
pub(super) struct Reservation {
    pace: Arc<Pace>,
    tokens: Tokens,
    /// The rates they were taken at, which a reload may have replaced, and what each cell gave.
    paced: [Option<(TokenPace, u64)>; 3],
    /// Starts of the windows they were taken from.
    windows: [Option<Timestamp>; 2],
}

impl Reservation {
    /// Reserves `tokens` under all `limits` or none, or says how long to wait. `now` is the guard's
    /// clock in nanoseconds and the time of day.
    pub(super) fn take(
        pace: &Arc<Pace>,
        limits: &Limits,
        tokens: Tokens,
        now: (u64, Timestamp),
    ) -> Result<Self, Duration> {
        let pace = Arc::clone(pace);
        let mut held = Self { pace, tokens, paced: [None; 3], windows: [None; 2] };
        for (place, rate) in rates(limits).into_iter().enumerate() {
            let Some(rate) = rate else { continue };
            let taken =
                throttle::take(&held.pace.tokens[place], rate, tokens.each()[place], now.0)?;
            held.paced[place] = Some((rate, taken));
        }
        held.spend(limits, now.1)?;
        Ok(held)
    }

    /// Takes the tokens out of the quotas, where each has as many left.
    fn spend(&mut self, limits: &Limits, now: Timestamp) -> Result<(), Duration> {
        if Period::ALL.into_iter().all(|period| limits.quota(period).is_none()) {
            return Ok(());
        }
        let amount = u64::from(self.tokens.total());
        let mut windows = windows(&self.pace);
        for period in Period::ALL {
            let (start, end) = period.window(now);
            let window = &mut windows[period.index()];
            if window.start != start {
                *window = Window { start, tokens: 0 };
            }
            let quota = limits.quota(period).filter(|_| amount > 0);
            if quota.is_some_and(|most| window.tokens.saturating_add(amount) > most.get()) {
                return Err(end.since(now));
            }
        }
        // Both are counted though one alone may be limited: a reload may limit the other.
        for (window, taken) in windows.iter_mut().zip(&mut self.windows) {
            window.tokens = window.tokens.saturating_add(amount);
            *taken = Some(window.start);
        }
        Ok(())
    }

    /// Replaces the estimate with what `exchange` has cost. `now` is in nanoseconds.
    pub(super) fn settle(mut self, exchange: &Exchange, now: u64) {
        self.correct(Tokens::spent(exchange, self.tokens), now);
    }

    /// Corrects what was taken to `spent`, once. A window that is over keeps what it had.
    fn correct(&mut self, spent: Tokens, now: u64) {
        for (place, paced) in self.paced.iter_mut().enumerate() {
            let Some((rate, taken)) = paced.take() else { continue };
            let owed = throttle::price(rate, spent.each()[place]);
            throttle::settle(&self.pace.tokens[place], taken, owed, now);
        }
        let taken = std::mem::take(&mut self.windows);
        if taken == [None; 2] {
            return;
        }
        for (window, start) in windows(&self.pace).iter_mut().zip(taken) {
            if start == Some(window.start) {
                let others = window.tokens.saturating_sub(self.tokens.total().into());
                window.tokens = others.saturating_add(spent.total().into());
            }
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.correct(Tokens::default(), 0);
    }
}

/// The quotas' windows: numbers only, whole after any panic.
pub(super) fn windows(pace: &Pace) -> MutexGuard<'_, [Window; 2]> {
    pace.windows.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
