//! Files of the operator's records: how accounts came to be, and where addresses are. Each is read
//! whole or not at all, at the start and whenever it changes.

use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::identity::{Atlas, Chart, Identifier, Register, Settings};

/// The largest file that is read, in bytes: what is read lies in memory whole.
const LARGEST: u64 = 1 << 30;

/// The files as they were when they were last read.
#[derive(Clone, Debug, Default)]
pub struct Records {
    register: Vec<Seen>,
    atlas: Vec<Seen>,
}

/// What a look at the files showed: none where they are as before.
#[derive(Debug, Default)]
pub struct Looked {
    pub register: Option<Result<Register, String>>,
    pub atlas: Option<Result<Atlas, String>>,
}

type Seen = (PathBuf, Stamp);

/// Tells whether a file is another one than before, without reading it: some are large. Links are
/// followed, since what a Kubernetes ConfigMap mounts is swapped behind one. None where there is none.
type Stamp = Option<[i64; 5]>;

impl Records {
    /// Looks at the files that `settings` name; `anew` reads them even where they are as before. What
    /// can't be read is told once. Blocks on the disk.
    pub fn look(&mut self, settings: &Settings, identifier: &Identifier, anew: bool) -> Looked {
        let charts = [
            (Chart::Countries, settings.country_file.as_deref()),
            (Chart::Networks, settings.asn_file.as_deref()),
        ];
        let files = charts.iter().filter_map(|(_, file)| *file);
        let atlas = stamps(files).filter(|seen| changed(&mut self.atlas, seen, anew));
        let register = stamps(settings.attributes_file.as_deref())
            .filter(|seen| changed(&mut self.register, seen, anew));
        Looked {
            register: register.map(|_| register_of(settings, identifier)),
            atlas: atlas.map(|_| atlas_of(charts)),
        }
    }
}

fn stamps<'a>(files: impl IntoIterator<Item = &'a Path>) -> Option<Vec<Seen>> {
    Some(files.into_iter().map(|file| (file.to_owned(), stamp(file))).collect())
}

fn changed(before: &mut Vec<Seen>, now: &[Seen], anew: bool) -> bool {
    let changed = anew || before != now;
    *before = now.to_vec();
    changed
}

fn stamp(file: &Path) -> Stamp {
    let data = std::fs::metadata(file).ok()?;
    let (size, place) = (data.size().cast_signed(), data.ino().cast_signed());
    let nanos = [data.mtime(), data.ctime()].map(|seconds| seconds.wrapping_mul(1_000_000_000));
    let [written, moved] = nanos;
    let (written, moved) =
        (written.wrapping_add(data.mtime_nsec()), moved.wrapping_add(data.ctime_nsec()));
    Some([data.dev().cast_signed(), place, size, written, moved])
}

fn register_of(settings: &Settings, identifier: &Identifier) -> Result<Register, String> {
    let Some(file) = &settings.attributes_file else { return Ok(Register::default()) };
    let text = bytes(file)?;
    identifier.register(&text).map_err(|bad| format!("{}:{bad}", file.display()))
}

fn atlas_of(charts: [(Chart, Option<&Path>); 2]) -> Result<Atlas, String> {
    let mut named = charts.into_iter().filter_map(|(chart, file)| Some((chart, file?)));
    named.try_fold(Atlas::default(), |atlas, (chart, file)| {
        let with = atlas.with(chart, bytes(file)?);
        with.map_err(|why| format!("{}: {why}", file.display()))
    })
}

fn bytes(file: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read =
        std::fs::File::open(file).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes));
    match read {
        Err(why) => Err(format!("can't read {}: {why}", file.display())),
        Ok(_) if bytes.len() as u64 > LARGEST => {
            Err(format!("{} is larger than a GiB", file.display()))
        }
        Ok(_) => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::identity::{AccountId, Keyring};

    struct Scene {
        directory: tempfile::TempDir,
        settings: Settings,
        records: Records,
    }

    impl Scene {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let path = |name: &str| Some(directory.path().join(name));
            let settings = Settings {
                attributes_file: path("attributes.jsonl"),
                country_file: path("countries.mmdb"),
                ..Settings::default()
            };
            Self { directory, settings, records: Records::default() }
        }

        fn write(&self, name: &str, text: &str) {
            // As exporters should: aside, then moved into its place.
            let aside = self.directory.path().join("aside");
            fs::write(&aside, text).unwrap();
            fs::rename(&aside, self.directory.path().join(name)).unwrap();
        }

        fn look(&mut self, anew: bool) -> Looked {
            let identifier = Identifier::new(&Settings::default(), Keyring::new([1; 32])).unwrap();
            self.records.look(&self.settings, &identifier, anew)
        }
    }

    const ROW: &str = r#"{"account":"acct_07070707070707070707070707070707","paid_invoices":1}"#;

    #[test]
    fn a_file_is_read_when_it_changes_and_when_asked_to() {
        let mut scene = Scene::new();
        scene.write("attributes.jsonl", ROW);
        let paid = |looked: Looked| {
            let told = looked.register?.unwrap().of(AccountId([7; 16]));
            told.unwrap().attributes.paid_invoices
        };
        assert_eq!(paid(scene.look(false)), Some(1));
        assert!(scene.look(false).register.is_none(), "as before");
        assert_eq!(paid(scene.look(true)), Some(1), "a hangup");
        scene.write("attributes.jsonl", &ROW.replace(":1}", ":2}"));
        assert_eq!(paid(scene.look(false)), Some(2));
    }

    #[test]
    fn what_is_broken_is_told_once_with_its_place() {
        let mut scene = Scene::new();
        scene.write("attributes.jsonl", &format!("{ROW}\n{{\"paid\":1}}\n"));
        scene.write("countries.mmdb", "no database");
        let looked = scene.look(false);
        let why = looked.register.unwrap().unwrap_err();
        assert!(why.contains("attributes.jsonl:2:7: unknown field"), "{why}");
        let why = looked.atlas.unwrap().unwrap_err();
        assert!(why.contains("countries.mmdb: "), "{why}");
        let looked = scene.look(false);
        assert!(looked.register.is_none() && looked.atlas.is_none());
    }

    #[test]
    fn a_file_that_goes_is_an_error_and_one_no_longer_named_is_empty() {
        let mut scene = Scene::new();
        scene.write("attributes.jsonl", ROW);
        scene.look(false);
        fs::remove_file(scene.directory.path().join("attributes.jsonl")).unwrap();
        let gone = scene.look(false).register.unwrap();
        assert!(gone.unwrap_err().contains("can't read"));
        scene.settings = Settings::default();
        let looked = scene.look(false);
        assert!(looked.register.unwrap().unwrap().is_empty());
        assert!(!looked.atlas.unwrap().unwrap().tells(Chart::Countries));
    }
}
