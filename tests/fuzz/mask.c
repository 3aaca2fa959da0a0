/* Passwords in URLs and conninfos: what is masked once is masked, and masking again changes nothing that matters. */
#include <stdint.h>
#include <stdlib.h>

#include "base/memory.h"
#include "config/mask.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
is_word(const char *text)
{
    for (; *text != '\0'; text++) {
        if (!((*text >= 'a' && *text <= 'z') || (*text >= '0' && *text <= '9')))
            return false;
    }
    return true;
}

/* postgres://u:WORD@h/d with a word of the input: it must not be seen. */
static void
check_password(const char *word)
{
    LEAT_AUTO_BUF url = LEAT_BUF_INIT;
    LEAT_AUTO_BUF masked = LEAT_BUF_INIT;

    if (strlen(word) < 6 || !is_word(word))
        return;
    leat_buf_printf(&url, "postgres://user:%s@host/db", word);
    leat_url_mask(leat_buf_text(&url), &masked);
    LEAT_ASSERT(strstr("postgres://user:***@host/db", word) != NULL ||
                strstr(leat_buf_text(&masked), word) == NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = leat_slice_strdup(leat_slice_make(data, size));
    LEAT_AUTO_BUF once = LEAT_BUF_INIT;

    leat_name_is_secret(leat_slice_make(data, size));
    leat_url_is_database(text);
    leat_url_has_password(text);
    leat_url_mask(text, &once);
    LEAT_ASSERT(once.size <= 4 * size + 64);
    check_password(text);
    free(text);
    return 0;
}
