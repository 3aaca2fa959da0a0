/*
 * The profile files' syntax and places, as AWS's own tools read them. In the config file a profile is [profile name] ([default],
 * too, unless there is a [profile default]), in the credentials file [name]; a section that comes twice is one, and of a setting that
 * comes twice the last one counts. An indented line continues the setting above it: behind an empty value it is a setting of its own,
 * told as "above.name". What is not valid as a name is passed over, of a profile (unless it stands in quotes, in the config file) as
 * of a setting; what is no setting at all is an error.
 */
#include "aws/profile.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "aws/profile_file.h"
#include "base/memory.h"

#define NAME_BYTES ((size_t)200)

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
is_name(struct leat_slice text)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                  "0123456789-_/.%@:+";

    if (text.size == 0 || text.size > NAME_BYTES)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        if (memchr(allowed, text.data[i], sizeof allowed - 1) == NULL)
            return false;
    }
    return true;
}

bool
leat_profile_key_is(struct leat_slice key, const char *wanted)
{
    return key.size == strlen(wanted) && strncasecmp((const char *)key.data, wanted, key.size) == 0;
}

/* ---- sections ------------------------------------------------------------------------------ */

enum header {
    HEADER_OTHER,
    HEADER_WANTED,
    HEADER_BARE_DEFAULT /* [default] in the config file, which [profile default] beats */
};

/* "name" or 'name': without them; anything may stand between. */
static bool
take_quotes(struct leat_slice *text)
{
    unsigned char quote = text->size >= 2 ? text->data[0] : 0;

    if ((quote != '"' && quote != '\'') ||
        memchr(text->data + 1, quote, text->size - 1) != text->data + text->size - 1)
        return false;
    *text = leat_slice_make(text->data + 1, text->size - 2);
    return true;
}

/* "word name" or "word "name"": is it this name? */
static bool
names(struct leat_slice header, const char *word, struct leat_slice name)
{
    size_t size = strlen(word);

    if (header.size <= size || memcmp(header.data, word, size) != 0 || !is_blank(header.data[size]))
        return false;
    header = trim(leat_slice_make(header.data + size, header.size - size));
    return (take_quotes(&header) || is_name(header)) && leat_slice_equals(header, name);
}

static enum header
read_header(struct leat_slice header, enum leat_profile_file kind,
            enum leat_profile_section section, struct leat_slice name)
{
    header = trim(header);
    if (section == LEAT_SECTION_SERVICES)
        return kind == LEAT_PROFILE_CONFIG && names(header, "services", name) ? HEADER_WANTED
                                                                              : HEADER_OTHER;
    if (kind == LEAT_PROFILE_CREDENTIALS)
        return is_name(header) && leat_slice_equals(header, name) ? HEADER_WANTED : HEADER_OTHER;
    if (names(header, "profile", name))
        return HEADER_WANTED;
    return leat_slice_is(name, "default") && leat_slice_is(header, "default") ? HEADER_BARE_DEFAULT
                                                                              : HEADER_OTHER;
}

/* ---- lines --------------------------------------------------------------------------------- */

struct parsing {
    enum leat_profile_file kind;
    enum leat_profile_section section;
    struct leat_slice name;
    leat_profile_setting_fn setting; /* NULL: only looking for [profile default] */
    void *context;
    bool takes_bare_default;
    /* where we are */
    unsigned line;
    bool is_in_section, is_wanted, is_found, has_profile_default;
    bool is_open, is_valid; /* a setting that may be continued; its name is one */
    struct leat_slice key;
    struct leat_buf value; /* of the open setting, with what continued it */
};

static int
format_error(const struct parsing *parsing, struct leat_error *err, const char *what)
{
    return leat_error_set(err, LEAT_E_FORMAT, "line %u: %s", parsing->line, what);
}

static void
close_setting(struct parsing *parsing)
{
    if (parsing->is_open && parsing->is_wanted && parsing->is_valid && parsing->setting != NULL)
        parsing->setting(parsing->context, parsing->key, leat_buf_slice(&parsing->value));
    if (parsing->value.data != NULL)
        OPENSSL_cleanse(parsing->value.data, parsing->value.size);
    leat_buf_clear(&parsing->value);
    parsing->is_open = false;
}

static int
begin_section(struct parsing *parsing, struct leat_slice line, struct leat_error *err)
{
    const unsigned char *close = memchr(line.data, ']', line.size);
    enum header header;

    if (close == NULL)
        return format_error(parsing, err, "a section without \"]\"");
    header = read_header(leat_slice_make(line.data + 1, (size_t)(close - line.data) - 1),
                         parsing->kind, parsing->section, parsing->name);
    parsing->has_profile_default = parsing->has_profile_default || header == HEADER_WANTED;
    parsing->is_in_section = true;
    parsing->is_wanted = header == HEADER_WANTED ||
                         (header == HEADER_BARE_DEFAULT && parsing->takes_bare_default);
    parsing->is_found = parsing->is_found || parsing->is_wanted;
    return 0;
}

/* key = value: the two, trimmed; an error without either. */
static int
split(const struct parsing *parsing, struct leat_slice line, struct leat_slice *ret_key,
      struct leat_slice *ret_value, struct leat_error *err)
{
    const unsigned char *equals = memchr(line.data, '=', line.size);
    size_t key_size = equals != NULL ? (size_t)(equals - line.data) : 0;

    if (equals == NULL || equals == line.data)
        return format_error(parsing, err, "neither a [section] nor \"key = value\"");
    *ret_key = trim(leat_slice_make(line.data, key_size));
    *ret_value = without_comment(leat_slice_make(equals + 1, line.size - key_size - 1));
    return 0;
}

/* Below a setting without a value. */
static int
nested(struct parsing *parsing, struct leat_slice line, struct leat_error *err)
{
    char name[2 * NAME_BYTES + 2];
    struct leat_slice key = {0}, value = {0};
    int result = split(parsing, line, &key, &value, err);

    if (result < 0 || !parsing->is_wanted || !parsing->is_valid || !is_name(key) ||
        parsing->setting == NULL)
        return result;
    snprintf(name, sizeof name, "%.*s.%.*s", (int)parsing->key.size,
             (const char *)parsing->key.data, (int)key.size, (const char *)key.data);
    parsing->setting(parsing->context, leat_slice_from(name), value);
    return 0;
}

static int
continuation(struct parsing *parsing, struct leat_slice line, struct leat_error *err)
{
    if (!parsing->is_open)
        return format_error(parsing, err, "an indented line that continues no setting");
    if (parsing->value.size == 0)
        return nested(parsing, line, err);
    leat_buf_add_byte(&parsing->value, '\n');
    leat_buf_add_slice(&parsing->value, line);
    return 0;
}

static int
begin_setting(struct parsing *parsing, struct leat_slice line, struct leat_error *err)
{
    struct leat_slice value = {0};

    if (split(parsing, line, &parsing->key, &value, err) < 0)
        return LEAT_E_FORMAT;
    leat_buf_add_slice(&parsing->value, value);
    parsing->is_valid = is_name(parsing->key);
    parsing->is_open = true;
    return 0;
}

static int
take_line(struct parsing *parsing, struct leat_slice raw, struct leat_error *err)
{
    struct leat_slice line = trim(raw);

    if (line.size == 0 || line.data[0] == '#' || line.data[0] == ';')
        return 0;
    if (memchr(line.data, '\0', line.size) != NULL)
        return format_error(parsing, err, "a zero byte");
    if (is_blank(raw.data[0]) && parsing->is_in_section)
        return continuation(parsing, line, err);
    close_setting(parsing);
    if (line.data[0] == '[')
        return begin_section(parsing, line, err);
    if (!parsing->is_in_section)
        return format_error(parsing, err, "a setting before the first [section]");
    return begin_setting(parsing, line, err);
}

static int
take_text(struct parsing *parsing, struct leat_slice text, struct leat_error *err)
{
    static const char mark[] = "\xef\xbb\xbf";
    size_t begin = text.size >= 3 && memcmp(text.data, mark, sizeof mark - 1) == 0 ? sizeof mark - 1
                                                                                   : 0;
    int result = 0;

    while (begin < text.size && result == 0) {
        const unsigned char *feed = memchr(text.data + begin, '\n', text.size - begin);
        size_t end = feed != NULL ? (size_t)(feed - text.data) : text.size;

        parsing->line++;
        result = take_line(parsing, leat_slice_make(text.data + begin, end - begin), err);
        begin = end + 1;
    }
    close_setting(parsing);
    leat_buf_release(&parsing->value);
    return result;
}

/* more than five: which section of which file, and where its settings go. */
int
leat_profile_parse(struct leat_slice text, enum leat_profile_file kind,
                   enum leat_profile_section section, struct leat_slice name,
                   leat_profile_setting_fn setting, void *context, struct leat_error *err)
{
    struct parsing looking = {
        .kind = kind, .section = section, .name = name, .value = LEAT_BUF_INIT};
    struct parsing parsing = looking;
    int result;

    if (text.size > LEAT_PROFILE_FILE_MAXIMUM_BYTES)
        return leat_error_set(err, LEAT_E_LIMIT, "larger than %zu bytes",
                              LEAT_PROFILE_FILE_MAXIMUM_BYTES);
    result = take_text(&looking, text, err);
    if (result < 0)
        return result;
    parsing.takes_bare_default = !looking.has_profile_default;
    parsing.setting = setting;
    parsing.context = context;
    result = take_text(&parsing, text, err);
    if (result == 0 && !parsing.is_found)
        return leat_error_set(err, LEAT_E_NOT_FOUND, "no %s \"%.*s\"",
                              section == LEAT_SECTION_SERVICES ? "services" : "profile",
                              (int)name.size, (const char *)name.data);
    return result;
}

/* ---- places -------------------------------------------------------------------------------- */

/* What is blank is not set. */
static bool
is_set(const char *text)
{
    return text != NULL && text[strspn(text, " \t")] != '\0';
}

/* The second is what the older tools had, and Python's and Go's still take. */
static const char *
name_of_environment(void)
{
    const char *name = getenv("AWS_PROFILE");

    return is_set(name) ? name : getenv("AWS_DEFAULT_PROFILE");
}

bool
leat_profile_is_named(const char *profile)
{
    return is_set(profile) || is_set(name_of_environment());
}

const char *
leat_profile_name(const char *profile)
{
    const char *name = is_set(profile) ? profile : name_of_environment();

    return is_set(name) ? name : "default";
}

static int
home(char ret_home[2048], struct leat_error *err)
{
    const char *of_environment = getenv("HOME");
    char memory[2048];
    struct passwd entry, *found = NULL;

    if (of_environment != NULL && *of_environment != '\0') {
        int size = snprintf(ret_home, 2048, "%s", of_environment);

        return size < 2048 ? 0
                           : leat_error_set(err, LEAT_E_INVALID,
                                            "HOME has %d bytes: at most 2047 are allowed", size);
    }
    if (getpwuid_r(getuid(), &entry, memory, sizeof memory, &found) != 0 || found == NULL ||
        *found->pw_dir == '\0')
        return leat_error_set(err, LEAT_E_NOT_FOUND, "HOME is not set");
    snprintf(ret_home, 2048, "%s", found->pw_dir);
    return 0;
}

int
leat_profile_path(enum leat_profile_file kind, char ret_path[4096], struct leat_error *err)
{
    bool is_credentials = kind == LEAT_PROFILE_CREDENTIALS;
    const char *path = getenv(is_credentials ? "AWS_SHARED_CREDENTIALS_FILE" : "AWS_CONFIG_FILE");
    bool is_given = path != NULL && is_set(path);
    char directory[2048];
    int size;

    if (is_given && strncmp(path, "~/", 2) != 0) {
        size = snprintf(ret_path, 4096, "%s", path);
    } else {
        size = home(directory, err);
        if (size < 0)
            return size;
        if (is_given)
            size = snprintf(ret_path, 4096, "%s%s", directory, path + 1);
        else
            size = snprintf(ret_path, 4096, "%s/.aws/%s", directory,
                            is_credentials ? "credentials" : "config");
    }
    if (size < 0 || size >= 4096)
        return leat_error_set(err, LEAT_E_INVALID,
                              "the path of a profile file has %d bytes: at most 4095 are allowed",
                              size);
    return 0;
}

/* more than five: as leat_profile_parse. */
int
leat_profile_read(enum leat_profile_file kind, enum leat_profile_section section, const char *name,
                  leat_profile_setting_fn setting, void *context, struct leat_error *err)
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
    /* Half of a file would be another one: the rest of it may say otherwise. */
    if (ferror(file))
        result = leat_error_set(err, LEAT_E_SYSTEM, "could not read: %s", strerror(errno));
    else
        result = leat_profile_parse(leat_buf_slice(&text), kind, section, leat_slice_from(name),
                                    setting, context, err);
    fclose(file);
    OPENSSL_cleanse(piece, sizeof piece);
    if (text.data != NULL)
        OPENSSL_cleanse(text.data, text.size);
    return result < 0 ? leat_error_prefix(err, "\"%s\"", path) : 0;
}

/* ---- lookups ------------------------------------------------------------------------------- */

struct lookup {
    const char *key;
    char *value;
};

static void
lookup_setting(void *context, struct leat_slice key, struct leat_slice value)
{
    struct lookup *lookup = context;

    if (!leat_profile_key_is(key, lookup->key))
        return;
    free(lookup->value);
    lookup->value = value.size > 0 ? leat_slice_strdup(value) : NULL;
}

/* What both files say is one profile, and the credentials file has the last word. *ret_exists: one of them knows it. */
static int
look_up(const char *name, struct lookup *lookup, bool *ret_exists, struct leat_error *err)
{
    static const enum leat_profile_file order[] = {LEAT_PROFILE_CREDENTIALS, LEAT_PROFILE_CONFIG};

    *ret_exists = false;
    for (size_t i = 0; i < LEAT_COUNT_OF(order); i++) {
        struct lookup here = {.key = lookup->key};
        int result =
            leat_profile_read(order[i], LEAT_SECTION_PROFILE, name, lookup_setting, &here, err);

        if (lookup->value == NULL)
            lookup->value = here.value;
        else
            free(here.value);
        if (result < 0 && result != LEAT_E_NOT_FOUND)
            return result;
        *ret_exists = *ret_exists || result == 0;
    }
    return 0;
}

int
leat_profile_get(const char *profile, const char *key, char **ret_value, struct leat_error *err)
{
    struct lookup lookup = {.key = key};
    const char *name = leat_profile_name(profile);
    bool exists;
    int result = look_up(name, &lookup, &exists, err);

    if (result < 0) {
        free(lookup.value);
        return result;
    }
    if (lookup.value == NULL)
        return leat_error_set(err, LEAT_E_NOT_FOUND, "profile \"%s\" has no \"%s\"", name, key);
    leat_error_clear(err);
    *ret_value = lookup.value;
    return 0;
}

int
leat_profile_check(const char *profile, struct leat_error *err)
{
    struct lookup lookup = {.key = ""};
    const char *name = leat_profile_name(profile);
    bool exists;
    int result;

    if (!leat_profile_is_named(profile))
        return 0;
    result = look_up(name, &lookup, &exists, err);
    free(lookup.value);
    if (result < 0)
        return result;
    if (!exists)
        return leat_error_set(err, LEAT_E_INVALID,
                              "there is no AWS profile \"%s\" in ~/.aws/config or "
                              "~/.aws/credentials: check its name%s, AWS_CONFIG_FILE and "
                              "AWS_SHARED_CREDENTIALS_FILE",
                              name,
                              is_name(leat_slice_from(name))
                                  ? ""
                                  : " (one that is more than letters, digits and -_/.%@:+ stands "
                                    "in quotes, in the config file: [profile \"…\"])");
    leat_error_clear(err);
    return 0;
}

int
leat_profile_get_service(const char *profile, const char *service, const char *key,
                         char **ret_value, struct leat_error *err)
{
    LEAT_AUTO_FREE char *services = NULL;
    LEAT_AUTO_BUF nested_key = LEAT_BUF_INIT;
    struct lookup lookup = {0};
    int result = leat_profile_get(profile, "services", &services, err);

    if (result < 0)
        return result;
    leat_buf_printf(&nested_key, "%s.%s", service, key);
    lookup.key = leat_buf_text(&nested_key);
    result = leat_profile_read(LEAT_PROFILE_CONFIG, LEAT_SECTION_SERVICES, services, lookup_setting,
                               &lookup, err);
    if (result < 0) {
        free(lookup.value);
        return result != LEAT_E_NOT_FOUND
                   ? result
                   : leat_error_set(err, LEAT_E_INVALID,
                                    "AWS profile \"%s\" names services \"%.200s\", but there is no "
                                    "section [services %.200s]",
                                    leat_profile_name(profile), services, services);
    }
    if (lookup.value == NULL)
        return leat_error_set(err, LEAT_E_NOT_FOUND, "services \"%.200s\" has no %s of %s",
                              services, key, service);
    leat_error_clear(err);
    *ret_value = lookup.value;
    return 0;
}
