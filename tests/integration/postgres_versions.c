/* A server that is too old is refused by name, by every command; by a server of ours that only greets. */
#include <arpa/inet.h>
#include <check.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/thread.h"
#include "base/units.h"
#include "postgres/connection.h"
#include "support/program.h"

static int listener;
static unsigned port;
static const char *version;

static void
add_message(struct leat_buf *out, char kind, const void *body, size_t size)
{
    uint32_t length = htonl((uint32_t)size + 4);

    leat_buf_add_byte(out, (unsigned char)kind);
    leat_buf_add(out, &length, sizeof length);
    leat_buf_add(out, body, size);
}

/* One connection: no SSL, no password, this version, ready. Whatever is asked then ends it. */
static void
greet(void *context)
{
    LEAT_AUTO_BUF hello = LEAT_BUF_INIT;
    LEAT_AUTO_BUF parameter = LEAT_BUF_INIT;
    char asked[1024];
    int fd = accept(listener, NULL, NULL);
    ssize_t size = read(fd, asked, sizeof asked);

    leat_buf_add(&parameter, "server_version", sizeof "server_version");
    leat_buf_add(&parameter, version, strlen(version) + 1);
    if (size == 8 || size == 12) { /* SSLRequest: no */
        ck_assert_int_eq(write(fd, "N", 1), 1);
        size = read(fd, asked, sizeof asked);
    }
    add_message(&hello, 'R', "\0\0\0\0", 4);
    add_message(&hello, 'S', parameter.data, parameter.size);
    add_message(&hello, 'K', "\0\0\0\1\0\0\0\1", 8);
    add_message(&hello, 'Z', "I", 1);
    ck_assert_int_eq(write(fd, hello.data, hello.size), (ssize_t)hello.size);
    (void)!read(fd, asked, sizeof asked);
    close(fd);
}

static void
setup(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr *any = (struct sockaddr *)(void *)&address;
    socklen_t size = sizeof address;

    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(listener, any, size), 0);
    ck_assert_int_eq(listen(listener, 8), 0);
    ck_assert_int_eq(getsockname(listener, any, &size), 0);
    port = ntohs(address.sin_port);
}

START_TEST(too_old_ones_are_refused_by_name)
{
    static const char *const old[] = {"9.6.24", "10.3", "13.23 (Debian 13.23-0+deb11u1)"};
    struct leat_pg_connection *connection;
    struct leat_thread server = {0};
    struct leat_error err = {0};
    char url[100];
    struct leat_pg_options options = {.url = url, .application_name = "test"};

    snprintf(url, sizeof url, "host=127.0.0.1 port=%u user=leat dbname=leat gssencmode=disable",
             port);
    version = old[_i];
    ck_assert_int_eq(leat_thread_start(&server, "server", greet, NULL, &err), 0);
    ck_assert_int_eq(leat_pg_connect(&options, &connection, &err), LEAT_E_INVALID);
    ck_assert(!err.is_retryable);
    ck_assert_ptr_nonnull(strstr(err.text, old[_i]));
    ck_assert_ptr_nonnull(strstr(err.text, "leat needs 14 or a newer one"));
    leat_thread_join(&server);
}
END_TEST

/* Newer ones, and poolers that say nothing, are asked: this one does not answer. */
START_TEST(others_are_asked)
{
    static const char *const newer[] = {"14.0", "17.5 (Debian 17.5-1)", "19devel", "?"};
    struct leat_pg_connection *connection;
    struct leat_thread server = {0};
    struct leat_error err = {0};
    char url[100];
    struct leat_pg_options options = {.url = url, .application_name = "test"};

    snprintf(url, sizeof url, "host=127.0.0.1 port=%u user=leat dbname=leat gssencmode=disable",
             port);
    version = newer[_i];
    ck_assert_int_eq(leat_thread_start(&server, "server", greet, NULL, &err), 0);
    ck_assert_int_ne(leat_pg_connect(&options, &connection, &err), 0);
    ck_assert_ptr_null(strstr(err.text, "leat needs"));
    leat_thread_join(&server);
}
END_TEST

START_TEST(a_command_says_it)
{
    struct program_run run;
    struct leat_thread server = {0};
    struct leat_error err = {0};
    char url[100];

    snprintf(url, sizeof url, "host=127.0.0.1 port=%u user=leat dbname=leat gssencmode=disable",
             port);
    version = "12.22";
    ck_assert_int_eq(leat_thread_start(&server, "server", greet, NULL, &err), 0);
    program_run(&run, NULL, (const char *const[]){"db", "status", "--database", url, NULL});
    leat_thread_join(&server);
    ck_assert_int_eq(run.code, 1);
    ck_assert_msg(strstr(leat_buf_text(&run.err), "its version is 12.22") != NULL, "%s",
                  leat_buf_text(&run.err));
    program_run_release(&run);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("postgres_versions");
    TCase *tcase = tcase_create("versions");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, too_old_ones_are_refused_by_name, 0, 3);
    tcase_add_loop_test(tcase, others_are_asked, 0, 4);
    tcase_add_test(tcase, a_command_says_it);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
