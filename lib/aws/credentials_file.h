/* Tokens in files that somebody else rotates: read afresh each time, whole, and bounded. Inside aws/ only. */
#ifndef LEAT_AWS_CREDENTIALS_FILE_H
#define LEAT_AWS_CREDENTIALS_FILE_H

#include "base/buf.h"

/*
 * what: "web identity token", for the error, which never shows what is in the file. may_end_line: a line end at the end is let pass,
 * and is not of the token. LEAT_E_SYSTEM: not there, or not to be read; LEAT_E_INVALID: empty, too long, no file, or more than one
 * line. The caller wipes.
 */
int leat_credentials_file_read(const char *path, const char *what, size_t maximum_bytes,
                               bool may_end_line, struct leat_buf *ret_text,
                               struct leat_error *err);
void leat_credentials_wipe(struct leat_buf *text); /* and releases */

#endif
