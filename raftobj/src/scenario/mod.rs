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
        a_refused_vote_is_not_kept
        a_returning_node_of_a_higher_term_is_heard
        a_single_node_leads_itself
        a_split_vote_is_retried
        the_more_up_to_date_log_wins
    }
    replication {
        a_call_is_appended_committed_and_applied
        a_conflict_backs_off_by_terms
        a_follower_whose_disk_has_forgotten_is_not_asked_without_pause
        a_hung_follower_does_not_block
        a_late_commit_index_counts_after_a_campaign
        a_restarted_follower_catches_up
        a_stale_append_does_not_truncate
        acknowledgements_of_an_old_term_do_not_count
        figure_7_followers_of_all_kinds
        figure_8_an_entry_of_its_own_term_commits_those_before
        figure_8_an_old_entry_is_not_committed_by_counting
        only_confirmed_entries_are_committed
    }
    disk {
        a_leaders_disk_fails
        a_tail_overwritten_before_it_was_written_does_not_count
        a_vote_is_durable_before_it_is_told
        all_nodes_crash_at_once
        term_and_vote_outlive_a_leader
        the_leader_sends_before_its_own_fsync
    }
    read {
        a_follower_reads_what_is_committed_at_the_leader
        a_read_at_a_deposed_leader_is_not_served_from_the_past
        a_read_waits_for_the_no_op
        a_read_without_a_majority_ends
        a_retry_has_a_fresh_id
        reads_share_a_round
    }
    sessions {
        a_call_given_up_may_have_taken_effect
        a_call_given_up_never_takes_effect_after_a_later_one
        a_connection_lost_after_forwarding
        a_gap_after_a_leader_change_is_filled_in_order
        a_new_boot_retires_the_one_before
        a_retry_after_a_leader_change_applies_once
    }
    calls {
        a_node_that_does_not_lead_refuses
        a_panic_is_an_outcome
        an_unknown_method_stops_the_node_that_lacks_it
        replies_too_large_are_told_by_their_size
        without_a_majority_a_call_ends
    }
    founding {
        a_crash_in_the_middle_of_founding
        a_disk_lost_in_the_middle_of_founding
        a_lagging_node_adopts_the_formed_list
        a_wiped_node_is_refused_and_the_others_go_on
        all_three_found_together
        two_wiped_nodes_of_three_are_refused
    }
    divergence {
        a_leader_that_is_alone_stops
        the_node_that_is_alone_stops
    }
}
