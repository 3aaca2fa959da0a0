/* `leat leases`, `leat workers`: what the lease database says. No decision is made here; ages are by the database's clock. */
#include <getopt.h>
#include <stdlib.h>

#include "base/memory.h"
#include "worker/command.h"
#include "worker/database_options.h"

static void
help_leases(void)
{
    fputs("leat leases: who reads which shard\n\n"
          "  leat leases --database postgresql://leat@localhost/leat\n"
          "  leat leases --application weather -o json | jq 'select(.owner == "
          "null)'\n\n" LEAT_DATABASE_HELP,
          stdout);
}

static void
help_workers(void)
{
    fputs("leat workers: the worker processes, their health and what they hold\n\n"
          "  leat workers --database postgresql://leat@localhost/leat\n"
          "  leat workers --application weather -o json | jq 'select(.state == "
          "\"alive\")'\n\n" LEAT_DATABASE_HELP
          "\nstate `silent` is alive, but its time has run out: it is being "
          "judged, or nobody is there to judge it.\n",
          stdout);
}

/* 0, an exit code, or -1 when help was asked for. */
static int
parse(int argc, char **argv, struct leat_database_options *options)
{
    static const struct option known[] = {
        LEAT_DATABASE_LONG_OPTIONS,
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int letter;

    *options = (struct leat_database_options){.command = argv[0]};
    while ((letter = getopt_long(argc, argv, LEAT_DATABASE_LETTERS "h", known, NULL)) != -1) {
        if (letter == 'h')
            return -1;
        if (leat_database_options_take(options, letter, optarg) != 0)
            return LEAT_EXIT_USAGE;
    }
    if (optind != argc) {
        fprintf(stderr, "leat %s: what is \"%s\"? It takes options alone; see leat %s --help\n",
                argv[0], argv[optind], argv[0]);
        return LEAT_EXIT_USAGE;
    }
    return leat_database_resolve(options, LEAT_DATABASE_LEASE);
}

static int
show(struct leat_database_options *options, const char *sql,
     const struct leat_sheet_column *columns, size_t column_count)
{
    struct leat_pg_parameters parameters;
    PGresult *result;
    int code;

    leat_pg_parameters_init(&parameters);
    leat_pg_add_text(&parameters, options->application);
    code = leat_database_query(options, LEAT_DATABASE_LEASE, sql, &parameters, &result);
    return code != LEAT_EXIT_OK ? code : leat_database_show(options, columns, column_count, result);
}

/* A whole command: its help, or its rows. */
static int
run(int argc, char **argv, void (*help)(void), const char *sql,
    const struct leat_sheet_column *columns, size_t column_count)
{
    struct leat_database_options options;
    int status = parse(argc, argv, &options);

    if (status == -1) {
        help();
        status = LEAT_EXIT_OK;
    } else if (status == LEAT_EXIT_OK) {
        status = show(&options, sql, columns, column_count);
    }
    leat_database_options_release(&options);
    return status;
}

int
leat_command_leases(int argc, char **argv)
{
    static const struct leat_sheet_column columns[] = {
        {"application"},
        {"stream", LEAT_CELL_TEXT},
        {"stream_id", LEAT_CELL_TEXT, true},
        {"shard"},
        {"state"},
        {"owner"},
        {"lease_owner", LEAT_CELL_TEXT, true}, /* 63 bits: more than a JSON number holds */
        {"lease_counter", LEAT_CELL_RAW},
        {"next_owner"},
        {"handoff_seconds", LEAT_CELL_RAW, true},
        {"last_worker_id", LEAT_CELL_TEXT, true},
        {"starts", LEAT_CELL_RAW, true}, /* by processor, of the stream */
        {"starting_hash_key", LEAT_CELL_TEXT, true},
        {"ending_hash_key", LEAT_CELL_TEXT, true},
        {"ended_by", LEAT_CELL_RAW, true},
        {"parents", LEAT_CELL_RAW},
        {"children", LEAT_CELL_RAW, true},
    };
    static const char sql[] =
        "SELECT l.application::text, coalesce(s.name, l.stream_id)::text, l.stream_id::text,"
        " l.shard::text, l.state::text,"
        /* an owner whose row is gone is still the owner: show him by his number */
        " coalesce(o.worker_id, '#' || l.lease_owner)::text, l.lease_owner::text,"
        " l.lease_counter::text, coalesce(n.worker_id, '#' || l.next_owner)::text,"
        " round(extract(epoch FROM clock_timestamp() - l.handoff_at)::numeric, 3)::text,"
        " l.last_worker_id::text, (SELECT json_object_agg(b.processor, b.start ORDER BY "
        "b.processor)"
        " FROM leat.starts b WHERE b.application = l.application"
        " AND b.stream_id = l.stream_id)::text, l.starting_hash_key::text,"
        " l.ending_hash_key::text, array_to_json(l.ended_by)::text,"
        " array_to_json(l.parents)::text, array_to_json(l.children)::text"
        " FROM leat.leases l"
        " LEFT JOIN leat.streams s ON s.application = l.application AND s.stream_id = l.stream_id"
        " LEFT JOIN leat.workers o ON o.application = l.application"
        " AND o.incarnation = l.lease_owner"
        " LEFT JOIN leat.workers n ON n.application = l.application"
        " AND n.incarnation = l.next_owner"
        " WHERE $1::text IS NULL OR l.application = $1"
        " ORDER BY l.application, l.stream_id, l.shard";

    return run(argc, argv, help_leases, sql, columns, LEAT_COUNT_OF(columns));
}

int
leat_command_workers(int argc, char **argv)
{
    static const struct leat_sheet_column columns[] = {
        {"application"},
        {"worker_id"},
        {"incarnation", LEAT_CELL_TEXT, true},
        {"state"},
        {"heartbeat_age_seconds", LEAT_CELL_RAW},
        {"expires_in_seconds", LEAT_CELL_RAW},
        {"leases", LEAT_CELL_RAW},
        {"max_leases", LEAT_CELL_RAW, true},
        {"weight", LEAT_CELL_RAW, true},
        {"host"},
        {"pid", LEAT_CELL_RAW},
        {"build"},
        {"started_at", LEAT_CELL_TEXT, true},
        {"died_at", LEAT_CELL_TEXT, true},
    };
    static const char sql[] =
        "SELECT w.application::text, w.worker_id::text, w.incarnation::text,"
        " CASE WHEN w.state <> 'dead' AND w.expires_at < clock_timestamp() THEN 'silent'"
        "      ELSE w.state END,"
        " round(extract(epoch FROM clock_timestamp() - w.heartbeat_at)::numeric, 3)::text,"
        " round(extract(epoch FROM w.expires_at - clock_timestamp())::numeric, 3)::text,"
        " count(l.shard)::text, w.max_leases::text, w.weight::text, w.host::text, w.pid::text,"
        " w.build::text,"
        " to_char(w.started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'),"
        " to_char(w.died_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
        " FROM leat.workers w LEFT JOIN leat.leases l ON l.application = w.application"
        " AND l.lease_owner = w.incarnation"
        " WHERE $1::text IS NULL OR w.application = $1"
        " GROUP BY w.application, w.worker_id ORDER BY w.application, w.worker_id";

    return run(argc, argv, help_workers, sql, columns, LEAT_COUNT_OF(columns));
}
