/*
 * A database's URL or conninfo, as libpq reads it, and its passwords. libpq's own texts about one that it cannot parse quote the
 * piece in front of it, which may be a password: they are never handed on. Pure, but for the environment that libpq reads.
 */
#ifndef LEAT_BASE_DATABASE_URL_H
#define LEAT_BASE_DATABASE_URL_H

#include <stdbool.h>

#include <leat/error.h>

#include "base/buf.h"

/* "postgresql://…" or "postgres://…", in any case. */
bool leat_database_url_is_uri(const char *url);
/*
 * 0, or LEAT_E_INVALID: libpq cannot parse it, or reads it otherwise than its author thought (the '/' or '@' of a password
 * makes the rest of it a port, a host or a database). The error holds no piece of it.
 */
int leat_database_url_check(const char *url, struct leat_error *err);
/* Does libpq find a password in it? True also where nobody can tell, since it cannot be parsed. */
bool leat_database_url_has_password(const char *url);
/* As it is when there is no password in it, else as a conninfo with ***; "***" alone when it cannot be parsed. */
void leat_database_url_mask(const char *url, struct leat_buf *out);
/* Does `masked` say the same as `url`, with *** for each of its passwords? */
bool leat_database_url_is_masked(const char *url, const char *masked);
/* Every occurrence of one of the URL's passwords in a text (a server's, libpq's) becomes ***. */
void leat_database_url_redact(const char *url, char *text);

#endif
