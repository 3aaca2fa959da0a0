/*
 * Parsed once, by libpq, and masked by value: which bytes are the password is what libpq takes for it, not what a pattern
 * finds. What libpq would parse and mean otherwise is refused: "leat:a/b@host" is for libpq a host "leat", a port "a" and a
 * database "b@host", and each of the three would be printed.
 */
#include "base/database_url.h"

#include <libpq-fe.h>
#include <string.h>
#include <strings.h>

#define MASK "***"

bool
leat_database_url_is_uri(const char *url)
{
    return strncasecmp(url, "postgresql://", 13) == 0 || strncasecmp(url, "postgres://", 11) == 0;
}

/* libpq marks what is not to be shown: password, sslpassword and whatever comes. */
static bool
is_secret(const PQconninfoOption *option)
{
    return option->val != NULL && option->val[0] != '\0' && option->dispchar != NULL &&
           option->dispchar[0] == '*';
}

static bool
is_named(const PQconninfoOption *option, const char *keyword)
{
    return strcmp(option->keyword, keyword) == 0;
}

/* "5432", "5432,5433", ",5433". */
static bool
is_port_list(const char *text)
{
    return text == NULL || strspn(text, "0123456789, ") == strlen(text);
}

static bool
has_at(const char *text, size_t size)
{
    return memchr(text, '@', size) != NULL;
}

/* An '@' ends the user's part. A second one, or one behind what libpq takes for the host, belonged to the password. In the query
   it may stand, behind a path: there a password's '?' has made the port no number. */
static bool
is_clear_uri(const char *url)
{
    const char *authority = strstr(url, "://") + 3;
    size_t size = strcspn(authority, "/?"), path_size = strcspn(authority + size, "?");
    const char *at = memchr(authority, '@', size);

    if (at != NULL && has_at(at + 1, size - (size_t)(at + 1 - authority)))
        return false;
    if (has_at(authority + size, path_size))
        return false;
    return at != NULL || path_size > 0 || memchr(authority, ':', size) == NULL ||
           strchr(authority, '@') == NULL;
}

static bool
has_option(const PQconninfoOption *options, bool (*is_so)(const PQconninfoOption *option))
{
    for (; options->keyword != NULL; options++) {
        if (is_so(options))
            return true;
    }
    return false;
}

static bool
is_bad_port(const PQconninfoOption *option)
{
    return is_named(option, "port") && !is_port_list(option->val);
}

/* "host=h,password=…" and "user=u;pwd=…": libpq takes all of it for one value, and a server's refusal repeats that. */
static bool
has_word_of_password(const char *value)
{
    static const char *const words[] = {"password", "passwd", "pwd", "pass"};

    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        const char *found = strcasestr(value, words[i]);

        if (found != NULL &&
            found[strlen(words[i]) + strspn(found + strlen(words[i]), " \t")] == '=')
            return true;
    }
    return false;
}

/* "u:password@host" as a host; a socket's abstract name begins with its '@'. */
static bool
is_host_with_user(const PQconninfoOption *option)
{
    const char *at = is_named(option, "host") ? strchr(option->val, '@') : NULL;

    return at != NULL && at != option->val && at[-1] != ',';
}

/* A whole URL in one of a conninfo's values was meant to be the only one, and so were its parts. Options hold settings. */
static bool
is_misplaced(const PQconninfoOption *option)
{
    if (option->val == NULL || is_secret(option) || is_named(option, "options"))
        return false;
    return leat_database_url_is_uri(option->val) || is_host_with_user(option) ||
           has_word_of_password(option->val);
}

static PQconninfoOption *
parse(const char *url)
{
    PQconninfoOption *options;
    char *text = NULL;

    if (leat_database_url_is_uri(url) && !is_clear_uri(url))
        return NULL;
    options = PQconninfoParse(url, &text);
    PQfreemem(text);
    if (options != NULL &&
        (has_option(options, is_bad_port) || has_option(options, is_misplaced))) {
        PQconninfoFree(options);
        options = NULL;
    }
    return options;
}

int
leat_database_url_check(const char *url, struct leat_error *err)
{
    PQconninfoOption *options = parse(url);

    PQconninfoFree(options);
    if (options != NULL)
        return 0;
    return leat_error_set(
        err, LEAT_E_INVALID,
        "cannot be parsed as postgresql://user@host:port/database or as a conninfo (host=… "
        "dbname=…): in a url the characters %% / @ : ? # and blanks of a password are written %%25 "
        "%%2F %%40 %%3A %%3F %%23 %%20, in a conninfo a value with blanks stands in '…'; better "
        "leave the password to PGPASSFILE or a service file");
}

bool
leat_database_url_has_password(const char *url)
{
    PQconninfoOption *options = parse(url);
    bool has_one = options == NULL || has_option(options, is_secret);

    PQconninfoFree(options);
    return has_one;
}

static void
add_value(struct leat_buf *out, const char *value)
{
    if (value[0] != '\0' && strpbrk(value, " \t\r\n'\\") == NULL) {
        leat_buf_add_text(out, value);
        return;
    }
    leat_buf_add_byte(out, '\'');
    for (; *value != '\0'; value++) {
        if (*value == '\'' || *value == '\\')
            leat_buf_add_byte(out, '\\');
        leat_buf_add_byte(out, (unsigned char)*value);
    }
    leat_buf_add_byte(out, '\'');
}

void
leat_database_url_mask(const char *url, struct leat_buf *out)
{
    PQconninfoOption *options = parse(url);
    bool is_first = true;

    if (options == NULL) {
        leat_buf_add_text(out, url[0] != '\0' ? MASK : "");
        return;
    }
    if (!has_option(options, is_secret)) {
        leat_buf_add_text(out, url);
        PQconninfoFree(options);
        return;
    }
    for (const PQconninfoOption *option = options; option->keyword != NULL; option++) {
        if (option->val == NULL || option->val[0] == '\0')
            continue;
        leat_buf_printf(out, "%s%s=", is_first ? "" : " ", option->keyword);
        if (is_secret(option))
            leat_buf_add_text(out, MASK);
        else
            add_value(out, option->val);
        is_first = false;
    }
    PQconninfoFree(options);
}

static bool
is_same(const PQconninfoOption *option, const PQconninfoOption *masked)
{
    const char *value = option->val != NULL ? option->val : "";
    const char *shown = masked->val != NULL ? masked->val : "";

    return strcmp(is_secret(option) ? MASK : value, shown) == 0;
}

/* libpq gives all options that it knows, always in the same order. */
bool
leat_database_url_is_masked(const char *url, const char *masked)
{
    PQconninfoOption *options = parse(url), *shown = parse(masked);
    bool is_right = options != NULL && shown != NULL;

    for (size_t i = 0; is_right && options[i].keyword != NULL && shown[i].keyword != NULL; i++)
        is_right = is_same(&options[i], &shown[i]);
    PQconninfoFree(options);
    PQconninfoFree(shown);
    return is_right;
}

static void
replace_all(char *text, const char *secret)
{
    size_t size = strlen(secret);

    for (char *found = strstr(text, secret); found != NULL; found = strstr(found, secret)) {
        size_t kept = size < sizeof MASK - 1 ? size : sizeof MASK - 1;

        memcpy(found, MASK, kept);
        memmove(found + kept, found + size, strlen(found + size) + 1);
        found += kept;
    }
}

void
leat_database_url_redact(const char *url, char *text)
{
    PQconninfoOption *options = parse(url);

    for (const PQconninfoOption *option = options; option != NULL && option->keyword != NULL;
         option++) {
        if (is_secret(option))
            replace_all(text, option->val);
    }
    PQconninfoFree(options);
}
