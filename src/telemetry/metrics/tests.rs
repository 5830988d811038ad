use super::*;
use crate::engine::Evidence;
use crate::policy::Action;
use crate::signal::Ending;
use crate::telemetry::fakes;

#[test]
fn a_verdict_counts_by_tenant_action_and_signal() {
    let metrics = Metrics::default();
    metrics.tenants(&["acme".into()]);
    let verdict = Verdict {
        action: Action::Throttle,
        enforced: true,
        evidence: vec![Evidence { signal: CATALOGUE[0].name.into(), nats: 1.0 }],
        ..Verdict::default()
    };
    metrics.verdict(&"acme".into(), Api::OpenaiChat, &verdict);
    let text = metrics.encode();
    let verdicts =
        "stillguard_verdicts_total{tenant=\"acme\",action=\"throttle\",enforced=\"true\"} 1";
    assert!(text.contains(verdicts), "{text}");
    let name = CATALOGUE[0].name;
    assert!(text.contains(&format!("stillguard_signal_total{{signal=\"{name}\"}} 1")), "{text}");
    assert!(text.contains("stillguard_asks_total{api=\"openai-chat\"} 1"), "{text}");
}

#[test]
fn every_signal_of_the_catalogue_has_a_series_from_the_start() {
    let text = Metrics::default().encode();
    for spec in &CATALOGUE {
        assert!(text.contains(&format!("{{signal=\"{}\"}} 0", spec.name)), "{}", spec.name);
    }
}

#[test]
fn a_thousand_made_up_tenants_share_one_series() {
    let metrics = Metrics::default();
    metrics.tenants(&["acme".into()]);
    let count = |metrics: &Metrics| metrics.encode().matches("stillguard_verdicts_total{").count();
    metrics.verdict(&"acme".into(), Api::Other, &Verdict::default());
    let before = count(&metrics);
    for made_up in 0..1_000 {
        let name = TenantName::from(&*format!("made-up-{made_up}"));
        metrics.verdict(&name, Api::Other, &Verdict::default());
    }
    assert_eq!(count(&metrics), before + 1);
    assert!(
        metrics.encode().contains("tenant=\"other\",action=\"allow\",enforced=\"false\"} 1000")
    );
}

#[test]
fn a_reload_keeps_the_counts_of_tenants_it_no_longer_names() {
    let metrics = Metrics::default();
    metrics.tenants(&["acme".into()]);
    metrics.verdict(&"acme".into(), Api::Other, &Verdict::default());
    metrics.tenants(&["apex".into()]);
    metrics.verdict(&"acme".into(), Api::Other, &Verdict::default());
    assert!(metrics.encode().contains("tenant=\"acme\",action=\"allow\",enforced=\"false\"} 2"));
}

#[test]
fn names_beyond_the_cap_count_as_other() {
    let metrics = Metrics::default();
    let names: Vec<_> = (0..1_500).map(|n| TenantName::from(&*format!("tenant-{n}"))).collect();
    metrics.tenants(&names);
    for name in &names {
        metrics.verdict(name, Api::Other, &Verdict::default());
    }
    assert_eq!(metrics.encode().matches("stillguard_verdicts_total{").count(), 1_001);
}

#[test]
fn an_end_counts_its_tokens_by_direction_and_source() {
    let metrics = Metrics::default();
    let mut exchange = fakes::exchange(1);
    exchange.ask.prompt.tokens = 40;
    exchange.completion.usage.output = Some(9);
    exchange.completion.source = UsageSource::Reported;
    exchange.completion.bytes = 300;
    metrics.ended(&exchange);
    let text = metrics.encode();
    for series in [
        "stillguard_tokens_total{direction=\"input\",source=\"counted\"} 40",
        "stillguard_tokens_total{direction=\"output\",source=\"reported\"} 9",
        "stillguard_exchanges_total{api=\"other\",ending=\"complete\"} 1",
        "stillguard_body_bytes_total{direction=\"sent\"} 300",
    ] {
        assert!(text.contains(series), "{series} in {text}");
    }
}

#[test]
fn an_answer_whose_usage_is_unknown_is_counted_as_such() {
    let metrics = Metrics::default();
    let mut exchange = fakes::exchange(1);
    metrics.ended(&exchange);
    assert!(!metrics.encode().contains("stillguard_usage_total{"), "nobody looked for it");
    exchange.ask.prompt.api = Api::OpenaiChat;
    metrics.ended(&exchange);
    let text = metrics.encode();
    assert!(text.contains("stillguard_usage_total{source=\"unknown\"} 1"), "{text}");
}

#[test]
fn a_refused_exchange_counts_no_tokens() {
    let metrics = Metrics::default();
    let mut exchange = fakes::exchange(1);
    exchange.ending = Ending::Refused;
    metrics.ended(&exchange);
    assert!(!metrics.encode().contains("stillguard_tokens_total{"));
}

#[test]
fn overhead_falls_into_the_bucket_of_its_stage() {
    let metrics = Metrics::default();
    metrics.overhead(Stage::After, 7_000);
    let text = metrics.encode();
    let bucket = "stillguard_overhead_seconds_bucket{le=\"0.00001\",stage=\"after\"} 1";
    assert!(text.contains(bucket), "{text}");
    assert!(text.contains("{le=\"0.000005\",stage=\"after\"} 0"), "{text}");
    assert!(text.contains("stillguard_overhead_seconds_count{stage=\"before\"} 0"), "{text}");
}

#[test]
fn the_rare_events_are_there_to_alarm_on() {
    let metrics = Metrics::default();
    metrics.refused(Reason::Throttled);
    metrics.ambiguous("duplicate-key");
    metrics.fail_open(FailOpen::Deadline);
    metrics.connection_opened();
    metrics.connection_refused("tls");
    metrics.reload(false);
    metrics.accounts(3);
    metrics.crowds(2);
    let endpoint = metrics.endpoint("default", "a");
    endpoint.up(false);
    endpoint.begun();
    endpoint.ended(Outcome::Cancelled);
    endpoint.sent_again(Again::Refused);
    endpoint.probed(false);
    metrics.group("default").panicked();
    let text = metrics.encode();
    for series in [
        "stillguard_build_info{version=",
        "stillguard_refusals_total{reason=\"throttled\"} 1",
        "stillguard_ambiguous_body_total{reason=\"duplicate-key\"} 1",
        "stillguard_fail_open_total{reason=\"deadline\"} 1",
        "stillguard_fail_open_total{reason=\"panic\"} 0",
        "stillguard_connections 1",
        "stillguard_connections_opened_total 1",
        "stillguard_connections_refused_total{reason=\"tls\"} 1",
        "stillguard_reloads_total{outcome=\"refused\"} 1",
        "stillguard_reloads_total{outcome=\"taken\"} 0",
        "stillguard_accounts 3",
        "stillguard_crowds 2",
        "stillguard_endpoint_up{group=\"default\",endpoint=\"a\"} 0",
        "stillguard_endpoint_in_flight{group=\"default\",endpoint=\"a\"} 1",
        "endpoint_requests_total{group=\"default\",endpoint=\"a\",outcome=\"cancelled\"} 1",
        "endpoint_requests_total{group=\"default\",endpoint=\"a\",outcome=\"full\"} 0",
        "endpoint_retries_total{group=\"default\",endpoint=\"a\",reason=\"refused\"} 1",
        "endpoint_probes_total{group=\"default\",endpoint=\"a\",outcome=\"ill\"} 1",
        "stillguard_endpoint_panics_total{group=\"default\"} 1",
        "stillguard_decision_log_dropped_total 0",
    ] {
        assert!(text.contains(series), "{series} in {text}");
    }
    assert!(text.ends_with("# EOF\n"));
}
