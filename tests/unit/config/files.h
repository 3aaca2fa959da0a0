/* Files of the repository, which is where tests run. */
#ifndef TESTS_UNIT_CONFIG_FILES_H
#define TESTS_UNIT_CONFIG_FILES_H

#include <stdio.h>

#include "base/buf.h"
#include "base/memory.h"

/* The whole file; free(). */
static inline char *
read_text(const char *path)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;
    FILE *stream = fopen(path, "r");
    char bytes[4096];
    size_t got;

    ck_assert_msg(stream != NULL, "%s cannot be read", path);
    while ((got = fread(bytes, 1, sizeof bytes, stream)) > 0)
        leat_buf_add(&text, bytes, got);
    fclose(stream);
    leat_buf_text(&text);
    return leat_buf_take(&text);
}

#endif
