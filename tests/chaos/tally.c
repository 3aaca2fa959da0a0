#include "chaos/tally.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"

void
chaos_tally_init(struct chaos_tally *tally, const int64_t *put, size_t key_count)
{
    *tally = (struct chaos_tally){.keys = LEAT_NEW_ARRAY(struct chaos_tally_key, key_count),
                                  .key_count = key_count};
    for (size_t k = 0; k < key_count; k++) {
        tally->keys[k].put = put[k];
        tally->keys[k].seen = leat_alloc_zero((size_t)put[k] / 8 + 1, 1);
    }
}

void
chaos_tally_release(struct chaos_tally *tally)
{
    for (size_t k = 0; k < tally->key_count; k++)
        free(tally->keys[k].seen);
    free(tally->keys);
}

static void
note(struct chaos_tally *tally, const char *what, int64_t key, int64_t number)
{
    if (tally->example[0] == '\0')
        snprintf(tally->example, sizeof tally->example, "key %lld, number %lld: %s", (long long)key,
                 (long long)number, what);
}

static void
see(struct chaos_tally *tally, int64_t key, int64_t number)
{
    struct chaos_tally_key *of = &tally->keys[key];
    unsigned char bit = (unsigned char)(1u << (number & 7));

    tally->committed++;
    if (number < 1 || number > of->put) {
        tally->unknown++;
        note(tally, "was never put", key, number);
        return;
    }
    if (of->seen[number >> 3] & bit) {
        tally->doubled++;
        note(tally, "doubled", key, number);
    } else if (number < of->highest) {
        tally->out_of_order++;
        note(tally, "out of order", key, number);
    }
    of->seen[number >> 3] |= bit;
    if (number > of->highest)
        of->highest = number;
}

void
chaos_tally_run(struct chaos_tally *tally, int64_t key, int64_t first, int64_t last)
{
    if (key < 0 || key >= (int64_t)tally->key_count) {
        tally->unknown += last - first + 1;
        note(tally, "no such key", key, first);
        return;
    }
    for (int64_t number = first; number <= last; number++)
        see(tally, key, number);
}

void
chaos_tally_end(struct chaos_tally *tally)
{
    for (size_t k = 0; k < tally->key_count; k++) {
        for (int64_t number = 1; number <= tally->keys[k].put; number++) {
            if (tally->keys[k].seen[number >> 3] & (1u << (number & 7)))
                continue;
            tally->lost++;
            note(tally, "lost", (int64_t)k, number);
        }
    }
}
