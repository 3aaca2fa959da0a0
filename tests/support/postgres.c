/* Starts initdb and pg_ctl by a shell: test code, where short beats clever. */
#include "support/postgres.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "postgres/connection.h"

/* A socket's path, below it, has room for 107 bytes. */
#define LONGEST_FOLDER 40

static char directory[64], url[160];
static pid_t owner;

static int
run(const char *command)
{
    LEAT_AUTO_BUF script = LEAT_BUF_INIT;

    leat_buf_printf(
        &script,
        "D=%s; B=${LEAT_POSTGRES_BIN:-$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | "
        "tail -n 1)}; "
        "cd $D; as() { if [ $(id -u) = 0 ]; then setpriv --reuid=postgres --regid=postgres "
        "--clear-groups env HOME=$D PATH=$B:$PATH \"$@\"; else PATH=$B:$PATH \"$@\"; fi; }; %s",
        directory, command);
    return system(leat_buf_text(&script));
}

void
test_postgres_stop(void)
{
    run("as pg_ctl -D $D/data -m immediate -w stop >/dev/null 2>&1");
}

void
test_postgres_start(void)
{
    if (run("as pg_ctl -D $D/data -l $D/log -w start >/dev/null 2>&1") != 0) {
        fprintf(stderr, "could not start a private postgres, see %s/log\n", directory);
        exit(1);
    }
}

static void
end(void)
{
    if (getpid() != owner)
        return;
    test_postgres_stop();
    run("cd /; rm -rf $D");
}

static void
end_on_signal(int number)
{
    end();
    _exit(128 + number);
}

const char *
test_database_folder(void)
{
    const char *folder = getenv("TMPDIR");

    return folder != NULL && folder[0] != '\0' && strlen(folder) <= LONGEST_FOLDER ? folder
                                                                                   : "/tmp";
}

const char *
test_postgres_url(void)
{
    if (url[0] != '\0')
        return url;
    snprintf(directory, sizeof directory, "%s/leat-test-XXXXXX", test_database_folder());
    if (mkdtemp(directory) == NULL || run("[ $(id -u) != 0 ] || chown postgres $D") != 0 ||
        run("as initdb -D $D/data -U postgres -A trust -E UTF8 --locale=C --no-sync "
            "--no-instructions >$D/initdb.log 2>&1") != 0 ||
        run("cat >>$D/data/postgresql.conf <<C\nlisten_addresses=''\nunix_socket_directories='$D'\n"
            "fsync=off\nsynchronous_commit=off\nfull_page_writes=off\nautovacuum_naptime=5s\njit="
            "off\n"
            "max_connections=60\nC\n") != 0) {
        fprintf(stderr,
                "could not make a private postgres in %s (is postgresql installed? "
                "`make deps`)\n",
                directory);
        exit(1);
    }
    owner = getpid();
    atexit(end);
    signal(SIGTERM, end_on_signal);
    signal(SIGINT, end_on_signal);
    test_postgres_start();
    snprintf(url, sizeof url, "host=%s user=postgres dbname=postgres", directory);
    return url;
}

void
test_postgres_database(const char *name, char *ret_url, size_t size)
{
    struct leat_pg_options options = {
        .search_path = "public", .url = test_postgres_url(), .application_name = "test"};
    struct leat_pg_connection *connection;
    LEAT_AUTO_BUF sql = LEAT_BUF_INIT;
    struct leat_error err;

    leat_buf_printf(&sql, "CREATE DATABASE \"%s\"", name);
    if (leat_pg_connect(&options, &connection, &err) != 0 ||
        leat_pg_script(connection, leat_buf_text(&sql), &err) != 0) {
        fprintf(stderr, "could not create database \"%s\": %s\n", name, err.text);
        exit(1);
    }
    leat_pg_close(connection);
    snprintf(ret_url, size, "host=%s user=postgres dbname=%s", directory, name);
}
