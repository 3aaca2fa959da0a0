/*
 * A plugin's bytes, in memory of our own: what was hashed and checked is what is loaded, whatever becomes of the file
 * (overwritten in place, cut short, on a folder that forbids execution).
 */
#ifndef LEAT_PLUGIN_PRIVATE_COPY_H
#define LEAT_PLUGIN_PRIVATE_COPY_H

#include "base/buf.h"

/*
 * Copies all that fd holds into a sealed memfd named after the file, and checks that it is a whole ELF file: one that was
 * cut short would be SIGBUS or worse when it is loaded. ret_hex is appended its SHA-256. ret_fd: the caller's; where the
 * system has no memfd it is another descriptor of the file itself.
 */
int leat_private_copy_make(const char *file, int fd, int *ret_fd, struct leat_buf *ret_hex,
                           struct leat_error *err);
/* Whether these bytes have all that their ELF headers speak of. Pure. */
int leat_elf_check(struct leat_slice bytes, const char *file, struct leat_error *err);
/* Whether it looks for libraries beside itself ($ORIGIN), which from a copy it cannot. */
bool leat_private_copy_has_origin(int fd);

#endif
