/* The memory of the roles server. */
#include "local/roles_store.h"

#include <stdlib.h>

#include "base/encoding.h"
#include "base/memory.h"
#include "base/random.h"

#define SECRET_LETTERS 40
#define TOKEN_LETTERS 356 /* as long as those of STS, more or less */

/* ---- credentials ------------------------------------------------------------------------------- */

static void
forget(struct leat_local_issued *issued)
{
    leat_credentials_release(&issued->credentials);
    free(issued->arn);
    free(issued->owner);
    *issued = (struct leat_local_issued){0};
}

void
leat_local_issued_release(struct leat_local_issued_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        forget(&list->items[i]);
    list->count = 0;
    list->next = 0;
}

void
leat_local_random_text(struct leat_buf *out, size_t letters)
{
    unsigned char bytes[512];
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;

    while (text.size < letters) {
        size_t size = (letters - text.size) * 3 / 4 / 3 * 3 + 3;

        if (size > sizeof bytes / 3 * 3)
            size = sizeof bytes / 3 * 3;
        leat_random_bytes(bytes, size);
        leat_base64_encode(&text, leat_slice_make(bytes, size));
    }
    leat_buf_add(out, text.data, letters);
}

static void
make_key_id(struct leat_buf *out)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    unsigned char bytes[16];

    leat_random_bytes(bytes, sizeof bytes);
    leat_buf_add_text(out, "ASIA");
    for (size_t i = 0; i < sizeof bytes; i++)
        leat_buf_add_byte(out, (unsigned char)letters[bytes[i] % 32]);
}

const struct leat_local_issued *
leat_local_issued_make(struct leat_local_issued_list *list, const char *arn, const char *owner,
                       int64_t expires_us)
{
    struct leat_local_issued *issued = &list->items[list->next];
    LEAT_AUTO_BUF key_id = LEAT_BUF_INIT;
    LEAT_AUTO_BUF secret = LEAT_BUF_INIT;
    LEAT_AUTO_BUF token = LEAT_BUF_INIT;

    forget(issued);
    make_key_id(&key_id);
    leat_local_random_text(&secret, SECRET_LETTERS);
    leat_local_random_text(&token, TOKEN_LETTERS);
    leat_buf_add_text(&token, "==");
    leat_credentials_set(&issued->credentials, leat_buf_slice(&key_id), leat_buf_slice(&secret),
                         leat_buf_slice(&token));
    issued->arn = leat_strdup(arn);
    issued->owner = leat_strdup(owner);
    issued->expires_us = expires_us;
    list->next = (list->next + 1) % LEAT_LOCAL_ISSUED;
    if (list->count < LEAT_LOCAL_ISSUED)
        list->count++;
    return issued;
}

/* The newest first: they are asked for most. */
const struct leat_local_issued *
leat_local_issued_find(const struct leat_local_issued_list *list, struct leat_slice access_key_id)
{
    for (size_t i = 1; i <= list->count; i++) {
        const struct leat_local_issued *issued =
            &list->items[(list->next + LEAT_LOCAL_ISSUED - i) % LEAT_LOCAL_ISSUED];

        if (leat_slice_is(access_key_id, issued->credentials.access_key_id))
            return issued;
    }
    return NULL;
}

void
leat_local_issued_expire(struct leat_local_issued_list *list, int64_t at_us)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i].expires_us > at_us)
            list->items[i].expires_us = at_us;
    }
}

/* ---- tokens that are taken ----------------------------------------------------------------------- */

void
leat_local_badges_release(struct leat_local_badge_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i].text);
    list->count = 0;
}

void
leat_local_badges_add(struct leat_local_badge_list *list, struct leat_slice text,
                      int64_t expires_us)
{
    for (size_t i = 0; i < list->count; i++) {
        if (leat_slice_is(text, list->items[i].text)) {
            list->items[i].expires_us = expires_us;
            return;
        }
    }
    if (list->count == LEAT_LOCAL_BADGES) {
        free(list->items[0].text);
        list->count--;
        memmove(list->items, list->items + 1, list->count * sizeof list->items[0]);
    }
    list->items[list->count++] = (struct leat_local_badge){leat_slice_strdup(text), expires_us};
}

void
leat_local_badges_replace(struct leat_local_badge_list *list, struct leat_slice text,
                          int64_t now_us)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i].expires_us > now_us)
            list->items[i].expires_us = now_us;
    }
    leat_local_badges_add(list, text, INT64_MAX);
}

enum leat_local_badge_state
leat_local_badges_judge(const struct leat_local_badge_list *list, struct leat_slice text,
                        int64_t now_us)
{
    for (size_t i = 0; i < list->count; i++) {
        if (leat_slice_is(text, list->items[i].text))
            return now_us < list->items[i].expires_us ? LEAT_LOCAL_BADGE_GOOD
                                                      : LEAT_LOCAL_BADGE_EXPIRED;
    }
    return LEAT_LOCAL_BADGE_UNKNOWN;
}

/* ---- names ----------------------------------------------------------------------------------------- */

/* Takes what stands before the first `mark` off the text. */
static bool
cut_first(struct leat_slice *text, char mark, struct leat_slice *ret_part)
{
    const unsigned char *end = memchr(text->data, mark, text->size);

    if (end == NULL)
        return false;
    *ret_part = leat_slice_make(text->data, (size_t)(end - text->data));
    *text = leat_slice_make(end + 1, text->size - ret_part->size - 1);
    return true;
}

static bool
is_made_of(struct leat_slice text, const char *others)
{
    for (size_t i = 0; i < text.size; i++) {
        unsigned char letter = text.data[i];

        if (!(letter >= 'a' && letter <= 'z') && !(letter >= 'A' && letter <= 'Z') &&
            !(letter >= '0' && letter <= '9') && (letter == 0 || strchr(others, letter) == NULL))
            return false;
    }
    return true;
}

static bool
is_account(struct leat_slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
    }
    return text.size == 12;
}

bool
leat_local_role_parse(struct leat_slice arn, struct leat_local_role_name *ret_name)
{
    struct leat_slice rest = arn, part, partition, account;

    if (arn.size < 20 || arn.size > 2048 || !cut_first(&rest, ':', &part) ||
        !leat_slice_is(part, "arn") || !cut_first(&rest, ':', &partition) || partition.size == 0 ||
        !is_made_of(partition, "-") || !cut_first(&rest, ':', &part) ||
        !leat_slice_is(part, "iam") || !cut_first(&rest, ':', &part) || part.size > 0 ||
        !cut_first(&rest, ':', &account) || !is_account(account) || !cut_first(&rest, '/', &part) ||
        !leat_slice_is(part, "role"))
        return false;
    while (cut_first(&rest, '/', &part))
        ; /* a path */
    if (rest.size == 0 || rest.size > 64 || !is_made_of(rest, "_+=,.@-"))
        return false;
    *ret_name = (struct leat_local_role_name){partition, account, rest};
    return true;
}

bool
leat_local_is_session_name(struct leat_slice name)
{
    return name.size >= 2 && name.size <= 64 && is_made_of(name, "_+=,.@-");
}

bool
leat_local_is_external_id(struct leat_slice id)
{
    return id.size >= 2 && id.size <= 1224 && is_made_of(id, "_+=,.@:/-");
}
