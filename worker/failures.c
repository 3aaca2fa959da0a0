/* `leat failures`: the ledger of diverted records in a target's database: which, why, and where their data is. */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/encoding.h"
#include "base/memory.h"
#include "base/units.h"
#include "failure/letters.h"
#include "worker/command.h"
#include "worker/database_options.h"
#include "worker/failure_data.h"
#include "worker/shard_name.h"

#define DEFAULT_LIMIT 100
#define MAXIMUM_LIMIT 1000000
#define SHORTEST_ID 6

#define UTC(column) "to_char(" column " AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"

/* The stream's name, of "arn:…:stream/NAME@creation" or "file:…"; what has no such form is shown as it is. */
#define STREAM "substring(stream_id from '(?:.*:stream/)?(.*?)(?:@[0-9]+)?$')"

struct failures_arguments {
    struct leat_database_options database;
    const char *action, *id, *state, *stream, *reason, *shard;
    int64_t limit, since_us,
        since_ago_us; /* 0: ever; a time, or so long ago by the database's clock */
    bool with_data;
    char shard_name[LEAT_SHARD_NAME_BYTES];
};

/* Every state there is (docs/protocol.md §7, schemas/target). */
static const char *const states[] = {"open", "sending", "redriven", "discarded", NULL};

static void
help(void)
{
    fputs("leat failures: records that were diverted, and why\n\n"
          "  leat failures ls -c leat.yaml\n"
          "  leat failures ls --processor rollup --state open --limit 20 -o json\n"
          "  leat failures ls --stream orders --reason rejected --since 1h\n"
          "  leat failures count -c leat.yaml --since 1d\n"
          "  leat failures show 5f0c9a11\n"
          "  leat failures show 5f0c9a11 --data -c leat.yaml | jq .\n\n"
          "ls shows the latest first; count how many there are, by processor, stream, reason and "
          "state; show\nprints all of one letter and where its data is archived (an id's first "
          "letters do).\n\n"
          "  --processor NAME, --state STATE, --reason WORD, --stream NAME, --shard SHARD   only "
          "these\n"
          "  --since TIME     only what happened since: 1h is an hour back from now; or a time as\n"
          "                   2026-11-26T03:00:00Z\n"
          "  --limit N        ls: at most so many (default: 100)\n"
          "  --data           show: the record's data alone, byte for byte, from the archive (with "
          "-c an\n"
          "                   archive in S3 is reached as the configuration "
          "says)\n" LEAT_DATABASE_HELP,
          stdout);
}

/* "1h" is one back from now, as "-1h" and "1h ago" are everywhere else; or a time. */
static int
parse_since(const char *text, struct failures_arguments *arguments)
{
    struct leat_slice words = leat_slice_from(text);
    int64_t now_us = leat_clock_wall_us(), ago_us, at_us;
    struct leat_error err;

    arguments->since_us = arguments->since_ago_us = 0;
    if (leat_parse_duration(words, &ago_us, &err) == 0 && ago_us > 0) {
        arguments->since_ago_us = ago_us;
        return 0;
    }
    if (leat_parse_moment(words, now_us, &at_us)) {
        if (leat_parse_time(words, &arguments->since_us))
            return 0;
        arguments->since_ago_us = now_us > at_us ? now_us - at_us : 1;
        return 0;
    }
    fprintf(stderr,
            "leat failures: --since wants a time back from now, as 1h or 30m, or a time as "
            "2026-11-26T03:00:00Z, not \"%s\"\n",
            text);
    return LEAT_EXIT_USAGE;
}

/* One of the words, or the nearest is named. */
static int
parse_word(const char *what, const char *text, const char *const *words, const char **ret_word)
{
    LEAT_AUTO_BUF all = LEAT_BUF_INIT;
    const char *nearest = leat_did_you_mean(text, words);

    for (const char *const *word = words; *word != NULL; word++) {
        if (strcmp(*word, text) == 0) {
            *ret_word = text;
            return 0;
        }
        leat_buf_printf(&all, "%s%s", word != words ? ", " : "", *word);
    }
    fprintf(stderr, "leat failures: there is no %s \"%s\"%s%s%s; there are: %s\n", what, text,
            nearest != NULL ? ", did you mean \"" : "", nearest != NULL ? nearest : "",
            nearest != NULL ? "\"?" : "", leat_buf_text(&all));
    return LEAT_EXIT_USAGE;
}

/* 0 or an exit code. */
static int
parse_limit(const char *text, int64_t *ret_limit)
{
    struct leat_error err;

    if (leat_parse_integer(leat_slice_from(text), ret_limit, &err) == 0 && *ret_limit > 0 &&
        *ret_limit <= MAXIMUM_LIMIT)
        return 0;
    fprintf(stderr, "leat failures: --limit wants a number from 1 to %d, not \"%s\"\n",
            MAXIMUM_LIMIT, text);
    return LEAT_EXIT_USAGE;
}

static int
parse_option(int letter, struct failures_arguments *arguments)
{
    switch (letter) {
    case 'h':
        return -1;
    case 'p':
        arguments->database.processor = optarg;
        return 0;
    case 't':
        return parse_word("state", optarg, states, &arguments->state);
    case 'r':
        return parse_word("reason", optarg, leat_letter_reasons, &arguments->reason);
    case 'S':
        arguments->stream = optarg;
        return 0;
    case 'X':
        arguments->shard = leat_shard_name(optarg, arguments->shard_name);
        return 0;
    case 'i':
        return parse_since(optarg, arguments);
    case 'D':
        arguments->with_data = true;
        return 0;
    case 'l':
        return parse_limit(optarg, &arguments->limit);
    default:
        return leat_database_options_take(&arguments->database, letter, optarg) == 0
                   ? 0
                   : LEAT_EXIT_USAGE;
    }
}

/* 0, an exit code, or -1 when help was asked for. */
static int
parse(int argc, char **argv, struct failures_arguments *arguments)
{
    static const struct option options[] = {
        LEAT_DATABASE_LONG_OPTIONS,
        {"processor", required_argument, NULL, 'p'},
        {"state", required_argument, NULL, 't'},
        {"reason", required_argument, NULL, 'r'},
        {"stream", required_argument, NULL, 'S'},
        {"shard", required_argument, NULL, 'X'},
        {"since", required_argument, NULL, 'i'},
        {"limit", required_argument, NULL, 'l'},
        {"data", no_argument, NULL, 'D'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int letter, status;

    *arguments =
        (struct failures_arguments){.database.command = "failures", .limit = DEFAULT_LIMIT};
    while ((letter = getopt_long(argc, argv, LEAT_DATABASE_LETTERS "h", options, NULL)) != -1) {
        if ((status = parse_option(letter, arguments)) != 0)
            return status;
    }
    arguments->action = optind < argc ? argv[optind] : "";
    arguments->id = optind + 1 < argc ? argv[optind + 1] : NULL;
    if (arguments->with_data && strcmp(arguments->action, "show") != 0) {
        fputs("leat failures: --data goes with show ID\n", stderr);
        return LEAT_EXIT_USAGE;
    }
    if (strcmp(arguments->action, "ls") == 0 || strcmp(arguments->action, "count") == 0
            ? optind + 1 == argc
            : strcmp(arguments->action, "show") == 0 && optind + 2 == argc)
        return leat_database_resolve(&arguments->database, LEAT_DATABASE_TARGET);
    fputs("leat failures: say ls, count, or show ID; see leat failures --help\n", stderr);
    return LEAT_EXIT_USAGE;
}

/* What ls and count leave out; $1 to $8. */
#define FILTERS                                                                                    \
    " FROM leat.failures WHERE ($1::text IS NULL OR application = $1) AND ($2::text IS NULL OR "   \
    "processor = $2) AND ($3::text IS NULL OR state = $3) AND ($4::text IS NULL OR reason = $4) "  \
    "AND ($5::text IS NULL OR stream_id = $5 OR " STREAM " = $5) AND ($6::text IS NULL OR shard "  \
    "= $6) AND ($7 = 0 OR last_at >= clock_timestamp() - $7 * interval '1 us') AND ($8 = 0 OR "    \
    "last_at >= to_timestamp(0) + $8 * interval '1 us')"

static void
add_filters(const struct failures_arguments *arguments, struct leat_pg_parameters *parameters)
{
    leat_pg_parameters_init(parameters);
    leat_pg_add_text(parameters, arguments->database.application);
    leat_pg_add_text(parameters, arguments->database.processor);
    leat_pg_add_text(parameters, arguments->state);
    leat_pg_add_text(parameters, arguments->reason);
    leat_pg_add_text(parameters, arguments->stream);
    leat_pg_add_text(parameters, arguments->shard);
    leat_pg_add_int8(parameters, arguments->since_ago_us);
    leat_pg_add_int8(parameters, arguments->since_us);
}

/*
 * An empty table reads as "nothing has failed", which a name with a slip in it must not say: what no processor has read here, and
 * no letter is of, is no stream or shard. An exit code.
 */
static int
check_names(struct failures_arguments *arguments, const PGresult *found)
{
    static const char sql[] =
        "SELECT coalesce(bool_or($1::text IS NULL OR stream_id = $1 OR " STREAM " = $1), "
        "false)::text, coalesce(bool_or(($1::text IS NULL OR stream_id = $1 OR " STREAM
        " = $1) AND shard = $2), false)::text, coalesce((SELECT string_agg(name, ', ') FROM "
        "(SELECT "
        "DISTINCT " STREAM " AS name FROM leat.progress ORDER BY 1 LIMIT 20) n), 'none') FROM "
        "(SELECT stream_id::text, shard::text FROM leat.progress UNION ALL SELECT "
        "stream_id::text, shard::text FROM leat.failures) k";
    struct leat_pg_parameters parameters;
    PGresult *names;
    int code;

    if (PQntuples(found) > 0 || (arguments->stream == NULL && arguments->shard == NULL))
        return LEAT_EXIT_OK;
    leat_pg_parameters_init(&parameters);
    leat_pg_add_text(&parameters, arguments->stream);
    leat_pg_add_text(&parameters, arguments->shard);
    code =
        leat_database_query(&arguments->database, LEAT_DATABASE_TARGET, sql, &parameters, &names);
    if (code != LEAT_EXIT_OK)
        return code;
    if (arguments->stream != NULL && strcmp(PQgetvalue(names, 0, 0), "true") != 0) {
        code = LEAT_EXIT_FAILED;
        leat_print(stderr, "leat failures: --stream: there is no stream \"%s\"; there are: %s\n",
                   arguments->stream, PQgetvalue(names, 0, 2));
    } else if (arguments->shard != NULL && strcmp(PQgetvalue(names, 0, 1), "true") != 0) {
        code = LEAT_EXIT_FAILED;
        leat_print(stderr, "leat failures: --shard: there is no shard \"%s\"; see leat shards\n",
                   arguments->shard);
    }
    PQclear(names);
    return code;
}

/* Takes the result. */
static int
show_rows(struct failures_arguments *arguments, const struct leat_sheet_column *columns,
          size_t column_count, PGresult *result)
{
    int code = check_names(arguments, result);

    if (code == LEAT_EXIT_OK)
        return leat_database_show(&arguments->database, columns, column_count, result);
    PQclear(result);
    return code;
}

static int
count(struct failures_arguments *arguments)
{
    static const struct leat_sheet_column columns[] = {
        {"application", LEAT_CELL_TEXT, true},
        {"processor"},
        {"stream"},
        {"reason"},
        {"state"},
        {"failures", LEAT_CELL_RAW},
        {"times", LEAT_CELL_RAW, true},
        {"first_at"},
        {"last_at"},
    };
    static const char sql[] =
        "SELECT application::text, processor::text, " STREAM ", reason::text, state::text, "
        "count(*)::text, sum(times)::text, " UTC("min(first_at)") ", " UTC("max(last_at)") FILTERS
        " GROUP BY 1, 2, 3, 4, 5 ORDER BY count(*) DESC, 1, 2, 3, 4, 5";
    struct leat_pg_parameters parameters;
    PGresult *result;
    int code;

    add_filters(arguments, &parameters);
    code =
        leat_database_query(&arguments->database, LEAT_DATABASE_TARGET, sql, &parameters, &result);
    return code != LEAT_EXIT_OK ? code
                                : show_rows(arguments, columns, LEAT_COUNT_OF(columns), result);
}

static int
list(struct failures_arguments *arguments)
{
    static const struct leat_sheet_column columns[] = {
        {"dead_letter_id"},
        {"application", LEAT_CELL_TEXT, true},
        {"processor"},
        {"tenant", LEAT_CELL_TEXT, true},
        {"stream"},
        {"stream_id", LEAT_CELL_TEXT, true},
        {"shard"},
        {"sequence", LEAT_CELL_TEXT, true},
        {"sub_sequence", LEAT_CELL_RAW, true},
        {"data_bytes", LEAT_CELL_RAW, true},
        {"state"},
        {"times", LEAT_CELL_RAW},
        {"attempts", LEAT_CELL_RAW, true},
        {"first_at", LEAT_CELL_TEXT, true},
        {"last_at"},
        {"archive_url", LEAT_CELL_TEXT, true},
        {"dead_letter_position", LEAT_CELL_TEXT, true},
        {"sqlstate", LEAT_CELL_TEXT, true},
        {"reason"},
        {"reason_text"},
    };
    static const char sql[] =
        "SELECT dead_letter_id::text, application::text, processor::text, tenant::text, " STREAM
        ", stream_id::text, shard::text, sequence::text, sub_sequence::text, data_bytes::text, "
        "state::text, times::text, attempts::text, " UTC("first_at") ", " UTC(
            "last_at") ", archive_url::text, dead_letter_position::text, sqlstate::text, "
                       "reason::text, reason_text::text" FILTERS
                       " ORDER BY last_at DESC, dead_letter_id LIMIT $9";
    struct leat_pg_parameters parameters;
    PGresult *result;
    int code;

    add_filters(arguments, &parameters);
    leat_pg_add_int8(&parameters, arguments->limit);
    code =
        leat_database_query(&arguments->database, LEAT_DATABASE_TARGET, sql, &parameters, &result);
    if (code != LEAT_EXIT_OK)
        return code;
    if (arguments->database.output != LEAT_OUTPUT_JSON && PQntuples(result) == arguments->limit)
        fprintf(stderr,
                "leat failures: the latest %lld; --limit N shows more, leat failures count counts "
                "them\n",
                (long long)arguments->limit);
    return show_rows(arguments, columns, LEAT_COUNT_OF(columns), result);
}

/* ---- one letter ---------------------------------------------------------------------------- */

static const struct {
    const char *name;
    bool is_number, is_bytes;
} fields[] = {
    {"dead_letter_id"},
    {"state"},
    {"application"},
    {"processor"},
    {"tenant"},
    {"stream_id"},
    {"shard"},
    {"sequence"},
    {"sub_sequence", true},
    {"partition_key", false, true},
    {"arrival_at"},
    {"data_bytes", true},
    {"reason"},
    {"reason_text"},
    {"sqlstate"},
    {"attempts", true},
    {"times", true},
    {"first_at"},
    {"last_at"},
    {"archive_url"},
    {"dead_letter_position"},
};

static struct leat_slice
value(const PGresult *result, int column)
{
    return leat_slice_make(PQgetvalue(result, 0, column), (size_t)PQgetlength(result, 0, column));
}

static void
letter_json(const PGresult *result)
{
    LEAT_AUTO_BUF line = LEAT_BUF_INIT;
    struct leat_json json;

    leat_json_begin(&json, &line);
    leat_json_object(&json, NULL);
    for (int i = 0; i < (int)LEAT_COUNT_OF(fields); i++) {
        if (PQgetisnull(result, 0, i))
            leat_json_null(&json, fields[i].name);
        else if (fields[i].is_number)
            leat_json_raw(&json, fields[i].name, value(result, i));
        else if (fields[i].is_bytes && !leat_utf8_is_valid(value(result, i)))
            leat_json_base64(&json, "partition_key_base64", value(result, i));
        else
            leat_json_slice(&json, fields[i].name, value(result, i));
    }
    leat_json_object_end(&json);
    puts(leat_buf_text(&line));
}

static void
letter_text(const PGresult *result)
{
    for (int i = 0; i < (int)LEAT_COUNT_OF(fields); i++) {
        LEAT_AUTO_BUF text = LEAT_BUF_INIT;

        leat_printable(&text, PQgetisnull(result, 0, i) ? leat_slice_from("-") : value(result, i));
        printf("%-21s %s\n", fields[i].name, leat_buf_text(&text));
    }
}

/* The bytes alone: what a pipe wants. */
static int
letter_data(const struct failures_arguments *arguments, const PGresult *result)
{
    LEAT_AUTO_FREE char *url = NULL;
    LEAT_AUTO_BUF data = LEAT_BUF_INIT;
    struct leat_error err;
    int column = PQfnumber(result, "archive_url");

    if (column < 0 || PQgetisnull(result, 0, column)) {
        fprintf(stderr, "leat failures: letter \"%s\" is in no archive\n", arguments->id);
        return LEAT_EXIT_FAILED;
    }
    url = leat_slice_strdup(value(result, column));
    if (leat_failure_data(arguments->database.config, url, &data, &err) != 0)
        return leat_command_failed("failures", &err);
    if (fwrite(data.data, 1, data.size, stdout) != data.size || fflush(stdout) != 0) {
        perror("leat failures: standard output");
        return LEAT_EXIT_FAILED;
    }
    return LEAT_EXIT_OK;
}

static bool
is_id(const char *text)
{
    size_t length = strlen(text);

    return length >= SHORTEST_ID && length <= 64 && strspn(text, "0123456789abcdef") == length;
}

static int
show(struct failures_arguments *arguments)
{
    static const char sql[] =
        "SELECT dead_letter_id::text, state::text, application::text, processor::text,"
        " tenant::text, stream_id::text, shard::text, sequence::text, sub_sequence::text,"
        " partition_key, " UTC(
            "arrival_at") ", data_bytes::text, reason::text,"
                          " reason_text::text, sqlstate::text, attempts::text, times::text, " UTC(
                              "first_at") ","
                                          " " UTC(
                                              "last_at") ", archive_url::text AS archive_url, "
                                                         "dead_letter_position::text"
                                                         " FROM leat.failures WHERE dead_letter_id "
                                                         "LIKE $1 || '%' ORDER BY 1 LIMIT 2";
    struct leat_pg_parameters parameters;
    PGresult *result;
    int code;

    if (!is_id(arguments->id)) {
        fprintf(stderr,
                "leat failures: \"%s\" is no id: at least the first %d of its 64 hex digits\n",
                arguments->id, SHORTEST_ID);
        return LEAT_EXIT_USAGE;
    }
    leat_pg_parameters_init(&parameters);
    leat_pg_add_text(&parameters, arguments->id);
    code =
        leat_database_query(&arguments->database, LEAT_DATABASE_TARGET, sql, &parameters, &result);
    if (code != LEAT_EXIT_OK)
        return code;
    if (PQntuples(result) != 1) {
        fprintf(stderr, "leat failures: %s \"%s\"\n",
                PQntuples(result) == 0 ? "there is no letter" : "more than one letter begins with",
                arguments->id);
        code = LEAT_EXIT_FAILED;
    } else if (arguments->with_data) {
        code = letter_data(arguments, result);
    } else if (arguments->database.output == LEAT_OUTPUT_JSON) {
        letter_json(result);
    } else {
        letter_text(result);
    }
    PQclear(result);
    return code;
}

int
leat_command_failures(int argc, char **argv)
{
    struct failures_arguments arguments;
    int status = parse(argc, argv, &arguments);

    if (status == -1) {
        help();
        status = LEAT_EXIT_OK;
    } else if (status == LEAT_EXIT_OK) {
        status = strcmp(arguments.action, "ls") == 0      ? list(&arguments)
                 : strcmp(arguments.action, "count") == 0 ? count(&arguments)
                                                          : show(&arguments);
    }
    leat_database_options_release(&arguments.database);
    return status;
}
