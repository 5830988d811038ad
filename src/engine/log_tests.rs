use proptest::prelude::*;

use super::*;
use crate::dialect::{Api, Effort, Finish, Params, Usage};
use crate::engine::Evidence;
use crate::identity::{AccountId, Caller, Client, Tag, TenantName};
use crate::policy::Action;
use crate::signal::{Clearance, Facet, Model, Phrases, Prompt, Step, UsageSource};

fn tag() -> impl Strategy<Value = Tag> {
    any::<u64>().prop_map(Tag)
}

prop_compose! {
    fn caller()(account in any::<[u8; 16]>(), egress in tag(), org in prop::option::of(tag()))
        -> Caller
    {
        Caller {
            tenant: TenantName::from("acme \"west\"\n"),
            account: AccountId(account),
            org,
            egress,
            client: Client::Litellm,
            ..Caller::sample(0)
        }
    }
}

prop_compose! {
    fn prompt()(
        temperature in prop::option::of(-1e6f32..1e6),
        tokens in any::<u32>(),
        phrases in any::<u32>(),
        slots in prop::option::of(any::<[u32; 32]>()),
        presented in prop::collection::vec(tag(), 0..4),
    ) -> Prompt {
        let hex = |slots: [u32; 32]| slots.map(|slot| format!("{slot:08x}")).concat();
        let sketch = slots.map(|slots| serde_json::from_value(hex(slots).into()).unwrap());
        Prompt {
            api: Api::AnthropicMessages,
            model: Model::from("small-1"),
            params: Params { temperature, effort: Some(Effort::High), n: 3, ..Params::default() },
            tokens,
            phrases: Phrases(phrases),
            system: sketch.clone(),
            user: sketch,
            presented,
            ..Prompt::default()
        }
    }
}

prop_compose! {
    fn ask()(id in tag(), at in any::<u64>(), caller in caller(), prompt in prompt()) -> Ask {
        Ask { id: ExchangeId(id), at: Timestamp::from_millis(at), caller, prompt }
    }
}

prop_compose! {
    fn verdict()(score in -1e3f32..1e3, nats in any::<i16>(), known in any::<bool>()) -> Verdict {
        Verdict {
            score,
            evidence: vec![Evidence { signal: "template".into(), nats: f32::from(nats) / 7.0 }],
            facet: Some(Facet::Tools),
            action: Action::Challenge,
            known,
            ..Verdict::default()
        }
    }
}

prop_compose! {
    fn exchange()(ask in ask(), output in prop::option::of(any::<u32>()), issued in tag())
        -> Exchange
    {
        Exchange {
            ended: ask.at,
            ask,
            ending: Ending::Cancelled,
            status: 200,
            completion: Completion {
                usage: Usage { output, ..Usage::default() },
                source: UsageSource::Counted,
                bytes: 77,
                issued: vec![issued],
                finish: Some(Finish::Tool),
                ..Completion::default()
            },
        }
    }
}

proptest! {
    #[test]
    fn an_ask_and_its_verdict_read_back_equal(ask in ask(), verdict in verdict()) {
        let line = Line::ask(&ask, &verdict);
        let text = serde_json::to_string(&line).unwrap();
        prop_assert!(text.starts_with(r#"{"v":1,"kind":"ask","#), "{}", text);
        prop_assert!(!text.contains('\n'));
        prop_assert_eq!(serde_json::from_str::<Line>(&text).unwrap(), line);
    }

    #[test]
    fn an_end_joined_with_its_ask_is_the_exchange_again(exchange in exchange()) {
        let text = serde_json::to_string(&Line::end(&exchange)).unwrap();
        let Line::End(end) = serde_json::from_str(&text).unwrap() else {
            return Err(TestCaseError::fail(text));
        };
        prop_assert_eq!(end.id, exchange.ask.id);
        prop_assert_eq!(end.joined(exchange.ask.clone()), exchange);
    }
}

#[test]
fn a_step_of_a_challenge_is_one_short_line_and_reads_back_equal() {
    let trial = Trial {
        account: AccountId([1; 16]),
        at: Timestamp::from_millis(5),
        step: Step::IssuedToCrowd,
        from: Tag(10),
        org: None,
        took: 0,
        clearance: None,
    };
    let spelt = concat!(
        r#"{"v":1,"kind":"trial","account":"acct_01010101010101010101010101010101","at":5,"#,
        r#""step":"issued-to-crowd","from":"000000000000000a","took":0}"#
    );
    assert_eq!(serde_json::to_string(&Line::Trial(trial.clone())).unwrap(), spelt);
    let clearance = Some(Clearance { until: Timestamp::from_millis(9), requests: 3 });
    for line in [trial.clone(), Trial { step: Step::Verified, clearance, ..trial }] {
        let line = Line::Trial(line);
        let text = serde_json::to_string(&line).unwrap();
        assert_eq!(serde_json::from_str::<Line>(&text).unwrap(), line);
        assert_eq!(line.at(), Timestamp::from_millis(5));
    }
}

#[test]
fn a_tick_is_one_short_line() {
    let line = Line::Tick { at: Timestamp::from_millis(5) };
    assert_eq!(serde_json::to_string(&line).unwrap(), r#"{"v":1,"kind":"tick","at":5}"#);
    assert_eq!(line.at(), Timestamp::from_millis(5));
}

#[test]
fn a_line_of_another_version_is_refused_by_its_number() {
    let refused = serde_json::from_str::<Line>(r#"{"v":2,"kind":"tick","at":5}"#).unwrap_err();
    assert!(refused.to_string().contains("version 2"), "{refused}");
    assert!(serde_json::from_str::<Line>(r#"{"kind":"tick","at":5}"#).is_err());
}
