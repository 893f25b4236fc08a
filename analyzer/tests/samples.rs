//! The golden samples, which the proxy's tests write, are read as the catalogue says.

use std::path::{Path, PathBuf};

use analyzer::logs::classify::classify;
use jiff::Timestamp;
use schemas::catalogue::CATALOGUE;
use schemas::view::RecordView;

fn samples() -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas/samples");
    let files = std::fs::read_dir(&folder).expect("the folder of samples");
    let paths = files.map(|file| file.expect("a file").path());
    let json = paths.filter(|path| path.extension().is_some_and(|ending| ending == "json"));
    json.map(|path| (path.clone(), std::fs::read(path).expect("readable"))).collect()
}

#[test]
fn every_entry_of_the_catalogue_is_recognised_in_its_sample() {
    let samples = samples();
    for entry in &CATALOGUE {
        let of_entry = samples.iter().filter(|(path, _)| {
            path.file_stem()
                .and_then(|stem| stem.to_str())
                .is_some_and(|s| s.starts_with(entry.name))
        });
        let mut seen = 0;
        for (path, json) in of_entry {
            seen += 1;
            let view = RecordView::parse(json).expect("a record");
            let exchange = classify(&view, "logs/sample.json", Timestamp::UNIX_EPOCH);
            let error = exchange.error.expect("a failure");
            let name = path.display();
            assert_eq!(error.origin, entry.origin, "{name}");
            assert_eq!(error.code, entry.name, "{name}");
            assert_eq!(error.message, entry.message, "{name}");
            assert_eq!(exchange.status, Some(entry.status), "{name}");
            assert!(exchange.started_at > Timestamp::UNIX_EPOCH, "{name}");
        }
        assert!(
            seen > 0,
            "{} has no sample; the proxy's tests write it: UPDATE_GENERATED=1 cargo test -p proxy --test samples",
            entry.name
        );
    }
}
