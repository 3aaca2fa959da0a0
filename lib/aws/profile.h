/*
 * The profile files of the AWS tools (~/.aws/credentials, ~/.aws/config): sections [name] or [profile name], key = value,
 * comments at a line's start (# ;) or behind white space, indented lines continue the value before (nested settings).
 * Pure, over bytes of foreign origin: bounded, fuzzed.
 */
#ifndef LEAT_AWS_PROFILE_H
#define LEAT_AWS_PROFILE_H

#include <leat/error.h>
#include <leat/slice.h>

#define LEAT_PROFILE_FILE_MAXIMUM_BYTES ((size_t)1 << 20)

enum leat_profile_file { LEAT_PROFILE_CREDENTIALS, LEAT_PROFILE_CONFIG };

/* Called per setting of the profile asked for, in the file's order; slices into the text. */
typedef void (*leat_profile_setting_fn)(void *context, struct leat_slice key,
                                        struct leat_slice value);

/* LEAT_E_NOT_FOUND: no such profile here. LEAT_E_FORMAT names the line, never its text. */
int leat_profile_parse(struct leat_slice text, enum leat_profile_file kind,
                       struct leat_slice profile, leat_profile_setting_fn setting, void *context,
                       struct leat_error *err);

/* One setting of the active profile (AWS_PROFILE, else "default"; profile NULL) from both files, e.g. "region".
   ret_value: free() it. LEAT_E_NOT_FOUND: not set, or no such file. */
int leat_profile_get(const char *profile, const char *key, char **ret_value,
                     struct leat_error *err);

#endif
