/*
 * `leat db`: numbered migrations per database role, their status, the GRANTs that a worker's user needs, and the processors'
 * own tables. With a configuration the databases are the configuration's.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "config/mask.h"
#include "postgres/migrate.h"
#include "worker/database_options.h"
#include "worker/databases.h"
#include "worker/setup.h"
#include "worker/table.h"

struct db_arguments {
    struct leat_setup_arguments setup;
    const char *action, *database, *role, *user, *processor;
    enum leat_output output;
    struct leat_sheet *sheet; /* status: what is found goes there */
    const char *shown;        /* the database's URL, without a password */
};

static void
help(void)
{
    fputs("leat db: the databases' schemas\n\n"
          "  leat db migrate --database postgresql://leat@localhost/leat\n"
          "  leat db migrate -c leat.yaml\n"
          "  leat db status  --database \"host=/run/postgresql dbname=leat\"\n"
          "  leat db status  -c leat.yaml -o json\n"
          "  leat db grants  --user leat_worker -c leat.yaml | psql\n"
          "  leat db ddl     -c leat.yaml --processor rollup | psql\n\n"
          "migrate and status with a configuration: the lease database and that of every postgres "
          "target.\n"
          "ddl prints what makes the tables that processors write to, grants what a worker's user "
          "needs: on\nleat's own tables and, with a configuration, on the processors'.\n\n"
          "  --database URL   URI or conninfo; default: the configuration (-c, $LEAT_CONFIG), "
          "else\n"
          "                   $LEAT_DATABASE__URL. Passwords by libpq's own means (PGPASSFILE, "
          "service\n"
          "                   files), not on a command line\n"
          "  --role ROLE      lease | target (default: both)\n"
          "  --user NAME      grants: the database user that workers connect as\n"
          "  --processor NAME ddl: of this one (default: all)\n"
          "  -o table|json    status: how it is printed; json: an object a line\n" LEAT_SETUP_HELP,
          stdout);
}

/* 0, an exit code, or -1 when help was asked for. */
static int
parse(int argc, char **argv, struct db_arguments *arguments)
{
    static const struct option options[] = {
        LEAT_SETUP_LONG,
        {"processor", required_argument, NULL, 'p'},
        {"database", required_argument, NULL, 'd'},
        {"role", required_argument, NULL, 'r'},
        {"user", required_argument, NULL, 'u'},
        {"output", required_argument, NULL, 'o'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int letter;

    *arguments = (struct db_arguments){0};
    while ((letter = getopt_long(argc, argv, LEAT_SETUP_LETTERS "d:r:u:p:o:h", options, NULL)) !=
           -1) {
        if (letter == 'd')
            arguments->database = optarg;
        else if (letter == 'r')
            arguments->role = optarg;
        else if (letter == 'u')
            arguments->user = optarg;
        else if (letter == 'p')
            arguments->processor = optarg;
        else if (letter == 'o' && !leat_output_parse("db", optarg, &arguments->output))
            return LEAT_EXIT_USAGE;
        else if (letter == 'o')
            continue;
        else if (!leat_setup_argument(&arguments->setup, letter, optarg))
            return letter == 'h' ? -1 : LEAT_EXIT_USAGE;
    }
    if (optind + 1 != argc) {
        fputs("leat db: say one of migrate, status, grants, ddl; see leat db --help\n", stderr);
        return LEAT_EXIT_USAGE;
    }
    if (arguments->database != NULL && arguments->setup.file != NULL) {
        fputs("leat db: --database and -c exclude each other\n", stderr);
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
migrate(const struct db_arguments *arguments, struct leat_pg_connection *connection,
        const char *role, struct leat_error *err)
{
    int applied = 0, status = leat_schema_migrate(connection, role, &applied, err);

    if (status == 0)
        printf("%s: %d migration%s applied\n", role, applied, applied == 1 ? "" : "s");
    return status;
}

static int
show_status(const struct db_arguments *arguments, struct leat_pg_connection *connection,
            const char *role, struct leat_error *err)
{
    struct leat_schema_status state;
    int status = leat_schema_status(connection, role, &state, err);

    if (status != 0)
        return status;
    leat_sheet_text(arguments->sheet, arguments->shown);
    leat_sheet_text(arguments->sheet, role);
    leat_sheet_integer(arguments->sheet, state.version);
    leat_sheet_integer(arguments->sheet, state.wanted);
    leat_sheet_text(arguments->sheet, state.version < state.wanted   ? "run `leat db migrate`"
                                      : state.version > state.wanted ? "a newer leat migrated it"
                                                                     : "ok");
    return 0;
}

typedef int (*role_fn)(const struct db_arguments *, struct leat_pg_connection *, const char *,
                       struct leat_error *);

static int
for_each_role(const struct db_arguments *arguments, const struct leat_database *database,
              role_fn act)
{
    static const char *const roles[] = {"lease", "target"};
    struct leat_pg_options options = {.url = database->url, .application_name = "leat db"};
    struct leat_pg_connection *connection;
    struct leat_error err;
    int status = leat_pg_connect(&options, &connection, &err);

    if (status != 0)
        return leat_command_failed("db", &err);
    for (size_t i = database->has_lease ? 0 : 1; status == 0 && i < LEAT_COUNT_OF(roles); i++) {
        if (is_wanted(arguments, roles[i]))
            status = act(arguments, connection, roles[i], &err);
    }
    leat_pg_close(connection);
    return status != 0 ? leat_command_failed("db", &err) : LEAT_EXIT_OK;
}

static bool
has_configuration(const struct db_arguments *arguments)
{
    const char *file = getenv("LEAT_CONFIG");

    return arguments->setup.file != NULL || arguments->setup.override_count > 0 ||
           (file != NULL && *file != '\0');
}

/* The one that is named; else the configuration's, wherever it comes from; else the environment's. */
static int
find_databases(const struct db_arguments *arguments, struct leat_databases *databases)
{
    const char *url = arguments->database;
    struct leat_config *config;
    struct leat_error err;
    int code, status;

    if (leat_database_argument_refused("db", url))
        return LEAT_EXIT_USAGE;
    if (url == NULL && !has_configuration(arguments))
        url = getenv("LEAT_DATABASE__URL");
    if (url != NULL && *url != '\0') {
        leat_databases_add(databases, url, true);
        return LEAT_EXIT_OK;
    }
    if (!has_configuration(arguments)) {
        fputs("leat db: no database given: --database URL, -c FILE, LEAT_CONFIG or "
              "LEAT_DATABASE__URL\n",
              stderr);
        return LEAT_EXIT_USAGE;
    }
    code = leat_setup_load(&arguments->setup, "db", &config);
    if (code != LEAT_EXIT_OK)
        return code;
    status = leat_databases_of(config, databases, &err);
    leat_config_free(config);
    return status != 0 ? leat_command_failed("db", &err) : LEAT_EXIT_OK;
}

/* Goes on after a failure: one database that is down is no reason to leave the others as they are. */
static int
for_each_database(struct db_arguments *arguments, role_fn act)
{
    struct leat_databases databases = {0};
    int code = find_databases(arguments, &databases);

    for (size_t i = 0; i < databases.count && code != LEAT_EXIT_USAGE; i++) {
        LEAT_AUTO_BUF url = LEAT_BUF_INIT;
        int done;

        leat_secret_mask(databases.items[i].url, &url);
        arguments->shown = leat_buf_text(&url);
        if (databases.count > 1 && arguments->sheet == NULL) {
            printf("%s\n", leat_buf_text(&url));
            fflush(stdout);
        }
        done = for_each_role(arguments, &databases.items[i], act);
        code = code == LEAT_EXIT_OK ? done : code;
    }
    leat_databases_release(&databases);
    return code;
}

/* What can be had is shown, also when one of them is away. */
static int
print_status(struct db_arguments *arguments)
{
    static const struct leat_sheet_column columns[] = {
        {"database"}, {"role"}, {"version", LEAT_CELL_RAW}, {"wanted", LEAT_CELL_RAW}, {"state"},
    };
    struct leat_sheet sheet;
    struct leat_error err;
    int code;

    leat_sheet_init(&sheet, arguments->output, columns, LEAT_COUNT_OF(columns), stdout);
    arguments->sheet = &sheet;
    code = for_each_database(arguments, show_status);
    arguments->sheet = NULL;
    if (code == LEAT_EXIT_USAGE) {
        leat_sheet_release(&sheet);
        return code;
    }
    if (leat_sheet_finish(&sheet, &err) != 0)
        return leat_command_failed("db", &err);
    return code;
}

static int
print_ddl(const struct db_arguments *arguments)
{
    struct leat_config *config;
    int code = leat_setup_load(&arguments->setup, "db", &config);

    if (code != LEAT_EXIT_OK)
        return code;
    code = leat_databases_print_ddl(config, arguments->processor);
    leat_config_free(config);
    return code;
}

static int
print_grants(const struct db_arguments *arguments)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;
    struct leat_config *config;
    int code = LEAT_EXIT_OK;

    if (arguments->user == NULL) {
        fputs("leat db: grants wants --user NAME, the user that workers connect as\n", stderr);
        return LEAT_EXIT_USAGE;
    }
    if (is_wanted(arguments, "lease"))
        leat_schema_grants("lease", arguments->user, &text);
    if (is_wanted(arguments, "target"))
        leat_schema_grants("target", arguments->user, &text);
    /* The processors' tables are known to a configuration alone. */
    if (has_configuration(arguments) && is_wanted(arguments, "target")) {
        code = leat_setup_load(&arguments->setup, "db", &config);
        if (code != LEAT_EXIT_OK)
            return code;
        code = leat_databases_grants(config, arguments->user, &text);
        leat_config_free(config);
    }
    fputs(leat_buf_text(&text), stdout);
    return code;
}

static int
act(struct db_arguments *arguments)
{
    if (arguments->role != NULL && strcmp(arguments->role, "lease") != 0 &&
        strcmp(arguments->role, "target") != 0) {
        fprintf(stderr, "leat db: there is no role \"%s\": lease or target\n", arguments->role);
        return LEAT_EXIT_USAGE;
    }
    if (strcmp(arguments->action, "migrate") == 0)
        return for_each_database(arguments, migrate);
    if (strcmp(arguments->action, "status") == 0)
        return print_status(arguments);
    if (strcmp(arguments->action, "grants") == 0)
        return print_grants(arguments);
    if (strcmp(arguments->action, "ddl") == 0)
        return print_ddl(arguments);
    fprintf(stderr, "leat db: there is no action \"%s\": migrate, status, grants or ddl\n",
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
    else if (status == 0)
        status = act(&arguments);
    leat_setup_arguments_release(&arguments.setup);
    return status == -1 ? LEAT_EXIT_OK : status;
}
