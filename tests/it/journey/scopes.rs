//! Whatever befalls exchanges, what they held of every scope is back when they have ended.

use std::collections::BTreeSet;
use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use http::Request;
use http_body_util::BodyExt;
use proptest::prelude::*;
use stillguard::engine;
use stillguard::guard::{Socket, UpstreamError};
use stillguard::policy::{Action, Group, Limits, Pace, Quotas, TenantSettings, TokenPace};

use super::scene::{
    Answered, CHAT, Plan, Scene, Script, Step, account, answer, chat, chunk, post, stream, upgrade,
};

/// Accounts the endpoint knows, of which the first two are a group, and one it has never taken.
const KEYS: [&str; 4] = ["a", "b", "c", "stranger"];

/// What the endpoint of these scenes says an exchange used.
const REPORTED: [u64; 2] = [11, 3];
/// Estimate of the scenes' prompt, and what a stream of one word is counted as.
const INPUT: u64 = 9;
const WORD: u64 = 2;

fn limits(scale: u32) -> Limits {
    let number = |n| NonZeroU32::new(n).unwrap();
    let tokens = TokenPace { tokens_per_minute: number(60_000), burst: number(100_000 * scale) };
    let most = |n| NonZeroU64::new(n * u64::from(scale));
    Limits {
        requests: Some(Pace { requests_per_minute: number(6_000), burst: number(200 * scale) }),
        concurrency: Some(number(4 * scale)),
        input_tokens: Some(tokens),
        output_tokens: Some(tokens),
        tokens: Some(tokens),
        per_second: Quotas { requests: most(10_000), ..Quotas::default() },
        per_hour: Quotas::default(),
        per_day: Quotas { requests: most(150), tokens: most(60_000), ..Quotas::default() },
        per_month: Quotas { input_tokens: most(9_000), ..Quotas::default() },
        cut_streams: true,
    }
}

fn tenant(settings: &mut TenantSettings) {
    let accounts: BTreeSet<_> = KEYS[..2].iter().map(|key| account(key)).collect();
    let (name, total_limits) = ("gold".to_owned(), limits(2));
    settings.groups =
        vec![Group { name, accounts, end_user_limits: limits(1), limits: limits(1), total_limits }];
    settings.end_user_limits = Some(limits(1));
    settings.limits = Some(limits(1));
    settings.total_limits = Some(limits(3));
}

/// What befalls an exchange.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Served,
    /// The endpoint breaks its stream off.
    Cut,
    /// The caller leaves: mid-stream, before the first byte of the body, before the head.
    Left,
    LeftUnread,
    LeftEarly,
    /// The endpoint can't be reached, says that it is broken, or that there is too much.
    Unreachable,
    Broken,
    Busy,
    /// Stillguard refuses: by verdict, or for so many completions at once.
    Dropped,
    Greedy,
    /// The stream goes on while others come and go.
    Held,
    /// It goes on beyond what was reserved for it, so that it takes more, and then the caller leaves.
    Long,
    /// A websocket over which the model answers once.
    Socket,
}

const FATES: [Fate; 13] = [
    Fate::Served,
    Fate::Cut,
    Fate::Left,
    Fate::LeftUnread,
    Fate::LeftEarly,
    Fate::Unreachable,
    Fate::Broken,
    Fate::Busy,
    Fate::Dropped,
    Fate::Greedy,
    Fate::Held,
    Fate::Long,
    Fate::Socket,
];

/// What is said over a socket, and what it has used.
const DONE: &[u8] =
    br#"{"type":"response.done","response":{"usage":{"input_tokens":5,"output_tokens":2}}}"#;
const OVER_SOCKET: Spent = [1, 5, 2];

fn said() -> Step {
    chunk("data: {\"choices\":[{\"delta\":{\"content\":\"1234\"}}]}\n\n")
}

fn refused(status: u16) -> Plan {
    let mut refused = answer("{}");
    *refused.status_mut() = http::StatusCode::from_u16(status).unwrap();
    Plan::Answer(refused)
}

fn plan(fate: Fate) -> Option<Plan> {
    Some(match fate {
        Fate::Served | Fate::Dropped | Fate::Greedy => return None,
        Fate::Cut => Plan::Answer(stream([said(), Step::Fail])),
        Fate::Left | Fate::LeftUnread | Fate::Held => Plan::Answer(stream([said(), Step::Hang])),
        Fate::LeftEarly => Plan::Hang,
        Fate::Long => {
            let words = "some words and ".repeat(500);
            let event =
                format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{words}\"}}}}]}}\n\n");
            Plan::Answer(stream([chunk(&event), Step::Hang]))
        }
        Fate::Socket => {
            Plan::Answer(http::Response::builder().status(101).body(Script::default()).unwrap())
        }
        Fate::Unreachable => Plan::Fail(UpstreamError::Unreachable("refused".into())),
        Fate::Broken => refused(500),
        Fate::Busy => refused(429),
    })
}

/// Requests name one end user, but for the greedy, which come to nothing, and for sockets, which can't.
fn asked(key: &str, fate: Fate) -> Request<Script> {
    let body = match fate {
        Fate::Socket => return upgrade("/v1/realtime", key),
        Fate::Greedy => CHAT.replacen('{', "{\"n\":9999,", 1),
        Fate::Long => CHAT.replacen('{', "{\"user\":\"one of many\",\"stream\":true,", 1),
        _ => CHAT.replacen('{', "{\"user\":\"one of many\",", 1),
    };
    let key = format!("Bearer {key}");
    post("/v1/chat/completions", &[("authorization", &key)], &body)
}

/// What exchanges have cost one key: requests, input, output.
type Spent = [u64; 3];

struct Play {
    scene: Scene,
    spent: [Spent; KEYS.len()],
    /// Of it, what no end user was named for.
    unnamed: [Spent; KEYS.len()],
    held: Vec<(usize, Answered)>,
}

impl Play {
    async fn new() -> Self {
        let scene = Scene::with(tenant, |_| {});
        let mut spent = [Spent::default(); KEYS.len()];
        for (key, spent) in KEYS[..3].iter().zip(&mut spent) {
            scene.introduce(key).await;
            *spent = [1, REPORTED[0], REPORTED[1]];
        }
        let unnamed = [Spent::default(); KEYS.len()];
        Self { scene, spent, unnamed, held: Vec::new() }
    }

    /// One exchange of `place`, to its end unless it is held.
    async fn act(&mut self, place: usize, fate: Fate) {
        let scene = &self.scene;
        let reached = scene.forwarded();
        // Whom the endpoint serves it knows: this one it never does.
        let fate = if place == 3 { stranger(fate) } else { fate };
        let action = if matches!(fate, Fate::Dropped) { Action::Drop } else { Action::Allow };
        scene.judge(action, 9.0);
        let request = asked(KEYS[place], fate);
        scene.unplan();
        if let Some(plan) = plan(fate) {
            scene.plan(plan);
        }
        let call = tokio::time::timeout(Duration::from_millis(1), scene.call(request)).await;
        if scene.forwarded() == reached {
            assert!(matches!(call.unwrap().status().as_u16(), 403 | 429), "{fate:?}");
            return;
        }
        let [requests, input, output] = &mut self.spent[place];
        *requests += u64::from(place < 3);
        let (read, written) = match fate {
            Fate::Served => (REPORTED[0], REPORTED[1]),
            Fate::Cut | Fate::Left => (INPUT, WORD),
            Fate::LeftUnread => (INPUT, 0),
            _ => (0, 0),
        };
        *input += read;
        *output += written;
        let Ok(answered) = call else { return };
        match fate {
            Fate::Held => self.held.push((place, answered)),
            Fate::Left => drop(answered.into_body().frame().await.unwrap().unwrap()),
            Fate::Long => {
                drop(answered.into_body().frame().await.unwrap().unwrap());
                self.long(place);
            }
            Fate::Socket => self.converse(place),
            Fate::LeftUnread => drop(answered),
            _ => drop(answered.into_body().collect().await),
        }
    }

    /// A long stream was left: it has cost what its end says.
    fn long(&mut self, place: usize) {
        let end = self.scene.last_end();
        let output = end["completion"]["usage"]["output"].as_u64().unwrap();
        assert!(output > 1024, "{output} need no more than was reserved");
        self.spent[place][1] += INPUT;
        self.spent[place][2] += output;
    }

    /// A response over the socket that was just opened, and its end.
    fn converse(&mut self, place: usize) {
        let socket = self.scene.last_forwarded().0.extensions.remove::<Socket>().unwrap();
        let head = [0x81, u8::try_from(DONE.len()).unwrap()];
        assert!(DONE.len() < 126 && !socket.sent(&[&head[..], DONE].concat()));
        let [requests, input, output] = OVER_SOCKET;
        // Its request was counted when it was made.
        self.spent[place][1] += input;
        self.spent[place][2] += output;
        let unnamed = &mut self.unnamed[place];
        *unnamed = [unnamed[0] + requests, unnamed[1] + input, unnamed[2] + output];
    }

    /// Every caller who still listens leaves.
    fn close(&mut self) {
        for (place, answered) in self.held.drain(..) {
            drop(answered);
            self.spent[place][1] += INPUT;
        }
    }

    fn check(&self) {
        let sum = |places: &[usize]| {
            std::array::from_fn(|i| places.iter().map(|place| self.spent[*place][i]).sum::<u64>())
        };
        for (group, places) in [(Some("gold"), &[0, 1][..]), (None, &[0, 1, 2, 3])] {
            self.check_pace(&self.scene.shared_pace(group), sum(places));
        }
        // Accounts were strangers at their first exchange, which only what is shared has counted.
        let first = [1, REPORTED[0], REPORTED[1]];
        for (place, key) in KEYS[..3].iter().enumerate() {
            let own: Spent = std::array::from_fn(|i| self.spent[place][i] - first[i]);
            self.check_pace(&self.scene.pace(key), own);
            let named = std::array::from_fn(|i| own[i] - self.unnamed[place][i]);
            self.check_pace(&self.scene.end_user_pace(key, "one of many"), named);
        }
    }

    /// No permit is out, and rates and quotas have what was `spent`.
    fn check_pace(&self, pace: &engine::Pace, [requests, input, output]: Spent) {
        assert_eq!(pace.in_flight.load(SeqCst), 0);
        let spent = [requests, input, output, input + output];
        let windows = pace.windows.lock().unwrap().as_deref().copied().unwrap_or_default();
        assert_eq!(windows.map(|window| window.used), [spent; 3], "this hour, day and month");
        let by_minute = spent.into_iter().zip([10_000_000, 1_000_000, 1_000_000, 1_000_000]);
        let by_second = spent.into_iter().zip([100_000, 0, 0, 0]);
        for (cell, (spent, nanos)) in pace.rates.iter().flatten().zip(by_second.chain(by_minute)) {
            let elapsed = self.scene.shared.clock.elapsed_nanos();
            let owed = cell.load(SeqCst);
            assert!(owed <= spent * nanos + elapsed, "{owed} owed for {spent}");
        }
    }
}

/// What the endpoint does to a caller it doesn't know.
fn stranger(fate: Fate) -> Fate {
    match fate {
        Fate::Dropped | Fate::Greedy | Fate::Unreachable | Fate::Broken | Fate::LeftEarly => fate,
        _ => Fate::Busy,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn every_permit_and_reservation_is_back_in_every_scope(
        acts in prop::collection::vec((0..KEYS.len(), prop::sample::select(FATES.to_vec()), 0u8..12), 300),
    ) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut play = Play::new().await;
            for (place, fate, pause) in acts {
                play.act(place, fate).await;
                if pause == 0 {
                    play.close();
                    play.check();
                }
            }
            play.close();
            play.check();
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_tasks_are_never_admitted_beyond_a_quota_in_total() {
    const TOTAL: usize = 40;
    let quota = |settings: &mut TenantSettings| {
        let per_day = Quotas { requests: NonZeroU64::new(TOTAL as u64), ..Quotas::default() };
        settings.total_limits = Some(Limits { per_day, ..Limits::default() });
    };
    let scene = Arc::new(Scene::with(quota, |_| {}));
    let tasks: Vec<_> = (0..16)
        .map(|task| {
            let scene = Arc::clone(&scene);
            tokio::spawn(async move {
                let mut served = 0;
                for round in 0..10 {
                    let key = format!("key-{}", (task + round) % 7);
                    served += usize::from(scene.ask(chat(&key)).await.0 == 200);
                }
                served
            })
        })
        .collect();
    let mut served = 0;
    for task in tasks {
        served += task.await.unwrap();
    }
    assert_eq!((served, scene.forwarded()), (TOTAL, TOTAL));
}
