/* Arenas: nothing overlaps, everything is aligned, a reset gives back what is beyond keep_bytes. */
#include "tests/unit/base/suite.h"

#include "base/arena.h"

START_TEST(nothing_overlaps)
{
    struct leat_random random = suite_random();
    struct leat_arena arena;

    leat_arena_init(&arena);
    for (int round = 0; round < 20; round++) {
        unsigned char *pieces[200];
        size_t sizes[200];
        bool is_good = true; /* one assertion a round: each one costs a write */

        for (int i = 0; i < 200; i++) {
            sizes[i] = leat_random_below(&random, i % 50 == 0 ? 200000 : 300);
            pieces[i] = leat_arena_alloc(&arena, sizes[i]);
            is_good = is_good && (uintptr_t)pieces[i] % 16 == 0;
            memset(pieces[i], i, sizes[i]);
        }
        for (int i = 0; i < 200; i++) {
            for (size_t j = 0; j < sizes[i]; j++)
                is_good = is_good && pieces[i][j] == (unsigned char)i;
        }
        ck_assert(is_good);
        ck_assert_uint_le(arena.used_bytes, arena.held_bytes);
        leat_arena_reset(&arena);
        ck_assert_uint_le(arena.held_bytes, arena.keep_bytes);
        ck_assert_uint_eq(arena.used_bytes, 0);
    }
    leat_arena_release(&arena);
    ck_assert_uint_eq(arena.held_bytes, 0);
}
END_TEST

START_TEST(copies)
{
    struct leat_arena arena;
    struct leat_slice copy;
    int *zeroes;

    leat_arena_init(&arena);
    copy = leat_arena_copy(&arena, leat_slice_make("a\0b", 3));
    ck_assert(leat_slice_equals(copy, leat_slice_make("a\0b", 3)));
    ck_assert_int_eq(copy.data[3], 0);
    ck_assert_str_eq(leat_arena_strdup(&arena, "leat"), "leat");
    ck_assert_str_eq(leat_arena_printf(&arena, "%d-%s", 7, "x"), "7-x");
    zeroes = leat_arena_alloc_zero(&arena, 100, sizeof *zeroes);
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(zeroes[i], 0);
    leat_arena_release(&arena);
}
END_TEST

SUITE_MAIN("arena", nothing_overlaps, copies)
