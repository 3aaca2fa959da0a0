/*
 * What the roles server remembers: credentials that it issued, tokens that it takes, and the rules on names. Pure; time is an
 * argument. No lock: roles.c has it.
 */
#ifndef LEAT_LOCAL_ROLES_STORE_H
#define LEAT_LOCAL_ROLES_STORE_H

#include "aws/credentials.h"
#include "base/buf.h"

/* ---- credentials ------------------------------------------------------------------------------- */

/* How many are remembered; then the oldest is forgotten, and its key unknown. */
#define LEAT_LOCAL_ISSUED 4096

struct leat_local_issued {
    struct leat_credentials credentials;
    char *arn; /* of whom they make their bearer: arn:aws:sts::ACCOUNT:assumed-role/NAME/SESSION */
    char *owner; /* the role's unique id and the session's name */
    int64_t expires_us;
};
struct leat_local_issued_list {
    struct leat_local_issued items[LEAT_LOCAL_ISSUED]; /* a ring */
    size_t count, next;
};
void leat_local_issued_release(struct leat_local_issued_list *list);
/* Makes some: ASIA…, 40 letters of a secret, a token. The record is the list's, good until the next one is made. */
const struct leat_local_issued *leat_local_issued_make(struct leat_local_issued_list *list,
                                                       const char *arn, const char *owner,
                                                       int64_t expires_us);
const struct leat_local_issued *leat_local_issued_find(const struct leat_local_issued_list *list,
                                                       struct leat_slice access_key_id);
/* All that were issued until now expire at this time, if they live longer. */
void leat_local_issued_expire(struct leat_local_issued_list *list, int64_t at_us);

/* ---- tokens that are taken ----------------------------------------------------------------------- */

#define LEAT_LOCAL_BADGES 16

enum leat_local_badge_state {
    LEAT_LOCAL_BADGE_UNKNOWN = 0,
    LEAT_LOCAL_BADGE_GOOD = 1,
    LEAT_LOCAL_BADGE_EXPIRED = 2
};
/* Texts of one kind (web identity, container), the newest last; beyond LEAT_LOCAL_BADGES the oldest is forgotten. */
struct leat_local_badge_list {
    struct leat_local_badge {
        char *text;
        int64_t expires_us; /* INT64_MAX: never */
    } items[LEAT_LOCAL_BADGES];
    size_t count;
};
void leat_local_badges_release(struct leat_local_badge_list *list);
/* One more; a text that is there already gets the new expiry. */
void leat_local_badges_add(struct leat_local_badge_list *list, struct leat_slice text,
                           int64_t expires_us);
/* Only this one from now on: the others expire. */
void leat_local_badges_replace(struct leat_local_badge_list *list, struct leat_slice text,
                               int64_t now_us);
enum leat_local_badge_state leat_local_badges_judge(const struct leat_local_badge_list *list,
                                                    struct leat_slice text, int64_t now_us);

/* ---- names ----------------------------------------------------------------------------------------- */

/* Slices into the ARN of a role. */
struct leat_local_role_name {
    struct leat_slice partition, account, name;
};
/* arn:PARTITION:iam::ACCOUNT:role/PATH/NAME, 20 to 2,048 letters. */
bool leat_local_role_parse(struct leat_slice arn, struct leat_local_role_name *ret_name);
/* [\w+=,.@-]{2,64}; of external ids also ':' and '/', up to 1,224. */
bool leat_local_is_session_name(struct leat_slice name);
bool leat_local_is_external_id(struct leat_slice id);

/* Letters, digits and +/ at random, as secrets and tokens are made of. */
void leat_local_random_text(struct leat_buf *out, size_t letters);

#endif
