//! Golden scenarios: scripts that drive a few nodes, with the output that describes every step.
//!
//! A file `raftobj/scenarios/<topic>/<scenario>` begins with comments that explain the behaviour and cite the rule. Then
//! come blocks: commands, a line `---`, and the output of the commands. The output is generated
//! (`UPDATE_GOLDENFILES=1 cargo test -p raftobj scenario`), read, and committed; from then on, any difference fails.
//!
//! The nodes are real [`Node`](crate::node::Node)s. The disks, the network and the clock around them are simulated and
//! obey the script: messages are delivered, writes become durable and entries are applied on command. After each command
//! [`checks`] asserts the properties that hold across nodes.
//!
//! Where to begin: [`script`] is the command language, a match arm for each command; [`cluster`] has the servers and the
//! network between them; [`server`] is one server with its disk and its object; [`print`](mod@print) formats the output.

mod checks;
mod cluster;
mod command_line;
mod disk;
mod golden_file;
mod network;
mod options;
mod print;
mod script;
mod server;
mod setup;
mod tally;

/// A test for each file, and one that no file is without a test.
macro_rules! scenarios {
    ($($topic:ident { $($name:ident)* })*) => {
        mod golden {
            $(mod $topic {
                $(#[test]
                fn $name() {
                    crate::node::tests::scenario::golden_file::run(stringify!($topic), stringify!($name));
                })*
            })*

            #[test]
            fn every_file_is_a_test() {
                let tests = [$($(concat!(stringify!($topic), "/", stringify!($name)),)*)*];
                crate::node::tests::scenario::golden_file::assert_all_listed(&tests);
            }
        }
    };
}

scenarios! {
    election {
        a_bridge_between_two_halves_keeps_the_leader
        a_candidate_follows_the_leader_of_its_own_term
        a_candidate_refuses_the_leader_of_an_earlier_term
        a_candidate_that_can_only_receive_follows
        a_candidate_that_can_only_send_does_not_raise_terms
        a_candidate_that_was_cut_off_concedes
        a_follower_that_can_only_receive_follows
        a_follower_that_can_only_send_does_not_disturb
        a_granted_vote_delays_the_voters_own_campaign
        a_larger_term_is_taken_over_in_every_role
        a_late_vote_request_of_the_current_term_is_refused
        a_leader_is_elected
        a_leader_keeps_its_followers_quiet
        a_leader_that_can_only_receive_is_replaced
        a_leader_that_can_only_send_steps_down
        a_leader_without_a_majority_steps_down
        a_majority_of_all_members_elects
        a_newer_log_of_a_minority_is_overwritten
        a_pre_vote_changes_no_state
        a_pre_vote_counts_from_a_voter_of_a_lower_term
        a_pre_vote_is_refused_while_a_leader_is_heard
        a_refused_pre_vote_reports_the_term
        a_refused_vote_is_not_persisted
        a_repeated_vote_counts_once
        a_repeated_vote_request_gets_the_same_answer
        a_request_of_an_old_term_is_refused
        a_restarted_voter_is_asked_again
        a_returning_node_of_a_higher_term_rejoins
        a_ring_keeps_the_leader
        a_server_in_any_role_can_vote_in_a_later_term
        a_single_node_leads_itself
        a_split_vote_is_retried
        a_vote_of_an_earlier_campaign_does_not_count
        a_vote_request_is_ignored_while_a_leader_is_heard
        after_the_last_fault_a_leader_serves
        duelling_candidates
        duelling_pre_candidates
        every_node_can_lead_in_turn
        heartbeats_must_be_faster_than_elections
        the_more_up_to_date_log_wins
        timeouts_are_drawn_anew
        two_of_two_are_needed
    }
    replication {
        a_call_is_appended_committed_and_applied
        a_commit_index_beyond_the_log_commits_what_is_there
        a_committed_entry_is_in_every_later_leader
        a_conflict_backs_off_at_both_ends
        a_conflict_backs_off_by_terms
        a_deposed_leaders_entry_is_replaced_and_its_call_sent_again
        a_follower_that_lost_durable_entries_is_probed_with_pauses
        a_hung_follower_does_not_block
        a_late_acknowledgement_does_not_decrease_match_index
        a_late_commit_index_counts_after_a_campaign
        a_late_conflict_does_not_decrease_match_index
        a_lost_connection_goes_back_to_probing
        a_member_that_was_never_up_gets_the_whole_log
        a_new_leader_commits_what_its_predecessor_left
        a_probe_is_alone_and_is_repeated_when_lost
        a_restarted_follower_catches_up
        a_stale_append_does_not_truncate
        a_window_bounds_the_appends_in_flight
        a_window_whose_acknowledgements_are_lost_opens_again
        acknowledgements_of_an_old_term_do_not_count
        an_append_acknowledged_before_a_crash_is_repeated
        an_append_of_a_deposed_leader_is_refused
        an_append_that_is_lost_is_sent_again
        an_entry_on_a_minority_is_not_committed
        commit_is_the_median_of_the_match_indexes
        committed_entries_are_applied_in_order_and_once
        figure_7_followers_of_all_kinds
        figure_8_an_entry_of_its_own_term_commits_those_before
        figure_8_an_old_entry_is_not_committed_by_counting
        late_acknowledgements_after_a_reconnection_are_valid
        only_confirmed_entries_are_committed
        the_next_heartbeat_repeats_a_lost_commit_index
    }
    disk {
        a_candidate_requests_votes_after_its_own_is_durable
        a_deposed_leaders_writes_come_late
        a_follower_applies_only_entries_on_its_own_disk
        a_followers_disk_fails_and_it_acknowledges_nothing
        a_leaders_disk_fails
        a_leaders_disk_hangs
        a_leaders_disk_is_nearly_full
        a_refusal_is_sent_when_its_term_is_durable
        a_restarted_leader_has_its_term_and_vote
        a_tail_overwritten_before_it_was_written_does_not_count
        a_vote_is_durable_before_it_is_sent
        all_nodes_crash_at_once
        an_acknowledgement_waits_for_its_own_write
        committed_entries_are_applied_in_bounded_batches
        the_leader_sends_before_its_own_fsync
    }
    read {
        a_follower_reads_what_is_committed_at_the_leader
        a_read_after_a_restart_waits_for_the_replay
        a_read_at_a_deposed_leader_is_not_stale
        a_read_sees_every_call_acknowledged_before_it
        a_read_sent_to_a_deposed_leader_is_retried
        a_read_waits_for_the_no_op
        a_read_without_a_majority_ends
        a_reply_to_an_earlier_round_confirms_nothing
        a_retried_read_has_a_new_id
        a_single_node_reads_when_its_first_entry_is_committed
        reads_share_a_round
    }
    sessions {
        a_call_given_up_may_have_taken_effect
        a_call_given_up_never_takes_effect_after_a_later_one
        a_connection_lost_after_forwarding
        a_gap_after_a_leader_change_is_filled_in_order
        a_new_boot_retires_the_one_before
        a_packet_delivered_twice_takes_effect_once
        a_retry_after_a_leader_change_applies_once
    }
    calls {
        a_call_made_during_an_election_waits_for_the_leader
        a_call_that_is_sent_again_has_one_entry
        a_leader_with_a_full_log_is_busy
        a_node_that_does_not_lead_refuses_calls
        a_panic_is_an_outcome
        a_reply_over_the_limit_is_reported_by_its_size
        a_reply_that_cannot_be_encoded_is_an_outcome
        an_unknown_method_stops_the_node_that_lacks_it
        every_call_ends_when_its_node_stops
        without_a_majority_a_call_ends
    }
    founding {
        a_crash_in_the_middle_of_founding
        a_disk_lost_in_the_middle_of_founding
        a_disk_wiped_between_two_meetings_is_forgotten
        a_lagging_node_adopts_the_formed_list
        a_wiped_leader_does_not_lead
        a_wiped_node_is_refused_and_the_others_go_on
        all_three_found_together
        an_emptied_node_reports_why_it_is_refused
        two_wiped_nodes_of_three_are_refused
    }
    divergence {
        a_diverged_follower_stops
        a_diverged_leader_stops
    }
}
