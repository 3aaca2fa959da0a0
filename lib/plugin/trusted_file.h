/*
 * Opens a file that nobody but root and the user who runs leat can have put there: the file, every folder on the way to it
 * and every link are theirs, and no other user may write them. What is checked is what is opened.
 *
 * Of a folder with the sticky bit (/tmp) others may write their own entries only. A group may write where it has no other
 * members (a user's own group). What lies above plugin and program alike is not looked at: whoever may write there may
 * replace the program itself.
 */
#ifndef LEAT_PLUGIN_TRUSTED_FILE_H
#define LEAT_PLUGIN_TRUSTED_FILE_H

#include <leat/error.h>

/* A regular file, for reading; relative to the working folder unless it begins with '/'. The descriptor is the caller's. */
int leat_trusted_file_open(const char *file, int *ret_fd, struct leat_error *err);

#endif
