/* archive.h: a folder. */
#ifndef LEAT_FAILURE_ARCHIVE_FOLDER_H
#define LEAT_FAILURE_ARCHIVE_FOLDER_H

#include "failure/archive.h"

int leat_archive_folder_open(const char *path, struct leat_archive **ret_archive,
                             struct leat_error *err);

#endif
