//! Unmodified Python clients against the program. They are installed into the build directory; where
//! that can't be done the tests say so, loudly, and do not count as passed work.

use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

use super::stand::Stand;

const TENANTS: &str = r#"
mode = "enforce"

# A debug build on a busy machine must not fail open.
[guard]
scoring_deadline_ms = 5000
max_body = 8_388_608

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
name = "challenge"
ladder = { shape = -40.0, throttle = -39.0, challenge = -38.0, drop = 50.0 }

[[tenants]]
name = "drop"
ladder = { shape = -40.0, throttle = -39.0, challenge = -38.0, drop = -37.0 }
"#;

/// The interpreter that has the clients, or why there is none.
static PYTHON: LazyLock<Result<PathBuf, String>> = LazyLock::new(|| {
    let home = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("sdk-python");
    let python = home.join("bin/python");
    let run = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output();
        let output = output.map_err(|why| format!("{program}: {why}"))?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        output.status.success().then_some(()).ok_or(said)
    };
    run("python3", &["-m", "venv", home.to_str().unwrap()])?;
    let wanted = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sdk/requirements.txt");
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", wanted];
    run(python.to_str().unwrap(), &install)?;
    Ok(python)
});

fn drive(script: &str) {
    let python = match &*PYTHON {
        Ok(python) => python,
        Err(why) => {
            eprintln!("SKIPPED: {script} needs Python and its clients, which can't be had: {why}");
            assert!(std::env::var_os("CI").is_none(), "the clients must be there in CI: {why}");
            return;
        }
    };
    let stand = Stand::new(TENANTS);
    let script = format!("{}/tests/sdk/{script}", env!("CARGO_MANIFEST_DIR"));
    let base = format!("http://{}", stand.address());
    let admin = format!("http://{}", stand.proxy.admin);
    let arguments = ["-B", &script, &base, &admin];
    let output = Command::new(python).args(arguments).env_clear().output().unwrap();
    let (said, errors) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}{errors}");
    println!("{said}");
}

#[test]
fn an_unmodified_openai_client_notices_nothing_until_it_is_refused() {
    drive("openai_client.py");
}

#[test]
fn an_unmodified_anthropic_client_notices_nothing_until_it_is_refused() {
    drive("anthropic_client.py");
}

#[test]
fn an_unmodified_gemini_client_notices_nothing_until_it_is_refused() {
    drive("gemini_client.py");
}
