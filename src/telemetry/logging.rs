//! The program's own log on standard error, for which nobody waits.
//!
//! It carries no text of callers, and nothing a terminal would act on: control characters, also
//! those hidden in C1, are replaced, and a line break inside an event can't forge a second one.

use std::io::{self, Write};
use std::panic::{self, PanicHookInfo};
use std::thread;

use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{FilterExt, LevelFilter, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use super::lines::{LastLines, Lines};
use super::settings::{Format, Log};

/// Why the log could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    #[error("log level: {0}")]
    Level(#[from] tracing_subscriber::filter::ParseError),
    #[error("a log is set up already")]
    Twice,
    #[error("can't start the log's thread: {0}")]
    Thread(#[from] io::Error),
}

/// Sends events to standard error. `level` overrides the settings' own, e.g. from the environment.
/// Once per process. What is returned is kept until the process ends.
pub fn start_logging(settings: &Log, level: Option<&str>) -> Result<LastLines, LoggingError> {
    let directives = level.unwrap_or_else(|| settings.level.as_str());
    let (lines, last) = Lines::to(io::stderr())?;
    let layer = layer(settings.format, directives, move || lines.clone())?;
    let subscriber = tracing_subscriber::registry().with(layer);
    subscriber.try_init().map_err(|_| LoggingError::Twice)?;
    Ok(last)
}

/// Logs where a panic happened and on which thread. Its message stays out: a dependency's may quote
/// the input it tripped over.
pub fn log_panics() {
    panic::set_hook(Box::new(report));
}

fn report(panic: &PanicHookInfo<'_>) {
    let (file, line) = panic.location().map_or(("unknown", 0), |at| (at.file(), at.line()));
    let thread = thread::current();
    let thread = thread.name().unwrap_or("unnamed");
    tracing::error!(file, line, thread, "panicked");
}

fn layer<S, W>(
    format: Format,
    directives: &str,
    to: W,
) -> Result<impl Layer<S> + use<S, W>, LoggingError>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let wanted =
        EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).parse(directives)?;
    let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(OneLine(to));
    let lines = match format {
        Format::Text => lines.boxed(),
        Format::Json => lines.json().flatten_event(true).boxed(),
    };
    Ok(lines.with_filter(wanted.and(filter_fn(discreet))))
}

/// Other crates speak at warn at most, whatever the directives: what they say below may quote
/// headers, and with them keys.
fn discreet(event: &Metadata<'_>) -> bool {
    let ours = event.target().split("::").next() == Some(env!("CARGO_CRATE_NAME"));
    ours || *event.level() <= Level::WARN
}

/// Makes writers that get one event per call, as the layers above write them.
#[derive(Debug)]
struct OneLine<W>(W);

impl<'a, W: MakeWriter<'a>> MakeWriter<'a> for OneLine<W> {
    type Writer = Plain<W::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        Plain(self.0.make_writer())
    }

    fn make_writer_for(&'a self, event: &Metadata<'_>) -> Self::Writer {
        Plain(self.0.make_writer_for(event))
    }
}

#[derive(Debug)]
struct Plain<W>(W);

impl<W: Write> Write for Plain<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        self.0.write_all(plain(event).as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// One event as one line without control characters.
fn plain(event: &[u8]) -> String {
    let text = String::from_utf8_lossy(event);
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let harmless = |c: char| if c.is_control() || is_layout(c) { '\u{fffd}' } else { c };
    text.chars().map(harmless).chain(['\n']).collect()
}

/// Characters that break or reorder a line without being control characters.
fn is_layout(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Keeps what is written to it.
    #[derive(Clone, Default)]
    pub(in crate::telemetry) struct Sink(pub(in crate::telemetry) Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: Format, directives: &str, speak: impl FnOnce()) -> String {
        let sink = Sink::default();
        let to = sink.clone();
        let layer = layer(format, directives, move || to.clone()).unwrap();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), speak);
        let bytes = sink.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn escape_codes_and_forged_lines_are_neutralised() {
        for format in [Format::Text, Format::Json] {
            let text = logged(format, "info", || {
                tracing::info!(name = "\u{1b}[2J\u{9b}31m\nforged", "a\u{1b}[0m\r\nb\u{202e}");
            });
            assert_eq!(text.matches('\n').count(), 1, "{text:?}");
            assert!(!text.contains(['\u{1b}', '\u{9b}', '\r', '\u{202e}']), "{text:?}");
        }
    }

    #[test]
    fn an_event_in_json_is_one_object() {
        let text = logged(Format::Json, "info", || tracing::info!(n = 3, "hello"));
        let event: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&event["n"], &event["message"]), (&3.into(), &"hello".into()));
    }

    #[test]
    fn other_crates_never_speak_below_warn() {
        let text = logged(Format::Text, "trace", || {
            tracing::debug!(target: "hyper::proto", "authorization: k-123");
            tracing::debug!(target: "stillguardian", "k-123");
            tracing::warn!(target: "hyper::proto", "closed");
            tracing::debug!("ours");
        });
        assert!(!text.contains("k-123"), "{text}");
        assert!(text.contains("closed") && text.contains("ours"), "{text}");
    }

    #[test]
    fn a_panics_message_is_not_logged_but_its_place_is() {
        let text = logged(Format::Text, "info", || {
            panic::set_hook(Box::new(report));
            let caught = panic::catch_unwind(|| panic!("prompt text"));
            let _ = panic::take_hook();
            assert!(caught.is_err());
        });
        assert!(text.contains("panicked") && text.contains("logging.rs"), "{text}");
        assert!(!text.contains("prompt text"), "{text}");
    }
}
