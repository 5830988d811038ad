//! `stillguard allow | block | force | lift | clear | attributes | review | rulings | explain`: an operator's word,
//! carried to the admin listener of a running proxy.

use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, bail};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand, ValueEnum};
use http::{StatusCode, Uri};
use serde_json::{Value, json};
use stillguard::config::process_environment;
use stillguard::engine::{Order, Verb, Words};
use stillguard::identity::{AccountId, Told};
use stillguard::policy::Action;
use stillguard::signal::ExchangeId;
use zeroize::Zeroizing;

use super::fetch::{Message, fetch};
use super::{Failure, print, secret};

#[derive(Args, Debug)]
pub(super) struct Desk {
    /// The admin listener.
    #[arg(
        long,
        value_name = "URL",
        env = "STILLGUARD_ADMIN",
        default_value = "http://127.0.0.1:9090"
    )]
    admin: String,
    /// A file with the operators' token; else STILLGUARD_ADMIN_TOKEN.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// Whose word it is, and why. Both go into the audit log.
#[derive(Args, Debug)]
pub(super) struct Word {
    #[arg(long, value_name = "WHO")]
    owner: String,
    #[arg(long, value_name = "WHY")]
    reason: String,
    #[command(flatten)]
    desk: Desk,
}

/// How far a ruling goes.
#[derive(Args, Debug)]
pub(super) struct Scope {
    /// How long it holds: 90s, 30m, 12h, 30d.
    #[arg(long = "for", value_name = "TIME", value_parser = seconds)]
    lasts: u32,
    /// Only these models, in full or up to a closing `*`. May be given more than once.
    #[arg(long = "model", value_name = "MODEL")]
    models: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Orders {
    /// Exempt an account from every action until the time is over.
    Allow {
        account: AccountId,
        #[command(flatten)]
        scope: Scope,
        #[command(flatten)]
        word: Word,
    },
    /// Refuse every request of an account until the time is over, in shadow mode too.
    Block {
        account: AccountId,
        #[command(flatten)]
        scope: Scope,
        #[command(flatten)]
        word: Word,
    },
    /// Carry one action out on an account, whatever its score: for test accounts.
    Force {
        account: AccountId,
        #[arg(value_parser = actions())]
        action: Action,
        #[command(flatten)]
        scope: Scope,
        #[command(flatten)]
        word: Word,
    },
    /// End a ruling on an account.
    Lift {
        account: AccountId,
        #[command(flatten)]
        word: Word,
    },
    /// Forget what an account has shown and let go of its rung.
    Clear {
        account: AccountId,
        #[command(flatten)]
        word: Word,
    },
    /// Tell how an account came to be, in place of what was told before: it goes before what trusted
    /// hops and the file of attributes say. `{}` takes it back.
    Attributes {
        account: AccountId,
        /// As in that file: '{"paid_invoices": 3, "verified": true}'.
        #[arg(value_name = "JSON")]
        attributes: String,
        #[command(flatten)]
        word: Word,
    },
    /// Record whether a decision on an account was right.
    Review {
        account: AccountId,
        verdict: Reviewed,
        /// The decision, by the id its caller was shown (sg_...).
        #[arg(long, value_name = "ID", value_parser = exchange)]
        decision: Option<ExchangeId>,
        #[command(flatten)]
        word: Word,
    },
    /// List what operators have ruled.
    Rulings {
        #[command(flatten)]
        desk: Desk,
    },
    /// Say in words what was decided, why, and what would change it: of a decision (sg_...) or an
    /// account (acct_...).
    Explain {
        id: String,
        /// As JSON: features and evidence, no text of any prompt.
        #[arg(long)]
        json: bool,
        /// The account's tenant, whose policy tells what would change.
        #[arg(long, value_name = "NAME")]
        tenant: Option<String>,
        #[command(flatten)]
        desk: Desk,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub(super) enum Reviewed {
    Right,
    Wrong,
}

pub(super) fn run(orders: Orders) -> Result<(), Failure> {
    match orders {
        Orders::Allow { account, scope, word } => rule(account, Action::Allow, scope, word),
        Orders::Block { account, scope, word } => rule(account, Action::Drop, scope, word),
        Orders::Force { account, action, scope, word } => rule(account, action, scope, word),
        Orders::Lift { account, word } => send(Verb::Lift { account }, word),
        Orders::Clear { account, word } => send(Verb::Clear { account }, word),
        Orders::Attributes { account, attributes, word } => tell(account, &attributes, word),
        Orders::Review { account, verdict, decision: exchange, word } => {
            send(Verb::Review { account, exchange, right: verdict == Reviewed::Right }, word)
        }
        Orders::Rulings { desk } => {
            let rulings: Value = serde_json::from_str(&desk.ask("/admin/v1/rulings", None)?)
                .context("the answer can't be read")?;
            print(&format!("{rulings:#}\n"))
        }
        Orders::Explain { id, json, tenant, desk } => {
            print(&desk.ask(&page(&id, json, tenant.as_deref())?, None)?)
        }
    }
}

fn rule(account: AccountId, action: Action, scope: Scope, word: Word) -> Result<(), Failure> {
    let Scope { lasts: lasts_seconds, models } = scope;
    send(Verb::Rule { account, action, models, lasts_seconds }, word)
}

pub(super) fn send(verb: Verb, word: Word) -> Result<(), Failure> {
    if let Some(objection) = verb.objection() {
        return Err(Failure::Mistakes(objection.into()));
    }
    let Word { owner, reason, desk } = word;
    let order = Order { verb, owner: words(owner, "owner")?, reason: words(reason, "reason")? };
    desk.post("/admin/v1/orders", &json!(order))
}

/// The proxy makes keyed hashes of it: the words go no further.
fn tell(account: AccountId, attributes: &str, word: Word) -> Result<(), Failure> {
    Told::strictly(attributes).map_err(|why| Failure::Mistakes(format!("attributes: {why}")))?;
    let attributes: Value = serde_json::from_str(attributes).context("no JSON")?;
    let Word { owner, reason, desk } = word;
    let (owner, reason) = (words(owner, "owner")?, words(reason, "reason")?);
    let body = json!({
        "account": account, "attributes": attributes, "owner": owner, "reason": reason
    });
    desk.post("/admin/v1/attributes", &body)
}

fn words(text: String, what: &str) -> Result<Words, Failure> {
    Words::try_from(text).map_err(|why| Failure::Mistakes(format!("--{what}: {why}")))
}

fn page(id: &str, json: bool, tenant: Option<&str>) -> Result<String> {
    let kind = match id.split_once('_') {
        Some(("sg", _)) => "decisions",
        Some(("acct", _)) => "accounts",
        _ => bail!("`{id}` is neither a decision (sg_...) nor an account (acct_...)"),
    };
    let plain = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    if !plain(id) || !tenant.is_none_or(plain) {
        bail!("an id or a tenant of letters, digits, `.`, `_` and `-` is expected");
    }
    let tenant = tenant.map(|tenant| format!("&tenant={tenant}")).unwrap_or_default();
    let format = if json { "json" } else { "text" };
    Ok(format!("/admin/v1/{kind}/{id}?format={format}{tenant}"))
}

impl Desk {
    /// Gives an order, and says whether it lasts.
    fn post(&self, path: &str, order: &Value) -> Result<(), Failure> {
        let answer = self.ask(path, Some(order.to_string()))?;
        let lasting =
            serde_json::from_str::<Value>(&answer).is_ok_and(|answer| answer["lasting"] == true);
        print(if lasting { "done\n" } else { "done, until the proxy restarts\n" })
    }

    /// Asks for a page, or posts an order.
    pub(super) fn ask(&self, path: &str, body: Option<String>) -> Result<String> {
        let uri: Uri = format!("{}{path}", self.admin.trim_end_matches('/'))
            .parse()
            .with_context(|| format!("`{}` is no address of an admin listener", self.admin))?;
        let bearer =
            self.token()?.map(|token| ("authorization", format!("Bearer {}", token.as_str())));
        let message = Message { body, fields: bearer.into_iter().collect() };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("can't start a runtime")?;
        let (status, answer) = runtime.block_on(fetch(&uri, message))?;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        if status == StatusCode::OK { Ok(answer) } else { Err(anyhow!("{}", answer.trim_end())) }
    }

    fn token(&self) -> Result<Option<Zeroizing<String>>> {
        match &self.token_file {
            Some(file) => {
                let text = std::fs::read_to_string(file).map(Zeroizing::new);
                let text = text.with_context(|| format!("can't read {}", file.display()))?;
                Ok(Some(Zeroizing::new(text.trim().to_owned())))
            }
            None => Ok(process_environment(secret::ADMIN_TOKEN).map(Zeroizing::new)),
        }
    }
}

/// Actions by the names they have in the file.
fn actions() -> impl TypedValueParser<Value = Action> {
    PossibleValuesParser::new(Action::ALL.map(Action::name)).try_map(|name| {
        let named = Action::ALL.into_iter().find(|action| action.name() == name);
        named.ok_or("there is no such action")
    })
}

fn exchange(text: &str) -> Result<ExchangeId, String> {
    let tag = text.strip_prefix("sg_").and_then(|tag| tag.parse().ok());
    tag.map(ExchangeId).ok_or_else(|| "sg_ and 16 hex digits are expected".to_owned())
}

pub(super) fn seconds(text: &str) -> Result<u32, String> {
    let expected = || "a number and s, m, h or d are expected: 90s, 30m, 12h, 30d".to_owned();
    let unit = text.chars().last().ok_or_else(expected)?;
    let number: u32 = text[..text.len() - unit.len_utf8()].parse().map_err(|_| expected())?;
    let unit = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(expected()),
    };
    number.checked_mul(unit).filter(|&all| all > 0).ok_or_else(expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_numbers_with_a_unit() {
        for (text, all) in [("90s", 90), ("30m", 1_800), ("12h", 43_200), ("30d", 2_592_000)] {
            assert_eq!(seconds(text), Ok(all));
        }
        for text in ["", "5", "d", "0s", "-1s", "1w", "99999d", "1é"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_id_leads_to_its_own_page_and_nowhere_else() {
        assert_eq!(page("sg_00", false, None).unwrap(), "/admin/v1/decisions/sg_00?format=text");
        let account = page("acct_00", true, Some("acme")).unwrap();
        assert_eq!(account, "/admin/v1/accounts/acct_00?format=json&tenant=acme");
        for (id, tenant) in [("x_1", None), ("sg_/../x", None), ("sg_1", Some("a&b"))] {
            assert!(page(id, true, tenant).is_err(), "{id}");
        }
    }
}
