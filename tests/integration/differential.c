/*
 * The promise that nothing depends on how a stream was cut, against a real Postgres: random histories of rows over some shards,
 * written once as one record a commit, and once in random flushes of several shards, with flushes that are lost and made again.
 * Both must leave the same rows, and divert the same records.
 *
 * The tables below have every type and rule, types of columns that round, cut, fold and order in their own way, and defaults that
 * count. Each round draws one of them. By hand: make differential ROUNDS=5000 SEED=1; what differs is printed with its seed, made as
 * short as it gets. What no cut can keep is not drawn: sums that leave their column's range and come back, and constraints
 * that only one of several rows of a key breaks (docs/write-a-plugin.md).
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/random.h"
#include "pipeline/merge.h"
#include "postgres/committer.h"
#include "postgres/migrate.h"
#include "support/lines.h"
#include "support/postgres.h"
#include "support/slow.h"

#include <check.h> /* last: it defines a macro `fail` */

#define SHARDS 3
#define MOST_RECORDS 16
#define CI_ROUNDS 150

/* ---- the tables -------------------------------------------------------------------------------- */

enum {
    COMMUTES = 1, /* shards share their keys */
    NO_KEY = 2
};

struct variant {
    const char *spec; /* columns as of tests/support/lines.h */
    const char *sql;  /* columns as of Postgres */
    unsigned flags;
};

#define WIDE                                                                                       \
    "a:int64:sum,b:decimal:sum,c:int64:min,d:decimal:max,e:int64:count,o:int64:max,l:text:last=o," \
    "p:int64:min,f:text:first=p"
#define WIDE_SQL                                                                                   \
    "a bigint, b numeric, c bigint, d numeric, e bigint, o bigint, l text, p bigint, f text"

static const struct variant variants[] = {
    {"k:int64:key," WIDE ",s:text:set", "k bigint PRIMARY KEY, " WIDE_SQL ", s text", 0},
    {"k:decimal:key,a:decimal:sum,o:decimal:max,l:decimal:last=o,p:decimal:min,f:bytes:first=p",
     "k numeric PRIMARY KEY, a numeric, o numeric, l numeric, p numeric, f bytea", 0},
    {"k:text:key,b:decimal:sum,d:decimal:max,o:timestamp:max,l:text:last=o,p:decimal:min,"
     "f:text:first=p,s:text:set",
     "k varchar(3) PRIMARY KEY, b numeric(20,2), d numeric(4,1), o timestamptz(0), l varchar(3), "
     "p numeric(4), f char(3), s varchar(2)",
     0},
    {"k:text:key,j:decimal:key,n:int64:sum,m:int64:max,v:text:set,o:timestamp:max,"
     "w:timestamp:last=o",
     "k char(3), j numeric(5,1), n bigint DEFAULT 100, m bigint NOT NULL DEFAULT 2, "
     "v text NOT NULL, o timestamptz DEFAULT '1970-01-01 00:00:00.0000015+00', "
     "w timestamptz DEFAULT '2020-01-01', PRIMARY KEY (j, k)",
     0},
    {"k:text:key,n:int64:sum,hi:text:max",
     "k public.citext PRIMARY KEY, n bigint, hi public.citext", 0},
    {"k:text:key,n:int64:sum,s:text:set,o:int64:max,l:text:last=o",
     "k public.citext PRIMARY KEY, n bigint DEFAULT 5, s text, o bigint, l varchar(2)", 0},
    {"k:text:key,s:text:set,n:int64:sum",
     "k text COLLATE public.folding PRIMARY KEY, s text, n bigint", 0},
    {"k:text:key,s:text:set,n:int64:sum",
     "k text PRIMARY KEY, s text, n bigint" /* and a trigger */, 0},
    {"k:text:key,u:text:max,b:bytes:min,t:bool:max,l:bool:last=t,j:json:set",
     "k uuid PRIMARY KEY, u uuid, b bytea, t boolean, l boolean, j json", 0},
    {"k:timestamp:key,x:float64:max,y:float64:min,l:float64:last=x,s:float64:sum!,z:float64:set",
     "k timestamptz(3) PRIMARY KEY, x real, y double precision, l double precision, "
     "s double precision, z real",
     0},
    {"k:int64:key,hi:text:max,lo:text:min,l:text:last=hi,f:text:first=lo",
     "k bigint PRIMARY KEY, hi text COLLATE \"en-x-icu\", lo text COLLATE \"en-x-icu\", "
     "l text COLLATE \"en-x-icu\", f public.folded",
     0},
    {"k:decimal:key,g:int64:key", "k numeric(30,2), g bigint, PRIMARY KEY (k, g)", 0},
    {"s:text:set,n:decimal:set", "s varchar(2), n numeric(3,1) DEFAULT 7", NO_KEY},
    {"k:int64:key,i:int64:sum,h:int64:max,d:decimal:sum",
     "k integer PRIMARY KEY, i numeric(12,-1), "
     "h smallint, d bigint",
     0},
    {"k:int64:key," WIDE, "k bigint PRIMARY KEY, " WIDE_SQL, COMMUTES},
    {"k:text:key,b:decimal:sum,d:decimal:max,o:timestamp:max,l:text:last=o,p:decimal:min,"
     "f:text:first=p",
     "k char(3) PRIMARY KEY, b numeric(20,2), d numeric(6,1), o timestamptz(0), l varchar(3), "
     "p numeric(6), f char(3)",
     COMMUTES},
};

static struct leat_arena forever;
static const struct leat_table *tables;

static void
make_tables(void)
{
    LEAT_AUTO_BUF spec = LEAT_BUF_INIT;

    for (size_t v = 0; v < LEAT_COUNT_OF(variants); v++)
        leat_buf_printf(&spec, "%st%zu(%s)", v > 0 ? ";" : "", v, variants[v].spec);
    leat_arena_init(&forever);
    tables = test_lines_tables(leat_buf_text(&spec), &forever);
}

static void
make_sql(const char *schema, struct leat_buf *out)
{
    leat_buf_printf(out, "CREATE SCHEMA %s;", schema);
    for (size_t v = 0; v < LEAT_COUNT_OF(variants); v++)
        leat_buf_printf(out, "CREATE TABLE %s.t%zu (%s);", schema, v, variants[v].sql);
    leat_buf_printf(out,
                    "CREATE TRIGGER fold BEFORE INSERT ON %s.t7 FOR EACH ROW EXECUTE FUNCTION "
                    "public.fold();",
                    schema);
}

/* ---- histories --------------------------------------------------------------------------------- */

struct record {
    size_t shard;
    char line[1000];
    bool is_diverted[2]; /* by side */
};

struct history {
    size_t variant, count;
    struct record records[MOST_RECORDS];
};

static const char *
draw(struct leat_random *random, const char *const *values, size_t count)
{
    return values[leat_random_below(random, count)];
}
#define DRAW(random, ...)                                                                          \
    draw((random), (const char *const[]){__VA_ARGS__},                                             \
         sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

/* What some column of this type refuses. */
static const char *
draw_bad_value(struct leat_random *random, enum leat_type type)
{
    switch (type) {
    case LEAT_INT64:
        return DRAW(random, "40000", "-3000000000");
    case LEAT_FLOAT64:
        return DRAW(random, "1e300", "1e-60");
    case LEAT_DECIMAL:
        return DRAW(random, "1234567890123456789012345678901234567890.123", "99999", "3.5e-17000");
    case LEAT_TEXT:
        return DRAW(random, "abcde", "a\xff", "abc  d");
    case LEAT_TIMESTAMP:
        return DRAW(random, "9300000000000000000", "-9223372036854775808");
    case LEAT_JSON:
        return DRAW(random, "{", "[1,]", "\"\\u0000\"");
    default:
        return "\\N";
    }
}

static bool
is_wide(size_t variant)
{
    return strstr(variants[variant].sql, "numeric(") == NULL;
}

static const char *
draw_decimal(struct leat_random *random, size_t variant)
{
    if (is_wide(variant) && leat_random_below(random, 2) == 0)
        return DRAW(random, "1234567890123456789012345678901234567890",
                    "1234567890123456789012345678901234567890.00",
                    "-0.00000000000000000000000000000000000004", "3.5e-41", "-1e39", "1e131071");
    return DRAW(random, "0", "1", "1.0", "1.00", "0.004", "0.005", "-0.005", "1.25", "1.249",
                "-1.25", "99.96", "-99.94", "1e2", "12e-1");
}

/* Of this type, spelt in several ways, with ties. */
static const char *
draw_value(struct leat_random *random, enum leat_type type, size_t variant)
{
    if (leat_random_below(random, 60) == 0)
        return draw_bad_value(random, type);
    switch (type) {
    case LEAT_BOOL:
        return DRAW(random, "t", "f");
    case LEAT_INT64:
        return DRAW(random, "0", "1", "2", "3", "-4", "5", "-14", "15", "99");
    case LEAT_FLOAT64:
        return DRAW(random, "0", "-0", "1", "1.00000001", "1.00000002", "-2.5", "0.25", "inf",
                    "-inf", "nan");
    case LEAT_DECIMAL:
        return draw_decimal(random, variant);
    case LEAT_TEXT:
        return DRAW(random, "a", "A", "b", "B", "_", "a ", "b   ", "ab", "aB", "ab    ", "\xC3\xA4",
                    "z", "");
    case LEAT_BYTES:
        return DRAW(random, "", "00", "0001", "ff", "61");
    case LEAT_TIMESTAMP:
        return DRAW(random, "0", "1", "1499", "1500", "2499", "499999", "500000", "1500000",
                    "946684800000500", "946684800500000", "-1");
    case LEAT_JSON:
        return DRAW(random, "{}", "[1, 2]", "{\"a\": 1.50, \"a\": 2}", "\"x\"", "null", "3");
    default:
        return "";
    }
}

/* Spelt in several ways. Shards that have keys of their own put their digit in front, a uuid's behind. */
static const char *
draw_key(struct leat_random *random, const struct leat_column *column, size_t variant)
{
    if (strcmp(variants[variant].sql, variants[8].sql) == 0)
        return DRAW(random, "d25f41f4-7379-dead-beef-a98811111111",
                    "D25F41F4-7379-DEAD-BEEF-A98811111111", "{d25f41f47379deadbeefa98811111111}",
                    "e25f41f4-7379-dead-beef-a98811111111");
    switch (column->type) {
    case LEAT_INT64:
        return DRAW(random, "1", "2", "3");
    case LEAT_DECIMAL:
        return DRAW(random, "1", "1.0", "1.001", "0.96", "0.949", "2", "2.00", "20e-1");
    case LEAT_TEXT:
        return DRAW(random, "a", "A", "a ", "a     ", "b", "B", "ab", "Ab");
    case LEAT_TIMESTAMP:
        return DRAW(random, "1499", "1500", "1501", "2000", "946684800001500", "946684800002000");
    default:
        return draw_value(random, column->type, variant);
    }
}

static bool
is_order(const struct leat_column *columns, const struct leat_column *column)
{
    for (; columns->name != NULL; columns++) {
        if (columns->order_by != NULL && strcmp(columns->order_by, column->name) == 0)
            return true;
    }
    return false;
}

static const char *
draw_cell(struct leat_random *random, size_t variant, const struct leat_column *columns,
          const struct leat_column *column)
{
    bool commutes = variants[variant].flags & COMMUTES;

    /* Where shards share keys: an order without its value, or a tie of values that are spelt otherwise, depends on who is first. */
    if (!commutes || (column->order_by == NULL && !is_order(columns, column))) {
        if (leat_random_below(random, 5) == 0)
            return "\\A";
        if (leat_random_below(random, 8) == 0)
            return "\\N";
    }
    if (commutes && column->type == LEAT_DECIMAL)
        return DRAW(random, "0.004", "-0.005", "1.25", "-99.94", "7", "1.249");
    if (column->type == LEAT_TEXT && strstr(variants[variant].sql, "u uuid") != NULL)
        return draw_key(random, column, variant);
    return draw_value(random, column->type, variant);
}

static void
add_key(const char *key, size_t shard, struct leat_buf *line)
{
    if (strlen(key) >= 32) {
        leat_buf_printf(line, "|%.*s%zu%s", (int)strcspn(key, "8"), key, shard,
                        key + strcspn(key, "8") + 1);
        return;
    }
    leat_buf_add_byte(line, '|');
    if (shard > 0)
        leat_buf_printf(line, "%zu", shard);
    leat_buf_add_text(line, key);
}

static void
draw_row(struct leat_random *random, size_t variant, size_t shard, struct leat_buf *line)
{
    const struct leat_column *columns = tables[variant].columns;
    unsigned flags = variants[variant].flags;
    uint64_t kind = flags != 0 ? 0 : leat_random_below(random, 10);

    leat_buf_printf(line, "%s%zu|%s", line->size > 0 ? " ++ " : "", variant,
                    kind < 7   ? "m"
                    : kind < 9 ? "r"
                               : "d");
    for (const struct leat_column *column = columns; column->name != NULL; column++) {
        if (column->rule == LEAT_KEY)
            add_key(draw_key(random, column, variant), flags & COMMUTES ? 0 : shard, line);
        else if (kind < 9)
            leat_buf_printf(line, "|%s", draw_cell(random, variant, columns, column));
    }
}

static void
draw_history(uint64_t seed, struct history *history)
{
    struct leat_random random;
    size_t shards;

    leat_random_seed(&random, seed);
    shards = 1 + leat_random_below(&random, SHARDS);
    *history = (struct history){.variant = leat_random_below(&random, LEAT_COUNT_OF(variants)),
                                .count = 2 + leat_random_below(&random, MOST_RECORDS - 1)};
    for (size_t i = 0; i < history->count; i++) {
        struct record *record = &history->records[i];
        size_t rows = leat_random_below(&random, 4) == 0 ? 2 : 1;
        LEAT_AUTO_BUF line = LEAT_BUF_INIT;

        record->shard = leat_random_below(&random, shards);
        for (size_t row = 0; row < rows; row++)
            draw_row(&random, history->variant, record->shard, &line);
        snprintf(record->line, sizeof record->line, "%s", leat_buf_text(&line));
    }
}

/* ---- a side: where rows go --------------------------------------------------------------------- */

struct side {
    const char *name; /* its schema and its processor */
    size_t index;
    struct leat_pg_names names;
    struct leat_pg_committer *committer;
    struct leat_merge_schema *schema;
    struct leat_merge *merges[SHARDS];
    int64_t commit_seq[SHARDS];
    uint64_t commits, refusals;
};

static char url[200];
static struct leat_error err;

static struct leat_slice
shard_name(size_t shard)
{
    static const char *const names[SHARDS] = {"s0", "s1", "s2"};

    return leat_slice_from(names[shard]);
}

static struct leat_progress_key
key_of(const struct side *side, size_t shard)
{
    return (struct leat_progress_key){leat_slice_from("app"), leat_slice_from(side->name),
                                      leat_slice_from(""), leat_slice_from("stream"),
                                      shard_name(shard)};
}

static void
ask_forms(void *committer, size_t table, struct leat_table_forms *ret_forms)
{
    leat_pg_forms(committer, table, ret_forms);
}

static void
side_open(struct side *side, const char *name, size_t index)
{
    struct leat_pg_committer_options options = {
        .connection = {.url = url, .application_name = "differential"},
        .application = "app",
        .names = &side->names,
        .tables = tables,
    };

    *side = (struct side){.name = name, .index = index, .names = {.schema = leat_slice_from(name)}};
    side->committer = leat_pg_committer_new(&options);
    side->schema = leat_merge_schema_new(tables);
    for (size_t s = 0; s < SHARDS; s++) {
        struct leat_take take = {.key = key_of(side, s),
                                 .lease_counter = 1,
                                 .incarnation = 7,
                                 .initial = leat_slice_from("TRIM_HORIZON")};

        ck_assert_msg(leat_pg_take(side->committer, &take, 1, &err) == 0, "%s", err.text);
        side->commit_seq[s] = take.progress.commit_seq;
        side->merges[s] = leat_merge_new(side->schema);
    }
    leat_merge_schema_tell(side->schema, ask_forms, side->committer);
}

static void
side_close(struct side *side)
{
    for (size_t s = 0; s < SHARDS; s++)
        leat_merge_free(side->merges[s]);
    leat_merge_schema_free(side->schema);
    leat_pg_committer_free(side->committer);
}

static void
add_record(struct side *side, const struct record *record, struct leat_arena *arena)
{
    struct leat_slice line = leat_slice_from(record->line);
    struct test_lines_row row;
    bool is_bad = false;

    while (test_lines_row(tables, &line, arena, &row, &is_bad)) {
        ck_assert_msg(leat_merge_check(side->schema, row.table, row.operation, row.values,
                                       row.count, &err) == 0,
                      "%s: %s", record->line, err.text);
        leat_merge_apply(side->merges[record->shard], row.table, row.operation, row.values);
    }
    ck_assert_msg(!is_bad, "no line: %s", record->line);
}

/* Commits what the buffers of these shards hold; false: the target refuses it. */
static bool
commit(struct side *side, const bool *is_in, struct leat_arena *arena)
{
    struct leat_merge *merges[SHARDS];
    struct leat_flush_shard shards[SHARDS];
    struct leat_commit_result results[SHARDS];
    struct leat_flush flush = {.size = sizeof flush, .incarnation = 7, .shards = shards};

    for (size_t s = 0; s < SHARDS; s++) {
        if (!is_in[s])
            continue;
        merges[flush.shard_count] = side->merges[s];
        shards[flush.shard_count++] = (struct leat_flush_shard){.key = key_of(side, s),
                                                                .lease_counter = 1,
                                                                .commit_seq = side->commit_seq[s],
                                                                .checkpoint = leat_slice_from("1"),
                                                                .sub_sequence = -1};
    }
    flush.groups = leat_merge_groups(merges, flush.shard_count, arena, &flush.group_count);
    flush.is_divisible =
        leat_merge_divisible(merges, flush.shard_count, flush.groups, flush.group_count, arena);
    ck_assert_msg(leat_pg_commit(side->committer, &flush, results, &err) == 0, "%s", err.text);
    side->commits++;
    if (results[0].outcome != LEAT_COMMITTED) {
        ck_assert_msg(results[0].outcome == LEAT_COMMIT_DATA, "outcome %d: %s",
                      (int)results[0].outcome, results[0].text);
        side->refusals++;
        leat_merge_schema_tell(side->schema, ask_forms, side->committer);
        return false;
    }
    for (size_t s = 0; s < SHARDS; s++)
        side->commit_seq[s] += is_in[s];
    return true;
}

/* The record alone; diverted when the target refuses it. */
static void
commit_alone(struct side *side, struct record *record, struct leat_arena *arena)
{
    bool is_in[SHARDS] = {false};

    is_in[record->shard] = true;
    leat_merge_clear(side->merges[record->shard]);
    add_record(side, record, arena);
    record->is_diverted[side->index] = !commit(side, is_in, arena);
}

/* ---- one record a commit, and random cuts -------------------------------------------------------- */

static void
run_single(struct side *side, struct history *history, struct leat_arena *arena)
{
    for (size_t i = 0; i < history->count; i++)
        commit_alone(side, &history->records[i], arena);
}

struct cutting {
    struct side *side;
    struct history *history;
    struct leat_arena *arena;
    size_t next[SHARDS]; /* in the history */
};

static size_t
next_of(const struct history *history, size_t shard, size_t from)
{
    while (from < history->count && history->records[from].shard != shard)
        from++;
    return from;
}

/* The next `count` records of the shard, merged; returns where it stands behind them. */
static size_t
fill(struct cutting *cutting, size_t shard, size_t count)
{
    size_t next = next_of(cutting->history, shard, cutting->next[shard]);

    leat_merge_clear(cutting->side->merges[shard]);
    for (; count > 0 && next < cutting->history->count; count--) {
        add_record(cutting->side, &cutting->history->records[next], cutting->arena);
        next = next_of(cutting->history, shard, next + 1);
    }
    return next;
}

/* As a consumer does that looks for the guilty record: from the last commit on, one record a commit. */
static void
isolate(struct cutting *cutting, size_t shard, size_t end)
{
    size_t next = next_of(cutting->history, shard, cutting->next[shard]);

    for (; next < end; next = next_of(cutting->history, shard, next + 1))
        commit_alone(cutting->side, &cutting->history->records[next], cutting->arena);
}

static void
flush_once(struct cutting *cutting, struct leat_random *random)
{
    bool is_in[SHARDS] = {false}, is_any = false;
    size_t ends[SHARDS] = {0}, count = 1 + leat_random_below(random, MOST_RECORDS);

    for (size_t s = 0; s < SHARDS; s++) {
        is_in[s] = next_of(cutting->history, s, cutting->next[s]) < cutting->history->count &&
                   leat_random_below(random, 3) > 0;
        is_any |= is_in[s];
        if (is_in[s])
            ends[s] = fill(cutting, s, 1 + leat_random_below(random, count));
    }
    /* A flush that is lost, and made anew with another cut. */
    if (!is_any || leat_random_below(random, 5) == 0)
        return;
    if (!commit(cutting->side, is_in, cutting->arena)) {
        for (size_t s = 0; s < SHARDS; s++) {
            bool is_alone[SHARDS] = {false};

            is_alone[s] = true;
            if (is_in[s] && !commit(cutting->side, is_alone, cutting->arena))
                isolate(cutting, s, ends[s]);
        }
    }
    for (size_t s = 0; s < SHARDS; s++)
        cutting->next[s] = is_in[s] ? ends[s] : cutting->next[s];
}

static bool
is_done(const struct cutting *cutting)
{
    for (size_t s = 0; s < SHARDS; s++) {
        if (next_of(cutting->history, s, cutting->next[s]) < cutting->history->count)
            return false;
    }
    return true;
}

static void
run_cut(struct side *side, struct history *history, uint64_t seed, struct leat_arena *arena)
{
    struct cutting cutting = {.side = side, .history = history, .arena = arena};
    struct leat_random random;

    leat_random_seed(&random, seed);
    while (!is_done(&cutting))
        flush_once(&cutting, &random);
}

/* ---- a round ----------------------------------------------------------------------------------- */

static struct leat_pg_connection *plain;
static struct side single, cut;

static void
read_rows(size_t variant, const char *schema, struct leat_buf *out)
{
    LEAT_AUTO_BUF sql = LEAT_BUF_INIT;
    PGresult *result;

    leat_buf_printf(
        &sql,
        "SELECT coalesce(string_agg(x::text, E'\\n' ORDER BY x::text COLLATE \"C\"), '') "
        "FROM %s.t%zu x",
        schema, variant);
    result = PQexec(plain->conn, leat_buf_text(&sql));
    ck_assert_msg(PQntuples(result) == 1, "%s", PQresultErrorMessage(result));
    leat_buf_add_text(out, PQgetvalue(result, 0, 0));
    PQclear(result);
}

static bool
differs(struct history *history, uint64_t cut_seed, struct leat_buf *ret_why)
{
    LEAT_AUTO_BUF sql = LEAT_BUF_INIT;
    LEAT_AUTO_BUF wanted = LEAT_BUF_INIT;
    LEAT_AUTO_BUF found = LEAT_BUF_INIT;
    struct leat_arena arena;

    leat_arena_init(&arena);
    leat_buf_printf(&sql, "DELETE FROM single.t%zu; DELETE FROM cut.t%zu", history->variant,
                    history->variant);
    ck_assert_msg(leat_pg_script(plain, leat_buf_text(&sql), &err) == 0, "%s", err.text);
    run_single(&single, history, &arena);
    run_cut(&cut, history, cut_seed, &arena);
    leat_arena_release(&arena);
    read_rows(history->variant, "single", &wanted);
    read_rows(history->variant, "cut", &found);
    leat_buf_printf(ret_why, "one record a commit:\n%s\nrandom cuts:\n%s\n", leat_buf_text(&wanted),
                    leat_buf_text(&found));
    for (size_t i = 0; i < history->count; i++) {
        if (history->records[i].is_diverted[0] != history->records[i].is_diverted[1])
            return true;
    }
    return strcmp(leat_buf_text(&wanted), leat_buf_text(&found)) != 0;
}

static bool
differs_in_some_cut(struct history *history, uint64_t *cut_seed)
{
    for (uint64_t seed = 0; seed < 12; seed++) {
        LEAT_AUTO_BUF why = LEAT_BUF_INIT;

        if (differs(history, *cut_seed + seed, &why)) {
            *cut_seed += seed;
            return true;
        }
    }
    return false;
}

/* Drops record after record while it still differs. */
static void
shrink(struct history *history, uint64_t *cut_seed)
{
    for (size_t i = 0; i < history->count;) {
        struct history less = *history;

        memmove(&less.records[i], &less.records[i + 1],
                (less.count - i - 1) * sizeof less.records[0]);
        less.count--;
        if (differs_in_some_cut(&less, cut_seed)) {
            *history = less;
            i = 0;
        } else {
            i++;
        }
    }
}

static void
print_difference(struct history *history, uint64_t seed)
{
    LEAT_AUTO_BUF why = LEAT_BUF_INIT;
    uint64_t cut_seed = seed;

    shrink(history, &cut_seed);
    differs(history, cut_seed, &why);
    printf("SEED=%llu differs; CREATE TABLE t%zu (%s)\n", (unsigned long long)seed,
           history->variant, variants[history->variant].sql);
    for (size_t i = 0; i < history->count; i++)
        printf("  s%zu %s%s%s\n", history->records[i].shard, history->records[i].line,
               history->records[i].is_diverted[0] ? " (diverted alone)" : "",
               history->records[i].is_diverted[1] ? " (diverted cut)" : "");
    printf("%s", leat_buf_text(&why));
    fflush(stdout);
}

static uint64_t
number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text != NULL && *text != '\0' ? strtoull(text, NULL, 10) : otherwise;
}

static void
setup(void)
{
    LEAT_AUTO_BUF sql = LEAT_BUF_INIT;
    struct leat_pg_options options = {.url = url, .application_name = "test"};
    int applied;

    test_postgres_database("differential", url, sizeof url);
    ck_assert_msg(leat_pg_connect(&options, &plain, &err) == 0, "%s", err.text);
    ck_assert_msg(leat_schema_migrate(plain, "target", &applied, &err) == 0, "%s", err.text);
    leat_buf_add_text(
        &sql, "CREATE EXTENSION citext SCHEMA public; "
              "CREATE COLLATION public.folding (provider = icu, locale = 'und-u-ks-level2', "
              "deterministic = false); CREATE DOMAIN public.folded AS varchar(3) COLLATE "
              "\"en-x-icu\"; CREATE FUNCTION public.fold() RETURNS trigger LANGUAGE plpgsql AS "
              "'BEGIN new.k := pg_catalog.lower(new.k); RETURN new; END';");
    make_sql("single", &sql);
    make_sql("cut", &sql);
    ck_assert_msg(leat_pg_script(plain, leat_buf_text(&sql), &err) == 0, "%s", err.text);
    side_open(&single, "single", 0);
    side_open(&cut, "cut", 1);
}

START_TEST(test_any_cut_leaves_the_same)
{
    uint64_t rounds = number_of("ROUNDS", test_rounds(CI_ROUNDS));
    uint64_t seed = number_of("SEED", 1), differ = 0;
    int64_t begun_us = leat_clock_monotonic_us();

    make_tables();
    setup();
    for (uint64_t round = 0; round < rounds; round++, seed++) {
        LEAT_AUTO_BUF why = LEAT_BUF_INIT;
        struct history history;

        draw_history(seed, &history);
        if (!differs(&history, seed, &why))
            continue;
        differ++;
        if (differ <= 10)
            print_difference(&history, seed);
    }
    printf("%llu rounds, %llu differ; %llu and %llu commits, %llu and %llu refused, %.0f s\n",
           (unsigned long long)rounds, (unsigned long long)differ,
           (unsigned long long)single.commits, (unsigned long long)cut.commits,
           (unsigned long long)single.refusals, (unsigned long long)cut.refusals,
           (double)(leat_clock_monotonic_us() - begun_us) / 1e6);
    fflush(stdout);
    side_close(&single);
    side_close(&cut);
    leat_pg_close(plain);
    leat_arena_release(&forever);
    ck_assert_uint_eq(differ, 0);
    /* The rounds are no empty ones. */
    ck_assert_uint_gt(single.commits, cut.commits);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("differential");
    TCase *tests = tcase_create("differential");
    SRunner *runner;
    int failed;

    test_postgres_url();
    tcase_set_timeout(tests, getenv("ROUNDS") != NULL ? 6 * 3600 : 280);
    tcase_add_test(tests, test_any_cut_leaves_the_same);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
