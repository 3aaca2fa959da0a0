/*
 * Calls that block, side by side: what one of them waits for holds up none of the others. The caller waits for all.
 */
#ifndef LEAT_LEASE_ABREAST_H
#define LEAT_LEASE_ABREAST_H

#include <stddef.h>

/* At most so many at once. */
#define LEAT_ABREAST_MOST 8

/* run(context, i) for each i below count, each once, in any order, on several threads; a single one on the caller's. */
void leat_abreast(size_t count, void (*run)(void *context, size_t index), void *context);

#endif
