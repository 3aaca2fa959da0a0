/*
 * Named test points: LEAT_POINT("commit.before") pauses, crashes or fails there when the environment says
 * so, e.g. LEAT_POINTS="commit.before=crash@3,take.after=pause:200ms@1". Compiled out unless
 * LEAT_TEST_POINTS is defined (the `points` build): a release has none of it.
 * crash: SIGKILL to itself · exit: _exit(1) · pause:<duration> · stop: SIGSTOP to itself · fail: leat_point returns true
 * @n: only the nth time it is passed (from 1); without it every time.
 * LEAT_POINTS_LOG=FILE: each time that one does something, a line "name action pid" is added to the file before.
 */
#ifndef LEAT_BASE_POINT_H
#define LEAT_BASE_POINT_H

#include <stdbool.h>

#ifdef LEAT_TEST_POINTS
bool leat_point(const char *name);
#define LEAT_POINT(name) ((void)leat_point(name))
#define LEAT_POINT_FAILS(name) leat_point(name)
#else
#define LEAT_POINT(name) ((void)0)
#define LEAT_POINT_FAILS(name) false
#endif

#endif
