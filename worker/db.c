/* `leat db`: numbered migrations per database role, their status, and the GRANTs that a worker's user needs. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "postgres/migrate.h"
#include "worker/command.h"

struct db_arguments {
    const char *action, *database, *role, *user;
};

static void
help(void)
{
    fputs("leat db: the databases' schemas\n\n"
          "  leat db migrate --database postgresql://leat@localhost/leat\n"
          "  leat db status  --database \"host=/run/postgresql dbname=leat\"\n"
          "  leat db grants  --user leat_worker\n\n"
          "  --database URL   URI or conninfo; default: $LEAT_DATABASE__URL. Passwords by libpq's "
          "own\n"
          "                   means (PGPASSFILE, service files), not on a command line\n"
          "  --role ROLE      lease | target (default: both)\n"
          "  --user NAME      grants: the database user that workers connect as\n",
          stdout);
}

/* 0, an exit code, or -1 when help was asked for. */
static int
parse(int argc, char **argv, struct db_arguments *arguments)
{
    static const struct option options[] = {
        {"database", required_argument, NULL, 'd'},
        {"role", required_argument, NULL, 'r'},
        {"user", required_argument, NULL, 'u'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int letter;

    *arguments = (struct db_arguments){.database = getenv("LEAT_DATABASE__URL")};
    while ((letter = getopt_long(argc, argv, "d:r:u:h", options, NULL)) != -1) {
        if (letter == 'd')
            arguments->database = optarg;
        else if (letter == 'r')
            arguments->role = optarg;
        else if (letter == 'u')
            arguments->user = optarg;
        else
            return letter == 'h' ? -1 : LEAT_EXIT_USAGE;
    }
    if (optind + 1 != argc) {
        fputs("leat db: say one of migrate, status, grants; see leat db --help\n", stderr);
        return LEAT_EXIT_USAGE;
    }
    arguments->action = argv[optind];
    return 0;
}

static bool
is_wanted(const struct db_arguments *arguments, const char *role)
{
    return arguments->role == NULL || strcmp(arguments->role, role) == 0;
}

static int
migrate(struct leat_pg_connection *connection, const char *role, struct leat_error *err)
{
    int applied = 0, status = leat_schema_migrate(connection, role, &applied, err);

    if (status == 0)
        printf("%s: %d migration%s applied\n", role, applied, applied == 1 ? "" : "s");
    return status;
}

static int
show_status(struct leat_pg_connection *connection, const char *role, struct leat_error *err)
{
    struct leat_schema_status state;
    int status = leat_schema_status(connection, role, &state, err);

    if (status == 0)
        printf("%s: version %d, this program has %d%s\n", role, state.version, state.wanted,
               state.version < state.wanted   ? " (run `leat db migrate`)"
               : state.version > state.wanted ? " (a newer leat migrated it)"
                                              : "");
    return status;
}

static int
for_each_role(const struct db_arguments *arguments,
              int (*act)(struct leat_pg_connection *, const char *, struct leat_error *))
{
    static const char *const roles[] = {"lease", "target"};
    struct leat_pg_options options = {.url = arguments->database, .application_name = "leat db"};
    struct leat_pg_connection *connection;
    struct leat_error err;
    int status;

    if (arguments->database == NULL) {
        fputs("leat db: no database given: --database URL, or LEAT_DATABASE__URL\n", stderr);
        return LEAT_EXIT_USAGE;
    }
    status = leat_pg_connect(&options, &connection, &err);
    if (status != 0)
        return leat_command_failed("db", &err);
    for (size_t i = 0; status == 0 && i < LEAT_COUNT_OF(roles); i++) {
        if (is_wanted(arguments, roles[i]))
            status = act(connection, roles[i], &err);
    }
    leat_pg_close(connection);
    return status != 0 ? leat_command_failed("db", &err) : LEAT_EXIT_OK;
}

static int
print_grants(const struct db_arguments *arguments)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;

    if (arguments->user == NULL) {
        fputs("leat db: grants wants --user NAME, the user that workers connect as\n", stderr);
        return LEAT_EXIT_USAGE;
    }
    if (is_wanted(arguments, "lease"))
        leat_schema_grants("lease", arguments->user, &text);
    if (is_wanted(arguments, "target"))
        leat_schema_grants("target", arguments->user, &text);
    fputs(leat_buf_text(&text), stdout);
    return LEAT_EXIT_OK;
}

static int
act(const struct db_arguments *arguments)
{
    if (arguments->role != NULL && strcmp(arguments->role, "lease") != 0 &&
        strcmp(arguments->role, "target") != 0) {
        fprintf(stderr, "leat db: there is no role \"%s\": lease or target\n", arguments->role);
        return LEAT_EXIT_USAGE;
    }
    if (strcmp(arguments->action, "migrate") == 0)
        return for_each_role(arguments, migrate);
    if (strcmp(arguments->action, "status") == 0)
        return for_each_role(arguments, show_status);
    if (strcmp(arguments->action, "grants") == 0)
        return print_grants(arguments);
    fprintf(stderr, "leat db: there is no action \"%s\": migrate, status or grants\n",
            arguments->action);
    return LEAT_EXIT_USAGE;
}

int
leat_command_db(int argc, char **argv)
{
    struct db_arguments arguments;
    int status = parse(argc, argv, &arguments);

    if (status == -1)
        help();
    if (status != 0)
        return status == -1 ? LEAT_EXIT_OK : status;
    return act(&arguments);
}
