//! What every store keeps: one suite, run on each.
//!
//! Each test gets a database of its own. SQLite is always there; PostgreSQL where
//! `COLONNADE_TEST_POSTGRES` has the URL of a server on which databases may be made. Where it has none,
//! each of its tests says so.
#![allow(clippy::unwrap_used)]

mod outages;
mod place;
mod records;

/// Tests by theme, each an `async fn(Place)` of the theme's file.
macro_rules! contract {
    ($($theme:ident { $($name:ident)* })*) => {
        $(mod $theme;)*
        mod sqlite {
            $(mod $theme {
                $(#[test]
                fn $name() {
                    crate::place::on_sqlite(crate::$theme::$name);
                })*
            })*
        }
        mod postgres {
            $(mod $theme {
                $(#[test]
                fn $name() {
                    let name = concat!(stringify!($theme), "::", stringify!($name));
                    crate::place::on_postgres(name, crate::$theme::$name);
                })*
            })*
        }
    };
}

/// Tests of a server, which a file is not.
mod on_postgres_alone {
    macro_rules! tests {
        ($($theme:ident { $($name:ident)* })*) => {
            $(mod $theme {
                $(#[test]
                fn $name() {
                    let name = concat!(stringify!($theme), "::", stringify!($name));
                    crate::place::on_postgres(name, crate::$theme::$name);
                })*
            })*
        };
    }

    tests! {
        outages {
            news_come_by_listening_alone
            a_silent_server_costs_a_caller_seconds_and_nothing_is_missed
            a_server_that_is_silent_from_the_start_costs_each_caller_the_same
            a_server_that_went_away_and_came_back_is_found_again
            a_creation_that_was_given_up_is_made_once
            a_call_that_nobody_waits_for_any_more_leaves_no_trace
        }
        starts {
            a_user_who_may_make_no_tables_can_start
        }
    }
}

contract! {
    accounts {
        a_new_store_is_empty
        an_account_is_there_as_it_was_made
        an_account_is_made_once
        what_is_altered_of_an_account_is_altered_alone
        users_are_made_and_replaced
        columns_are_set_for_the_account_and_for_each_team
        assistants_are_replaced_in_their_order
        what_is_as_wished_is_no_change
        accounts_are_paged_by_id
    }
    keys {
        a_key_is_there_as_it_was_made
        what_a_new_key_names_must_be_there
        an_id_and_a_digest_are_used_once
        a_replaced_digest_stays_taken
        what_is_altered_of_a_key_is_altered_alone
        a_regenerated_key_keeps_all_but_its_secret
        a_revoked_key_stays_revoked
        an_expired_key_stays_expired
        a_legacy_key_can_only_be_revoked
        a_full_account_takes_no_more_until_one_is_revoked_or_expires
        keys_are_listed_by_status_the_oldest_first
        keys_are_paged
        a_cursor_that_no_list_gave_is_refused
    }
    retries {
        a_creation_sent_again_makes_one_key
        another_request_under_the_same_token_is_refused
        a_refused_creation_is_not_remembered
        a_token_is_remembered_for_a_day
        only_the_latest_thousand_are_remembered
    }
    usage {
        counts_of_all_nodes_are_added
        the_same_flush_again_adds_nothing
        windows_hold_what_is_as_young_as_they_are_long
        usage_is_read_in_the_order_asked_for
        odd_flushes_are_added_as_well
        a_large_flush_is_added_and_old_spans_go
    }
    audit {
        each_change_leaves_one_row
        an_author_without_address_is_kept_so
        no_row_holds_a_digest
        rows_are_paged_the_newest_first
        rows_are_neither_changed_nor_removed
    }
    nodes {
        a_node_is_there_as_it_told_last
        nodes_that_were_silent_for_a_day_are_forgotten
    }
    news {
        changes_are_what_is_newer
        a_revision_that_never_was_is_told
        two_handles_see_each_other_s_news
        who_waits_is_woken
    }
    rivals {
        of_eleven_creations_at_once_ten_are_made
        of_one_id_and_one_digest_one_key_is_made
        a_follower_misses_nothing_while_others_write
        each_change_has_a_revision_of_its_own
    }
    starts {
        many_may_open_a_new_database_at_once
        a_newer_schema_is_told_and_left_alone
        what_cannot_be_read_is_told_with_its_row
    }
    crashes {
        no_acknowledged_change_is_lost_when_its_process_is_killed
    }
}
