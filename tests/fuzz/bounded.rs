//! Runs all targets for some seconds, with the same inputs on every machine and in every run.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may stop")]

use raftobj::sim::Random;
use raftobj_fuzz::measure::{Finding, Runner, runner};
use raftobj_fuzz::mutate::mutate;
use raftobj_fuzz::{MemoryBound, Target, folders, targets};
use std::path::Path;
use std::{env, fs};

/// How many mutated inputs each target gets. A directory takes some hundred microseconds, a message one.
fn rounds(target: &str) -> usize {
    match target {
        "directory" | "log_sealed" => 15_000,
        "frames_sealed" => 15_000,
        // Each runs a whole cluster.
        "schedule" => 300,
        _ => 100_000,
    }
}

/// If this fails: bytes from a peer, a disk or a client crash a node, make it allocate without bound, or are decoded
/// to a value that they do not encode.
#[test]
fn no_input_causes_a_panic_unbounded_memory_or_a_wrong_value() {
    let runner = runner();
    let mut found = Vec::new();
    for target in targets() {
        let known = known_inputs(&target);
        let mut all = known.iter().map(|(_, input)| input.clone()).collect::<Vec<_>>();
        // The empty input.
        all.push(Vec::new());
        let mut random = Random::new(1);
        let mutated =
            (0..rounds(target.name)).map(|round| (format!("round {round}"), mutate(&all, &mut random)));
        let (mut accepted, mut refused) = (0, 0);
        for (name, input) in known.into_iter().chain(mutated) {
            match runner.run(&target, &input) {
                Ok(true) => accepted += 1,
                Ok(false) => refused += 1,
                Err(_) => {
                    found.push(report(&runner, &target, &name, &input));
                    break;
                }
            }
        }
        let has_both = accepted > 0 && refused > 0;
        assert!(has_both || !found.is_empty(), "{}: {accepted} accepted, {refused} refused", target.name);
    }
    drop(runner);
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

/// The committed inputs, regressions first.
fn known_inputs(target: &Target) -> Vec<(String, Vec<u8>)> {
    let of = |kind| folders::inputs(kind, target.name).unwrap();
    [of("regressions"), of("corpus")].concat()
}

/// Shrinks the input, writes it to a file, and describes the finding and how to keep it.
fn report(runner: &Runner, target: &Target, name: &str, input: &[u8]) -> String {
    let shrunk = runner.shrink(target, input);
    let finding = runner.run(target, &shrunk).unwrap_err();
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}.found", target.name));
    fs::write(&file, &shrunk).unwrap();
    let folder = folders::folder("regressions", target.name);
    format!(
        "{}, {name}: {finding}\n  by {} bytes: {shrunk:02x?}\n  keep them: mkdir -p {folder}; cp {} {folder}/<name>",
        target.name,
        shrunk.len(),
        file.display(),
        folder = folder.display(),
    )
}

/// If this fails without intent: bytes on disk or on the wire changed. Older nodes cannot read them, and newer nodes
/// cannot read older logs. With intent: set `UPDATE_CORPUS=1`, and give the format a new version.
#[test]
fn the_corpus_is_what_the_encoders_write_and_is_accepted() {
    let runner = runner();
    for target in targets() {
        let mut seeds: Vec<(String, Vec<u8>)> =
            (target.seeds)().into_iter().map(|(name, bytes)| (name.to_owned(), bytes)).collect();
        seeds.sort();
        if env::var_os("UPDATE_CORPUS").is_some() {
            let folder = folders::folder("corpus", target.name);
            let _ = fs::remove_dir_all(&folder);
            fs::create_dir_all(&folder).unwrap();
            seeds.iter().for_each(|(name, bytes)| fs::write(folder.join(name), bytes).unwrap());
        }
        for (name, bytes) in &seeds {
            assert_eq!(runner.run(&target, bytes), Ok(true), "{}/{name}", target.name);
        }
        let committed = folders::inputs("corpus", target.name).unwrap();
        assert!(committed == seeds, "corpus/{} is not what the encoders write", target.name);
    }
}

/// If this fails, the other tests here find nothing.
#[test]
fn planted_faults_are_found_and_shrunk() {
    let runner = runner();
    let memory = MemoryBound { bytes_fixed: 1024, bytes_per_byte: 8 };
    let target = |decode| Target { name: "planted", decode, seeds: Vec::new, memory };
    let inputs = [b"a length: \x05, and more".to_vec()];
    let find = |target: &Target| {
        let mut random = Random::new(1);
        let mut mutated = (0..10_000).map(|_| mutate(&inputs, &mut random));
        let input = mutated.find(|input| runner.run(target, input).is_err()).expect("10,000 rounds find it");
        let shrunk = runner.shrink(target, &input);
        (runner.run(target, &shrunk).unwrap_err(), shrunk)
    };
    let (finding, shrunk) = find(&target(|bytes| {
        assert!(!bytes.contains(&0xff), "a byte too many");
        None
    }));
    assert!(matches!(&finding, Finding::Panic(text) if text.contains("a byte too many")), "{finding}");
    assert_eq!(shrunk, [0xff]);

    let (finding, shrunk) = find(&target(|bytes| {
        // Allocates the claimed length before the bytes are there.
        let claimed = bytes.iter().position(|byte| *byte == b':').and_then(|at| bytes.get(at + 2));
        let taken = vec![0_u8; usize::from(claimed.copied().unwrap_or(0)) << 20];
        Some(Box::new(move || drop(taken)))
    }));
    assert!(matches!(finding, Finding::Memory { held, .. } if held >= 1 << 20), "{finding}");
    assert_eq!(shrunk.len(), 3, "{shrunk:02x?}");
}
