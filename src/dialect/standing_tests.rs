use proptest::prelude::*;

use super::*;
use crate::dialect::{Dialect, anthropic, azure, bedrock, gemini, openai};
use crate::time::Timestamp;

fn standing(limit: u64, remaining: u64, seconds: u64) -> Standing {
    let window = Duration::from_secs(60);
    Standing { limit, remaining, reset: Duration::from_secs(seconds), window }
}

fn all() -> Standings {
    Standings {
        requests: Some(standing(60, 59, 1)),
        input: Some(standing(9_000, 800, 366)),
        output: Some(standing(7_000, 600, 0)),
        tokens: Some(standing(8_000, 700, 4_000)),
    }
}

/// 2026-09-21T14:13:20Z.
const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);

fn told(dialect: &dyn Dialect, standings: &Standings, mut headers: HeaderMap) -> Vec<String> {
    dialect.announce(standings, NOW, &mut headers);
    let text =
        |(name, value): (&HeaderName, &HeaderValue)| format!("{name}: {}", value.to_str().unwrap());
    let mut lines: Vec<_> = headers.iter().map(text).collect();
    lines.sort();
    lines
}

#[test]
fn openai_and_azure_tell_of_requests_and_of_the_tightest_tokens() {
    for dialect in [&openai::Chat as &dyn Dialect, &azure::Azure(openai::Chat)] {
        assert_eq!(
            told(dialect, &all(), HeaderMap::new()),
            [
                "x-ratelimit-limit-requests: 60",
                "x-ratelimit-limit-tokens: 7000",
                "x-ratelimit-remaining-requests: 59",
                "x-ratelimit-remaining-tokens: 600",
                "x-ratelimit-reset-requests: 1s",
                "x-ratelimit-reset-tokens: 0s",
            ]
        );
    }
}

#[test]
fn anthropic_tells_of_each_measure_and_the_time_of_day() {
    let lines = told(&anthropic::Messages, &all(), HeaderMap::new());
    assert_eq!(lines.len(), 12);
    for line in [
        "anthropic-ratelimit-requests-reset: 2026-09-21T14:13:21Z",
        "anthropic-ratelimit-input-tokens-remaining: 800",
        "anthropic-ratelimit-input-tokens-reset: 2026-09-21T14:19:26Z",
        "anthropic-ratelimit-output-tokens-limit: 7000",
        "anthropic-ratelimit-tokens-remaining: 700",
    ] {
        assert!(lines.contains(&line.to_owned()), "{line} in {lines:?}");
    }
    assert_eq!(told(&anthropic::CountTokens, &all(), HeaderMap::new()), lines);
}

#[test]
fn gemini_and_bedrock_have_no_words_for_it() {
    for dialect in [&gemini::GENERATE as &dyn Dialect, &bedrock::Converse, &bedrock::Invoke] {
        assert_eq!(told(dialect, &all(), HeaderMap::new()), [""; 0]);
    }
}

#[test]
fn any_api_can_tell_in_the_ietfs_words_beside_the_endpoints() {
    let mut headers = HeaderMap::new();
    headers.append("ratelimit", "\"theirs\";r=1".parse().unwrap());
    let standings = Standings { input: None, output: None, ..all() };
    standings.announce(false, &mut headers);
    let told: Vec<_> = headers.get_all("ratelimit").iter().collect();
    assert_eq!(told, ["\"theirs\";r=1", "\"requests\";r=59;t=1, \"tokens\";r=700;t=4000"]);
    assert_eq!(
        headers["ratelimit-policy"],
        "\"requests\";q=60;w=60, \"tokens\";q=8000;w=60;qu=\"tokens\""
    );
    let mut headers = HeaderMap::new();
    standings.announce(true, &mut headers);
    assert_eq!(headers["ratelimit"], "\"requests\";r=59, \"tokens\";r=700");
    let mut headers = HeaderMap::new();
    Standings::default().announce(false, &mut headers);
    assert!(headers.is_empty());
}

#[test]
fn what_the_endpoint_says_without_a_number_is_not_known() {
    for odd in ["-1", "", "many", "184467440737095516160"] {
        let mut theirs = HeaderMap::new();
        theirs.insert("x-ratelimit-remaining-requests", odd.parse().unwrap());
        let lines = told(&openai::Chat, &all(), theirs);
        assert!(lines.contains(&"x-ratelimit-remaining-requests: 59".to_owned()), "{odd}");
    }
}

#[test]
fn a_request_refused_for_another_reason_shows_none_left() {
    let mut standings = all();
    standings.close(Duration::from_secs(9));
    assert_eq!(standings.requests, Some(standing(60, 0, 9)));
    assert_eq!(standings.tokens, all().tokens);
    let mut tokens = Standings { requests: None, ..all() };
    tokens.close(Duration::from_secs(9));
    assert_eq!(tokens.tokens, Some(standing(8_000, 0, 4_000)));
    let mut input = Standings { input: all().input, ..Standings::default() };
    input.close(Duration::ZERO);
    assert_eq!(input.input, Some(standing(9_000, 0, 366)));
}

proptest! {
    #[test]
    fn the_tighter_triple_shows_whole(limits in (1u64..99, 1u64..99), left in (0u64..99, 0u64..99)) {
        let mut headers = HeaderMap::new();
        let theirs = [limits.1.to_string(), left.1.to_string(), "7m7s".into()];
        for (name, value) in ["limit", "remaining", "reset"].iter().zip(&theirs) {
            let name: HeaderName = format!("x-ratelimit-{name}-requests").parse().unwrap();
            headers.append(name, value.parse().unwrap());
        }
        let requests = Some(standing(limits.0, left.0, 3));
        openai::Chat.announce(&Standings { requests, ..Standings::default() }, NOW, &mut headers);
        let shown = ["limit", "remaining", "reset"]
            .map(|name| headers[format!("x-ratelimit-{name}-requests")].to_str().unwrap().to_owned());
        let ours = [limits.0.to_string(), left.0.to_string(), "3s".into()];
        prop_assert_eq!(shown, if left.0 < left.1 { ours } else { theirs });
        prop_assert_eq!(headers.len(), 3);
    }
}
