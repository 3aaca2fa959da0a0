/*
 * Loads plugins: finds the file (a NAME in the plugin path, or a path), opens it once and checks it (regular; it, its
 * folders and links owned by us or root and not writable by others; sha256 when given; a whole ELF file), loads a copy
 * of it RTLD_NOW|RTLD_LOCAL, checks symbol, struct size, ABI versions and required callbacks: one message each. The same
 * file with the same bytes is loaded once. Never unloads. One thread, at start.
 */
#ifndef LEAT_PLUGIN_LOADER_H
#define LEAT_PLUGIN_LOADER_H

#include <leat/processor.h>
#include <leat/target.h>

#include "base/buf.h"

struct leat_plugin_path {
    const char *
        directories; /* colon-separated; NULL: LEAT_PLUGIN_PATH, beside the program, installed with it */
};

/* name_or_file with a '/' or ending in .so is a file. sha256: hex or NULL. */
int leat_plugin_load_processor(const struct leat_plugin_path *path, const char *name_or_file,
                               const char *sha256, const struct leat_processor **ret_processor,
                               struct leat_error *err);
int leat_plugin_load_target(const struct leat_plugin_path *path, const char *name_or_file,
                            const char *sha256, const struct leat_target **ret_target,
                            struct leat_error *err);
/* The file that a name stands for, for messages and `leat plugin info`. */
int leat_plugin_find(const struct leat_plugin_path *path, const char *name_or_file,
                     struct leat_buf *ret_file, struct leat_error *err);
/* Checks the processor's tables: names, types, rules against types, order_by, duplicate names. */
int leat_plugin_check_tables(const struct leat_table *tables, struct leat_error *err);

#endif
