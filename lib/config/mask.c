/*
 * Passwords in URLs (scheme://user:PASSWORD@host, ?password=…) and conninfos (password=…). What shows a text that may be one
 * shows it through here.
 */
#include "config/mask.h"

#include <ctype.h>
#include <strings.h>

#include "base/database_url.h"

static const char *const words[] = {"password", "passwd", "pwd", "passphrase", "secret", "token"};

/* The password of "scheme://user:password@": from after the colon up to the last '@' before the path. */
static bool
find_user_password(const char *text, size_t *ret_begin, size_t *ret_end)
{
    const char *authority = strstr(text, "://"), *end, *colon, *at = NULL;

    if (authority == NULL)
        return false;
    authority += 3;
    /* A '/' in a password has to be escaped, but who forgot that wants it hidden all the same. */
    end = authority + strlen(authority);
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

bool
leat_name_is_secret(struct leat_slice name)
{
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t size = strlen(words[i]);

        for (size_t at = 0; at + size <= name.size; at++) {
            if (strncasecmp((const char *)name.data + at, words[i], size) == 0)
                return true;
        }
    }
    return false;
}

static bool
is_name_byte(char byte)
{
    return isalnum((unsigned char)byte) || byte == '_' || byte == '-';
}

/* Does a key=value with a secret begin here? The size of the key with its '=', or 0. */
static size_t
secret_key(const char *text, size_t at)
{
    size_t size = 0;

    if (at > 0 && is_name_byte(text[at - 1]))
        return 0;
    while (is_name_byte(text[at + size]))
        size++;
    if (size == 0 || !leat_name_is_secret(leat_slice_make(text + at, size)))
        return 0;
    size += strspn(text + at + size, " \t");
    if (text[at + size] != '=')
        return 0;
    return size + 1 + strspn(text + at + size + 1, " \t");
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
        size_t key = secret_key(url, at), size = 0;

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

/* "user:password@host" of which the scheme was forgotten, or its colon or slashes: which part is which nobody can tell. */
static bool
is_without_scheme(const char *text)
{
    const char *colon = strchr(text, ':');

    return colon != NULL && strstr(text, "://") == NULL && strchr(colon + 1, '@') != NULL &&
           colon[1] != '@';
}

/* A conninfo begins with a word of libpq's and an '='. */
static bool
is_conninfo(const char *text)
{
    static const char *const keywords[] = {"host",     "hostaddr", "port",        "dbname", "user",
                                           "password", "service",  "sslpassword", "sslmode"};
    size_t size;

    text += strspn(text, " \t\r\n");
    size = strspn(text, "abcdefghijklmnopqrstuvwxyz");
    if (text[size + strspn(text + size, " \t")] != '=')
        return false;
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++) {
        if (strlen(keywords[i]) == size && strncmp(text, keywords[i], size) == 0)
            return true;
    }
    return false;
}

bool
leat_url_is_database(const char *url)
{
    return leat_database_url_is_uri(url) || is_conninfo(url);
}

bool
leat_url_has_password(const char *url)
{
    if (leat_url_is_database(url))
        return leat_database_url_has_password(url) || scan(url, NULL) > 0;
    return is_without_scheme(url) || scan(url, NULL) > 0;
}

/* What looks like a password is masked in any text. In a database's URL libpq says what is one: where the pattern found another
   one, or too little, the URL is shown as libpq reads it. */
void
leat_url_mask(const char *url, struct leat_buf *out)
{
    LEAT_AUTO_BUF masked = LEAT_BUF_INIT;
    LEAT_AUTO_BUF parsed = LEAT_BUF_INIT;

    if (!leat_url_is_database(url) && is_without_scheme(url)) {
        leat_buf_add_text(out, "***");
        return;
    }
    scan(url, &masked);
    if (!leat_url_is_database(url) || leat_database_url_is_masked(url, leat_buf_text(&masked))) {
        leat_buf_add_slice(out, leat_buf_slice(&masked));
        return;
    }
    leat_database_url_mask(url, &parsed);
    scan(leat_buf_text(&parsed), out);
}

/* "out/rows", "events.jsonl": a plain path, which holds no password. */
static bool
is_plain_path(const char *text)
{
    return text[strspn(
               text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_./")] == '\0';
}

void
leat_secret_mask(const char *text, struct leat_buf *out)
{
    if (leat_url_is_database(text) || strstr(text, "://") != NULL || is_plain_path(text))
        leat_url_mask(text, out);
    else
        leat_buf_add_text(out, "***");
}
