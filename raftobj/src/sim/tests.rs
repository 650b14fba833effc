//! The simulator itself: that its runs repeat, that they hold, that they reach what they are there for.

use super::standard::simulation;

// Breaks: a seed that failed does not fail again.
#[test]
fn a_seed_is_a_run() {
    for seed in 0..20 {
        let hash = |seed| simulation().run_seed(seed).unwrap().hash();
        assert_eq!(hash(seed), hash(seed));
        assert_ne!(hash(seed), hash(seed + 1));
    }
}

#[test]
fn the_standard_seeds_hold() {
    let report = simulation().seeds(0..300).run().unwrap();
    println!("{report}");
    assert_eq!(report.missed(), [""; 0]);
}
