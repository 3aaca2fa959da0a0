/* Threads that live for as long as there is something to call: a few a minute, none where there is one thing to call. */
#include "lease/abreast.h"

#include <stdatomic.h>

#include "base/thread.h"

struct abreast {
    size_t count;
    _Atomic size_t next;
    void (*run)(void *context, size_t index);
    void *context;
};

static void
work(void *context)
{
    struct abreast *abreast = context;

    for (;;) {
        size_t index = atomic_fetch_add(&abreast->next, 1);

        if (index >= abreast->count)
            return;
        abreast->run(abreast->context, index);
    }
}

void
leat_abreast(size_t count, void (*run)(void *context, size_t index), void *context)
{
    struct abreast abreast = {.count = count, .run = run, .context = context};
    struct leat_thread threads[LEAT_ABREAST_MOST - 1] = {0};

    /* The caller is one of them, so it goes on, one by one, where no thread can be had. */
    for (size_t i = 0; i < LEAT_ABREAST_MOST - 1 && i + 1 < count; i++) {
        if (leat_thread_start(&threads[i], "asking", work, &abreast, NULL) != 0)
            break;
    }
    work(&abreast);
    for (size_t i = 0; i < LEAT_ABREAST_MOST - 1; i++)
        leat_thread_join(&threads[i]);
}
