/* The profile files' places and reading, for the provider and for the region; inside aws/ only. */
#ifndef LEAT_AWS_PROFILE_FILE_H
#define LEAT_AWS_PROFILE_FILE_H

#include "aws/profile.h"
#include "base/buf.h"

const char *leat_profile_name(const char *profile);
bool leat_profile_is_named(const char *profile);
int leat_profile_path(enum leat_profile_file kind, char ret_path[4096], struct leat_error *err);
/* Reads and parses one file; its bytes are wiped. LEAT_E_NOT_FOUND: no such file or section. more than five: as the parser. */
int leat_profile_read(enum leat_profile_file kind, enum leat_profile_section section,
                      const char *name, leat_profile_setting_fn setting, void *context,
                      struct leat_error *err);

#endif
