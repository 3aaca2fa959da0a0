/* TLS: only who the bundle vouches for is talked to: by option, by AWS_CA_BUNDLE, and never otherwise. */
#include <arpa/inet.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "aws/http.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/thread.h"
#include "support/patience.h"

#include <check.h>

static char bundle[64], url[64];
static int listener = -1;
static SSL_CTX *context;
static struct leat_thread server;
static _Atomic bool is_stopping;

/* ---- a server with a certificate of its own --------------------------------------------------- */

static void
make_certificate(const char *name)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    X509_EXTENSION *names;
    X509_NAME *subject = X509_get_subject_name(certificate);
    char text[80];
    FILE *out;
    int fd;

    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)"leat test", -1,
                               -1, 0);
    X509_set_issuer_name(certificate, subject);
    X509_set_pubkey(certificate, key);
    snprintf(text, sizeof text, "%s", name);
    names = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, text);
    ck_assert_ptr_nonnull(names);
    X509_add_ext(certificate, names, -1);
    X509_EXTENSION_free(names);
    ck_assert_int_gt(X509_sign(certificate, key, EVP_sha256()), 0);
    snprintf(bundle, sizeof bundle, "/tmp/leat-tls-XXXXXX");
    fd = mkstemp(bundle);
    ck_assert_int_ge(fd, 0);
    out = fdopen(fd, "w");
    PEM_write_X509(out, certificate);
    fclose(out);
    context = SSL_CTX_new(TLS_server_method());
    ck_assert_int_eq(SSL_CTX_use_certificate(context, certificate), 1);
    ck_assert_int_eq(SSL_CTX_use_PrivateKey(context, key), 1);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static void
answer(int fd)
{
    static const char text[] =
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";
    SSL *ssl = SSL_new(context);
    char request[2000];

    SSL_set_fd(ssl, fd);
    if (SSL_accept(ssl) == 1 && SSL_read(ssl, request, sizeof request) > 0) {
        SSL_write(ssl, text, sizeof text - 1);
        SSL_shutdown(ssl);
    }
    SSL_free(ssl);
    close(fd);
}

static void
serve(void *unused)
{
    while (!is_stopping) {
        int fd = accept(listener, NULL, NULL);

        if (fd >= 0 && !is_stopping)
            answer(fd);
        else if (fd >= 0)
            close(fd);
    }
}

static void
start_server(const char *name)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    struct leat_error err;

    make_certificate(name);
    listener = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(listener, 8), 0);
    getsockname(listener, (struct sockaddr *)&address, &size);
    snprintf(url, sizeof url, "https://127.0.0.1:%u/", ntohs(address.sin_port));
    is_stopping = false;
    ck_assert_int_eq(leat_thread_start(&server, "tls", serve, NULL, &err), 0);
}

static void
stop_server(void)
{
    is_stopping = true;
    shutdown(listener, SHUT_RDWR);
    leat_thread_join(&server);
    close(listener);
    SSL_CTX_free(context);
    unlink(bundle);
}

/* ---- a client ---------------------------------------------------------------------------------- */

struct seen {
    bool is_done;
    int result, status;
    char text[LEAT_ERROR_TEXT_BYTES];
};

static void
done(void *seen_context, const struct leat_http_answer *got)
{
    struct seen *seen = seen_context;

    seen->is_done = true;
    seen->result = got->result;
    seen->status = got->status;
    snprintf(seen->text, sizeof seen->text, "%s", got->err.text);
}

static struct seen
get(const char *ca_bundle)
{
    struct leat_event_loop_options options = {.ca_bundle = ca_bundle};
    struct leat_error err;
    struct leat_event_loop *loop = leat_event_loop_new(&options, &err);
    struct seen seen = {.is_done = false};
    struct leat_http_request request = {
        .method = "GET", .url = url, .timeout_us = PATIENCE_US / 2, .done = done, .context = &seen};
    int64_t deadline_us = leat_clock_monotonic_us() + PATIENCE_US;

    ck_assert_msg(loop != NULL, "%s", err.text);
    leat_http_start(loop, &request);
    while (!seen.is_done && leat_clock_monotonic_us() < deadline_us)
        leat_event_loop_run_once(loop, leat_clock_monotonic_us() + 100 * LEAT_MS_US);
    leat_event_loop_free(loop);
    ck_assert(seen.is_done);
    return seen;
}

START_TEST(test_vouched_for_by_the_option)
{
    struct seen seen;

    start_server("IP:127.0.0.1");
    seen = get(bundle);
    stop_server();
    ck_assert_msg(seen.result == 0, "%s", seen.text);
    ck_assert_int_eq(seen.status, 200);
}
END_TEST

START_TEST(test_vouched_for_by_the_environment)
{
    struct seen seen;

    start_server("IP:127.0.0.1");
    setenv("AWS_CA_BUNDLE", bundle, 1);
    seen = get(NULL);
    unsetenv("AWS_CA_BUNDLE");
    stop_server();
    ck_assert_msg(seen.result == 0, "%s", seen.text);
    ck_assert_int_eq(seen.status, 200);
}
END_TEST

START_TEST(test_nobody_vouches)
{
    struct seen seen;

    unsetenv("AWS_CA_BUNDLE");
    start_server("IP:127.0.0.1");
    seen = get(NULL);
    stop_server();
    ck_assert_int_ne(seen.result, 0);
    ck_assert_int_eq(seen.status, 0);
    ck_assert_msg(strstr(seen.text, "certificate") != NULL, "%s", seen.text);
}
END_TEST

START_TEST(test_another_host_s_certificate)
{
    struct seen seen;

    start_server("DNS:kinesis.example.com");
    seen = get(bundle);
    stop_server();
    ck_assert_int_ne(seen.result, 0);
    ck_assert_int_eq(seen.status, 0);
}
END_TEST

START_TEST(test_a_bundle_that_is_not_there)
{
    struct seen seen;

    start_server("IP:127.0.0.1");
    seen = get("/nonexistent/bundle.pem");
    stop_server();
    ck_assert_int_ne(seen.result, 0);
    ck_assert_msg(strstr(seen.text, "/nonexistent/bundle.pem") != NULL, "%s", seen.text);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("tls");
    TCase *tests = tcase_create("tls");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tests, 30);
    tcase_add_test(tests, test_vouched_for_by_the_option);
    tcase_add_test(tests, test_vouched_for_by_the_environment);
    tcase_add_test(tests, test_nobody_vouches);
    tcase_add_test(tests, test_another_host_s_certificate);
    tcase_add_test(tests, test_a_bundle_that_is_not_there);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
