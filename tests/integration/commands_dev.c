/*
 * `leat dev --with-roles`, as a shell finds it: each environment that it writes names a provider that gives credentials, which
 * its Kinesis and S3 take; tokens are replaced in time, and the old ones expire.
 */
#include <check.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <json-c/json.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/memory.h"
#include "support/patience.h"
#include "support/program.h"
#include "support/roles_client.h"

static char directory[] = "/tmp/leat-dev-test-XXXXXX";
static pid_t dev;
static struct leat_error err;

static int
remove_one(const char *path, const struct stat *facts, int type, struct FTW *walk)
{
    return remove(path);
}

/* Reads until the line, or the end: then false. */
static bool
read_until(int fd, const char *line, struct leat_buf *out)
{
    int64_t deadline_us = leat_clock_real_monotonic_us() + PATIENCE_US;
    char piece[4096];

    while (leat_clock_real_monotonic_us() < deadline_us) {
        struct pollfd wait = {fd, POLLIN, 0};
        ssize_t size = poll(&wait, 1, 1000) > 0 ? read(fd, piece, sizeof piece) : -1;

        if (size == 0)
            return false;
        if (size > 0)
            leat_buf_add(out, piece, (size_t)size);
        if (strstr(leat_buf_text(out), line) != NULL)
            return true;
    }
    return false;
}

static void
start(const char *roles_option, struct leat_buf *ret_said)
{
    const char *build = getenv("LEAT_BUILD");
    char program[512];
    int ends[2];

    snprintf(directory, sizeof directory, "/tmp/leat-dev-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    ck_assert_int_eq(chmod(directory, 0755), 0); /* Postgres of root is another user's */
    snprintf(program, sizeof program, "%s/leat", build != NULL ? build : "build/test");
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    dev = fork();
    ck_assert_int_ge(dev, 0);
    if (dev == 0) {
        dup2(ends[1], STDOUT_FILENO);
        execl(program, program, "dev", roles_option, "--directory", directory, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    ck_assert_msg(read_until(ends[0], "\nready\n", ret_said), "%s", leat_buf_text(ret_said));
    close(ends[0]);
}

static void
stop(void)
{
    int status;

    if (dev <= 0)
        return;
    kill(dev, SIGTERM);
    ck_assert_int_eq(waitpid(dev, &status, 0), dev);
    dev = 0;
    nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%d", status);
}

/* What a shell says that sourced this file, without the line end. */
static void
in_shell(const char *file, const char *command, char *ret_text, size_t size)
{
    LEAT_AUTO_BUF line = LEAT_BUF_INIT;
    FILE *shell;
    size_t got;

    leat_buf_printf(&line, "AWS_ACCESS_KEY_ID=left AWS_ROLE_ARN=over; export AWS_ROLE_ARN; ");
    leat_buf_printf(&line, ". %s/%s; %s", directory, file, command);
    shell = popen(leat_buf_text(&line), "r");
    ck_assert_ptr_nonnull(shell);
    got = fread(ret_text, 1, size - 1, shell);
    ck_assert_int_eq(pclose(shell), 0);
    while (got > 0 && ret_text[got - 1] == '\n')
        got--;
    ret_text[got] = '\0';
}

static void
variable(const char *file, const char *name, char *ret_text, size_t size)
{
    char command[128];

    snprintf(command, sizeof command, "printf %%s \"$%s\"", name);
    in_shell(file, command, ret_text, size);
}

static uint16_t
port_in(const char *file, const char *name)
{
    char url[256];
    unsigned port;

    variable(file, name, url, sizeof url);
    ck_assert_msg(sscanf(url, "http://127.0.0.1:%u", &port) == 1, "%s=%s", name, url);
    return (uint16_t)port;
}

static void
check_secret_file(const char *path, char *ret_text, size_t size)
{
    struct stat facts;
    FILE *in = fopen(path, "r");

    ck_assert_msg(in != NULL, "%s", path);
    ck_assert_int_eq(fstat(fileno(in), &facts), 0);
    ck_assert_uint_eq(facts.st_mode & 0777, 0600);
    ret_text[fread(ret_text, 1, size - 1, in)] = '\0';
    fclose(in);
}

static void
check_at_kinesis(const struct leat_credentials *by, int status, const char *says)
{
    struct wish wish = {.method = "POST",
                        .path = "/",
                        .body = "{}",
                        .headers = {"x-amz-target: Kinesis_20131202.ListStreams",
                                    "content-type: application/x-amz-json-1.1"},
                        .by = by,
                        .service = "kinesis",
                        .port = port_in("env", "AWS_ENDPOINT_URL_KINESIS")};
    struct wish list = {.method = "GET",
                        .path = "/",
                        .by = by,
                        .service = "s3",
                        .port = port_in("env", "AWS_ENDPOINT_URL_S3")};
    AUTO_REPLY of_kinesis, of_s3;

    roles_ask(&wish, &of_kinesis);
    roles_check_says(&of_kinesis, status, says);
    roles_ask(&list, &of_s3);
    ck_assert_int_eq(of_s3.status, status == 200 ? 200 : 403);
}

static void
check_given(struct given *given)
{
    check_at_kinesis(&given->credentials, 200, "observations");
    leat_credentials_release(&given->credentials);
}

static void
ask_web_identity(const char *token, struct reply *reply)
{
    LEAT_AUTO_BUF form = LEAT_BUF_INIT;
    char arn[256];
    struct wish wish;

    variable("env-web-identity", "AWS_ROLE_ARN", arn, sizeof arn);
    leat_buf_printf(&form,
                    "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleSessionName=test"
                    "&RoleArn=%s&WebIdentityToken=%s",
                    arn, token);
    wish = roles_sts(leat_buf_text(&form), NULL);
    wish.port = port_in("env-web-identity", "AWS_ENDPOINT_URL_STS");
    roles_ask(&wish, reply);
}

static void
check_web_identity(void)
{
    char path[256], token[4096];
    struct given given;
    AUTO_REPLY reply;

    variable("env-web-identity", "AWS_WEB_IDENTITY_TOKEN_FILE", path, sizeof path);
    check_secret_file(path, token, sizeof token);
    ask_web_identity(token, &reply);
    roles_check_says(&reply, 200, "<Credentials>");
    roles_get_xml(&reply, &given);
    check_given(&given);
}

static void
check_container(void)
{
    char path[256], token[4096], header[4200];
    struct wish wish = {.method = "GET", .path = LEAT_LOCAL_CONTAINER_PATH, .headers = {header}};
    struct given given;
    AUTO_REPLY reply;

    variable("env-container", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", path, sizeof path);
    check_secret_file(path, token, sizeof token);
    snprintf(header, sizeof header, "Authorization: %s", token);
    wish.port = port_in("env-container", "AWS_CONTAINER_CREDENTIALS_FULL_URI");
    roles_ask(&wish, &reply);
    roles_check_says(&reply, 200, "AccessKeyId");
    roles_get_json(&reply, &given);
    check_given(&given);
}

static void
check_instance(void)
{
    uint16_t port = port_in("env-instance", "AWS_EC2_METADATA_SERVICE_ENDPOINT");
    char header[160], path[128];
    struct wish put = {
        .method = "PUT", .path = "/latest/api/token", .headers = {TTL "60"}, .port = port};
    struct wish get = {.method = "GET", .path = LIST, .headers = {header}, .port = port};
    struct given given;
    AUTO_REPLY token, role, credentials;

    roles_ask(&put, &token);
    snprintf(header, sizeof header, "x-aws-ec2-metadata-token: %s", leat_buf_text(&token.body));
    roles_ask(&get, &role);
    snprintf(path, sizeof path, LIST "%s", leat_buf_text(&role.body));
    get.path = path;
    roles_ask(&get, &credentials);
    roles_check_says(&credentials, 200, "AccessKeyId");
    roles_get_json(&credentials, &given);
    check_given(&given);
}

/* The credential process of the profile, run as it is written. */
static void
check_process(void)
{
    char text[4096];
    struct json_object *root;
    struct leat_slice id, secret, token;
    struct given given = {.credentials = {0}};

    in_shell("env-profile", "eval \"$(sed -n 's/^credential_process = //p' \"$AWS_CONFIG_FILE\")\"",
             text, sizeof text);
    ck_assert_msg(leat_json_parse(leat_slice_from(text), &root, &err) == 0, "%s", text);
    ck_assert(leat_json_get_text(root, "AccessKeyId", &id));
    ck_assert(leat_json_get_text(root, "SecretAccessKey", &secret));
    ck_assert(leat_json_get_text(root, "SessionToken", &token));
    leat_credentials_set(&given.credentials, id, secret, token);
    json_object_put(root);
    check_given(&given);
}

START_TEST(each_environment_gives_credentials_that_are_taken)
{
    static const char *const files[] = {"env-web-identity", "env-container", "env-instance",
                                        "env-profile"};
    struct leat_credentials keys = {0}, stranger = {0};
    LEAT_AUTO_BUF said = LEAT_BUF_INIT;
    char text[256];

    start("--with-roles=1h", &said);
    for (size_t i = 0; i < LEAT_COUNT_OF(files); i++) {
        ck_assert_msg(strstr(leat_buf_text(&said), files[i]) != NULL, "%s", files[i]);
        variable(files[i], "AWS_ACCESS_KEY_ID", text, sizeof text);
        ck_assert_str_eq(text, ""); /* would win over all that is shown here */
        variable(files[i], "AWS_ROLE_ARN", text, sizeof text);
        ck_assert_str_eq(text, i == 0 ? LEAT_LOCAL_ROLE_ARN : "");
    }
    check_web_identity();
    check_container();
    check_instance();
    check_process();
    leat_credentials_set(&keys, leat_slice_from("leat"), leat_slice_from("leat"),
                         leat_slice_from(""));
    check_at_kinesis(&keys, 200, "observations");
    leat_credentials_set(&stranger, leat_slice_from("ASIASTRANGER"), leat_slice_from("leat"),
                         leat_slice_from("token"));
    check_at_kinesis(&stranger, 400, "UnrecognizedClientException");
    leat_credentials_release(&keys);
    leat_credentials_release(&stranger);
}
END_TEST

/* Every file is there and whole whenever it is read, and says something else in time; then the first token expires. */
START_TEST(tokens_are_replaced_and_the_old_ones_expire)
{
    static const char *const names[] = {"web-identity-token", "container-token",
                                        "credential-process.json"};
    int64_t deadline_us = leat_clock_real_monotonic_us() + PATIENCE_US;
    LEAT_AUTO_BUF said = LEAT_BUF_INIT;
    char first[3][4096], now[4096], path[256];
    bool is_expired = false;

    start("--with-roles=5s", &said); /* the last question takes a part of it, on any machine */
    for (size_t i = 0; i < LEAT_COUNT_OF(names); i++) {
        snprintf(path, sizeof path, "%s/%s", directory, names[i]);
        check_secret_file(path, first[i], sizeof first[i]);
    }
    for (size_t i = 0; i < LEAT_COUNT_OF(names); i++) {
        snprintf(path, sizeof path, "%s/%s", directory, names[i]);
        do {
            ck_assert_int_lt(leat_clock_real_monotonic_us(), deadline_us);
            poll(NULL, 0, 20);
            check_secret_file(path, now, sizeof now);
            ck_assert_uint_gt(strlen(now), 90);
        } while (strcmp(now, first[i]) == 0);
    }
    while (!is_expired) {
        AUTO_REPLY reply;

        ck_assert_int_lt(leat_clock_real_monotonic_us(), deadline_us);
        ask_web_identity(first[0], &reply);
        is_expired = reply.status != 200;
        if (is_expired)
            roles_check_says(&reply, 400, "<Code>ExpiredTokenException</Code>");
        poll(NULL, 0, 20);
    }
    check_web_identity(); /* with what the file says now */
}
END_TEST

START_TEST(a_lifetime_that_is_none_is_refused)
{
    static const char *const wrong[] = {"--with-roles=1s", "--with-roles=13h", "--with-roles=soon",
                                        "--with-roles="};
    struct program_run run;

    for (size_t i = 0; i < LEAT_COUNT_OF(wrong); i++) {
        program_run(&run, NULL, (const char *const[]){"dev", wrong[i], NULL});
        ck_assert_int_eq(run.code, 2);
        ck_assert_msg(strstr(leat_buf_text(&run.err), "a lifetime is 2s to 12h") != NULL, "%s",
                      leat_buf_text(&run.err));
        program_run_release(&run);
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("commands_dev");
    TCase *tests = tcase_create("commands_dev");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tests, 240);
    tcase_add_checked_fixture(tests, NULL, stop);
    tcase_add_test(tests, each_environment_gives_credentials_that_are_taken);
    tcase_add_test(tests, tokens_are_replaced_and_the_old_ones_expire);
    tcase_add_test(tests, a_lifetime_that_is_none_is_refused);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
