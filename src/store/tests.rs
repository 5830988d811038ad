use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::dialect::Api;
use crate::engine::{Engine, Settings as EngineSettings};
use crate::identity::AccountId;
use crate::policy::{Action, Policies};
use crate::signal::Exchange;
use crate::time::Timestamp;

const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);

/// Whose memory is kept: an engine's, and words by name.
struct Home {
    store: Store,
    found: Found,
    engine: Arc<Engine>,
    words: Arc<Ledger<String>>,
}

fn open(path: &Path) -> Opened {
    // A writer whose store was dropped lets go of the directory in its own time.
    (0..2_000)
        .find_map(|_| {
            let opened = Opened::open(path).ok();
            if opened.is_none() {
                std::thread::yield_now();
                let (_never, wait) = sync_channel::<()>(1);
                let _ = wait.recv_timeout(Duration::from_millis(5));
            }
            opened
        })
        .unwrap()
}

fn home_with(path: &Path, settings: Settings, secret: u8) -> Home {
    let engine = Engine::new(EngineSettings::default(), Policies::from(&Default::default()));
    let (engine, words) = (Arc::new(engine), Arc::new(Ledger::new("words", 1000)));
    let setup = Setup {
        settings,
        keyring: Keyring::new([secret; 32]),
        sources: vec![Arc::clone(&engine) as _, Arc::clone(&words) as _],
        clock: Clock::starting_at(NOW),
    };
    let (store, found) = open(path).start(setup).unwrap();
    Home { store, found, engine, words }
}

fn home(path: &Path) -> Home {
    home_with(path, Settings { commit_ms: 10, ..Settings::default() }, 1)
}

fn accepted(account: u8) -> Exchange {
    let mut exchange = crate::telemetry::fakes::exchange(NOW.as_millis());
    exchange.ask.caller.account = AccountId([account; 16]);
    exchange.ask.prompt.api = Api::OpenaiChat;
    exchange
}

impl Home {
    fn say(&self, name: &str) {
        self.words.put(name, format!("{name}!")).unwrap();
    }

    fn finish(self) {
        assert_eq!(self.store.finish(Duration::from_secs(20)), Ok(()));
    }

    /// Until the first snapshot has taken the place of what there was.
    fn settle(&self) {
        let settled = || self.store.commit().is_ok() && self.store.report().snapshots > 0;
        assert!((0..2_000).any(|_| settled()), "{:?}", self.store.report());
    }
}

fn names(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path).unwrap().flatten();
    let mut names: Vec<_> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn files(path: &Path, end: &str) -> Vec<PathBuf> {
    names(path).into_iter().filter(|name| name.ends_with(end)).map(|name| path.join(name)).collect()
}

#[test]
fn what_was_finished_comes_back_and_what_was_removed_does_not() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("made/by/itself");
    let first = home(&path);
    assert!(first.found.is_first && first.found.lost.is_empty());
    (0..40).for_each(|account| first.engine.learn(&accepted(account)));
    ["one", "two", "three"].into_iter().for_each(|name| first.say(name));
    first.settle();
    first.words.remove("two");
    (40..50).for_each(|account| first.engine.learn(&accepted(account)));
    first.finish();
    let again = home(&path);
    assert!(!again.found.is_first && again.found.lost.is_empty(), "{:?}", again.found);
    assert_eq!((again.engine.accounts(), again.found.refused), (50, 0));
    assert_eq!(again.words.all().into_keys().collect::<Vec<_>>(), ["one", "three"]);
    again.settle();
    assert_eq!(names(&path).len(), 3, "one snapshot, one journal, the lock: {:?}", names(&path));
}

#[test]
fn what_was_committed_outlives_a_process_that_never_finished() {
    let dir = TempDir::new().unwrap();
    for round in 0..6 {
        let home = home(dir.path());
        assert!(home.found.lost.is_empty(), "{:?}", home.found);
        for known in 0..round * 10 {
            assert!(home.words.get(&known.to_string()).is_some(), "{known} in round {round}");
        }
        for name in round * 10..round * 10 + 10 {
            home.say(&name.to_string());
            assert_eq!(home.store.commit(), Ok(()));
        }
        // As it is killed, now before its snapshot is written, now after.
        if round % 2 == 0 {
            home.settle();
        }
    }
}

#[test]
fn memory_is_for_its_owners_eyes_only() {
    use std::os::unix::fs::PermissionsExt;
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("memory");
    let home = home(&path);
    home.say("one");
    home.settle();
    home.finish();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o700);
    for name in names(&path) {
        assert_eq!(mode(&path.join(&name)), 0o600, "{name}");
    }
}

/// Memory of forty accounts and a hundred words, some of it in a snapshot, some in a journal.
fn written() -> TempDir {
    let dir = TempDir::new().unwrap();
    let first = home(dir.path());
    (0..40).for_each(|account| first.engine.learn(&accepted(account)));
    (0..50).for_each(|name| first.say(&name.to_string()));
    first.settle();
    (50..100).for_each(|name| {
        first.say(&name.to_string());
        first.store.commit().unwrap();
    });
    first.finish();
    dir
}

fn copy(from: &Path) -> TempDir {
    let dir = TempDir::new().unwrap();
    for name in names(from) {
        fs::copy(from.join(&name), dir.path().join(&name)).unwrap();
    }
    dir
}

#[test]
fn whatever_becomes_of_its_files_the_next_start_succeeds_and_the_one_after_is_clean() {
    let whole = written();
    let (snapshots, journals) = (files(whole.path(), "snapshot"), files(whole.path(), "journal"));
    let paths: Vec<_> = snapshots.iter().chain(&journals).collect();
    assert_eq!(paths.len(), 2);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(24));
    let harm = (0usize..2, any::<prop::sample::Index>(), 0u8..3, 1u8..);
    let outcome = runner.run(&harm, |(file, at, kind, by)| {
        let dir = copy(whole.path());
        let path = dir.path().join(paths[file].file_name().unwrap());
        let mut bytes = fs::read(&path).unwrap();
        let at = at.index(bytes.len());
        match kind {
            0 => bytes[at] ^= by,
            1 => bytes.truncate(at),
            _ => bytes[at..].fill(by),
        }
        fs::write(&path, bytes).unwrap();
        let harmed = home(dir.path());
        // Only a journal's end can be missing without a trace: it is where a crash cuts.
        let lost = !harmed.found.lost.is_empty();
        prop_assert!(lost || file == 1, "{:?}", harmed.found);
        // A bent byte costs one block; here, one word or one part of the snapshot.
        let known = harmed.words.all().len();
        prop_assert!(kind != 0 || known >= 49, "{known} words, bent at {at}");
        harmed.say("after");
        harmed.settle();
        harmed.finish();
        let again = home(dir.path());
        prop_assert!(again.found.lost.is_empty(), "{:?}", again.found);
        prop_assert_eq!(again.words.all().len(), known + 1);
        prop_assert_eq!(names(dir.path()).iter().any(|name| name.contains("aside")), lost);
        Ok(())
    });
    outcome.unwrap();
}

#[test]
fn memory_of_another_secret_a_newer_build_or_nobody_is_set_aside_unread() {
    type Harm = fn(&Path);
    let newer: Harm = |path| {
        let mut bytes = fs::read(path).unwrap();
        bytes[16] += 1;
        let check = blake3::hash(&bytes[..26]);
        bytes[26..32].copy_from_slice(&check.as_bytes()[..6]);
        // As a build would whose blocks this one can't read, either.
        bytes[32..].iter_mut().for_each(|byte| *byte ^= 0x55);
        fs::write(path, bytes).unwrap();
    };
    let foreign: Harm = |path| fs::write(path, "SQLite format 3\0".repeat(100)).unwrap();
    let cases: [(u8, Harm, Loss); 3] =
        [(2, |_| (), Loss::OtherKey), (1, newer, Loss::Newer), (1, foreign, Loss::Foreign)];
    for (secret, harm, loss) in cases {
        let dir = written();
        files(dir.path(), "l").iter().chain(&files(dir.path(), "t")).for_each(|path| harm(path));
        let settings = || Settings { commit_ms: 10, ..Settings::default() };
        let home = home_with(dir.path(), settings(), secret);
        let why: Vec<_> = home.found.lost.iter().map(|(_, loss)| *loss).collect();
        assert_eq!((why, home.engine.accounts(), home.words.all().len()), (vec![loss; 2], 0, 0));
        let word = format!("-{}", loss.word());
        assert_eq!(files(dir.path(), &word).len(), 2, "{:?}", names(dir.path()));
        home.say("new");
        home.settle();
        home.finish();
        let again = home_with(dir.path(), settings(), secret);
        assert!(again.found.lost.is_empty() && again.words.get("new").is_some());
    }
}

#[test]
fn a_disk_that_takes_nothing_is_told_and_written_once_it_does() {
    let dir = TempDir::new().unwrap();
    let in_the_way = dir.path().join("file");
    fs::write(&in_the_way, "").unwrap();
    let path = in_the_way.join("memory");
    let home = home(&path);
    home.say("one");
    home.engine.learn(&accepted(1));
    assert_eq!(home.store.commit(), Err(NotOnDisk));
    let report = home.store.report();
    assert!(!report.keeping && report.failures > 0 && report.bytes == 0, "{report:?}");
    fs::remove_file(&in_the_way).unwrap();
    assert_eq!(home.store.commit(), Ok(()));
    assert!(home.store.report().keeping);
    home.finish();
    let again = super::tests::home(&path);
    assert_eq!((again.words.all().len(), again.engine.accounts()), (1, 1));
}

#[test]
fn a_directory_that_was_removed_is_written_anew() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("memory");
    let settings = Settings { commit_ms: 10, evidence_seconds: 1, ..Settings::default() };
    let home = home_with(&path, settings, 1);
    home.say("one");
    home.settle();
    fs::remove_dir_all(&path).unwrap();
    let back = || files(&path, "snapshot").len() == 1 && home.store.commit().is_ok();
    let wait = || sync_channel::<()>(1).1.recv_timeout(Duration::from_millis(20)).is_ok();
    assert!((0..1_000).any(|_| path.exists() && back() || wait()), "it never was");
    drop(home);
    assert!(super::tests::home(&path).words.get("one").is_some());
}

#[test]
fn where_room_is_short_what_must_last_is_kept() {
    let dir = TempDir::new().unwrap();
    let settings = Settings { commit_ms: 10, max_bytes: 1 << 20, ..Settings::default() };
    let home = home_with(dir.path(), settings, 1);
    // Fleet indexes of a megabyte, and words that must last.
    for n in 0..30_000_u64 {
        let mut exchange = accepted((n % 7) as u8);
        exchange.completion.issued = vec![crate::identity::Tag(n << 20 | 1)];
        home.engine.learn(&exchange);
    }
    home.say("one");
    home.settle();
    home.finish();
    let report = {
        let again = super::tests::home(dir.path());
        assert!(again.words.get("one").is_some());
        again.store.report()
    };
    assert_eq!(report.lost, 0);
    let snapshot = fs::metadata(&files(dir.path(), "snapshot")[0]).unwrap().len();
    assert!(snapshot < 1 << 20, "{snapshot} bytes");
}

#[test]
fn a_loss_is_learnt_from_for_a_while_and_that_is_remembered() {
    let dir = TempDir::new().unwrap();
    let first = home(dir.path());
    first.engine.learn_anew(NOW + Duration::from_secs(3600), Action::Throttle);
    assert_eq!(first.store.commit(), Ok(()));
    drop(first);
    let again = home(dir.path());
    assert!(again.engine.is_learning(NOW));
    assert!(!again.engine.is_learning(NOW + Duration::from_secs(3601)));
}

#[test]
fn a_ledger_is_bounded() {
    let ledger = Ledger::new("words", 2);
    assert_eq!(
        ["a", "b", "c", "a"].map(|name| ledger.put(name, 1).is_ok()),
        [true, true, false, true]
    );
    assert_eq!(Ledger::new("long", 9).put("a", "x".repeat(1 << 20)), Err(Full));
    assert_eq!(ledger.put(&"n".repeat(300), 1), Err(Full));
}
