//! Runs the target that `TARGET` names under LLVM's libFuzzer, which keeps inputs that reach new code. See
//! `README.md`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use raftobj_fuzz::measure::{Runner, runner};
use raftobj_fuzz::{Target, targets};
use std::cell::OnceCell;
use std::env;

thread_local! {
    static TARGET: OnceCell<(Target, Runner)> = const { OnceCell::new() };
}

fuzz_target!(|input: &[u8]| {
    TARGET.with(|target| {
        let (target, runner) = target.get_or_init(|| (target_from_env(), runner()));
        if let Err(finding) = runner.run(target, input) {
            eprintln!("{}: {finding}", target.name);
            std::process::abort();
        }
    });
});

fn target_from_env() -> Target {
    let name = env::var("TARGET").unwrap_or_default();
    let names: Vec<&str> = targets().iter().map(|target| target.name).collect();
    let target = targets().into_iter().find(|target| target.name == name);
    target.unwrap_or_else(|| panic!("TARGET must be one of {names:?}"))
}
