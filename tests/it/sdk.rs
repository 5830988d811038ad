//! Unmodified Python and Node clients, and a browser, against the program. They are installed into
//! the build directory; where that fails the tests say so, loudly, and do not count as passed work.

use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::stand::Stand;

const TENANTS: &str = r#"
mode = "enforce"

# A debug build on a busy machine must not fail open.
[guard]
scoring_deadline_ms = 5000
max_body = 8_388_608

# A second of a browser's work.
[guard.challenge]
bits = 15
most_bits = 17

[[identity.tenants]]
name = "open"
path_prefix = "/open"

[[identity.tenants]]
name = "slow"
path_prefix = "/slow"

[[identity.tenants]]
name = "pace"
path_prefix = "/pace"

[[identity.tenants]]
name = "fifty"
path_prefix = "/fifty"

[[identity.tenants]]
name = "tokens"
path_prefix = "/tokens"

[[identity.tenants]]
name = "spent"
path_prefix = "/spent"

[[identity.tenants]]
name = "shape"
path_prefix = "/shape"

[[identity.tenants]]
name = "bind"
path_prefix = "/bind"

[[identity.tenants]]
name = "challenge"
path_prefix = "/challenge"

[[identity.tenants]]
name = "drop"
path_prefix = "/drop"

[[tenants]]
name = "slow"
limits = { requests = { requests_per_minute = 1, burst = 1 } }

[[tenants]]
name = "pace"
limits = { requests = { requests_per_minute = 60, burst = 1 } }

[[tenants]]
name = "fifty"
limits = { concurrency = 50 }

[[tenants]]
name = "tokens"
limits = { tokens = { tokens_per_minute = 1, burst = 1 } }

[[tenants]]
name = "spent"
limits = { cut_streams = true, per_day = { output_tokens = 1150 } }

[[tenants]]
name = "shape"
ladder = { shape = -40.0, throttle = 50.0, challenge = 51.0, drop = 52.0 }
shape = { withhold_reasoning = true, most_choices = 2, refuse_choices_above = 4, most_output_tokens = 2048 }

[[tenants]]
name = "bind"
bind = { signatures = "wrap", tool_ids = "wrap", foreign = "refuse", altered = "refuse", bare = "refuse" }

[[tenants]]
name = "challenge"
ladder = { shape = -9.5, throttle = -9.4, challenge = -9.3, drop = 50.0 }
# Several accounts that the endpoint has not accepted yet must get there.
throttle = { requests_per_minute = 600000, burst = 10000 }

[[tenants]]
name = "drop"
ladder = { shape = -40.0, throttle = -39.0, challenge = -38.0, drop = -37.0 }
"#;

/// The interpreter that has the clients, or why there is none.
static PYTHON: LazyLock<Result<PathBuf, String>> = LazyLock::new(|| {
    let home = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("sdk-python");
    let python = home.join("bin/python");
    run(Command::new("python3").args(["-m", "venv"]).arg(home))?;
    let mut install = Command::new(&python);
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]);
    run(install.arg(format!("{SUITES}/requirements.txt")))?;
    Ok(python)
});

/// Node, and the directory that has its clients and, for they are found from there alone, copies of
/// the suites.
static NODE: LazyLock<Result<(PathBuf, PathBuf), String>> = LazyLock::new(|| {
    let node = run(Command::new("node").args(["--print", "process.execPath"]))?;
    let home = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("sdk-node");
    std::fs::create_dir_all(&home).map_err(|why| why.to_string())?;
    for file in std::fs::read_dir(format!("{SUITES}/node")).map_err(|why| why.to_string())? {
        let file = file.map_err(|why| why.to_string())?;
        std::fs::copy(file.path(), home.join(file.file_name())).map_err(|why| why.to_string())?;
    }
    // Not `ci`, which begins by deleting what is there: once installed, no registry is needed.
    let install = ["install", "--prefer-offline", "--no-audit", "--no-fund"];
    run(Command::new("npm").args(install).current_dir(&home))?;
    Ok((node.trim().into(), home))
});

/// The browser's command.
static CHROMIUM: LazyLock<Result<String, String>> = LazyLock::new(|| {
    let mut find = Command::new("sh");
    find.arg(format!("{SUITES}/chromium.sh"));
    let found = run(find.arg(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("chromium")))?;
    Ok(found.trim().to_owned())
});

const SUITES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sdk");

/// Suites left out so far.
static SKIPPED: AtomicUsize = AtomicUsize::new(0);

/// What the command printed, or why it failed.
fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|why| format!("{command:?}: {why}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    output.status.success().then(|| text(&output.stdout)).ok_or_else(|| text(&output.stderr))
}

fn python(suite: &str) {
    drive(suite, PYTHON.as_ref().map(|python| with_suite(python, suite)), &[]);
}

fn with_suite(python: &PathBuf, suite: &str) -> Command {
    let mut command = Command::new(python);
    command.arg("-B").arg(format!("{SUITES}/{suite}"));
    command
}

/// A suite that opens pages.
fn browser(suite: &str) {
    match (&*PYTHON, &*CHROMIUM) {
        (Ok(python), Ok(chromium)) => drive(suite, Ok(with_suite(python, suite)), &[chromium]),
        (Err(why), _) | (_, Err(why)) => drive(suite, Err(why), &[]),
    }
}

fn node(suite: &str) {
    let command = NODE.as_ref().map(|(node, home)| {
        let mut command = Command::new(node);
        command.arg(home.join(suite));
        command
    });
    drive(suite, command, &[]);
}

fn drive(suite: &str, command: Result<Command, &String>, more: &[&str]) {
    let mut command = match command {
        Ok(command) => command,
        Err(why) => {
            let count = SKIPPED.fetch_add(1, Ordering::Relaxed) + 1;
            // Not `eprintln`: what a test that passes prints is not shown.
            let said = format!("SKIPPED suite {count}: {suite} lacks its clients: {why}\n");
            std::io::stderr().write_all(said.as_bytes()).unwrap();
            assert!(std::env::var_os("CI").is_none(), "the clients must be there in CI: {why}");
            return;
        }
    };
    let stand = Stand::new(TENANTS);
    let (base, admin) =
        (format!("http://{}", stand.address()), format!("http://{}", stand.proxy.admin));
    let output = command.args([&base, &admin]).args(more).env_clear().output().unwrap();
    let (said, errors) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}{errors}");
    println!("{said}");
}

#[test]
fn an_unmodified_openai_client_notices_nothing_until_it_is_refused() {
    python("openai_client.py");
}

#[test]
fn an_unmodified_azure_client_notices_nothing_until_it_is_refused() {
    python("azure_client.py");
}

#[test]
fn unmodified_asynchronous_clients_notice_nothing_until_they_are_refused() {
    python("async_clients.py");
}

#[test]
fn an_unmodified_realtime_client_notices_nothing_until_it_is_refused() {
    python("realtime_client.py");
}

#[test]
fn an_unmodified_anthropic_client_notices_nothing_until_it_is_refused() {
    python("anthropic_client.py");
}

#[test]
fn an_unmodified_gemini_client_notices_nothing_until_it_is_refused() {
    python("gemini_client.py");
}

#[test]
fn an_unmodified_openai_client_for_node_notices_nothing_until_it_is_refused() {
    node("openai_client.mjs");
}

#[test]
fn an_unmodified_anthropic_client_for_node_notices_nothing_until_it_is_refused() {
    node("anthropic_client.mjs");
}

#[test]
fn an_unmodified_bedrock_client_notices_nothing_until_it_is_refused() {
    python("bedrock_client.py");
}

#[test]
fn a_challenge_is_solved_in_a_browser_and_the_same_clients_go_on() {
    browser("challenge_page.py");
}
