/* The archive's url, and a folder as archive: idempotent by name, never a half-written letter. */
#include "failure/archive.h"

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/random.h"

static char folder[64];
static struct leat_error err;

static void
setup(void)
{
    snprintf(folder, sizeof folder, "/tmp/leat-archive-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void
teardown(void)
{
    LEAT_AUTO_BUF command = LEAT_BUF_INIT;

    leat_buf_printf(&command, "rm -rf %s", folder);
    ck_assert_int_eq(system(leat_buf_text(&command)), 0);
}

static void
check_content(const char *name, const char *expected)
{
    LEAT_AUTO_BUF path = LEAT_BUF_INIT;
    char text[100] = "";
    FILE *in;

    leat_buf_printf(&path, "%s/%s", folder, name);
    in = fopen(leat_buf_text(&path), "r");
    ck_assert_msg(in != NULL, "%s is not there", leat_buf_text(&path));
    ck_assert_uint_eq(fread(text, 1, sizeof text - 1, in), strlen(expected));
    fclose(in);
    ck_assert_str_eq(text, expected);
}

static const char *const endings[] = {"", "/", "/{application}/{stream}/",
                                      "/{application}/{stream}"};

START_TEST(test_a_folder_keeps_a_letter)
{
    LEAT_AUTO_BUF url = LEAT_BUF_INIT;
    LEAT_AUTO_BUF found = LEAT_BUF_INIT;
    struct leat_archive *archive;

    leat_buf_printf(&url, "file://%s%s", folder, endings[_i]);
    ck_assert_msg(leat_archive_open(leat_buf_text(&url), NULL, &archive, &err) == 0, "%s",
                  err.text);
    for (int i = 0; i < 2; i++) {
        leat_buf_clear(&found);
        ck_assert_msg(leat_archive_put(archive, "app/orders/2026-01-31/ab.json",
                                       leat_slice_from("{\"a\":1}"), &found, &err) == 0,
                      "%s", err.text);
    }
    leat_archive_close(archive);
    ck_assert_ptr_nonnull(strstr(leat_buf_text(&found), "app/orders/2026-01-31/ab.json"));
    check_content("app/orders/2026-01-31/ab.json", "{\"a\":1}");
}
END_TEST

static const char *const wrong[] = {"file:///tmp/{stream}/x", "s3://bucket/{worker}/", "ftp://x/y",
                                    "/var/lib/leat", "s3:///prefix"};

START_TEST(test_a_wrong_url_is_named)
{
    struct leat_archive *archive;
    struct leat_aws aws = {.region = "eu-west-1"};

    ck_assert_int_eq(leat_archive_open(wrong[_i], &aws, &archive, &err), LEAT_E_INVALID);
    ck_assert_msg(strstr(err.text, wrong[_i]) != NULL, "%s", err.text);
}
END_TEST

/* ---- names ------------------------------------------------------------------------------------------ */

static const struct {
    const char *application, *stream, *wanted; /* before /day/id.json */
} names[] = {
    {"weather", "events", "weather/events"},
    {"..", ".", "!2E./!2E"},
    {"../../etc", "a/b", "!2E.!2F..!2Fetc/a!2Fb"},
    {"a b", "ü", "a!20b/!C3!BC"},
    {"a!2Fb", ".hidden", "a!212Fb/!2Ehidden"},
    {"", "v1.2_x-y", "!/v1.2_x-y"},
    {"\n", "C:\\", "!0A/C!3A!5C"},
};

START_TEST(test_a_name_stays_below_the_root)
{
    LEAT_AUTO_BUF name = LEAT_BUF_INIT, wanted = LEAT_BUF_INIT;

    leat_archive_name(leat_slice_from(names[_i].application), leat_slice_from(names[_i].stream),
                      "2026-01-31", "ab", &name);
    leat_buf_printf(&wanted, "%s/2026-01-31/ab.json", names[_i].wanted);
    ck_assert_str_eq(leat_buf_text(&name), leat_buf_text(&wanted));
}
END_TEST

START_TEST(test_a_zero_byte_is_a_letter_like_others)
{
    LEAT_AUTO_BUF name = LEAT_BUF_INIT;

    leat_archive_name(leat_slice_make("a\0b", 3), leat_slice_from("s"), "d", "i", &name);
    ck_assert_str_eq(leat_buf_text(&name), "a!00b/s/d/i.json");
}
END_TEST

START_TEST(test_long_names_differ_and_fit)
{
    LEAT_AUTO_BUF one = LEAT_BUF_INIT, two = LEAT_BUF_INIT;
    char long_name[3000];

    memset(long_name, 'x', sizeof long_name);
    leat_archive_name(leat_slice_make(long_name, 2999), leat_slice_from("s"), "d", "i", &one);
    leat_archive_name(leat_slice_make(long_name, 3000), leat_slice_from("s"), "d", "i", &two);
    ck_assert_str_ne(leat_buf_text(&one), leat_buf_text(&two));
    ck_assert_uint_lt(one.size, 255);
    memset(long_name, '/', sizeof long_name);
    leat_buf_clear(&one);
    leat_archive_name(leat_slice_make(long_name, 3000), leat_slice_make(long_name, 128),
                      "2026-01-31",
                      "0123456789012345678901234567890123456789012345678901234567890123", &one);
    ck_assert_uint_lt(one.size, 500);
}
END_TEST

/* Random names of few letters, so that they would meet if they could. */
START_TEST(test_two_names_never_become_one)
{
    static const char letters[] = {'.', '/', '!', '2', 'F', 'E', '\0', 'a'};
    struct leat_random random;

    leat_random_seed(&random, 3);
    for (int i = 0; i < 20000; i++) {
        char texts[2][6];
        size_t sizes[2];
        LEAT_AUTO_BUF one = LEAT_BUF_INIT, two = LEAT_BUF_INIT;
        bool are_equal;

        for (int t = 0; t < 2; t++) {
            sizes[t] = (size_t)leat_random_below(&random, sizeof texts[t] + 1);
            for (size_t k = 0; k < sizes[t]; k++)
                texts[t][k] = letters[leat_random_below(&random, sizeof letters)];
        }
        leat_archive_name(leat_slice_make(texts[0], sizes[0]), leat_slice_from("s"), "d", "i",
                          &one);
        leat_archive_name(leat_slice_make(texts[1], sizes[1]), leat_slice_from("s"), "d", "i",
                          &two);
        are_equal = sizes[0] == sizes[1] && memcmp(texts[0], texts[1], sizes[0]) == 0;
        ck_assert_int_eq(are_equal, leat_slice_equals(leat_buf_slice(&one), leat_buf_slice(&two)));
    }
}
END_TEST

/* ---- the folder --------------------------------------------------------------------------------------- */

static struct leat_archive *
open_folder(void)
{
    LEAT_AUTO_BUF url = LEAT_BUF_INIT;
    struct leat_archive *archive;

    leat_buf_printf(&url, "file://%s", folder);
    ck_assert_msg(leat_archive_open(leat_buf_text(&url), NULL, &archive, &err) == 0, "%s",
                  err.text);
    return archive;
}

static int
put_one(const char *name)
{
    struct leat_archive *archive = open_folder();
    LEAT_AUTO_BUF found = LEAT_BUF_INIT;
    int status = leat_archive_put(archive, name, leat_slice_from("{}"), &found, &err);

    leat_archive_close(archive);
    return status;
}

static void
path_of(const char *name, char path[200])
{
    snprintf(path, 200, "%s/%s", folder, name);
}

static unsigned
mode_of(const char *name)
{
    char path[200];
    struct stat found;

    path_of(name, path);
    ck_assert_int_eq(lstat(path, &found), 0);
    return found.st_mode & 07777;
}

START_TEST(test_nobody_else_may_read_letters)
{
    mode_t old = umask(0);

    ck_assert_int_eq(put_one("app/orders/2026-01-31/ab.json"), 0);
    umask(old);
    ck_assert_uint_eq(mode_of("app/orders/2026-01-31/ab.json"), 0640);
    ck_assert_uint_eq(mode_of("app"), 0750);
    ck_assert_uint_eq(mode_of("app/orders/2026-01-31"), 0750);
    ck_assert_uint_eq(mode_of(".part"), 0750);
}
END_TEST

static const char *const linked[] = {"app", "app/orders", "app/orders/2026-01-31", ".part"};

START_TEST(test_no_link_is_followed)
{
    char path[200], elsewhere[100];
    LEAT_AUTO_BUF command = LEAT_BUF_INIT;

    ck_assert_int_eq(put_one("app/orders/2026-01-31/ab.json"), 0);
    path_of(linked[_i], path);
    snprintf(elsewhere, sizeof elsewhere, "%s-elsewhere", folder);
    leat_buf_printf(&command, "rm -rf %s && mkdir %s && ln -s %s %s", path, elsewhere, elsewhere,
                    path);
    ck_assert_int_eq(system(leat_buf_text(&command)), 0);
    ck_assert_int_eq(put_one("app/orders/2026-01-31/ab.json"), LEAT_E_DENIED);
    ck_assert_msg(strstr(err.text, "link") != NULL, "%s", err.text);
    ck_assert_int_eq(rmdir(elsewhere), 0); /* nothing is in it */
}
END_TEST

START_TEST(test_a_link_in_a_letters_place_is_replaced)
{
    char path[200];

    ck_assert_int_eq(put_one("app/orders/2026-01-31/ab.json"), 0);
    path_of("app/orders/2026-01-31/ab.json", path);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(symlink("/etc/hostname-that-is-none", path), 0);
    ck_assert_int_eq(put_one("app/orders/2026-01-31/ab.json"), 0);
    check_content("app/orders/2026-01-31/ab.json", "{}");
}
END_TEST

static int
count_parts(void)
{
    char path[200];
    DIR *parts;
    int count = 0;

    path_of(".part", path);
    parts = opendir(path);
    ck_assert_ptr_nonnull(parts);
    for (const struct dirent *entry = readdir(parts); entry != NULL; entry = readdir(parts))
        count += entry->d_name[0] != '.';
    closedir(parts);
    return count;
}

/* What a killed worker left is removed by the next; what a living one writes is not. */
START_TEST(test_what_the_dead_left_is_removed)
{
    char dead[200], living[200];
    int locked, ready[2];
    char byte;
    pid_t child;

    ck_assert_int_eq(put_one("app/orders/2026-01-31/ab.json"), 0);
    ck_assert_int_eq(count_parts(), 0);
    path_of(".part/1-dead", dead);
    path_of(".part/2-living", living);
    ck_assert_int_eq(pipe(ready), 0);
    child = fork();
    if (child == 0) { /* is killed while it writes */
        int fd = open(dead, O_RDWR | O_CREAT, 0600);

        if (fd < 0 || flock(fd, LOCK_EX) != 0 || write(ready[1], "x", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    locked = open(living, O_RDWR | O_CREAT, 0600);
    ck_assert_int_eq(flock(locked, LOCK_EX), 0);
    leat_archive_close(open_folder());
    ck_assert_int_eq(count_parts(), 2);
    kill(child, SIGKILL);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    leat_archive_close(open_folder());
    ck_assert_int_eq(count_parts(), 1);
    close(locked);
    leat_archive_close(open_folder());
    ck_assert_int_eq(count_parts(), 0);
}
END_TEST

struct group_answer {
    int status, count;
};

static void
on_group(void *context, int status, struct leat_slice url, const struct leat_error *why)
{
    struct group_answer *answer = context;

    (void)url;
    (void)why;
    answer->status = status;
    answer->count++;
}

/* One that cannot be written is told alone. */
START_TEST(test_a_group_fails_one_by_one)
{
    struct leat_archive *archive = open_folder();
    struct group_answer answers[100] = {{0}};
    char files[100][60], path[200];
    int done = 0;

    ck_assert_int_eq(put_one("app/b/2026-01-31/x.json"), 0);
    path_of("app/b/2026-01-31/51.json", path);
    ck_assert_int_eq(mkdir(path, 0700), 0); /* in the letter's place */
    for (int i = 0; i < 100; i++) {
        struct leat_archive_put put = {files[i], leat_slice_from("{}"), on_group, &answers[i]};

        snprintf(files[i], sizeof files[i], "app/%s/2026-01-31/%d.json", i % 2 ? "b" : "c", i);
        archive->ops->start(archive, &put);
    }
    while (done < 100) {
        archive->ops->run(archive, 0);
        done = 0;
        for (int i = 0; i < 100; i++)
            done += answers[i].count;
    }
    for (int i = 0; i < 100; i++) {
        ck_assert_int_eq(answers[i].count, 1);
        ck_assert_int_eq(answers[i].status, i == 51 ? LEAT_E_DENIED : 0);
    }
    ck_assert_int_eq(count_parts(), 0);
    leat_archive_close(archive);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("archive");
    TCase *tests = tcase_create("archive");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, test_a_folder_keeps_a_letter, 0, 4);
    tcase_add_loop_test(tests, test_a_wrong_url_is_named, 0, 5);
    tcase_add_loop_test(tests, test_a_name_stays_below_the_root, 0, (int)LEAT_COUNT_OF(names));
    tcase_add_test(tests, test_a_zero_byte_is_a_letter_like_others);
    tcase_add_test(tests, test_long_names_differ_and_fit);
    tcase_add_test(tests, test_two_names_never_become_one);
    tcase_add_test(tests, test_nobody_else_may_read_letters);
    tcase_add_loop_test(tests, test_no_link_is_followed, 0, (int)LEAT_COUNT_OF(linked));
    tcase_add_test(tests, test_a_link_in_a_letters_place_is_replaced);
    tcase_add_test(tests, test_what_the_dead_left_is_removed);
    tcase_add_test(tests, test_a_group_fails_one_by_one);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
