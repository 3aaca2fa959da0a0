/*
 * The plugin ABI is frozen: a plugin that was built yesterday must run tomorrow. Offsets and sizes of every public struct, and
 * the numbers behind the words, as they are on x86-64. A struct that begins with its size may grow at its end: then its
 * SIZE changes and lines are added here. Nothing else in this file is ever edited.
 */
#include <leat/processor.h>
#include <leat/target.h>
#include <stddef.h>
#include <stdio.h>

#ifdef __x86_64__
#define SIZE(type, bytes) _Static_assert(sizeof(struct type) == (bytes), #type " is frozen")
#define FIELD(type, field, offset, bytes)                                                          \
    _Static_assert(offsetof(struct type, field) == (offset) &&                                     \
                       sizeof(((struct type *)0)->field) == (bytes),                               \
                   #type "." #field " is frozen")
#define VALUE(word, number) _Static_assert((word) == (number), #word " is frozen")

/* leat/error.h */
SIZE(leat_error, 496);
FIELD(leat_error, code, 0, 4);
FIELD(leat_error, is_retryable, 4, 1);
FIELD(leat_error, is_throttled, 5, 1);
FIELD(leat_error, http_status, 6, 2);
FIELD(leat_error, sqlstate, 8, 8);
FIELD(leat_error, text, 16, 480);

/* leat/slice.h */
SIZE(leat_slice, 16);
FIELD(leat_slice, data, 0, 8);
FIELD(leat_slice, size, 8, 8);

/* leat/value.h */
SIZE(leat_value, 24);
FIELD(leat_value, type, 0, 4);
FIELD(leat_value, reserved, 4, 4);
FIELD(leat_value, as, 8, 16);

/* leat/record.h */
SIZE(leat_record, 96);
FIELD(leat_record, size, 0, 8);
FIELD(leat_record, data, 8, 16);
FIELD(leat_record, partition_key, 24, 16);
FIELD(leat_record, explicit_hash_key, 40, 16);
FIELD(leat_record, sequence_number, 56, 16);
FIELD(leat_record, sub_sequence_number, 72, 8);
FIELD(leat_record, arrival_us, 80, 8);
FIELD(leat_record, attempt, 88, 4);
FIELD(leat_record, flags, 92, 4);

SIZE(leat_shard, 64);
FIELD(leat_shard, size, 0, 8);
FIELD(leat_shard, stream, 8, 16);
FIELD(leat_shard, stream_id, 24, 16);
FIELD(leat_shard, shard, 40, 16);
FIELD(leat_shard, lane, 56, 4);
FIELD(leat_shard, lanes, 60, 4);

SIZE(leat_batch, 40);
FIELD(leat_batch, size, 0, 8);
FIELD(leat_batch, count, 8, 8);
FIELD(leat_batch, records, 16, 8);
FIELD(leat_batch, shard, 24, 8);
FIELD(leat_batch, behind_ms, 32, 8);

/* leat/table.h */
SIZE(leat_column, 40);
FIELD(leat_column, name, 0, 8);
FIELD(leat_column, type, 8, 4);
FIELD(leat_column, rule, 12, 4);
FIELD(leat_column, order_by, 16, 8);
FIELD(leat_column, flags, 24, 4);
FIELD(leat_column, reserved, 28, 4);
FIELD(leat_column, text, 32, 8);

SIZE(leat_table, 32);
FIELD(leat_table, name, 0, 8);
FIELD(leat_table, columns, 8, 8);
FIELD(leat_table, text, 16, 8);
FIELD(leat_table, reserved, 24, 8);

/* leat/option.h */
SIZE(leat_option, 56);
FIELD(leat_option, name, 0, 8);
FIELD(leat_option, type, 8, 4);
FIELD(leat_option, flags, 12, 4);
FIELD(leat_option, default_text, 16, 8);
FIELD(leat_option, choices, 24, 8);
FIELD(leat_option, minimum, 32, 8);
FIELD(leat_option, maximum, 40, 8);
FIELD(leat_option, text, 48, 8);

SIZE(leat_option_value, 56);
FIELD(leat_option_value, name, 0, 8);
FIELD(leat_option_value, type, 8, 4);
FIELD(leat_option_value, is_given, 12, 4);
FIELD(leat_option_value, integer, 16, 8);
FIELD(leat_option_value, text, 24, 16);
FIELD(leat_option_value, list, 40, 8);
FIELD(leat_option_value, list_count, 48, 8);

SIZE(leat_options, 24);
FIELD(leat_options, size, 0, 8);
FIELD(leat_options, count, 8, 8);
FIELD(leat_options, values, 16, 8);

/* leat/host.h */
SIZE(leat_host, 56);
FIELD(leat_host, size, 0, 8);
FIELD(leat_host, context, 8, 8);
FIELD(leat_host, log, 16, 8);
FIELD(leat_host, counter_add, 24, 8);
FIELD(leat_host, gauge_set, 32, 8);
FIELD(leat_host, sequence_compare, 40, 8);
FIELD(leat_host, now_us, 48, 8);

/* leat/processor.h */
SIZE(leat_out_services, 40);
FIELD(leat_out_services, size, 0, 8);
FIELD(leat_out_services, emit, 8, 8);
FIELD(leat_out_services, fail, 16, 8);
FIELD(leat_out_services, save_state, 24, 8);
FIELD(leat_out_services, is_cancelled, 32, 8);

SIZE(leat_out, 8);
FIELD(leat_out, services, 0, 8);

SIZE(leat_processor, 128);
FIELD(leat_processor, size, 0, 8);
FIELD(leat_processor, abi_major, 8, 4);
FIELD(leat_processor, abi_minor, 12, 4);
FIELD(leat_processor, name, 16, 8);
FIELD(leat_processor, version, 24, 8);
FIELD(leat_processor, summary, 32, 8);
FIELD(leat_processor, options, 40, 8);
FIELD(leat_processor, tables, 48, 8);
FIELD(leat_processor, tick_interval_us, 56, 8);
FIELD(leat_processor, open, 64, 8);
FIELD(leat_processor, close, 72, 8);
FIELD(leat_processor, describe, 80, 8);
FIELD(leat_processor, shard_begin, 88, 8);
FIELD(leat_processor, process, 96, 8);
FIELD(leat_processor, shard_reset, 104, 8);
FIELD(leat_processor, tick, 112, 8);
FIELD(leat_processor, shard_end, 120, 8);

/* leat/target.h */
SIZE(leat_target_context, 104);
FIELD(leat_target_context, size, 0, 8);
FIELD(leat_target_context, application, 8, 16);
FIELD(leat_target_context, processor, 24, 16);
FIELD(leat_target_context, url, 40, 16);
FIELD(leat_target_context, current_url, 56, 8);
FIELD(leat_target_context, url_context, 64, 8);
FIELD(leat_target_context, check_id, 72, 8);
FIELD(leat_target_context, id_context, 80, 8);
FIELD(leat_target_context, leases_name, 88, 16);

SIZE(leat_progress_key, 80);
FIELD(leat_progress_key, application, 0, 16);
FIELD(leat_progress_key, processor, 16, 16);
FIELD(leat_progress_key, tenant, 32, 16);
FIELD(leat_progress_key, stream_id, 48, 16);
FIELD(leat_progress_key, shard, 64, 16);

SIZE(leat_progress, 104);
FIELD(leat_progress, exists, 0, 1);
FIELD(leat_progress, has_saved_state, 1, 1);
FIELD(leat_progress, lease_counter, 8, 8);
FIELD(leat_progress, lease_owner, 16, 8);
FIELD(leat_progress, commit_seq, 24, 8);
FIELD(leat_progress, takes, 32, 4);
FIELD(leat_progress, checkpoint, 40, 16);
FIELD(leat_progress, sub_sequence, 56, 8);
FIELD(leat_progress, saved_state, 64, 16);
FIELD(leat_progress, probe_sequence, 80, 16);
FIELD(leat_progress, probe_sub, 96, 8);

SIZE(leat_take, 240);
FIELD(leat_take, key, 0, 80);
FIELD(leat_take, lease_counter, 80, 8);
FIELD(leat_take, incarnation, 88, 8);
FIELD(leat_take, initial, 96, 16);
FIELD(leat_take, parents, 112, 8);
FIELD(leat_take, parent_count, 120, 8);
FIELD(leat_take, outcome, 128, 4);
FIELD(leat_take, progress, 136, 104);

SIZE(leat_failure, 160);
FIELD(leat_failure, dead_letter_id, 0, 16);
FIELD(leat_failure, sequence, 16, 16);
FIELD(leat_failure, sub_sequence, 32, 8);
FIELD(leat_failure, partition_key, 40, 16);
FIELD(leat_failure, arrival_us, 56, 8);
FIELD(leat_failure, data_bytes, 64, 8);
FIELD(leat_failure, attempts, 72, 4);
FIELD(leat_failure, reason, 80, 16);
FIELD(leat_failure, text, 96, 16);
FIELD(leat_failure, sqlstate, 112, 16);
FIELD(leat_failure, archive_url, 128, 16);
FIELD(leat_failure, dead_letter_position, 144, 16);

SIZE(leat_flush_shard, 160);
FIELD(leat_flush_shard, key, 0, 80);
FIELD(leat_flush_shard, lease_counter, 80, 8);
FIELD(leat_flush_shard, commit_seq, 88, 8);
FIELD(leat_flush_shard, checkpoint, 96, 16);
FIELD(leat_flush_shard, sub_sequence, 112, 8);
FIELD(leat_flush_shard, state_change, 120, 4);
FIELD(leat_flush_shard, saved_state, 128, 16);
FIELD(leat_flush_shard, failures, 144, 8);
FIELD(leat_flush_shard, failure_count, 152, 8);

SIZE(leat_flush_rows, 48);
FIELD(leat_flush_rows, table, 0, 8);
FIELD(leat_flush_rows, table_index, 8, 8);
FIELD(leat_flush_rows, operation, 16, 4);
FIELD(leat_flush_rows, count, 24, 8);
FIELD(leat_flush_rows, width, 32, 8);
FIELD(leat_flush_rows, values, 40, 8);

SIZE(leat_flush, 64);
FIELD(leat_flush, size, 0, 8);
FIELD(leat_flush, incarnation, 8, 8);
FIELD(leat_flush, shard_count, 16, 8);
FIELD(leat_flush, shards, 24, 8);
FIELD(leat_flush, group_count, 32, 8);
FIELD(leat_flush, groups, 40, 8);
FIELD(leat_flush, is_divisible, 48, 8);
FIELD(leat_flush, ends, 56, 8);

SIZE(leat_flush_end, 24);
FIELD(leat_flush_end, checkpoint, 0, 16);
FIELD(leat_flush_end, sub_sequence, 16, 8);

SIZE(leat_progress_reopen, 136);
FIELD(leat_progress_reopen, size, 0, 8);
FIELD(leat_progress_reopen, key, 8, 80);
FIELD(leat_progress_reopen, lease_counter, 88, 8);
FIELD(leat_progress_reopen, commit_seq, 96, 8);
FIELD(leat_progress_reopen, outcome, 104, 4);
FIELD(leat_progress_reopen, checkpoint, 112, 16);
FIELD(leat_progress_reopen, sub_sequence, 128, 8);

SIZE(leat_commit_result, 492);
FIELD(leat_commit_result, outcome, 0, 4);
FIELD(leat_commit_result, sqlstate, 4, 8);
FIELD(leat_commit_result, text, 12, 480);

SIZE(leat_form, 16);
FIELD(leat_form, kind, 0, 4);
FIELD(leat_form, flags, 4, 4);
FIELD(leat_form, digits, 8, 4);
FIELD(leat_form, scale, 12, 4);

SIZE(leat_table_forms, 24);
FIELD(leat_table_forms, size, 0, 8);
FIELD(leat_table_forms, is_known, 8, 1);
FIELD(leat_table_forms, may_equal, 9, 1);
FIELD(leat_table_forms, columns, 16, 8);

SIZE(leat_target, 200);
FIELD(leat_target, size, 0, 8);
FIELD(leat_target, abi_major, 8, 4);
FIELD(leat_target, abi_minor, 12, 4);
FIELD(leat_target, name, 16, 8);
FIELD(leat_target, version, 24, 8);
FIELD(leat_target, summary, 32, 8);
FIELD(leat_target, options, 40, 8);
FIELD(leat_target, is_transactional, 48, 1);
FIELD(leat_target, open, 56, 8);
FIELD(leat_target, close, 64, 8);
FIELD(leat_target, describe, 72, 8);
FIELD(leat_target, ddl, 80, 8);
FIELD(leat_target, committer_open, 88, 8);
FIELD(leat_target, committer_close, 96, 8);
FIELD(leat_target, take, 104, 8);
FIELD(leat_target, progress_read, 112, 8);
FIELD(leat_target, resolve, 120, 8);
FIELD(leat_target, commit, 128, 8);
FIELD(leat_target, probe, 136, 8);
FIELD(leat_target, progress_forget, 144, 8);
FIELD(leat_target, try_rows, 152, 8);
FIELD(leat_target, progress_list, 160, 8);
FIELD(leat_target, forms, 168, 8);
FIELD(leat_target, grants, 176, 8);
FIELD(leat_target, progress_reopen, 184, 8);
FIELD(leat_target, count_takes, 192, 8);

SIZE(leat_take_count, 112);
FIELD(leat_take_count, key, 0, 80);
FIELD(leat_take_count, lease_counter, 80, 8);
FIELD(leat_take_count, incarnation, 88, 8);
FIELD(leat_take_count, commit_seq, 96, 8);
FIELD(leat_take_count, takes, 104, 4);
FIELD(leat_take_count, outcome, 108, 4);

/* What the words are worth. */
VALUE(LEAT_REOPENED, 0);
VALUE(LEAT_REOPEN_MOVED, 1);
VALUE(LEAT_REOPEN_UNKNOWN, 2);
VALUE(LEAT_E_NONE, 0);
VALUE(LEAT_E_INVALID, -1);
VALUE(LEAT_E_NOT_FOUND, -2);
VALUE(LEAT_E_UNAVAILABLE, -3);
VALUE(LEAT_E_THROTTLED, -4);
VALUE(LEAT_E_DENIED, -5);
VALUE(LEAT_E_EXPIRED, -6);
VALUE(LEAT_E_LIMIT, -7);
VALUE(LEAT_E_FORMAT, -8);
VALUE(LEAT_E_FENCED, -9);
VALUE(LEAT_E_UNKNOWN, -10);
VALUE(LEAT_E_CANCELLED, -11);
VALUE(LEAT_E_TIMEOUT, -12);
VALUE(LEAT_E_CONFLICT, -13);
VALUE(LEAT_E_SYSTEM, -14);
VALUE(LEAT_E_INTERNAL, -15);
VALUE(LEAT_NULL, 0);
VALUE(LEAT_BOOL, 1);
VALUE(LEAT_INT64, 2);
VALUE(LEAT_FLOAT64, 3);
VALUE(LEAT_DECIMAL, 4);
VALUE(LEAT_TEXT, 5);
VALUE(LEAT_BYTES, 6);
VALUE(LEAT_TIMESTAMP, 7);
VALUE(LEAT_JSON, 8);
VALUE(LEAT_ABSENT, 9);
VALUE(LEAT_RECORD_AGGREGATED, 1);
VALUE(LEAT_SET, 0);
VALUE(LEAT_KEY, 1);
VALUE(LEAT_SUM, 2);
VALUE(LEAT_MIN, 3);
VALUE(LEAT_MAX, 4);
VALUE(LEAT_COUNT, 5);
VALUE(LEAT_FIRST, 6);
VALUE(LEAT_LAST, 7);
VALUE(LEAT_INEXACT, 1);
VALUE(LEAT_NOT_NULL, 2);
VALUE(LEAT_OP_MERGE, 0);
VALUE(LEAT_OP_REPLACE, 1);
VALUE(LEAT_OP_DELETE, 2);
VALUE(LEAT_OPTION_TEXT, 1);
VALUE(LEAT_OPTION_INTEGER, 2);
VALUE(LEAT_OPTION_BOOLEAN, 3);
VALUE(LEAT_OPTION_DURATION, 4);
VALUE(LEAT_OPTION_SIZE, 5);
VALUE(LEAT_OPTION_CHOICE, 6);
VALUE(LEAT_OPTION_LIST, 7);
VALUE(LEAT_OPTION_MAP, 8);
VALUE(LEAT_OPTION_SECRET, 1);
VALUE(LEAT_OPTION_REQUIRED, 2);
VALUE(LEAT_LOG_ERROR, 0);
VALUE(LEAT_LOG_WARNING, 1);
VALUE(LEAT_LOG_INFO, 2);
VALUE(LEAT_LOG_DEBUG, 3);
VALUE(LEAT_DONE, 0);
VALUE(LEAT_RETRY, 1);
VALUE(LEAT_UNAVAILABLE, 2);
VALUE(LEAT_STOP, 3);
VALUE(LEAT_PENDING, 4);
VALUE(LEAT_SHARD_ENDED, 0);
VALUE(LEAT_SHUTDOWN, 1);
VALUE(LEAT_LEASE_LOST, 2);
VALUE(LEAT_TAKEN, 0);
VALUE(LEAT_TAKE_AHEAD, 1);
VALUE(LEAT_TAKE_WAITING, 2);
VALUE(LEAT_TAKE_LOCKED, 3);
VALUE(LEAT_TAKE_FAILED, 4);
VALUE(LEAT_TAKE_COUNTED, 0);
VALUE(LEAT_TAKE_COUNT_FENCED, 1);
VALUE(LEAT_TAKE_COUNT_LOCKED, 2);
VALUE(LEAT_TAKE_COUNT_FAILED, 3);
VALUE(LEAT_STATE_KEEP, 0);
VALUE(LEAT_STATE_SET, 1);
VALUE(LEAT_COMMITTED, 0);
VALUE(LEAT_COMMIT_FENCED, 1);
VALUE(LEAT_COMMIT_AGAIN, 2);
VALUE(LEAT_COMMIT_DATA, 3);
VALUE(LEAT_COMMIT_TRANSIENT, 4);
VALUE(LEAT_COMMIT_CONFIGURATION, 5);
VALUE(LEAT_COMMIT_UNKNOWN, 6);

#include <check.h> /* last: it defines a macro `fail` */

/* What the compiler cannot freeze: the names of the symbols, and the versions that go with this layout. */
START_TEST(test_symbols_and_versions)
{
    ck_assert_str_eq(LEAT_PROCESSOR_SYMBOL, "leat_processor_v1");
    ck_assert_str_eq(LEAT_TARGET_SYMBOL, "leat_target_v1");
    ck_assert_int_eq(LEAT_ABI_MAJOR, 1);
    ck_assert_int_eq(LEAT_ABI_MINOR, 0);
    ck_assert_int_eq(LEAT_TARGET_ABI_MAJOR, 1);
    ck_assert_int_eq(LEAT_TARGET_ABI_MINOR, 0);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("abi");
    TCase *tests = tcase_create("layout");
    SRunner *runner;
    int failed;

    tcase_add_test(tests, test_symbols_and_versions);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
#else
int
main(void)
{
    puts("the layout is known for x86-64 alone");
    return 77;
}
#endif
