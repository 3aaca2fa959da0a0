/* Secrets in texts that are shown: URLs, conninfos, options. Pure. */
#ifndef LEAT_CONFIG_MASK_H
#define LEAT_CONFIG_MASK_H

#include "base/buf.h"

/* "password", "access_token", …: does a name like this stand for a secret? */
bool leat_name_is_secret(struct leat_slice name);
/* Does this read as a database's URL or conninfo? */
bool leat_url_is_database(const char *url);
/* Is there a password in this URL or conninfo? True also for a database's that cannot be parsed. */
bool leat_url_has_password(const char *url);
/* The text with *** for the passwords of URLs and conninfos in it. */
void leat_url_mask(const char *url, struct leat_buf *out);
/* The same for what has to be a URL or a conninfo: all of it is *** where it is neither, nor a plain path. */
void leat_secret_mask(const char *text, struct leat_buf *out);

#endif
