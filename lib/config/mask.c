/*
 * Passwords in URLs (scheme://user:PASSWORD@host, ?password=…) and conninfos (password=…). What shows a text that may be one
 * shows it through here.
 */
#include <ctype.h>
#include <strings.h>

#include "config/inside.h"

static const char *const words[] = {"sslpassword=", "password="};

/* The password of "scheme://user:password@": from after the colon up to the last '@' before the path. */
static bool
find_user_password(const char *text, size_t *ret_begin, size_t *ret_end)
{
    const char *authority = strstr(text, "://"), *end, *colon, *at = NULL;

    if (authority == NULL)
        return false;
    authority += 3;
    /* A '/' in a password has to be escaped, but who forgot that wants it hidden all the same. */
    end = authority + strcspn(authority, " \t\r\n\"'");
    for (const char *next = authority; next < end; next++) {
        if (*next == '@')
            at = next;
        else if (at != NULL && (*next == '/' || *next == '?'))
            break;
    }
    colon = at != NULL ? memchr(authority, ':', (size_t)(at - authority)) : NULL;
    if (colon == NULL || colon + 1 == at)
        return false;
    *ret_begin = (size_t)(colon + 1 - text);
    *ret_end = (size_t)(at - text);
    return true;
}

/* Does a key=value with a password begin here? The size of the key, or 0. */
static size_t
password_key(const char *text, size_t at)
{
    if (at > 0 && (isalnum((unsigned char)text[at - 1]) || text[at - 1] == '_'))
        return 0;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t size = strlen(words[i]) - 1, blanks;

        if (strncasecmp(text + at, words[i], size) != 0)
            continue;
        blanks = strspn(text + at + size, " \t");
        if (text[at + size + blanks] == '=')
            return size + blanks + 1 + strspn(text + at + size + blanks + 1, " \t");
    }
    return 0;
}

/* Of a conninfo's value, quoted or not, or of a query's. */
static size_t
value_size(const char *value, bool is_query)
{
    size_t size = 0;

    if (is_query)
        return strcspn(value, "&# ");
    if (value[0] != '\'') {
        while (value[size] != '\0' && !isspace((unsigned char)value[size]))
            size += value[size] == '\\' && value[size + 1] != '\0' ? 2 : 1;
        return size;
    }
    size = 1;
    while (value[size] != '\0' && value[size] != '\'')
        size += value[size] == '\\' && value[size + 1] != '\0' ? 2 : 1;
    return value[size] == '\'' ? size + 1 : size;
}

/* Copies with *** for passwords; out may be NULL. Returns how many there were. */
static size_t
scan(const char *url, struct leat_buf *out)
{
    size_t begin = SIZE_MAX, end = SIZE_MAX, found = 0, at = 0;
    bool is_url = strstr(url, "://") != NULL;

    find_user_password(url, &begin, &end);
    while (url[at] != '\0') {
        size_t key = password_key(url, at), size = 0;

        if (at == begin) {
            size = end - begin;
            key = 0;
        } else if (key > 0) {
            size = value_size(url + at + key, is_url);
        }
        if (out != NULL)
            leat_buf_add(out, url + at, size == 0 && key == 0 ? 1 : key);
        if (out != NULL && size > 0)
            leat_buf_add_text(out, "***");
        found += size > 0;
        at += size + key > 0 ? size + key : 1;
    }
    return found;
}

bool
leat_url_has_password(const char *url)
{
    return scan(url, NULL) > 0;
}

void
leat_url_mask(const char *url, struct leat_buf *out)
{
    scan(url, out);
}
