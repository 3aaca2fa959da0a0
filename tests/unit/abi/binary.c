/* Plugins that were compiled when a version was released, through the loader and one call of everything. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "pipeline/emission.h"
#include "plugin/loader.h"
#include "plugin/options.h"

#include <check.h> /* last: it defines a macro `fail` */

static const char *const versions[] = {"0.1.0", NULL}; /* NULL: as it is compiled today */

static const struct leat_processor *plugin;
static void *instance, *state;
static struct leat_merge_schema *schema;
static struct leat_emission emission;
static struct leat_arena arena;
static struct leat_error err;
static char last_log[200];

static void
take_log(const struct leat_host *host, enum leat_log_level level, const char *text)
{
    snprintf(last_log, sizeof last_log, "%s", text);
}

static const struct leat_host host = {.size = sizeof host, .log = take_log};

static void
refuse_option(void *context, int line, int column, const char *text)
{
    ck_abort_msg("%s", text);
}

/* A clone's files may be writable for a group, or another's: the loader would refuse them. */
static void
load(const char *version)
{
    const char *build = getenv("LEAT_BUILD");
    char file[] = "/tmp/leat-abi-XXXXXX";
    LEAT_AUTO_BUF command = LEAT_BUF_INIT;
    LEAT_AUTO_BUF path = LEAT_BUF_INIT;
    int fd = mkstemp(file), status;

    ck_assert_int_ge(fd, 0);
    close(fd);
    leat_buf_printf(&path, "%s.so", file);
    if (version != NULL)
        leat_buf_printf(&command, "cp tests/abi/x86_64/%s/minimal.so %s", version,
                        leat_buf_text(&path));
    else
        leat_buf_printf(&command, "cp %s/badplugins/minimal.so %s",
                        build != NULL ? build : "build/test", leat_buf_text(&path));
    ck_assert_int_eq(system(leat_buf_text(&command)), 0);
    ck_assert_int_eq(chmod(leat_buf_text(&path), 0755), 0);
    status = leat_plugin_load_processor(NULL, leat_buf_text(&path), NULL, &plugin, &err);
    unlink(leat_buf_text(&path));
    unlink(file);
    ck_assert_msg(status == 0, "%s", err.text);
}

static void
begin(void)
{
    static const struct leat_slice stream = {(const unsigned char *)"stream", 6};
    struct leat_shard shard = {sizeof shard, stream, stream, stream, 0, 1};
    struct leat_raw_option step = {.name = "step", .scalar = leat_slice_from("3")};
    struct leat_options options;

    leat_arena_init(&arena);
    ck_assert_int_eq(
        leat_options_resolve(plugin->options, &step, 1, &arena, refuse_option, NULL, &options), 0);
    ck_assert_int_eq(plugin->open(&host, &options, &instance, &err), 0);
    ck_assert_str_eq(last_log, "step 3");
    schema = leat_merge_schema_new(plugin->tables);
    leat_emission_init(&emission, schema);
    ck_assert_int_eq(plugin->shard_begin(instance, &shard, leat_slice_make(NULL, 0), &state, &err),
                     0);
}

static void
end(void)
{
    leat_emission_begin(&emission, NULL, 0);
    ck_assert_int_eq(plugin->shard_end(state, LEAT_SHARD_ENDED, &emission.out, &err), LEAT_DONE);
    ck_assert(emission.has_state && emission.state.size == 0);
    leat_emission_end(&emission);
    plugin->close(instance);
    leat_emission_release(&emission);
    leat_merge_schema_free(schema);
    leat_arena_release(&arena);
}

static void
check_process(void)
{
    struct leat_record records[] = {
        {.size = sizeof records[0], .data = leat_slice_from("word"), .arrival_us = 5000000},
        {.size = sizeof records[0], .data = leat_slice_from("poison"), .attempt = 2},
        {.size = sizeof records[0],
         .data = leat_slice_from("forget"),
         .partition_key = leat_slice_from("key")},
    };
    const struct leat_record *pointers[] = {&records[0], &records[1], &records[2]};
    static const struct leat_shard shard = {.size = sizeof shard,
                                            .shard = {(const unsigned char *)"shard", 5}};
    struct leat_batch batch = {sizeof batch, 3, pointers, &shard, -1};
    const struct leat_value *values;

    leat_emission_begin(&emission, records, 3);
    ck_assert_int_eq(plugin->process(state, &batch, &emission.out, &err), LEAT_DONE);
    leat_emission_end(&emission);
    ck_assert_msg(!emission.is_refused, "%s", emission.refusal.text);
    ck_assert_uint_eq(emission.row_count, 2);
    values = emission.rows[0].values;
    ck_assert(leat_slice_is(leat_value_slice(&values[0]), "word"));
    ck_assert_int_eq(values[1].as.integer, 3);
    ck_assert_int_eq(values[2].as.integer, 5000000);
    ck_assert(leat_slice_is(leat_value_slice(&values[3]), "12.50"));
    ck_assert_int_eq(emission.rows[1].operation, LEAT_OP_DELETE);
    ck_assert(leat_slice_is(leat_value_slice(&emission.rows[1].values[0]), "key"));
    ck_assert_uint_eq(emission.failure_count, 1);
    ck_assert_str_eq(emission.failures[0].reason, "poison in shard, attempt 2");
    ck_assert(leat_slice_is(emission.state, "\3"));
}

static void
check_tick(int64_t now_us, int64_t watermark_us, int64_t records)
{
    leat_emission_begin(&emission, NULL, 0);
    ck_assert_int_eq(plugin->tick(state, now_us, watermark_us, &emission.out, &err), LEAT_DONE);
    leat_emission_end(&emission);
    ck_assert_uint_eq(emission.row_count, 1);
    ck_assert_int_eq(emission.rows[0].operation, LEAT_OP_REPLACE);
    ck_assert_int_eq(emission.rows[0].values[1].as.integer, records);
    ck_assert_int_eq(emission.rows[0].values[2].as.integer, now_us);
    ck_assert_uint_eq(emission.rows[0].values[3].type, LEAT_NULL);
}

START_TEST(test_a_binary_works_for_ever)
{
    load(versions[_i]);
    ck_assert_str_eq(plugin->name, "minimal");
    ck_assert_int_eq(plugin->tick_interval_us, 1000000);
    begin();
    check_process();
    check_tick(20, 10, 3);
    ck_assert_int_eq(plugin->shard_reset(state, leat_slice_from("\7"), &err), 0);
    check_tick(30, INT64_MIN, 7);
    ck_assert_int_eq(plugin->shard_reset(state, leat_slice_from("too long"), &err), LEAT_E_FORMAT);
    ck_assert_str_eq(err.text, "a saved state of 8 bytes");
    end();
}
END_TEST

int
main(void)
{
#ifdef __x86_64__
    Suite *suite = suite_create("abi");
    TCase *tests = tcase_create("binary");
    SRunner *runner;
    int failed;

    tcase_add_loop_test(tests, test_a_binary_works_for_ever, 0, (int)LEAT_COUNT_OF(versions));
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
#else
    (void)test_a_binary_works_for_ever;
    puts("the kept binaries are for x86-64 alone");
    return 77;
#endif
}
