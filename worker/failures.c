/* `leat failures`: the ledger of diverted records in a target's database: which, why, and where their data is. */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "base/encoding.h"
#include "base/memory.h"
#include "base/units.h"
#include "worker/command.h"
#include "worker/database_options.h"

#define DEFAULT_LIMIT 100
#define MAXIMUM_LIMIT 1000000
#define SHORTEST_ID 6

#define UTC(column) "to_char(" column " AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"

struct failures_arguments {
    struct leat_database_options database;
    const char *action, *id, *state;
    int64_t limit;
};

static void
help(void)
{
    fputs("leat failures: records that were diverted, and why\n\n"
          "  leat failures ls --database postgresql://leat@localhost/weather\n"
          "  leat failures ls --processor rollup --state open --limit 20 -o json\n"
          "  leat failures show 5f0c9a11\n\n"
          "ls shows the latest first; show prints all of one letter and where its data is archived "
          "(an id's\nfirst letters do).\n\n"
          "  --processor NAME, --state STATE   only these\n"
          "  --limit N        at most so many (default: 100)\n" LEAT_DATABASE_HELP,
          stdout);
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
        arguments->state = optarg;
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
        {"limit", required_argument, NULL, 'l'},
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
    if (strcmp(arguments->action, "ls") == 0
            ? optind + 1 == argc
            : strcmp(arguments->action, "show") == 0 && optind + 2 == argc)
        return leat_database_resolve(&arguments->database, LEAT_DATABASE_TARGET);
    fputs("leat failures: say ls, or show ID; see leat failures --help\n", stderr);
    return LEAT_EXIT_USAGE;
}

static int
list(struct failures_arguments *arguments)
{
    static const struct leat_sheet_column columns[] = {
        {"dead_letter_id"},
        {"application", LEAT_CELL_TEXT, true},
        {"processor"},
        {"tenant", LEAT_CELL_TEXT, true},
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
        "SELECT dead_letter_id::text, application::text, processor::text, tenant::text,"
        " stream_id::text, shard::text, sequence::text, sub_sequence::text, data_bytes::text,"
        " state::text, times::text, attempts::text, " UTC("first_at") ", " UTC(
            "last_at") ","
                       " archive_url::text, dead_letter_position::text, sqlstate::text, "
                       "reason::text,"
                       " reason_text::text FROM leat.failures"
                       " WHERE ($1::text IS NULL OR application = $1) AND ($2::text IS NULL OR "
                       "processor = $2)"
                       " AND ($3::text IS NULL OR state = $3)"
                       " ORDER BY last_at DESC, dead_letter_id LIMIT $4";
    struct leat_pg_parameters parameters;
    PGresult *result;
    int code;

    leat_pg_parameters_init(&parameters);
    leat_pg_add_text(&parameters, arguments->database.application);
    leat_pg_add_text(&parameters, arguments->database.processor);
    leat_pg_add_text(&parameters, arguments->state);
    leat_pg_add_int8(&parameters, arguments->limit);
    code =
        leat_database_query(&arguments->database, LEAT_DATABASE_TARGET, sql, &parameters, &result);
    if (code != LEAT_EXIT_OK)
        return code;
    if (arguments->database.output != LEAT_OUTPUT_JSON && PQntuples(result) == arguments->limit)
        fprintf(stderr, "leat failures: the latest %lld; --limit N shows more\n",
                (long long)arguments->limit);
    return leat_database_show(&arguments->database, columns, LEAT_COUNT_OF(columns), result);
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
                                              "last_at") ", archive_url::text, "
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
        status = strcmp(arguments.action, "ls") == 0 ? list(&arguments) : show(&arguments);
    }
    leat_database_options_release(&arguments.database);
    return status;
}
