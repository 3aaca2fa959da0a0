/*
 * The profile files' syntax and places. In the config file a profile is [profile name] ([default] too), in the credentials
 * file [name]. Indented lines belong to the setting above them (nested settings) and are passed over. A profile that
 * comes twice is one profile.
 */
#include "aws/profile.h"

#include <errno.h>
#include <stdlib.h>

#include <openssl/crypto.h>

#include "aws/profile_file.h"
#include "base/memory.h"

static bool
is_blank(unsigned char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static struct leat_slice
trim(struct leat_slice text)
{
    while (text.size > 0 && is_blank(text.data[0])) {
        text.data++;
        text.size--;
    }
    while (text.size > 0 && is_blank(text.data[text.size - 1]))
        text.size--;
    return text;
}

/* A comment inside a line begins with a '#' or ';' behind white space. */
static struct leat_slice
without_comment(struct leat_slice text)
{
    for (size_t i = 1; i < text.size; i++) {
        if ((text.data[i] == '#' || text.data[i] == ';') && is_blank(text.data[i - 1])) {
            text.size = i;
            break;
        }
    }
    return trim(text);
}

static bool
section_is(struct leat_slice header, enum leat_profile_file kind, struct leat_slice profile)
{
    static const char word[] = "profile";
    size_t size = sizeof word - 1;

    if (leat_slice_is(profile, "default") && leat_slice_is(header, "default"))
        return true;
    if (kind == LEAT_PROFILE_CREDENTIALS)
        return leat_slice_equals(header, profile);
    if (header.size <= size || memcmp(header.data, word, size) != 0 || !is_blank(header.data[size]))
        return false;
    header = trim(leat_slice_make(header.data + size, header.size - size));
    if (header.size >= 2 && header.data[0] == '"' && header.data[header.size - 1] == '"')
        header = leat_slice_make(header.data + 1, header.size - 2);
    return leat_slice_equals(header, profile);
}

static int
format_error(struct leat_error *err, unsigned line, const char *what)
{
    return leat_error_set(err, LEAT_E_FORMAT, "line %u: %s", line, what);
}

int
leat_profile_parse(struct leat_slice text, enum leat_profile_file kind, struct leat_slice profile,
                   leat_profile_setting_fn setting, void *context, struct leat_error *err)
{
    bool is_in_section = false, is_in_profile = false, is_found = false;
    unsigned number = 0;

    if (text.size > LEAT_PROFILE_FILE_MAXIMUM_BYTES)
        return leat_error_set(err, LEAT_E_LIMIT, "larger than %zu bytes",
                              LEAT_PROFILE_FILE_MAXIMUM_BYTES);
    for (size_t begin = 0; begin < text.size;) {
        const unsigned char *feed = memchr(text.data + begin, '\n', text.size - begin);
        size_t end = feed != NULL ? (size_t)(feed - text.data) : text.size;
        struct leat_slice raw = leat_slice_make(text.data + begin, end - begin);
        struct leat_slice line = trim(raw);
        const unsigned char *equals;

        begin = end + 1;
        number++;
        if (line.size == 0 || line.data[0] == '#' || line.data[0] == ';')
            continue;
        if (memchr(line.data, '\0', line.size) != NULL)
            return format_error(err, number, "a zero byte");
        if (is_blank(raw.data[0]) && is_in_section)
            continue; /* nested under the setting above */
        if (line.data[0] == '[') {
            const unsigned char *close = memchr(line.data, ']', line.size);

            if (close == NULL)
                return format_error(err, number, "a section without \"]\"");
            is_in_section = true;
            is_in_profile =
                section_is(trim(leat_slice_make(line.data + 1, (size_t)(close - line.data) - 1)),
                           kind, profile);
            is_found = is_found || is_in_profile;
            continue;
        }
        equals = memchr(line.data, '=', line.size);
        if (!is_in_section)
            return format_error(err, number, "a setting before the first [section]");
        if (equals == NULL || equals == line.data)
            return format_error(err, number, "neither a [section] nor \"key = value\"");
        if (is_in_profile) {
            size_t key_size = (size_t)(equals - line.data);

            setting(context, trim(leat_slice_make(line.data, key_size)),
                    without_comment(leat_slice_make(equals + 1, line.size - key_size - 1)));
        }
    }
    if (!is_found)
        return leat_error_set(err, LEAT_E_NOT_FOUND, "no profile \"%.*s\"", (int)profile.size,
                              (const char *)profile.data);
    return 0;
}

/* ---- places -------------------------------------------------------------------------------- */

const char *
leat_profile_name(const char *profile)
{
    const char *name = profile != NULL && *profile != '\0' ? profile : getenv("AWS_PROFILE");

    return name != NULL && *name != '\0' ? name : "default";
}

int
leat_profile_path(enum leat_profile_file kind, char ret_path[4096], struct leat_error *err)
{
    bool is_credentials = kind == LEAT_PROFILE_CREDENTIALS;
    const char *path = getenv(is_credentials ? "AWS_SHARED_CREDENTIALS_FILE" : "AWS_CONFIG_FILE");
    const char *home = getenv("HOME");
    int size;

    if (path != NULL && *path != '\0')
        size = snprintf(ret_path, 4096, "%s", path);
    else if (home == NULL || *home == '\0')
        return leat_error_set(err, LEAT_E_NOT_FOUND, "HOME is not set");
    else
        size =
            snprintf(ret_path, 4096, "%s/.aws/%s", home, is_credentials ? "credentials" : "config");
    if (size < 0 || size >= 4096)
        return leat_error_set(err, LEAT_E_INVALID,
                              "the path of a profile file has %d bytes: at most "
                              "4095 are allowed",
                              size);
    return 0;
}

int
leat_profile_read(enum leat_profile_file kind, const char *profile, leat_profile_setting_fn setting,
                  void *context, struct leat_error *err)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;
    unsigned char piece[4096];
    char path[4096];
    FILE *file;
    size_t size;
    int result = leat_profile_path(kind, path, err);

    if (result < 0)
        return result;
    file = fopen(path, "re");
    if (file == NULL) {
        bool is_absent = errno == ENOENT || errno == ENOTDIR;

        return leat_error_set(err, is_absent ? LEAT_E_NOT_FOUND : LEAT_E_SYSTEM,
                              "could not open \"%s\": %s", path, strerror(errno));
    }
    while ((size = fread(piece, 1, sizeof piece, file)) > 0 &&
           text.size <= LEAT_PROFILE_FILE_MAXIMUM_BYTES)
        leat_buf_add(&text, piece, size);
    fclose(file);
    result = leat_profile_parse(leat_buf_slice(&text), kind, leat_slice_from(profile), setting,
                                context, err);
    OPENSSL_cleanse(piece, sizeof piece);
    if (text.data != NULL)
        OPENSSL_cleanse(text.data, text.size);
    return result < 0 ? leat_error_prefix(err, "\"%s\"", path) : 0;
}

struct lookup {
    struct leat_slice key;
    char *value;
};

static void
lookup_setting(void *context, struct leat_slice key, struct leat_slice value)
{
    struct lookup *lookup = context;

    if (!leat_slice_equals(key, lookup->key))
        return;
    free(lookup->value);
    lookup->value = leat_slice_strdup(value);
}

int
leat_profile_get(const char *profile, const char *key, char **ret_value, struct leat_error *err)
{
    static const enum leat_profile_file order[] = {LEAT_PROFILE_CONFIG, LEAT_PROFILE_CREDENTIALS};
    struct lookup lookup = {.key = leat_slice_from(key)};

    for (size_t i = 0; i < LEAT_COUNT_OF(order) && lookup.value == NULL; i++) {
        int result =
            leat_profile_read(order[i], leat_profile_name(profile), lookup_setting, &lookup, err);

        if (result < 0 && result != LEAT_E_NOT_FOUND) {
            free(lookup.value);
            return result;
        }
    }
    if (lookup.value == NULL)
        return leat_error_set(err, LEAT_E_NOT_FOUND, "profile \"%s\" has no \"%s\"",
                              leat_profile_name(profile), key);
    leat_error_clear(err);
    *ret_value = lookup.value;
    return 0;
}
