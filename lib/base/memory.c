/* Allocation that cannot fail, and the one place where the program gives up. */
#include "base/memory.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log_writer.h"

/* Never waits for who reads standard error: a process that must end ends. */
static LEAT_PRINTF(1, 2) void last_words(const char *format, ...)
{
    char text[1000];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    leat_log_last_words(text, strlen(text));
}

void
leat_out_of_memory(size_t size)
{
    last_words("out of memory: could not allocate %zu bytes; stopping (nothing is lost)\n", size);
    abort();
}

void
leat_assert_failed(const char *expression, const char *file, int line)
{
    last_words("broken assumption at %s:%d: %s\n", file, line, expression);
    abort();
}

void *
leat_alloc(size_t size)
{
    void *memory = malloc(size > 0 ? size : 1);

    if (memory == NULL)
        leat_out_of_memory(size);
    return memory;
}

void *
leat_alloc_zero(size_t count, size_t size)
{
    void *memory = calloc(count > 0 ? count : 1, size > 0 ? size : 1);

    if (memory == NULL)
        leat_out_of_memory(size);
    return memory;
}

void *
leat_realloc(void *memory, size_t count, size_t size)
{
    size_t bytes;
    void *grown;

    if (__builtin_mul_overflow(count, size, &bytes))
        leat_out_of_memory(SIZE_MAX);
    grown = realloc(memory, bytes > 0 ? bytes : 1);
    if (grown == NULL)
        leat_out_of_memory(bytes);
    return grown;
}

char *
leat_strdup(const char *text)
{
    return leat_slice_strdup(leat_slice_from(text));
}

char *
leat_slice_strdup(struct leat_slice slice)
{
    char *copy = leat_alloc(slice.size + 1);

    if (slice.size > 0) /* a zeroed slice has no address */
        memcpy(copy, slice.data, slice.size);
    copy[slice.size] = '\0';
    return copy;
}

struct leat_slice
leat_slice_copy(struct leat_slice slice)
{
    return leat_slice_make(leat_slice_strdup(slice), slice.size);
}

void
leat_sort(void *items, size_t count, size_t size, int (*compare)(const void *, const void *))
{
    if (count > 1)
        qsort(items, count, size, compare); /* allowed: the one place, guarded */
}

void
leat_cleanup_free(void *pointer_to_pointer)
{
    free(*(void **)pointer_to_pointer);
}
