//! Golden scenarios: stories of a few nodes in a small command language, with what the nodes do as their output.
//!
//! A file in `raftobj/scenarios/<topic>/` is a story. It begins with comments that say what it shows and where the
//! rule lives; then come blocks of commands, a line `---`, and what followed from them. The output is generated
//! (`UPDATE_GOLDENFILES=1 cargo test -p raftobj scenario`), read, and committed; afterwards a difference is a failure.
//!
//! The nodes are whole [`Node`](crate::node::Node)s. What lies around them is simulated here and obeys the script:
//! links that deliver when told, disks that write when told, objects that apply when told. After each command the
//! properties that hold across nodes are checked (`checks`).
//!
//! Where to begin: `script` is the language, a command a match arm; `cluster` the nodes and the links between them;
//! `member` one node with its disk and its object; `print` the words of the output.

mod apply;
mod checks;
mod cluster;
mod disk;
mod file;
mod links;
mod member;
mod print;
mod script;
mod setup;

/// A test for each file, and one that no file is without a test.
macro_rules! scenarios {
    ($($topic:ident { $($name:ident)* })*) => {
        mod golden {
            $(mod $topic {
                $(#[test]
                fn $name() {
                    crate::scenario::file::run(stringify!($topic), stringify!($name));
                })*
            })*

            #[test]
            fn every_file_is_a_test() {
                let tests = [$($(concat!(stringify!($topic), "/", stringify!($name)),)*)*];
                crate::scenario::file::assert_all_listed(&tests);
            }
        }
    };
}

scenarios! {
    election {
        a_leader_is_elected
        a_pre_vote_is_refused_beside_a_live_leader
        a_single_node_leads_itself
        a_split_vote_is_retried
        the_more_up_to_date_log_wins
    }
    disk {
        a_vote_is_durable_before_it_is_told
        term_and_vote_outlive_a_leader
    }
}
