/* Allocation that cannot fail: out of memory aborts in one place with one message (a crash is safe). */
#ifndef LEAT_BASE_MEMORY_H
#define LEAT_BASE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

#include <leat/slice.h>

void *leat_alloc(size_t size);                    /* not zeroed; free() */
void *leat_alloc_zero(size_t count, size_t size); /* zeroed, overflow-checked */
void *leat_realloc(void *memory, size_t count, size_t size);
char *leat_strdup(const char *text);
char *leat_slice_strdup(struct leat_slice slice);           /* zero-terminated */
struct leat_slice leat_slice_copy(struct leat_slice slice); /* free((void *)copy.data) */
_Noreturn void leat_out_of_memory(size_t size);

#define LEAT_NEW(type) ((type *)leat_alloc_zero(1, sizeof(type)))
#define LEAT_NEW_ARRAY(type, count) ((type *)leat_alloc_zero((count), sizeof(type)))
#define LEAT_COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* qsort() may not be given NULL, which is what an array of none is here. */
void leat_sort(void *items, size_t count, size_t size, int (*compare)(const void *, const void *));

/* Owners that clean up at the end of their scope. */
void leat_cleanup_free(void *pointer_to_pointer);
#define LEAT_AUTO_FREE __attribute__((cleanup(leat_cleanup_free)))

/* Grows an array so that index `count` exists: LEAT_GROW(items, count, capacity). */
#define LEAT_GROW(items, count, capacity)                                                          \
    do {                                                                                           \
        if ((count) >= (capacity)) {                                                               \
            (capacity) = (capacity) < 8 ? 8 : (capacity)*2;                                        \
            (items) = leat_realloc((items), (capacity), sizeof *(items));                          \
        }                                                                                          \
    } while (0)

/* Magics: asserts stay on in release, for programming errors only. */
_Noreturn void leat_assert_failed(const char *expression, const char *file, int line);
#define LEAT_ASSERT(expression)                                                                    \
    ((expression) ? (void)0 : leat_assert_failed(#expression, __FILE__, __LINE__))

#endif
