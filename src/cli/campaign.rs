//! `stillguard campaign list | show | contain | release | close`: what was found, and an operator's word
//! on it.

use clap::{Args, Subcommand};
use stillguard::engine::{CampaignId, Verb};

use super::orders::{Desk, Word, seconds, send};
use super::{Failure, print};

#[derive(Debug, Subcommand)]
pub(super) enum Campaigns {
    /// List the campaigns found, largest first.
    List {
        /// As JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        desk: Desk,
    },
    /// Tell of one campaign: what becomes of it, why, and what it took.
    Show {
        campaign: CampaignId,
        /// As JSON, with its members and keys.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        desk: Desk,
    },
    /// Let its members share one pace until the time is over, in shadow mode too.
    Contain(Told),
    /// Let its members go until the time is over. It is watched.
    Release(Told),
    /// Close it until the time is over. After that it is watched again once it is active.
    Close(Told),
}

/// Which campaign, for how long, and whose word it is.
#[derive(Args, Debug)]
pub(super) struct Told {
    campaign: CampaignId,
    /// How long it holds, in place of the rules: 90s, 30m, 12h, 30d.
    #[arg(long = "for", value_name = "TIME", value_parser = seconds)]
    lasts: u32,
    #[command(flatten)]
    word: Word,
}

pub(super) fn run(campaigns: Campaigns) -> Result<(), Failure> {
    let format = |json| if json { "json" } else { "text" };
    match campaigns {
        Campaigns::List { json, desk } => {
            print(&desk.ask(&format!("/admin/v1/campaigns?format={}", format(json)), None)?)
        }
        Campaigns::Show { campaign, json, desk } => {
            let path = format!("/admin/v1/campaigns/{campaign}?format={}", format(json));
            print(&desk.ask(&path, None)?)
        }
        Campaigns::Contain(Told { campaign, lasts: lasts_seconds, word }) => {
            send(Verb::Contain { campaign, lasts_seconds }, word)
        }
        Campaigns::Release(Told { campaign, lasts: lasts_seconds, word }) => {
            send(Verb::Release { campaign, lasts_seconds }, word)
        }
        Campaigns::Close(Told { campaign, lasts: lasts_seconds, word }) => {
            send(Verb::Close { campaign, lasts_seconds }, word)
        }
    }
}
