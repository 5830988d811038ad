use super::*;
use crate::engine::Settings;
use crate::policy::Policies;

fn run(log: &str) -> Report {
    let engine = Engine::new(Settings::default(), Policies::default());
    replay(
        &engine,
        (&Keyring::new([3; 32]), &|_, _| {}),
        (log.as_bytes(), Wanted::default()),
        |_| {},
    )
    .unwrap()
}

fn line(n: u32, account: &str, label: &str, more: &str) -> String {
    format!(
        r#"{{"t":{}.5,"id":"e{n}","tenant":"t","account":"{account}","key":"k","ip":"192.0.2.7","dialect":"openai","model":"m","messages":[{{"role":"user","content":"question number {n} about harbours and tides"}}],"completion":"an answer","out_tokens":40,"latency_ms":900,"label":"{label}"{more}}}"#,
        1_790_000_000 + n
    )
}

/// One account is issued ids; the others present them.
fn relayed() -> String {
    let issue = (0..40).map(|n| {
        line(n, "victim", "benign", &format!(r#","response_ids":["resp-issued-{n:04}"]"#))
    });
    let present = (0..40).map(|n| {
        let ids = format!(r#","request_ids":["resp-issued-{n:04}"]"#);
        line(100 + n, &format!("thief-{}", n % 4), "campaign:relay", &ids)
    });
    issue.chain(present).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_campaign_in_the_past_would_have_been_acted_on_and_its_victim_not() {
    let report = run(&relayed());
    let (campaign, honest) = (&report.sides["campaign:relay"], &report.sides["benign"]);
    assert!(campaign.served < campaign.offered, "{campaign:?}");
    assert!(campaign.first_enforced.is_some());
    assert_eq!((honest.served, honest.offered), (40, 40));
    assert_eq!(campaign.met.accounts, 4);
}

#[test]
fn labels_change_nothing_but_the_report() {
    let with = run(&relayed());
    let without = run(&relayed().replace("campaign:relay", "benign"));
    let sums = |report: &Report| {
        let of = |side: &Side| [side.served, side.throttled, side.challenged, side.dropped];
        let add = |sum: [u64; 4], side: [u64; 4]| std::array::from_fn(|i| sum[i] + side[i]);
        report.sides.values().map(of).fold([0; 4], add)
    };
    assert_eq!(sums(&with), sums(&without));
}

#[test]
fn each_dropped_account_is_named_once() {
    let strict = r#"{"defaults":
        {"ladder": {"shape": -40, "throttle": -39, "challenge": -38, "drop": -37}}}"#;
    let strict: crate::policy::Settings = serde_json::from_str(strict).unwrap();
    let engine = Engine::new(Settings::default(), Policies::from(&strict));
    let mut named = Vec::new();
    let report = replay(
        &engine,
        (&Keyring::new([3; 32]), &|_, _| {}),
        (relayed().as_bytes(), Wanted::default()),
        |name| {
            named.push(name.to_owned());
        },
    );
    assert_eq!(named, ["victim", "thief-0", "thief-1", "thief-2", "thief-3"]);
    assert_eq!(report.unwrap().sides["campaign:relay"].met.dropped, 4);
}

#[test]
fn what_is_missing_is_not_known_and_what_is_strange_is_ignored() {
    let bare = r#"{"t":1790000000,"id":"a","account":"x","dialect":"vllm","vendor":{"a":1}}"#;
    let names =
        r#"{"t":1790000001,"id":"b","account":"x","tools":["search","run"],"last":"hello"}"#;
    let report = run(&format!("{bare}\n\n{names}\n"));
    assert_eq!((report.bad, report.sides["unlabelled"].served), (0, 2));
}

#[test]
fn a_bad_line_is_named_and_more_than_one_in_a_hundred_are_too_many() {
    let good: Vec<_> = (0..200).map(|n| line(n, "x", "benign", "")).collect();
    let report = run(&format!("{}\nnot json", good.join("\n")));
    assert_eq!((report.bad, report.bad_lines[0].line), (1, 201));
    let engine = Engine::new(Settings::default(), Policies::default());
    let log = format!("{}\nnot json", good[..10].join("\n"));
    let result = replay(
        &engine,
        (&Keyring::new([3; 32]), &|_, _| {}),
        (log.as_bytes(), Wanted::default()),
        |_| {},
    );
    assert!(matches!(result, Err(ReplayError::TooManyBad { bad: 1, line: 11, .. })));
}

#[test]
fn two_replays_say_the_same() {
    let say = || serde_json::to_string(&run(&relayed())).unwrap();
    assert_eq!(say(), say());
}

#[test]
fn campaigns_found_are_listed_with_their_members_labels() {
    let ask = |n: u32, account: u32| {
        let tools = r#","tools":["fetch","grade","emit"]"#;
        let text = line(n, &format!("thief-{account}"), "campaign:relay", tools);
        text.replace("question number", "Think step by step, then write <answer>: question")
            .replace("192.0.2.7", &format!("198.51.{account}.7"))
    };
    let linked = |n: u32, account: u32| {
        let ids = format!(r#","request_ids":["resp-issued-{:04}"]"#, n % 40);
        ask(n, account).replace(r#","label""#, &format!("{ids},\"label\""))
    };
    let harvest = (0..400).map(|n| linked(200 + n * 3, n % 20));
    let log = relayed().lines().map(str::to_owned).chain(harvest).collect::<Vec<_>>().join("\n");
    let report = run(&log);
    let found = report.campaigns.first().expect("one is found");
    assert_eq!(found.labels.keys().collect::<Vec<_>>(), ["campaign:relay"], "{found:?}");
    assert!(found.about.members >= 15, "{found:?}");
}

#[test]
fn simpler_detectors_are_tried_on_the_same_lines_and_no_more_is_read_than_wanted() {
    let engine = Engine::new(Settings::default(), Policies::default());
    let wanted = Wanted { until: Some(60), baselines: true };
    let log = relayed();
    let report =
        replay(&engine, (&Keyring::new([3; 32]), &|_, _| {}), (log.as_bytes(), wanted), |_| {})
            .unwrap();
    assert_eq!(report.lines, 60);
    let names: Vec<_> = report.baselines.iter().map(|one| &*one.name).collect();
    assert_eq!(names.len(), 4, "{names:?}");
    assert!(names.contains(&"static limit per account"));
    assert!(run(&log).baselines.is_empty());
}

#[test]
fn a_report_names_every_honest_account_that_was_acted_on() {
    let harmless = run(&relayed());
    assert!(harmless.honest.is_empty());
    let mislabelled = run(&relayed().replace("campaign:relay", "benign"));
    let named: usize = mislabelled.honest.values().map(Vec::len).sum();
    let side = &mislabelled.sides["benign"];
    assert!(named > 0 && named as u64 == side.met.acted, "{named} of {}", side.met.acted);
    assert_eq!((side.leakage, side.recall), (side.leakage(), side.recall()));
}

#[test]
fn countries_headers_and_attributes_of_a_log_reach_the_ask() {
    let more = r#","country":"DE","asn":64512,"user_agent":"curl/8.9.1","headers":{"x-stainless-lang":"python","accept-language":"de-AT","x-session-id":"5d0f8a6e-1c2b-4f3a-9e77","bad name":"x","x-number":3},"attributes":{"organisation":"Harbour","verified":true}"#;
    let ask = read(&line(1, "a", "benign", more), &Keyring::new([3; 32])).unwrap().ask;
    let trace = ask.caller.trace;
    assert_eq!((trace.country, trace.asn), ("DE".parse().ok(), Some(64512)));
    assert_eq!(trace.locale, "AT".parse().ok());
    assert!(!trace.conflicts.is_none());
    assert_eq!(ask.prompt.sessions.len(), 1);
    assert_eq!(ask.caller.attributes.verified, Some(true));
    assert_eq!(ask.caller.org, Some(Keyring::new([3; 32]).tag("org", b"Harbour")));
}
