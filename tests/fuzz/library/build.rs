//! Compiles this package, and no other, with the module `__fuzz`.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-cfg=raftobj_fuzz");
}
