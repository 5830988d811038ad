//! Ids that a client gives itself: of the session it is in, of the device it runs on.

use std::borrow::Cow;

use serde::Deserialize;

use crate::dialect::Request;
use crate::identity::{Keyring, Tag};
use crate::signal::exchange::Prompt;

/// Headers by which clients name their session.
pub const SESSION_HEADERS: [&str; 4] =
    ["x-session-id", "session_id", "session-id", "x-claude-code-session-id"];

/// Bytes of the shortest and of the longest id, and digits it has at least: what is shorter or plainer
/// is a name that many may give.
const LENGTH: std::ops::RangeInclusive<usize> = 16..=256;
const DIGITS: usize = 4;

/// What stands in a body.
pub(super) fn of(request: &Request<'_>, keyring: &Keyring) -> Vec<Tag> {
    let user = request.end_user.as_deref().unwrap_or_default();
    let (device, session) = parts(user);
    let sessions = [request.session.as_deref(), session.as_deref()];
    let sessions = sessions.into_iter().flatten().filter_map(|id| session_tag(id, keyring));
    let device = device.as_deref().filter(|id| is_id(id));
    let device = device.map(|id| keyring.tag("device", id.as_bytes()));
    let mut all: Vec<Tag> = sessions.chain(device).collect();
    all.dedup();
    all.truncate(Prompt::MAX_SESSIONS);
    all
}

/// The tag of a session by its id; none of what is no id.
pub fn session_tag(id: &str, keyring: &Keyring) -> Option<Tag> {
    let id = id.trim();
    is_id(id).then(|| keyring.tag("session", id.as_bytes()))
}

fn is_id(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    LENGTH.contains(&text.len())
        && text.bytes().all(plain)
        && text.bytes().filter(u8::is_ascii_digit).count() >= DIGITS
}

/// Device and session in the user id of Anthropic's clients, which is
/// `user_<device>_account_<account>_session_<session>`, or an object with their ids.
fn parts(user: &str) -> (Option<Cow<'_, str>>, Option<Cow<'_, str>>) {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Ids<'a> {
        #[serde(borrow)]
        device_id: Option<Cow<'a, str>>,
        #[serde(borrow)]
        session_id: Option<Cow<'a, str>>,
    }
    if user.starts_with('{') && user.len() <= 1024 {
        let ids = serde_json::from_str::<Ids<'_>>(user).unwrap_or_default();
        return (ids.device_id, ids.session_id);
    }
    let Some((before, session)) = user.rsplit_once("_session_") else { return (None, None) };
    let device = before.strip_prefix("user_").and_then(|rest| rest.split_once("_account_"));
    (device.map(|(device, _)| device.into()), Some(session.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: &str = "5d0f8a6e-1c2b-4f3a-9e77-0a1b2c3d4e5f";
    const DEVICE: &str = "9f86d081884c7d659a2feaa0c55ad015";

    fn tags(end_user: &str, session: Option<&str>) -> Vec<Tag> {
        let (user, session) = (Some(end_user.into()), session.map(Into::into));
        of(&Request { end_user: user, session, ..Request::default() }, &Keyring::new([3; 32]))
    }

    #[test]
    fn one_session_is_one_tag_wherever_it_stands() {
        let keyring = Keyring::new([3; 32]);
        let session = session_tag(SESSION, &keyring).unwrap();
        let device = keyring.tag("device", DEVICE.as_bytes());
        let user = format!("user_{DEVICE}_account_1b9d6bcd-bbfd-4b2d_session_{SESSION}");
        assert_eq!(tags(&user, None), [session, device]);
        let user = format!(r#"{{"device_id":"{DEVICE}","session_id":"{SESSION}","x":1}}"#);
        assert_eq!(tags(&user, None), [session, device]);
        assert_eq!(tags("", Some(SESSION)), [session]);
    }

    #[test]
    fn names_that_many_may_give_are_no_ids() {
        for name in ["my-application-cache", "v1", "production-cache-key-2", "a b 1234 5678 9012"] {
            assert_eq!(tags("", Some(name)), [], "{name}");
        }
        for user in ["user-17", "{broken", "user__account__session_", "shop_session_front-page"] {
            assert_eq!(tags(user, None), [], "{user}");
        }
        assert_eq!(tags("", Some(&"12345678".repeat(40))), []);
    }
}
