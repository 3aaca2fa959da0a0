/* Variables and profile keys: where a value comes from, and what it may be. */
#include "aws/setting.h"

#include <stdlib.h>
#include <strings.h>

#include "aws/profile.h"
#include "base/buf.h"
#include "base/memory.h"

static const char blanks[] = " \t\r\n";

bool
leat_setting_is_set(const char *text)
{
    return text != NULL && text[strspn(text, blanks)] != '\0';
}

static char *
trimmed(const char *text)
{
    size_t size;

    text += strspn(text, blanks);
    size = strlen(text);
    while (size > 0 && strchr(blanks, text[size - 1]) != NULL)
        size--;
    return leat_slice_strdup(leat_slice_make(text, size));
}

int
leat_setting_get(const char *variable, const char *profile, const char *key,
                 struct leat_setting *ret_setting, struct leat_error *err)
{
    const char *text = variable != NULL ? getenv(variable) : NULL;
    LEAT_AUTO_FREE char *of_profile = NULL;
    const char *name = variable;

    if (!leat_setting_is_set(text) && key != NULL) {
        int result = leat_profile_get(profile, key, &of_profile, err);

        if (result < 0 && result != LEAT_E_NOT_FOUND && result != LEAT_E_SYSTEM)
            return result;
        text = of_profile;
        name = key;
    }
    leat_error_clear(err);
    *ret_setting = (struct leat_setting){.name = name};
    if (leat_setting_is_set(text))
        ret_setting->text = trimmed(text);
    return 0;
}

void
leat_setting_release(struct leat_setting *setting)
{
    free(setting->text);
    *setting = (struct leat_setting){0};
}

int
leat_setting_bool(const struct leat_setting *setting, bool *value, struct leat_error *err)
{
    bool is_true;

    if (setting->text == NULL)
        return 0;
    is_true = strcasecmp(setting->text, "true") == 0;
    if (!is_true && strcasecmp(setting->text, "false") != 0)
        return leat_error_set(err, LEAT_E_INVALID, "%s is neither true nor false", setting->name);
    *value = is_true;
    return 0;
}

int
leat_setting_count(const struct leat_setting *setting, unsigned maximum, unsigned *value,
                   struct leat_error *err)
{
    unsigned long count = 0;
    const char *c = setting->text;

    if (c == NULL)
        return 0;
    for (; *c >= '0' && *c <= '9' && count <= maximum; c++)
        count = 10 * count + (unsigned long)(*c - '0');
    if (*c != '\0' || count == 0 || count > maximum)
        return leat_error_set(err, LEAT_E_INVALID, "%s is no number from 1 to %u", setting->name,
                              maximum);
    *value = (unsigned)count;
    return 0;
}

int
leat_setting_choice(const struct leat_setting *setting, const char *const *names, unsigned *value,
                    struct leat_error *err)
{
    LEAT_AUTO_BUF known = LEAT_BUF_INIT;

    if (setting->text == NULL)
        return 0;
    for (unsigned i = 0; names[i] != NULL; i++) {
        if (strcasecmp(setting->text, names[i]) == 0) {
            *value = i;
            return 0;
        }
        leat_buf_printf(&known, "%s%s", i > 0 ? ", " : "", names[i]);
    }
    return leat_error_set(err, LEAT_E_INVALID, "%s is none of %s", setting->name,
                          leat_buf_text(&known));
}
