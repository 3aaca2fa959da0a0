/*
 * The order of builds' version texts, so that "newest" is a sane word. Pure.
 *
 * Numbers compare as numbers (1.10 is newer than 1.9), words by bytes; a leading "v" and what follows a "+" do not count. What
 * a word begins behind "-" or "~" comes before the version itself (1.2.0-rc1 < 1.2.0), what a number begins comes after it
 * (1.2.0-5-gabc, as git describes it).
 */
#ifndef LEAT_LEASE_BUILD_H
#define LEAT_LEASE_BUILD_H

#include <leat/slice.h>

/* < 0: a is older; 0: as good as the same. A total preorder, for any bytes. */
int leat_build_order(struct leat_slice a, struct leat_slice b);

#endif
