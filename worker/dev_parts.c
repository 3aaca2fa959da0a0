/* The parts of `leat dev`, in the order in which they need each other. */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/units.h"
#include "postgres/migrate.h"
#include "worker/databases.h"
#include "worker/dev.h"
#include "worker/dev_roles.h"
#include "worker/setup.h"

#define SHARDS 4

/* ---- streams and bucket ------------------------------------------------------------------------ */

/* NAME or NAME:SHARDS */
static int
create_stream(struct leat_dev *dev, const char *stream, struct leat_error *err)
{
    const char *colon = strchr(stream, ':');
    int64_t shards = SHARDS;
    LEAT_AUTO_FREE char *name = leat_slice_strdup(
        leat_slice_make(stream, colon != NULL ? (size_t)(colon - stream) : strlen(stream)));

    if (colon != NULL && (leat_parse_integer(leat_slice_from(colon + 1), &shards, err) != 0 ||
                          shards < 1 || shards > 10000))
        return leat_error_set(err, LEAT_E_INVALID,
                              "stream \"%s\": after the colon comes a number of shards, 1 to 10000",
                              stream);
    return leat_local_kinesis_create_stream(dev->kinesis, name, (unsigned)shards, err);
}

static int
start_kinesis(struct leat_dev *dev, struct leat_error *err)
{
    struct leat_local_kinesis_options options = {
        .port = dev->kinesis_port,
        .access_key_id = LEAT_DEV_KEY,
        .secret_access_key = LEAT_DEV_KEY,
    };
    int status = 0;

    if (dev->roles != NULL)
        options.issuer = leat_local_roles_issuer(dev->roles);
    if (dev->has_limits)
        options.limits = leat_local_limits_aws;
    dev->kinesis = leat_local_kinesis_new(&options, err);
    if (dev->kinesis == NULL)
        return err->code;
    for (size_t i = 0; status == 0 && i < dev->stream_count; i++)
        status = create_stream(dev, dev->streams[i], err);
    if (status == 0)
        status = leat_local_kinesis_create_stream(dev->kinesis, LEAT_DEV_DEAD_LETTERS, 1, err);
    return status;
}

static int
start_s3(struct leat_dev *dev, struct leat_error *err)
{
    struct leat_local_s3_options options = {
        .port = dev->s3_port,
        .access_key_id = LEAT_DEV_KEY,
        .secret_access_key = LEAT_DEV_KEY,
    };

    if (dev->roles != NULL)
        options.issuer = leat_local_roles_issuer(dev->roles);
    dev->s3 = leat_local_s3_new(&options, err);
    if (dev->s3 == NULL)
        return err->code;
    return leat_local_s3_create_bucket(dev->s3, LEAT_DEV_BUCKET, err);
}

/* ---- the database ------------------------------------------------------------------------------ */

static int
run_in(const char *url, int (*run)(struct leat_pg_connection *, const char *, struct leat_error *),
       const char *text, struct leat_error *err)
{
    struct leat_pg_options options = {.url = url, .application_name = "leat dev"};
    struct leat_pg_connection *connection;
    int status = leat_pg_connect(&options, &connection, err);

    if (status != 0)
        return status;
    status = run(connection, text, err);
    leat_pg_close(connection);
    return status;
}

static int
migrate(struct leat_pg_connection *connection, const char *role, struct leat_error *err)
{
    int applied;

    return leat_schema_migrate(connection, role, &applied, err);
}

/* A directory that is used again has its database already. */
static int
create_database(struct leat_pg_connection *connection, const char *sql, struct leat_error *err)
{
    int status = leat_pg_script(connection, sql, err);

    return status != 0 && strcmp(err->sqlstate, "42P04") == 0 ? 0 : status;
}

/* Root's Postgres runs as user postgres, who has to get through the directory to his own in it, and no further. */
static int
let_postgres_through(const char *directory, struct leat_error *err)
{
    const struct passwd *user = geteuid() == 0 ? getpwnam("postgres") : NULL;
    struct stat facts;

    if (user == NULL)
        return 0;
    if (stat(directory, &facts) == 0 && (facts.st_mode & S_IXOTH) != 0)
        return 0;
    if (chown(directory, 0, user->pw_gid) != 0 || chmod(directory, 0710) != 0)
        return leat_error_set(err, LEAT_E_SYSTEM, "could not let user postgres into \"%s\": %s",
                              directory, strerror(errno));
    return 0;
}

/* What is sourced and read (env, leat.yaml) lies in our directory; the database in one of its own, which as root is another
   user's. A directory of an earlier leat has it beside them. */
static int
make_database_directory(struct leat_dev *dev, struct leat_error *err)
{
    LEAT_AUTO_BUF before = LEAT_BUF_INIT;
    int status;

    leat_buf_printf(&before, "%s/data/PG_VERSION", dev->directory);
    if (access(leat_buf_text(&before), F_OK) == 0) {
        snprintf(dev->database_directory, sizeof dev->database_directory, "%s", dev->directory);
        return 0;
    }
    snprintf(dev->database_directory, sizeof dev->database_directory, "%s/postgres",
             dev->directory);
    status = let_postgres_through(dev->directory, err);
    if (status == 0 && mkdir(dev->database_directory, 0700) != 0 && errno != EEXIST)
        status = leat_error_set(err, LEAT_E_SYSTEM, "could not make \"%s\": %s",
                                dev->database_directory, strerror(errno));
    return status;
}

static int
start_postgres(struct leat_dev *dev, struct leat_error *err)
{
    LEAT_AUTO_BUF first = LEAT_BUF_INIT;
    int status = make_database_directory(dev, err);

    if (status == 0)
        status = leat_local_postgres_start(dev->database_directory, &dev->postgres, err);
    if (status != 0)
        return status;
    leat_buf_printf(&first, "%s dbname=postgres", leat_local_postgres_conninfo(dev->postgres));
    snprintf(dev->database, sizeof dev->database, "%s dbname=leat",
             leat_local_postgres_conninfo(dev->postgres));
    status = run_in(leat_buf_text(&first), create_database, "CREATE DATABASE leat", err);
    if (status == 0)
        status = run_in(dev->database, migrate, "lease", err);
    if (status == 0)
        status = run_in(dev->database, migrate, "target", err);
    return status;
}

/* ---- what joins them --------------------------------------------------------------------------- */

static int
write_file(const char *path, const struct leat_buf *text, struct leat_error *err)
{
    FILE *out = fopen(path, "w");
    bool is_written = out != NULL && fwrite(text->data, 1, text->size, out) == text->size;

    if (out != NULL)
        is_written = fclose(out) == 0 && is_written;
    if (!is_written)
        return leat_error_set(err, LEAT_E_SYSTEM, "could not write \"%s\": %s", path,
                              strerror(errno));
    return 0;
}

static int
write_config(struct leat_dev *dev, struct leat_error *err)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;

    leat_buf_printf(&text,
                    "# Written by leat dev: a stream of JSON events, rolled up by the minute.\n"
                    "application: dev\n"
                    "database: \"%s\"\n"
                    "aws:\n"
                    "  region: us-east-1\n"
                    "  endpoints: { kinesis: \"%s\", s3: \"%s\" }\n"
                    "streams:\n",
                    dev->database, leat_local_kinesis_endpoint(dev->kinesis),
                    leat_local_s3_endpoint(dev->s3));
    for (size_t i = 0; i < dev->stream_count; i++)
        leat_buf_printf(&text, "  - %.*s\n", (int)strcspn(dev->streams[i], ":"), dev->streams[i]);
    leat_buf_add_text(&text, "processors:\n"
                             "  - name: rollup\n"
                             "    plugin: rollup\n"
                             "    target: { plugin: postgres }\n"
                             "archive: { url: \"s3://" LEAT_DEV_BUCKET
                             "/leat/{application}/{stream}/\" }\n"
                             "dead_letters: { stream: " LEAT_DEV_DEAD_LETTERS " }\n"
                             "http: { listen: \"127.0.0.1:0\" }   # a free port each; the log "
                             "says which\n");
    return write_file(dev->config, &text, err);
}

static int
write_environment(struct leat_dev *dev, struct leat_error *err)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;

    leat_buf_printf(&text,
                    "# Written by leat dev: for a shell that talks to it.\n"
                    "export AWS_ACCESS_KEY_ID=" LEAT_DEV_KEY " AWS_SECRET_ACCESS_KEY=" LEAT_DEV_KEY
                    " AWS_REGION=us-east-1\n"
                    "unset AWS_SESSION_TOKEN AWS_SECURITY_TOKEN AWS_PROFILE AWS_DEFAULT_PROFILE\n"
                    "export AWS_ENDPOINT_URL_KINESIS=%s AWS_ENDPOINT_URL_S3=%s\n"
                    "export LEAT_CONFIG='%s'\n"
                    "export PGHOST='%s' PGUSER=postgres PGDATABASE=leat\n",
                    leat_local_kinesis_endpoint(dev->kinesis), leat_local_s3_endpoint(dev->s3),
                    dev->config, dev->database_directory);
    if (dev->roles != NULL)
        leat_buf_printf(&text, "export AWS_ENDPOINT_URL_STS=%s\n",
                        leat_local_roles_endpoint(dev->roles));
    return write_file(dev->environment, &text, err);
}

/* The tables that the configured processors write to. */
static int
make_tables(struct leat_dev *dev, struct leat_error *err)
{
    LEAT_AUTO_BUF ddl = LEAT_BUF_INIT;
    struct leat_config *config;
    int status;

    if (leat_config_load(dev->config, NULL, 0, leat_setup_report, NULL, &config) != 0)
        return leat_error_set(err, LEAT_E_INVALID, "the configuration cannot be used");
    status = leat_databases_ddl(config, &ddl);
    leat_config_free(config);
    if (status != LEAT_EXIT_OK)
        return leat_error_set(err, LEAT_E_INVALID, "the processors' tables cannot be made");
    status = run_in(dev->database, leat_pg_script, leat_buf_text(&ddl), err);
    /* 42P07: there from an earlier time in this directory. */
    return status != 0 && strcmp(err->sqlstate, "42P07") == 0 ? 0 : status;
}

int
leat_dev_open(struct leat_dev *dev, struct leat_error *err)
{
    int status = 0;

    snprintf(dev->config, sizeof dev->config, "%s/leat.yaml", dev->directory);
    snprintf(dev->environment, sizeof dev->environment, "%s/env", dev->directory);
    if (dev->role_lifetime_us > 0)
        status = leat_dev_roles_start(dev, err);
    if (status == 0)
        status = start_kinesis(dev, err);
    if (status == 0)
        status = start_s3(dev, err);
    if (status == 0)
        status = start_postgres(dev, err);
    if (status == 0)
        status = write_config(dev, err);
    if (status == 0)
        status = write_environment(dev, err);
    if (status == 0 && dev->roles != NULL)
        status = leat_dev_roles_write(dev, err);
    if (status == 0)
        status = make_tables(dev, err);
    if (status != 0)
        leat_dev_close(dev);
    return status;
}

void
leat_dev_close(struct leat_dev *dev)
{
    leat_local_kinesis_free(dev->kinesis);
    leat_local_s3_free(dev->s3);
    leat_local_roles_free(dev->roles);
    leat_local_postgres_stop(dev->postgres);
    dev->roles = NULL;
    dev->kinesis = NULL;
    dev->s3 = NULL;
    dev->postgres = NULL;
}
