//! Who lives in one place and was set one task.

use super::*;
use crate::signal::Phrases;

/// The most that the crowd said against any of thirty new accounts that work from one template and
/// ask for reasoning, `each` times, all from one network or each from its own.
fn heat_among(one_network: bool, each: u64) -> f32 {
    let engine = engine(ENFORCE);
    let mut most = 0.0_f32;
    for round in 0..each {
        for account in 10..40 {
            let at = seconds(round * 600 + u64::from(account));
            let mut request = harvesting(ask(account, u64::from(account) * 1000 + round, at));
            request.prompt.phrases = Phrases::ELICITS;
            if one_network {
                request.caller.egress = Tag(4);
            }
            // Every third tells a neighbour's id, so that there is something to hear at all.
            if round > 0 && account % 3 == 0 && !one_network {
                request.prompt.presented = vec![Tag(u64::from(account - 1) * 1000 + round - 1)];
            }
            most = most.max(engine.assess(&request).group);
            let id = u64::from(account) * 1000 + round;
            engine.learn(&served(request, &[id]));
        }
        engine.tick(seconds((round + 1) * 600));
    }
    most
}

#[test]
fn a_class_in_one_room_makes_no_hot_crowd_and_the_same_task_across_networks_with_links_does() {
    assert_eq!(heat_among(true, 30), 0.0);
    assert!(heat_among(false, 30) > 0.0);
}
