//! What exchanges cost under limits: reserved by estimate before one begins, settled when it has
//! ended.

use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use super::throttle;
use crate::dialect::{Api, Scarce, Standing};
use crate::engine::{Pace, Window};
use crate::policy::{Every, Limits, Measure, Period, Rate, UnknownUsage};
use crate::signal::{Exchange, Prompt};
use crate::time::Timestamp;

/// Output tokens reserved for a completion that may be longer or names no limit. Most answers are
/// shorter; were it as high as models allow, an account's burst would be gone with a few requests.
const USUAL_OUTPUT: u32 = 1024;

/// The guard's clock in nanoseconds, and the time of day.
pub(super) type Now = (u64, Timestamp);

/// What an exchange costs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Cost {
    /// Completions asked for.
    pub requests: u32,
    /// Tokens.
    pub input: u32,
    pub output: u32,
}

impl Cost {
    /// What a request will cost, by its own words. Output grows with the completions asked for; what
    /// asks for none is one request all the same.
    pub(super) fn estimated(prompt: &Prompt) -> Self {
        let completions = prompt.api.completions(&prompt.params);
        let output = match prompt.api {
            Api::Other | Api::OpenaiEmbeddings | Api::GeminiEmbed => 0,
            _ => prompt.params.max_tokens.map_or(USUAL_OUTPUT, |most| most.min(USUAL_OUTPUT)),
        };
        let input = if completions == 0 { 0 } else { prompt.tokens };
        let output = output.saturating_mul(completions);
        Self { requests: completions.max(1), input, output }
    }

    /// What an exchange has cost: as its usage says, else as counted, else as `unknown` has it. A
    /// batch is answered elsewhere: its estimate holds. An endpoint that gives no answer makes the
    /// tokens free, not the request.
    pub(super) fn spent(self, exchange: &Exchange, unknown: UnknownUsage) -> Self {
        if !exchange.served() {
            return Self { input: 0, output: 0, ..self };
        }
        if exchange.ask.prompt.api == Api::AnthropicBatches {
            return self;
        }
        let completion = &exchange.completion;
        let unread = || match unknown {
            UnknownUsage::Nothing => 0,
            // A token is a byte at least.
            UnknownUsage::Estimate => {
                self.output.min(u32::try_from(completion.bytes).unwrap_or(u32::MAX))
            }
        };
        Self {
            input: completion.usage.input.unwrap_or(self.input),
            output: completion.usage.output.unwrap_or_else(unread),
            ..self
        }
    }

    pub(super) fn plus(self, more: Self) -> Self {
        Self {
            requests: self.requests.saturating_add(more.requests),
            input: self.input.saturating_add(more.input),
            output: self.output.saturating_add(more.output),
        }
    }

    /// What it comes to where requests and tokens cost so many times more.
    pub(super) fn dearer(self, [requests, tokens]: [f64; 2]) -> Self {
        let times = |count: u32, by: f64| (f64::from(count) * by).ceil() as u32;
        Self {
            requests: times(self.requests, requests),
            input: times(self.input, tokens),
            output: times(self.output, tokens),
        }
    }

    /// In the order of [`Measure::ALL`].
    pub(super) fn each(self) -> [u32; 4] {
        [self.requests, self.input, self.output, self.input.saturating_add(self.output)]
    }
}

/// Why nothing could be reserved: what there is too little of, and for how long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Short {
    pub wait: Duration,
    pub scarce: Scarce,
}

impl Short {
    fn of(measure: Measure, wait: Duration) -> Self {
        let scarce = if measure == Measure::Requests { Scarce::Requests } else { Scarce::Tokens };
        Self { wait, scarce }
    }
}

/// What is taken under one set of limits for an exchange that has not ended. Dropped unsettled, all
/// is given back.
#[derive(Debug)]
pub(super) struct Reservation {
    pace: Arc<Pace>,
    cost: Cost,
    /// The rates it was taken at, which a reload may have replaced, and what each cell gave.
    rates: [[Option<(Rate, u64)>; 4]; 2],
    /// Starts of the windows it was taken from.
    windows: [Option<Timestamp>; 3],
}

impl Reservation {
    /// Reserves `cost` under all `limits` or none, or says why not.
    pub(super) fn take(
        pace: &Arc<Pace>,
        limits: &Limits,
        cost: Cost,
        now: Now,
    ) -> Result<Self, Short> {
        let pace = Arc::clone(pace);
        let mut held = Self { pace, cost, rates: [[None; 4]; 2], windows: [None; 3] };
        for every in Every::ALL {
            for (measure, amount) in Measure::ALL.into_iter().zip(cost.each()) {
                let Some(rate) = limits.rate(every, measure) else { continue };
                let taken = throttle::take(held.pace.cell(every, measure), rate, amount, now.0);
                let taken = taken.map_err(|wait| Short::of(measure, wait))?;
                held.rates[every.index()][measure.index()] = Some((rate, taken));
            }
        }
        if limits.has_quotas() {
            held.spend(limits, now.1)?;
        }
        Ok(held)
    }

    /// Takes the cost out of the quotas, where each has as much left.
    fn spend(&mut self, limits: &Limits, now: Timestamp) -> Result<(), Short> {
        let cost = self.cost.each().map(u64::from);
        let mut windows = windows(&self.pace);
        let windows = windows.get_or_insert_default();
        for period in Period::ALL {
            let (window, end) = current(windows, period, now);
            for (measure, amount) in Measure::ALL.into_iter().zip(cost) {
                let quota = limits.quotas(period).of(measure).filter(|_| amount > 0);
                let after = window.used[measure.index()].saturating_add(amount);
                if quota.is_some_and(|most| after > most.get()) {
                    return Err(Short::of(measure, end.since(now)));
                }
            }
        }
        // All are counted though one alone may be limited: a reload may limit the others.
        for (window, taken) in windows.iter_mut().zip(&mut self.windows) {
            add(window, cost);
            *taken = Some(window.start);
        }
        Ok(())
    }

    /// Replaces the estimate with what was `spent`. `now` is in nanoseconds.
    pub(super) fn settle(mut self, spent: Cost, now: u64) {
        self.correct(spent, now);
    }

    /// Corrects what was taken to `spent`, once. A window that is over keeps what it had.
    fn correct(&mut self, spent: Cost, now: u64) {
        let cells = self.pace.rates.iter().zip(&mut self.rates);
        for (cell, taken, spent) in cells.flat_map(|(cells, taken)| {
            cells.iter().zip(taken).zip(spent.each()).map(|((cell, taken), n)| (cell, taken, n))
        }) {
            let Some((rate, taken)) = taken.take() else { continue };
            throttle::settle(cell, taken, throttle::price(rate, spent), now);
        }
        let taken = std::mem::take(&mut self.windows);
        if taken == [None; 3] {
            return;
        }
        let mut windows = windows(&self.pace);
        let (reserved, spent) = (self.cost.each(), spent.each());
        for (window, start) in windows.get_or_insert_default().iter_mut().zip(taken) {
            if start != Some(window.start) {
                continue;
            }
            for (place, used) in window.used.iter_mut().enumerate() {
                let others = used.saturating_sub(reserved[place].into());
                *used = others.saturating_add(spent[place].into());
            }
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.correct(Cost::default(), 0);
    }
}

/// Takes `cost` though there may be less left, for good.
pub(super) fn charge(pace: &Pace, limits: &Limits, cost: Cost, now: Now) {
    for every in Every::ALL {
        for (measure, amount) in Measure::ALL.into_iter().zip(cost.each()) {
            let Some(rate) = limits.rate(every, measure) else { continue };
            let owed = throttle::price(rate, amount);
            throttle::settle(pace.cell(every, measure), 0, owed, now.0);
        }
    }
    if limits.has_quotas() {
        let mut windows = windows(pace);
        for period in Period::ALL {
            let (window, _) = current(windows.get_or_insert_default(), period, now.1);
            add(window, cost.each().map(u64::from));
        }
    }
}

/// The window of `period` that `now` lies in, begun anew if it was another, and its end.
fn current(windows: &mut [Window; 3], period: Period, now: Timestamp) -> (&mut Window, Timestamp) {
    let (start, end) = period.window(now);
    let window = &mut windows[period.index()];
    if window.start != start {
        *window = Window { start, ..Window::default() };
    }
    (window, end)
}

fn add(window: &mut Window, cost: [u64; 4]) {
    for (used, amount) in window.used.iter_mut().zip(cost) {
        *used = used.saturating_add(amount);
    }
}

/// The tightest of `limits` on `measure`, as it stands.
pub(super) fn standing(
    pace: &Pace,
    limits: &Limits,
    measure: Measure,
    now: Now,
) -> Option<Standing> {
    let rates = Every::ALL.into_iter().filter_map(|every| {
        let rate = limits.rate(every, measure)?;
        Some(throttle::standing(pace.cell(every, measure), rate, now.0))
    });
    let quotas = Period::ALL.into_iter().filter_map(|period| {
        let limit = limits.quotas(period).of(measure)?.get();
        let (start, end) = period.window(now.1);
        let windows = windows(pace);
        let window = windows.as_ref().map(|windows| windows[period.index()]);
        let used = window.filter(|window| window.start == start);
        let used = used.map_or(0, |window| window.used[measure.index()]);
        let remaining = limit.saturating_sub(used);
        let reset = if used == 0 { Duration::ZERO } else { end.since(now.1) };
        Some(Standing { limit, remaining, reset, window: end.since(start) })
    });
    rates.chain(quotas).reduce(Standing::tighter)
}

/// The quotas' windows: numbers only, whole after any panic.
pub(super) fn windows(pace: &Pace) -> MutexGuard<'_, Option<Box<[Window; 3]>>> {
    pace.windows.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
