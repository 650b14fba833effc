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
        a_candidate_that_can_only_receive_follows
        a_candidate_that_can_only_send_does_not_raise_terms
        a_follower_that_can_only_receive_follows
        a_follower_that_can_only_send_does_not_disturb
        a_leader_is_elected
        a_leader_that_can_only_receive_is_replaced
        a_leader_that_can_only_send_steps_down
        a_leader_without_a_majority_steps_down
        a_pre_vote_counts_from_a_voter_of_a_lower_term
        a_pre_vote_is_refused_beside_a_live_leader
        a_refused_pre_vote_teaches_the_term
        a_returning_node_of_a_higher_term_is_heard
        a_single_node_leads_itself
        a_split_vote_is_retried
        the_more_up_to_date_log_wins
    }
    replication {
        a_call_is_appended_committed_and_applied
        a_conflict_backs_off_by_terms
        a_hung_follower_does_not_block
        a_late_commit_index_counts_after_a_campaign
        a_restarted_follower_catches_up
        a_stale_append_does_not_truncate
        acknowledgements_of_an_old_term_do_not_count
        only_confirmed_entries_are_committed
    }
    disk {
        a_vote_is_durable_before_it_is_told
        term_and_vote_outlive_a_leader
    }
}
