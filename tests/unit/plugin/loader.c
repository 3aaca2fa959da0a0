/* Every way in which a plugin can be wrong, each with a message of its own that says what to do. */
#include "plugin/loader.h"

#include <check.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/memory.h"

static struct leat_error err;
static char directory[4096];

static void
setup(void)
{
    const char *build = getenv("LEAT_BUILD");

    snprintf(directory, sizeof directory, "%s/badplugins", build != NULL ? build : "build/test");
}

static int
load(const char *name, const char *sha256)
{
    struct leat_plugin_path path = {directory};
    const struct leat_processor *processor;

    return leat_plugin_load_processor(&path, name, sha256, &processor, &err);
}

START_TEST(test_a_good_one_is_loaded)
{
    ck_assert_msg(load("good", NULL) == 0, "%s", err.text);
}
END_TEST

static const struct {
    const char *name, *says;
} refusals[] = {
    {"no_symbol", "no symbol leat_processor_v1"},
    {"wrong_major", "was built for version 2"},
    {"newer_minor", "needs version 1.1"},
    {"short_struct", "has 48 bytes"},
    {"no_name", "has no name"},
    {"no_process", "no process function"},
    {"no_descriptor", "no descriptor"},
    {"bad_table", "LEAT_INEXACT"},
    {"not_there", "could not find plugin \"not_there\""},
    {"/nonexistent/x.so", "No such file"},
    {"/", "not a regular file"},
};

START_TEST(test_a_bad_one_is_refused_by_name)
{
    ck_assert_int_ne(load(refusals[_i].name, NULL), 0);
    ck_assert_msg(strstr(err.text, refusals[_i].says) != NULL, "\"%s\" does not say \"%s\"",
                  err.text, refusals[_i].says);
}
END_TEST

static void
copy_good(char *ret_file, size_t size, mode_t mode)
{
    LEAT_AUTO_BUF command = LEAT_BUF_INIT;

    snprintf(ret_file, size, "/tmp/leat-plugin-%d.so", (int)getpid());
    leat_buf_printf(&command, "cp %s/good.so %s", directory, ret_file);
    ck_assert_int_eq(system(leat_buf_text(&command)), 0);
    ck_assert_int_eq(chmod(ret_file, mode), 0);
}

START_TEST(test_one_that_others_may_write_is_refused)
{
    char file[64];

    copy_good(file, sizeof file, 0666);
    ck_assert_int_eq(load(file, NULL), LEAT_E_DENIED);
    ck_assert_ptr_nonnull(strstr(err.text, "chmod go-w"));
    chmod(file, 0755);
    ck_assert_msg(load(file, NULL) == 0, "%s", err.text);
    unlink(file);
}
END_TEST

START_TEST(test_another_hash_is_refused)
{
    char file[64], *found;

    copy_good(file, sizeof file, 0755);
    ck_assert_int_eq(load(file, "00"), LEAT_E_DENIED);
    found = strstr(err.text, "SHA-256 ");
    ck_assert_ptr_nonnull(found);
    found = leat_slice_strdup(leat_slice_make(found + 8, 64));
    ck_assert_msg(load(file, found) == 0, "%s", err.text);
    free(found);
    unlink(file);
}
END_TEST

START_TEST(test_a_text_file_is_refused)
{
    char file[] = "/tmp/leat-text-XXXXXX";
    int fd = mkstemp(file);

    ck_assert_int_eq((int)write(fd, "#!/bin/sh\n", 10), 10);
    close(fd);
    ck_assert_int_eq(load(file, NULL), LEAT_E_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "could not load plugin"));
    unlink(file);
}
END_TEST

/* ---- where it lies -------------------------------------------------------------------------------- */

static char place[64]; /* a folder for one test, under /tmp, which has the sticky bit */

static void
make_place(void)
{
    setup();
    snprintf(place, sizeof place, "/tmp/leat-place-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(place));
}

static void
remove_place(void)
{
    char command[200];

    snprintf(command, sizeof command, "chmod -R u+rwx %s; rm -rf %s", place, place);
    ck_assert_int_eq(system(command), 0);
}

/* A shell in the place; $GOOD is a good plugin. */
static void
do_there(const char *command)
{
    LEAT_AUTO_BUF script = LEAT_BUF_INIT;

    leat_buf_printf(&script, "set -e; cd %s; GOOD=$(realpath -m %s%s/good.so); %s", place,
                    directory[0] == '/' ? "" : "$OLDPWD/", directory, command);
    ck_assert_msg(system(leat_buf_text(&script)) == 0, "%s", leat_buf_text(&script));
}

static int
load_there(const char *file)
{
    char path[200];

    snprintf(path, sizeof path, "%s/%s", place, file);
    return load(path, NULL);
}

static const struct {
    const char *make, *file, *says; /* NULL: it is loaded */
    bool needs_root;
} places[] = {
    {"mkdir a; cp $GOOD a", "a/good.so", NULL, false},
    {"mkdir a; cp $GOOD a; chmod 777 a", "a/good.so", "\"%s/a\" may be written by others", false},
    {"mkdir -p a/b/c; cp $GOOD a/b/c; chmod 707 a", "a/b/c/good.so", "/a\" may be written", false},
    {"mkdir -p a/b; cp $GOOD a/b; chmod 1777 a", "a/b/good.so", NULL, false},
    {"mkdir a; cp $GOOD a; chmod 1777 a", "a/good.so", NULL, false},
    {"mkdir a b; cp $GOOD a; chmod 777 a; ln -s ../a/good.so b/x.so", "b/x.so", "/a\" may be",
     false},
    {"mkdir a b; cp $GOOD a; ln -s ../a/good.so b/x.so", "b/x.so", NULL, false},
    {"mkdir a; cp $GOOD a; ln -s a l; ln -s $PWD/l m", "m/good.so", NULL, false},
    {"mkdir a b; cp $GOOD a; chmod 777 b", "b/../a/good.so", "/b\" may be written", false},
    {"mkdir a; cp $GOOD a", "a/.././a//good.so", NULL, false},
    {"ln -s x.so y.so; ln -s y.so x.so", "x.so", "symbolic links", false},
    {"mkfifo x.so", "x.so", "not a regular file", false},
    {"mkdir x.so", "x.so", "not a regular file", false},
    {"cp $GOOD a.so", "a.so/b.so", "Not a directory", false},
    {"mkdir a; cp $GOOD a; chmod 570 a; chgrp 54321 a", "a/good.so", "/a\" may be written", true},
    {"mkdir a; cp $GOOD a; chmod 570 a; chgrp 0 a", "a/good.so", NULL, true},
    {"mkdir a; cp $GOOD a; chown 54321 a", "a/good.so", "belongs to user 54321", true},
    {"mkdir a; cp $GOOD a; chown 54321 a/good.so", "a/good.so", "belongs to user 54321", true},
    {"cp $GOOD a.so; ln -s a.so b.so; chown -h 54321 b.so", "b.so", "a link to \"a.so\"", true},
    {"mkdir a; cp $GOOD a; ln -s a l; chown -h 54321 l", "l/good.so", "a link to \"a\"", true},
};

START_TEST(test_who_may_write_there)
{
    char says[200];
    int status;

    if (places[_i].needs_root && geteuid() != 0)
        return;
    do_there(places[_i].make);
    status = load_there(places[_i].file);
    if (places[_i].says == NULL) {
        ck_assert_msg(status == 0, "%s: %s", places[_i].make, err.text);
        return;
    }
    ck_assert_msg(status != 0, "%s", places[_i].make);
    if (strncmp(places[_i].says, "\"%s", 3) == 0)
        snprintf(says, sizeof says, "\"%s%s", place, places[_i].says + 3);
    else
        snprintf(says, sizeof says, "%s", places[_i].says);
    ck_assert_msg(strstr(err.text, says) != NULL, "\"%s\" does not say \"%s\"", err.text, says);
}
END_TEST

/* ---- what becomes of the file ------------------------------------------------------------------- */

static const struct leat_processor *
load_processor(const char *file)
{
    const struct leat_processor *processor = NULL;
    char path[200];

    snprintf(path, sizeof path, "%s/%s", place, file);
    ck_assert_msg(leat_plugin_load_processor(NULL, path, NULL, &processor, &err) == 0, "%s",
                  err.text);
    return processor;
}

/* Each would kill who has the file itself mapped. */
START_TEST(test_a_loaded_one_outlives_its_file)
{
    static const char *const fates[] = {"cp /dev/null x.so", "truncate -s 4096 x.so",
                                        "head -c $(stat -c %s x.so) /dev/zero >x.so", "rm x.so"};
    const struct leat_processor *processor;
    do_there("cp $GOOD x.so");
    processor = load_processor("x.so");
    do_there(fates[_i]);
    ck_assert_str_eq(processor->name, "good");
    ck_assert_int_ne(memcmp((const void *)(uintptr_t)processor->process, "\0\0\0\0", 4), 0);
}
END_TEST

/* Another processor, byte order, word: built on another machine, or an object file. The loader would say that it is not there. */
START_TEST(test_one_of_another_machine_is_named)
{
    do_there(
        "for at in 4 5 16 18; do cp $GOOD m$at.so; printf '\\003' | dd of=m$at.so bs=1 seek=$at "
        "conv=notrunc status=none; done; printf '\\001' | dd of=m16.so bs=1 seek=16 "
        "conv=notrunc status=none");
    for (int at = 4; at <= 18; at += at == 4 ? 1 : at == 5 ? 11 : 2) {
        char name[16];

        snprintf(name, sizeof name, "m%d.so", at);
        ck_assert_int_eq(load_there(name), LEAT_E_INVALID);
        ck_assert_msg(strstr(err.text, "this machine's kind") != NULL, "%s: %s", name, err.text);
    }
}
END_TEST

/* SIGBUS, before. */
START_TEST(test_one_that_is_cut_short_is_an_error)
{
    do_there("cp $GOOD whole.so; size=$(stat -c %s whole.so); i=0; while [ $i -lt 40 ]; do "
             "head -c $((size * i / 40)) whole.so >$i.so; i=$((i + 1)); done; "
             "head -c $((size - 1)) whole.so >40.so");
    for (int i = 0; i <= 40; i++) {
        char name[16];

        snprintf(name, sizeof name, "%d.so", i);
        ck_assert_int_eq(load_there(name), LEAT_E_INVALID);
        ck_assert_msg(strstr(err.text, i == 0 ? "no ELF" : "cut short") != NULL, "%d: %s", i,
                      err.text);
    }
    ck_assert_int_eq(load_there("whole.so"), 0);
}
END_TEST

START_TEST(test_the_same_is_loaded_once_and_another_version_beside_it)
{
    const struct leat_processor *first, *second;
    Dl_info facts;
    char file[100];

    do_there("cp $GOOD x.so");
    first = load_processor("x.so");
    ck_assert_ptr_eq(load_processor("x.so"), first);
    do_there(
        "printf 'more' >>x.so"); /* behind what its headers speak of: the same code, other bytes */
    second = load_processor("x.so");
    ck_assert_ptr_ne(second, first);
    ck_assert_str_eq(second->name, first->name);
    /* Debuggers, sanitizers and backtraces find the file. */
    snprintf(file, sizeof file, "%s/x.so", place);
    ck_assert_int_ne(dladdr((const void *)first, &facts), 0);
    ck_assert_str_eq(facts.dli_fname, file);
    ck_assert_int_ne(dladdr((const void *)second, &facts), 0);
    ck_assert_str_eq(facts.dli_fname, file);
}
END_TEST

START_TEST(test_a_folder_that_forbids_execution)
{
    LEAT_AUTO_BUF command = LEAT_BUF_INIT;
    struct statvfs facts;
    char file[64];
    int status;

    if (statvfs("/dev/shm", &facts) != 0 || (facts.f_flag & ST_NOEXEC) == 0)
        return;
    snprintf(file, sizeof file, "/dev/shm/leat-%d.so", (int)getpid());
    leat_buf_printf(&command, "cp %s/good.so %s", directory, file);
    ck_assert_int_eq(system(leat_buf_text(&command)), 0);
    status = load(file, NULL);
    unlink(file);
    ck_assert_msg(status == 0, "%s", err.text);
}
END_TEST

static const struct {
    struct leat_column columns[3];
    const char *says;
} bad_tables[] = {
    {{{"a", LEAT_INT64, LEAT_KEY}, {"a", LEAT_INT64, LEAT_SUM}}, "twice"},
    {{{"a", LEAT_TEXT, LEAT_SUM}}, "only numbers"},
    {{{"a", LEAT_FLOAT64, LEAT_KEY}}, "a key cannot"},
    {{{"a", LEAT_TEXT, LEAT_COUNT}}, "int64"},
    {{{"a", LEAT_JSON, LEAT_MAX}}, "no order"},
    {{{"a", LEAT_INT64, LEAT_LAST}}, "order_by"},
    {{{"a", LEAT_INT64, LEAT_LAST, .order_by = "t"}}, "names no column"},
    {{{"a", LEAT_INT64, LEAT_LAST, .order_by = "t"}, {"t", LEAT_INT64, LEAT_MIN}}, "of last a max"},
    {{{"a", LEAT_NULL, LEAT_KEY}}, "no type"},
};

START_TEST(test_a_bad_table_is_named)
{
    struct leat_table tables[2] = {{"t", bad_tables[_i].columns}, LEAT_END};

    ck_assert_int_ne(leat_plugin_check_tables(tables, &err), 0);
    ck_assert_msg(strstr(err.text, bad_tables[_i].says) != NULL, "%s", err.text);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("loader");
    TCase *tests = tcase_create("loader");
    TCase *placed = tcase_create("placed");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tests, setup, NULL);
    tcase_add_test(tests, test_a_good_one_is_loaded);
    tcase_add_loop_test(tests, test_a_bad_one_is_refused_by_name, 0, (int)LEAT_COUNT_OF(refusals));
    tcase_add_test(tests, test_one_that_others_may_write_is_refused);
    tcase_add_test(tests, test_another_hash_is_refused);
    tcase_add_test(tests, test_a_text_file_is_refused);
    tcase_add_checked_fixture(placed, make_place, remove_place);
    tcase_add_loop_test(placed, test_who_may_write_there, 0, (int)LEAT_COUNT_OF(places));
    tcase_add_loop_test(placed, test_a_loaded_one_outlives_its_file, 0, 4);
    tcase_add_test(placed, test_one_of_another_machine_is_named);
    tcase_add_test(placed, test_one_that_is_cut_short_is_an_error);
    tcase_add_test(placed, test_the_same_is_loaded_once_and_another_version_beside_it);
    tcase_add_test(placed, test_a_folder_that_forbids_execution);
    suite_add_tcase(suite, placed);
    tcase_add_loop_test(tests, test_a_bad_table_is_named, 0, (int)LEAT_COUNT_OF(bad_tables));
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
