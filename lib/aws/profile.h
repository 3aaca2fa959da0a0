/*
 * The profile files of the AWS tools (~/.aws/credentials, ~/.aws/config): sections [name], [profile name] or [services name],
 * key = value, comments at a line's start (# ;) or behind white space; indented lines continue the value before, or, below an empty
 * one, are settings of their own: "kinesis.endpoint_url". Keys are compared without regard to case, names with it.
 * Pure, over bytes of foreign origin: bounded, fuzzed.
 */
#ifndef LEAT_AWS_PROFILE_H
#define LEAT_AWS_PROFILE_H

#include <leat/error.h>
#include <leat/slice.h>

#define LEAT_PROFILE_FILE_MAXIMUM_BYTES ((size_t)1 << 20)

enum leat_profile_file { LEAT_PROFILE_CREDENTIALS, LEAT_PROFILE_CONFIG };
enum leat_profile_section { LEAT_SECTION_PROFILE, LEAT_SECTION_SERVICES };

/* Called per setting of the section asked for, in the file's order; the slices live until it returns. */
typedef void (*leat_profile_setting_fn)(void *context, struct leat_slice key,
                                        struct leat_slice value);

bool leat_profile_key_is(struct leat_slice key, const char *wanted);

/* LEAT_E_NOT_FOUND: no such section here. LEAT_E_FORMAT names the line, never its text. more than five: which section of which
   file, and where its settings go. */
int leat_profile_parse(struct leat_slice text, enum leat_profile_file kind,
                       enum leat_profile_section section, struct leat_slice name,
                       leat_profile_setting_fn setting, void *context, struct leat_error *err);

/* One setting of the active profile (AWS_PROFILE, AWS_DEFAULT_PROFILE, else "default"; profile NULL) from both files, e.g. "region";
   where both have it, the credentials file's. ret_value: free() it. LEAT_E_NOT_FOUND: not set (or blank), or no such file. */
int leat_profile_get(const char *profile, const char *key, char **ret_value,
                     struct leat_error *err);

/* The same of the services section that the profile names: [services x], "kinesis =", "  endpoint_url = …". */
int leat_profile_get_service(const char *profile, const char *service, const char *key,
                             char **ret_value, struct leat_error *err);
/* A profile that is asked for by name (here or by AWS_PROFILE) and that neither file has is an error. */
int leat_profile_check(const char *profile, struct leat_error *err);

#endif
