/*
 * A private Postgres for tests: initdb into a temporary directory, on a Unix socket there, as user postgres when we are
 * root; started at first use, ended by its process id when the process that started it ends (not its forks).
 */
#ifndef LEAT_TESTS_POSTGRES_H
#define LEAT_TESTS_POSTGRES_H

#include <stddef.h>

/* Where databases of tests live: TMPDIR, or /tmp when there is none or a socket in it would have too long a path. */
const char *test_database_folder(void);
/* URL of the database "postgres"; aborts with a line that says why when there is no Postgres here. */
const char *test_postgres_url(void);
/* A fresh database; its URL. */
void test_postgres_database(const char *name, char *ret_url, size_t size);
/* -m immediate, and start again. */
void test_postgres_stop(void);
void test_postgres_start(void);

#endif
