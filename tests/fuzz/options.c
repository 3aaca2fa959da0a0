/* Options of a plugin as a configuration gives them: each problem is told, none is taken for a value. */
#include <stdint.h>
#include <stdlib.h>

#include "base/memory.h"
#include "plugin/options.h"

#define MAXIMUM_OPTIONS 16
#define MAXIMUM_ITEMS 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const choices[] = {"one", "two", NULL};
static const struct leat_option declared[] = {
    {"text", LEAT_OPTION_TEXT, 0, "t", NULL, 0, 0, "a text"},
    {"number", LEAT_OPTION_INTEGER, 0, "5", NULL, 1, 10, "a number"},
    {"flag", LEAT_OPTION_BOOLEAN, 0, "true", NULL, 0, 0, "yes or no"},
    {"wait", LEAT_OPTION_DURATION, 0, "1s", NULL, 0, 0, "a time"},
    {"size", LEAT_OPTION_SIZE, 0, "1MiB", NULL, 0, 0, "a size"},
    {"choice", LEAT_OPTION_CHOICE, 0, "one", choices, 0, 0, "one of two"},
    {"list", LEAT_OPTION_LIST, 0, "a,b", NULL, 0, 0, "some texts"},
    {"map", LEAT_OPTION_MAP, 0, NULL, NULL, 0, 0, "texts by texts"},
    LEAT_END,
};

static void
report(void *context, int line, int column, const char *text)
{
    ++*(unsigned *)context;
    LEAT_ASSERT(text[0] != '\0');
}

/* Up to the next zero byte, and off the rest. */
static struct leat_slice
piece(struct leat_slice *rest)
{
    const unsigned char *zero = memchr(rest->data, 0, rest->size);
    size_t length = zero != NULL ? (size_t)(zero - rest->data) : rest->size;
    struct leat_slice text = leat_slice_make(rest->data, length);

    length += zero != NULL;
    *rest = leat_slice_make(rest->data + length, rest->size - length);
    return text;
}

/* kind, name, value…: a scalar, or a list or map of what follows until an empty piece. */
static size_t
read_options(struct leat_slice rest, struct leat_raw_option *options,
             struct leat_slice items[MAXIMUM_OPTIONS][MAXIMUM_ITEMS], struct leat_arena *arena)
{
    size_t count = 0;

    while (rest.size > 1 && count < MAXIMUM_OPTIONS) {
        struct leat_raw_option *option = &options[count];
        struct leat_slice name;

        *option = (struct leat_raw_option){.kind = (enum leat_raw_kind)(rest.data[0] % 3)};
        rest = leat_slice_make(rest.data + 1, rest.size - 1);
        name = piece(&rest);
        option->name = (const char *)leat_arena_copy(arena, name).data;
        if (option->kind == LEAT_RAW_SCALAR)
            option->scalar = piece(&rest);
        else
            option->scalar = leat_slice_from("");
        option->items = items[count];
        while (option->kind != LEAT_RAW_SCALAR && rest.size > 0 &&
               option->item_count < MAXIMUM_ITEMS)
            items[count][option->item_count++] = piece(&rest);
        if (option->kind == LEAT_RAW_MAP)
            option->item_count -= option->item_count % 2;
        count++;
    }
    return count;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct leat_slice items[MAXIMUM_OPTIONS][MAXIMUM_ITEMS];
    struct leat_raw_option options[MAXIMUM_OPTIONS];
    struct leat_options resolved;
    struct leat_arena arena;
    unsigned problems = 0;
    size_t count;
    int status;

    leat_arena_init(&arena);
    count = read_options(leat_slice_make(data, size), options, items, &arena);
    status = leat_options_resolve(declared, options, count, &arena, report, &problems, &resolved);
    LEAT_ASSERT((status == 0) == (problems == 0));
    leat_arena_release(&arena);
    return 0;
}
