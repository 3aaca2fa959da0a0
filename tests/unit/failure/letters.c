/*
 * The two stages against an archive and a dead-letter stream that refuse, throttle and fall silent on demand: nothing is dropped,
 * what is refused for good lies in the other place alone and says so, and one shard's letters do not wait for another's.
 */
#include "failure/letters.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/thread.h"
#include "failure/archive.h"
#include "failure/dead_letter_stream.h"
#include "stream/memory.h"

#define MOST 6000
#define PATIENCE_US (60 * LEAT_SECOND_US)

enum mode {
    WELL,
    REFUSES_POISON,
    REFUSES_ENTRY,
    REFUSES_ALL,
    MISSING,
    SILENT,
    THROTTLES,
    DENIES_POISON,
    HOLDS_POISON
};

static struct leat_error err;

/* ---- an archive ---------------------------------------------------------------------------------------- */

struct test_archive {
    struct leat_archive archive;
    struct leat_mutex lock;
    struct leat_condition condition;
    bool is_woken;
    _Atomic int mode;
    struct leat_archive_put puts[MOST];
    size_t count, most_under_way;
    _Atomic size_t asked;
    char names[MOST][200]; /* as stored */
    _Atomic size_t stored;
};
static struct test_archive *archive;

static bool
holds_poison(struct leat_slice body)
{
    return memmem(body.data, body.size, "POISON", 6) != NULL;
}

static void
archive_start(struct leat_archive *self, const struct leat_archive_put *put)
{
    (void)self;
    archive->puts[archive->count++] = *put;
    archive->asked++;
    if (archive->count > archive->most_under_way)
        archive->most_under_way = archive->count;
}

static void
archive_wait(int64_t deadline_us)
{
    leat_mutex_lock(&archive->lock);
    while (!archive->is_woken && leat_clock_monotonic_us() < deadline_us)
        leat_condition_wait_until(&archive->condition, &archive->lock, deadline_us);
    archive->is_woken = false;
    leat_mutex_unlock(&archive->lock);
}

static size_t
first_to_answer(void)
{
    size_t i = 0;

    while (i < archive->count && archive->mode == HOLDS_POISON &&
           holds_poison(archive->puts[i].body))
        i++;
    return i;
}

static void
archive_run(struct leat_archive *self, int64_t deadline_us)
{
    struct leat_archive_put put;
    bool is_refused;
    size_t at;

    (void)self;
    if (archive->count == 0 || archive->mode == SILENT) {
        archive_wait(deadline_us);
        return;
    }
    at = first_to_answer();
    if (at == archive->count) {
        archive_wait(deadline_us);
        return;
    }
    put = archive->puts[at];
    memmove(archive->puts + at, archive->puts + at + 1, (--archive->count - at) * sizeof put);
    is_refused = archive->mode == REFUSES_ALL ||
                 (archive->mode == REFUSES_POISON && holds_poison(put.body));
    if (is_refused) {
        struct leat_error why = {.http_status = 400};

        leat_error_set(&why, LEAT_E_INVALID, "s3 PutObject: InvalidArgument");
        why.http_status = 400;
        put.done(put.context, LEAT_E_INVALID, leat_slice_from(""), &why);
    } else if (archive->mode == DENIES_POISON && holds_poison(put.body)) {
        struct leat_error why;

        leat_error_set(&why, LEAT_E_DENIED, "s3 PutObject: AccessDenied");
        why.http_status = 403;
        put.done(put.context, LEAT_E_DENIED, leat_slice_from(""), &why);
    } else if (archive->mode == MISSING) {
        struct leat_error why;

        leat_error_set(&why, LEAT_E_NOT_FOUND, "s3 PutObject: NoSuchBucket");
        put.done(put.context, LEAT_E_NOT_FOUND, leat_slice_from(""), &why);
    } else {
        snprintf(archive->names[archive->stored++ % MOST], 200, "%s", put.name);
        put.done(put.context, 0, leat_slice_from(put.name), &err);
    }
}

static void
archive_wake(struct leat_archive *self)
{
    (void)self;
    leat_mutex_lock(&archive->lock);
    archive->is_woken = true;
    leat_condition_broadcast(&archive->condition);
    leat_mutex_unlock(&archive->lock);
}

static void
archive_abandon(struct leat_archive *self)
{
    (void)self;
    archive->count = 0;
}

static void
archive_close(struct leat_archive *self)
{
    (void)self;
}

static const struct leat_archive_ops archive_ops = {
    "test", 32, true, archive_start, archive_run, archive_wake, archive_abandon, archive_close,
};

/* ---- a dead-letter stream ------------------------------------------------------------------------------ */

struct test_stream {
    struct leat_dead_letter_stream stream;
    struct leat_mutex lock;
    struct leat_condition condition;
    bool is_interrupted;
    _Atomic int mode;
    bool takes_references; /* also of poison */
    struct leat_random random;
    _Atomic size_t calls;
    size_t stored, by_reference, most_in_a_call;
    char keys[MOST][70];
};
static struct test_stream *stream;

static bool
is_poisoned(const struct leat_dead_letter *letter)
{
    bool is_reference = memmem(letter->body.data, letter->body.size, "archive_url", 11) != NULL;

    /* What is refused in any form is known by its shard's name. */
    return stream->takes_references
               ? holds_poison(letter->body) && !is_reference
               : memmem(letter->body.data, letter->body.size, "guilty", 6) != NULL;
}

static int
refuse_call(bool *ret_is_refused, struct leat_error *ret_err)
{
    *ret_is_refused = true;
    return leat_error_set(ret_err, LEAT_E_INVALID, "kinesis PutRecords: ValidationException");
}

static void
store(struct leat_dead_letter *letter)
{
    snprintf(stream->keys[stream->stored % MOST], 70, "%.*s", (int)letter->partition_key.size,
             (const char *)letter->partition_key.data);
    snprintf(letter->position, sizeof letter->position, "shard:%zu", stream->stored++);
    stream->by_reference += memmem(letter->body.data, letter->body.size, "archive_url", 11) != NULL;
}

static int
stream_put(struct leat_dead_letter_stream *self, struct leat_dead_letter *letters, size_t count,
           bool *ret_is_refused, struct leat_error *ret_err)
{
    (void)self;
    stream->calls++;
    if (count > stream->most_in_a_call)
        stream->most_in_a_call = count;
    if (stream->mode == MISSING)
        return leat_error_set(ret_err, LEAT_E_NOT_FOUND, "kinesis PutRecords: no such stream");
    if (stream->mode == REFUSES_ALL)
        return refuse_call(ret_is_refused, ret_err);
    leat_mutex_lock(&stream->lock);
    while (stream->mode == SILENT && !stream->is_interrupted)
        leat_condition_wait(&stream->condition, &stream->lock);
    leat_mutex_unlock(&stream->lock);
    if (stream->is_interrupted)
        return leat_error_set(ret_err, LEAT_E_CANCELLED, "cancelled");
    for (size_t i = 0; stream->mode == REFUSES_POISON && i < count; i++) {
        if (is_poisoned(&letters[i]))
            return refuse_call(ret_is_refused, ret_err);
    }
    for (size_t i = 0; i < count; i++) {
        if (stream->mode == REFUSES_ENTRY && is_poisoned(&letters[i])) {
            letters[i].is_refused = true;
            leat_error_set(&letters[i].err, LEAT_E_INVALID, "ValidationException");
        } else if (stream->mode == THROTTLES && leat_random_below(&stream->random, 3) > 0) {
            leat_error_set(&letters[i].err, LEAT_E_THROTTLED, "throughput");
        } else {
            store(&letters[i]);
        }
    }
    return 0;
}

static void
wake_stream(void)
{
    leat_mutex_lock(&stream->lock);
    leat_condition_broadcast(&stream->condition);
    leat_mutex_unlock(&stream->lock);
}

static void
stream_interrupt(struct leat_dead_letter_stream *self)
{
    (void)self;
    leat_mutex_lock(&stream->lock);
    stream->is_interrupted = true;
    leat_condition_broadcast(&stream->condition);
    leat_mutex_unlock(&stream->lock);
}

static void
stream_close(struct leat_dead_letter_stream *self)
{
    (void)self;
}

static const struct leat_dead_letter_ops stream_ops = {500, (size_t)4 << 20, stream_put,
                                                       stream_interrupt, stream_close};

/* ---- letters and their answers ------------------------------------------------------------------------- */

struct answer {
    struct leat_letter_ticket *ticket;
    _Atomic bool is_done;
    _Atomic size_t order;
    char text[1400], url[300], position[100];
};

static struct answer answers[MOST];
static size_t submitted;
static _Atomic size_t done_count, troubles, recoveries, refusals;
static struct leat_letters *letters;
static struct leat_memory *memory;

static void
keep(char *kept, size_t size, struct leat_slice text)
{
    snprintf(kept, size, "%.*s", (int)text.size, (const char *)text.data);
}

static void
on_done(void *context, const struct leat_failure *failure)
{
    struct answer *answer = context;

    keep(answer->text, sizeof answer->text, failure->text);
    keep(answer->url, sizeof answer->url, failure->archive_url);
    keep(answer->position, sizeof answer->position, failure->dead_letter_position);
    answer->order = done_count++;
    answer->is_done = true;
}

static void
on_trouble(void *context, const struct leat_error *why)
{
    (void)context;
    if (why != NULL)
        troubles++;
    else
        recoveries++;
}

static void
on_refused(void *context, const struct leat_error *why)
{
    (void)context;
    (void)why;
    refusals++;
}

static struct answer *
submit(const char *shard, const char *key, const char *data)
{
    struct answer *answer = &answers[submitted];
    char sequence[24];
    struct leat_letter letter = {
        .application = leat_slice_from("app"),
        .processor = leat_slice_from("p"),
        .tenant = leat_slice_from(""),
        .stream = leat_slice_from("events"),
        .stream_id = leat_slice_from("arn@1"),
        .shard = leat_slice_from(shard),
        .partition_key = leat_slice_from(key),
        .explicit_hash_key = leat_slice_from(""),
        .data = leat_slice_from(data),
        .reason = leat_slice_from("failed"),
        .text = leat_slice_from("why"),
        .sqlstate = leat_slice_from(""),
        .attempts = 1,
    };

    snprintf(sequence, sizeof sequence, "%zu", submitted++);
    letter.sequence = leat_slice_from(sequence);
    answer->ticket = leat_letters_submit(letters, &letter, on_done, answer);
    return answer;
}

static void
ck_all_done(size_t count)
{
    int64_t until_us = leat_clock_monotonic_us() + PATIENCE_US;

    while (done_count < count && leat_clock_monotonic_us() < until_us)
        sched_yield();
    ck_assert_uint_eq(done_count, count);
}

static void
cancel_all(void)
{
    for (size_t i = 0; i < submitted; i++)
        leat_letter_cancel(answers[i].ticket);
    submitted = 0;
}

static void
ck_becomes(const _Atomic size_t *number, size_t wanted)
{
    int64_t until_us = leat_clock_monotonic_us() + PATIENCE_US;

    while (*number < wanted && leat_clock_monotonic_us() < until_us)
        sched_yield();
    ck_assert_uint_eq(*number, wanted);
}

static bool
is_blocked(void)
{
    struct leat_letters_counts counts;

    leat_letters_counts(letters, &counts);
    return counts.is_blocked;
}

/* ---- tests ------------------------------------------------------------------------------------------------ */

START_TEST(test_many_in_full_calls)
{
    char data[32];

    for (int i = 0; i < 5000; i++) {
        snprintf(data, sizeof data, "data %d", i);
        submit("s0", "key", data);
    }
    ck_all_done(5000);
    ck_assert_uint_eq(stream->stored, 5000);
    ck_assert_uint_eq(archive->stored, 5000);
    ck_assert_uint_le(archive->most_under_way, 32 + 1); /* and one past the window */
    ck_assert_uint_gt(archive->most_under_way, 1);
    ck_assert_uint_gt(leat_memory_used(memory, LEAT_MEMORY_LETTERS), 5000);
    cancel_all();
    ck_assert_uint_eq(leat_memory_used(memory, LEAT_MEMORY_LETTERS), 0);
}
END_TEST

START_TEST(test_one_letter_does_not_wait_for_another_shards)
{
    struct answer *other;

    archive->mode = SILENT;
    for (int i = 0; i < 4000; i++)
        submit("s0", "key", "data");
    other = submit("s1", "key", "data");
    archive->mode = WELL;
    archive_wake(&archive->archive);
    ck_all_done(4001);
    ck_assert_uint_lt(other->order, 1200); /* what was under way, and a call or two */
    cancel_all();
}
END_TEST

/* Three of 2,000: found by halves, put by reference; nothing else is. */
START_TEST(test_the_guilty_one_is_found)
{
    struct answer *guilty[3];

    stream->mode = SILENT; /* until all are there: so calls are full, however busy the machine is */
    for (size_t i = 0; i < 2000; i++) {
        bool is_guilty = i % 700 == 300;
        struct answer *answer = submit(i % 2 ? "s0" : "s1", "key", is_guilty ? "POISON" : "data");

        if (is_guilty)
            guilty[i / 700] = answer;
    }
    ck_becomes(&archive->stored, 2000);
    stream->mode = REFUSES_POISON;
    wake_stream();
    ck_all_done(2000);
    ck_assert_uint_eq(stream->stored, 2000);
    ck_assert_uint_eq(stream->by_reference, 3);
    ck_assert_uint_lt(stream->calls, 300);
    for (size_t i = 0; i < 3; i++) {
        ck_assert_str_ne(guilty[i]->position, "");
        ck_assert_str_eq(guilty[i]->text, "why");
    }
    ck_assert_uint_eq(refusals, 0);
    cancel_all();
}
END_TEST

static const int refusing[] = {REFUSES_POISON, REFUSES_ENTRY};

/* In any form: in the archive alone, and the ledger says so. */
START_TEST(test_what_is_never_taken_lies_in_the_archive_alone)
{
    struct answer *guilty;

    stream->takes_references = false;
    stream->mode = refusing[_i];
    for (int i = 0; i < 300; i++)
        submit("s0", "key", "data");
    guilty = submit("guilty", "key", "data");
    for (int i = 0; i < 300; i++)
        submit("s2", "key", "data");
    ck_all_done(601);
    ck_assert_uint_eq(stream->stored, 600);
    ck_assert_str_eq(guilty->position, "");
    ck_assert_str_ne(guilty->url, "");
    ck_assert_msg(strstr(guilty->text, "in the archive alone") != NULL, "%s", guilty->text);
    ck_assert_uint_eq(refusals, 1);
    ck_assert(!is_blocked());
    cancel_all();
}
END_TEST

/* Also when nothing is taken that way. */
START_TEST(test_a_stream_that_refuses_everything_for_good)
{
    stream->mode = REFUSES_ALL;
    for (int i = 0; i < 20; i++)
        submit("s0", "key", "data");
    ck_all_done(20);
    ck_assert_uint_eq(stream->stored, 0);
    ck_assert_uint_eq(refusals, 20);
    cancel_all();
}
END_TEST

START_TEST(test_what_the_archive_refuses_lies_in_the_stream_alone)
{
    struct answer *guilty;

    archive->mode = REFUSES_POISON;
    guilty = submit("s0", "key", "POISON");
    ck_becomes(&troubles, 1); /* nothing else was stored: it may be the archive */
    ck_assert(!guilty->is_done);
    for (int i = 0; i < 50; i++)
        submit("s1", "key", "data");
    ck_all_done(51);
    ck_assert_str_eq(guilty->url, "");
    ck_assert_str_ne(guilty->position, "");
    ck_assert_msg(strstr(guilty->text, "in the dead-letter stream alone") != NULL, "%s",
                  guilty->text);
    ck_becomes(&recoveries, 1);
    ck_assert_uint_eq(refusals, 1);
    cancel_all();
}
END_TEST

/* The other shards' letters pass; that one waits, visibly, and is not lost. */
START_TEST(test_what_both_refuse_waits_alone)
{
    struct answer *guilty;

    archive->mode = REFUSES_POISON;
    stream->mode = REFUSES_POISON;
    for (int i = 0; i < 50; i++)
        submit("s1", "key", "data");
    guilty = submit("s0", "key", "POISON");
    for (int i = 0; i < 50; i++)
        submit("s1", "key", "data");
    ck_all_done(100);
    ck_becomes(&troubles, 1);
    submit("s1", "key", "data");
    ck_all_done(101);
    ck_assert(!guilty->is_done);
    stream->mode = WELL;
    ck_all_done(102);
    ck_assert_str_ne(guilty->position, "");
    cancel_all();
}
END_TEST

static const int outages[][2] = {{MISSING, WELL}, {WELL, MISSING}, {REFUSES_ALL, WELL}};

START_TEST(test_an_outage_blocks_visibly_and_drops_nothing)
{
    archive->mode = outages[_i][0];
    stream->mode = outages[_i][1];
    for (int i = 0; i < 1500; i++)
        submit(i % 3 ? "s0" : "s1", "key", "data");
    ck_becomes(&troubles, 1);
    ck_assert(is_blocked());
    ck_assert_uint_eq(done_count, 0);
    ck_assert_uint_lt(stream->calls, 20); /* not each letter asks for itself */
    archive->mode = stream->mode = WELL;
    ck_all_done(1500);
    ck_becomes(&recoveries, 1);
    ck_assert_uint_eq(troubles, 1);
    ck_assert(!is_blocked());
    ck_assert_uint_eq(stream->stored, 1500);
    cancel_all();
}
END_TEST

static const int places[] = {DENIES_POISON, HOLDS_POISON};

/* One place in the archive is closed, or hangs (a policy for a prefix, a partition): who writes elsewhere does not wait for it. */
START_TEST(test_a_place_that_fails_holds_up_nobody_else)
{
    archive->mode = places[_i];
    for (int i = 0; i < 500; i++)
        submit("s0", "key", "POISON");
    if (places[_i] == DENIES_POISON)
        ck_becomes(&troubles, 1);
    for (size_t i = 0; i < 5; i++) {
        int64_t until_us = leat_clock_monotonic_us() + PATIENCE_US / 2;

        usleep(300 * LEAT_MS_US);
        submit("s1", "key", "data");
        while (done_count < i + 1 && leat_clock_monotonic_us() < until_us)
            sched_yield();
        ck_assert_uint_eq(done_count, i + 1);
    }
    archive->mode = WELL;
    archive_wake(&archive->archive);
    ck_all_done(505);
    cancel_all();
}
END_TEST

/* Each shard of an archive that is away asks for itself, later and later, not each letter. */
START_TEST(test_an_archive_that_is_away_is_asked_by_few)
{
    char shard[16];

    archive->mode = MISSING;
    for (int i = 0; i < 4000; i++) {
        snprintf(shard, sizeof shard, "s%d", i % 100);
        submit(shard, "key", "data");
    }
    usleep(2 * LEAT_SECOND_US);
    ck_assert_uint_lt(archive->asked, 100 * 12 + 32);
    archive->mode = WELL;
    ck_all_done(4000);
    cancel_all();
}
END_TEST

START_TEST(test_single_throttled_letters_come_again)
{
    stream->mode = THROTTLES;
    for (int i = 0; i < 1000; i++)
        submit("s0", "key", "data");
    ck_all_done(1000);
    ck_assert_uint_eq(stream->stored, 1000);
    cancel_all();
}
END_TEST

/* Neither a rewind nor the end waits for a server that says nothing. */
START_TEST(test_a_silent_server_holds_nobody)
{
    if (_i == 0)
        archive->mode = SILENT;
    else
        stream->mode = SILENT;
    for (int i = 0; i < 100; i++)
        submit("s0", "key", "data");
    while (_i == 1 && stream->calls == 0)
        sched_yield();
    cancel_all(); /* returns */
    ck_assert_uint_eq(done_count, 0);
}
END_TEST

/* ---- keys --------------------------------------------------------------------------------------------------- */

#define TEN "0123456789"
#define FIFTY TEN TEN TEN TEN TEN
#define E_ACUTE_TEN "éééééééééé"
#define E_ACUTE_FIFTY E_ACUTE_TEN E_ACUTE_TEN E_ACUTE_TEN E_ACUTE_TEN E_ACUTE_TEN
#define CLEF_TEN "𝄞𝄞𝄞𝄞𝄞𝄞𝄞𝄞𝄞𝄞"
#define CLEF_FORTY CLEF_TEN CLEF_TEN CLEF_TEN CLEF_TEN

static const struct {
    const char *key;
    size_t size; /* 0: as its text */
    bool is_kept;
} keys[] = {
    {"k", 0, true},
    {FIFTY FIFTY FIFTY FIFTY FIFTY "012345", 0, true},
    {FIFTY FIFTY FIFTY FIFTY FIFTY "0123456", 0, false},
    {FIFTY FIFTY FIFTY FIFTY FIFTY FIFTY, 0, false},
    {E_ACUTE_FIFTY E_ACUTE_FIFTY E_ACUTE_FIFTY E_ACUTE_FIFTY E_ACUTE_FIFTY "éééééé", 0, true},
    {E_ACUTE_FIFTY E_ACUTE_FIFTY E_ACUTE_FIFTY E_ACUTE_FIFTY E_ACUTE_FIFTY "ééééééé", 0, false},
    {CLEF_FORTY CLEF_FORTY CLEF_FORTY "𝄞𝄞𝄞𝄞𝄞𝄞𝄞𝄞", 0, true}, /* two units each */
    {CLEF_FORTY CLEF_FORTY CLEF_FORTY "𝄞𝄞𝄞𝄞𝄞𝄞𝄞𝄞𝄞", 0, false},
    {"a\0b", 3, false},
    {"\xff\xfe", 0, false},
    {"\xed\xa0\x80", 0, false}, /* a lone surrogate */
    {"\xc0\xaf", 0, false},     /* overlong */
    {"line\nfeed", 0, false},
    {"\x7f", 0, false},
};

START_TEST(test_a_key_that_is_none_gets_a_substitute)
{
    size_t size = keys[_i].size > 0 ? keys[_i].size : strlen(keys[_i].key);
    struct leat_slice key = leat_slice_make(keys[_i].key, size), made;
    char room[65], again[65];

    made = leat_dead_letter_key(key, room);
    ck_assert_int_eq(leat_slice_equals(made, key), keys[_i].is_kept);
    if (keys[_i].is_kept)
        return;
    ck_assert_uint_eq(made.size, 64);
    ck_assert(leat_slice_equals(made, leat_dead_letter_key(key, again)));
}
END_TEST

START_TEST(test_no_key)
{
    char room[65];

    ck_assert(leat_slice_is(leat_dead_letter_key(leat_slice_from(""), room), "-"));
}
END_TEST

/* ---- around them ---------------------------------------------------------------------------------------------- */

static void
setup(void)
{
    struct leat_letters_options options = {.trouble = on_trouble, .refused = on_refused};

    archive = LEAT_NEW(struct test_archive);
    archive->archive.ops = &archive_ops;
    leat_mutex_init(&archive->lock);
    leat_condition_init(&archive->condition);
    stream = LEAT_NEW(struct test_stream);
    stream->stream.ops = &stream_ops;
    stream->takes_references = true;
    leat_mutex_init(&stream->lock);
    leat_condition_init(&stream->condition);
    leat_random_seed(&stream->random, 7);
    memory = leat_memory_new((size_t)64 << 20, 1);
    options.archive = &archive->archive;
    options.dead_letters = &stream->stream;
    options.memory = memory;
    options.worker_id = "w";
    letters = leat_letters_new(&options, &err);
    ck_assert_ptr_nonnull(letters);
}

static void
teardown(void)
{
    leat_letters_free(letters);
    ck_assert_uint_eq(leat_memory_used(memory, LEAT_MEMORY_LETTERS), 0);
    leat_memory_free(memory);
    free(archive);
    free(stream);
}

int
main(void)
{
    Suite *suite = suite_create("letters");
    TCase *tests = tcase_create("letters"), *pure = tcase_create("keys");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_many_in_full_calls);
    tcase_add_test(tests, test_one_letter_does_not_wait_for_another_shards);
    tcase_add_test(tests, test_the_guilty_one_is_found);
    tcase_add_loop_test(tests, test_what_is_never_taken_lies_in_the_archive_alone, 0, 2);
    tcase_add_test(tests, test_a_stream_that_refuses_everything_for_good);
    tcase_add_test(tests, test_what_the_archive_refuses_lies_in_the_stream_alone);
    tcase_add_test(tests, test_what_both_refuse_waits_alone);
    tcase_add_loop_test(tests, test_an_outage_blocks_visibly_and_drops_nothing, 0, 3);
    tcase_add_loop_test(tests, test_a_place_that_fails_holds_up_nobody_else, 0, 2);
    tcase_add_test(tests, test_an_archive_that_is_away_is_asked_by_few);
    tcase_add_test(tests, test_single_throttled_letters_come_again);
    tcase_add_loop_test(tests, test_a_silent_server_holds_nobody, 0, 2);
    suite_add_tcase(suite, tests);
    tcase_add_loop_test(pure, test_a_key_that_is_none_gets_a_substitute, 0,
                        (int)LEAT_COUNT_OF(keys));
    tcase_add_test(pure, test_no_key);
    suite_add_tcase(suite, pure);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
