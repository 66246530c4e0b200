//! Every committed seed runs through its target in an ordinary test: seeds stay valid, and an
//! input that was found once stays fixed without a fuzzing engine.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use tern_fuzz::TARGETS;

#[test]
fn every_seed_passes_its_target() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds");
    for target in TARGETS {
        let mut count = 0;
        for file in fs::read_dir(root.join(target.name)).unwrap() {
            (target.run)(&fs::read(file.unwrap().path()).unwrap());
            count += 1;
        }
        assert!(count > 0, "{} has no seeds", target.name);
    }
}

#[test]
fn every_folder_of_seeds_and_every_dictionary_has_a_target() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let names: BTreeSet<String> = TARGETS.map(|target| target.name.to_owned()).into();
    let listed = |folder: &str| -> BTreeSet<String> {
        let name = |file: Result<fs::DirEntry, _>| {
            let path = file.unwrap().path();
            path.file_stem().unwrap().to_string_lossy().into_owned()
        };
        fs::read_dir(root.join(folder)).unwrap().map(name).collect()
    };
    assert_eq!(listed("seeds"), names);
    assert!(listed("dictionaries").is_subset(&names));
}
