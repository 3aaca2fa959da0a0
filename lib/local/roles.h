/*
 * Who gives out temporary credentials, on loopback, with faults on demand: an STS, an instance's metadata (IMDSv2 alone) and a
 * container's endpoint (ECS, EKS Pod Identity), behind one port. For `leat dev --with-roles` and tests. Keys that it issued are
 * good at the local Kinesis and S3 (their option `issuer`) until they expire.
 *
 *     POST /                                                     STS: AssumeRole, AssumeRoleWithWebIdentity, GetCallerIdentity
 *     PUT  /latest/api/token, GET /latest/meta-data/…            the instance
 *     GET  /v1/credentials (container_path)                      the container
 *
 * Threads: its own (http.h), one. All functions here may be called from any thread.
 */
#ifndef LEAT_LOCAL_ROLES_H
#define LEAT_LOCAL_ROLES_H

#include "base/buf.h"
#include "local/issuer.h"

#define LEAT_LOCAL_ROLE_ARN "arn:aws:iam::123456789012:role/leat-dev"
#define LEAT_LOCAL_CONTAINER_PATH "/v1/credentials"

struct leat_local_role {
    const char *arn;
    const char *external_id; /* AssumeRole has to bring it; NULL: it need not */
    int64_t maximum_us;      /* DurationSeconds' maximum; 0: 12 hours */
};

/* Zeros and NULLs: the defaults. Strings are copied. Tokens: a text, or a file that is read at each request; neither: see below. */
struct leat_local_roles_options {
    uint16_t port;      /* 0: a free one */
    const char *region; /* us-east-1 */
    /* Whose signature STS takes, beside those of issued keys; id NULL: nobody's. */
    const char *access_key_id, *secret_access_key;
    const struct leat_local_role *roles; /* none: LEAT_LOCAL_ROLE_ARN */
    size_t role_count;
    const char *instance_role; /* its ARN; NULL: the first of `roles`. The container's, too */
    /* How long what is issued lives, of STS at most (DurationSeconds may ask for less); 0: DurationSeconds, else one hour. */
    int64_t lifetime_us;
    const char *web_identity_token, *web_identity_token_file; /* neither: all tokens are refused */
    const char *container_token, *container_token_file; /* neither: no Authorization is asked for */
    const char *container_path;
};

struct leat_local_roles;
struct leat_local_roles *leat_local_roles_new(const struct leat_local_roles_options *options,
                                              struct leat_error *err); /* NULL: err */
/* After the servers that have its issuer. NULL is fine. */
void leat_local_roles_free(struct leat_local_roles *server);
uint16_t leat_local_roles_port(const struct leat_local_roles *server);
const char *leat_local_roles_endpoint(
    const struct leat_local_roles *server); /* http://127.0.0.1:port */
struct leat_local_issuer leat_local_roles_issuer(struct leat_local_roles *server);

/* ---- past the wire: no signature, no fault -------------------------------------------------------- */

/* Credentials of the first role, as if assumed under this session's name; the caller's. */
void leat_local_roles_issue(struct leat_local_roles *server, const char *session,
                            struct leat_credentials *ret_credentials, int64_t *ret_expires_us);
/* All that was issued until now has expired. */
void leat_local_roles_expire_all(struct leat_local_roles *server);

enum leat_local_roles_token {
    LEAT_LOCAL_TOKEN_WEB_IDENTITY = 0, /* what AssumeRoleWithWebIdentity brings */
    LEAT_LOCAL_TOKEN_CONTAINER = 1,    /* the container's Authorization */
    LEAT_LOCAL_TOKENS = 2
};
/* From now on only this one; those that were good until now have expired. */
void leat_local_roles_set_token(struct leat_local_roles *server, enum leat_local_roles_token kind,
                                const char *token);
/* Makes another one (web identity: of a JWT's form), good for so long beside those that are; appended to ret_token. */
void leat_local_roles_issue_token(struct leat_local_roles *server, enum leat_local_roles_token kind,
                                  int64_t lifetime_us, struct leat_buf *ret_token);

/* The server's clock: leat_clock_wall_us() plus all shifts so far. Those who ask its issuer bring a time of their own. */
void leat_local_roles_shift_clock(struct leat_local_roles *server, int64_t by_us);
int64_t leat_local_roles_now_us(struct leat_local_roles *server);

/* ---- faults ---------------------------------------------------------------------------------------- */

enum leat_local_roles_fault_kind {
    LEAT_LOCAL_ROLES_REFUSE =
        0, /* `code` (InternalFailure) with `status` (500), in the endpoint's words */
    LEAT_LOCAL_ROLES_ERROR = 1,    /* an empty answer of `status` (500) */
    LEAT_LOCAL_ROLES_THROTTLE = 2, /* STS: 400 Throttling; instance: 503; container: 429 */
    LEAT_LOCAL_ROLES_DELAY = 3,    /* `delay_us` before the answer; nothing else is wrong */
    LEAT_LOCAL_ROLES_HANG = 4,     /* no answer; the connection stays open */
    LEAT_LOCAL_ROLES_SLOW = 5,     /* `bytes` (1) at a time, `delay_us` (1 ms) between them */
    LEAT_LOCAL_ROLES_CUT = 6,   /* the answer ends after `bytes` (0: half) of its Content-Length */
    LEAT_LOCAL_ROLES_SHORT = 7, /* a whole answer, of the first `bytes` (0: half) of the document */
    LEAT_LOCAL_ROLES_RESET = 8, /* nothing is done, the connection is reset */
    LEAT_LOCAL_ROLES_STALE = 9, /* answered; the next request on this connection is reset unread */
    LEAT_LOCAL_ROLES_REDIRECT = 10, /* `status` (302) to `text` (this server, /elsewhere) */
    LEAT_LOCAL_ROLES_TYPE = 11,     /* the right body, called `text` (text/html) */
    LEAT_LOCAL_ROLES_PAGE = 12,     /* `status` (200) and a page in HTML, as a proxy answers */
    LEAT_LOCAL_ROLES_BODY = 13,     /* `status` (200), the right type, and `text` as the body */
    LEAT_LOCAL_ROLES_HUGE = 14,     /* the document, with blanks behind it up to `bytes` (10 MiB) */
    LEAT_LOCAL_ROLES_EXPIRED = 15,  /* what is issued expired a minute ago */
    LEAT_LOCAL_ROLES_CODE = 16,     /* instance: "Code" is `code` (AssumeRoleUnauthorizedAccess) */
    LEAT_LOCAL_ROLES_LACKING = 17,  /* the member that `code` names (Expiration) is left out */
    LEAT_LOCAL_ROLES_NO_ROLE = 18,  /* instance: 404 for the role's name and for its credentials */
    LEAT_LOCAL_ROLES_FAULTS = 19
};

/* Which calls: those that `action` (NULL: any) names; of these, after the first `skip`, each `every`th (0: 1), `times` times in
   all (0: until cleared). Strings are copied. */
struct leat_local_roles_fault {
    enum leat_local_roles_fault_kind kind;
    const char *action; /* see leat_local_roles_calls */
    unsigned skip, every, times;
    int status;
    const char *code, *text;
    int64_t delay_us;
    size_t bytes;
};
/* Several may hit one call: the first refusal, the first damage, the longest delay. */
void leat_local_roles_fault(struct leat_local_roles *server,
                            const struct leat_local_roles_fault *fault);
void leat_local_roles_clear_faults(struct leat_local_roles *server);

/* ---- what happened ---------------------------------------------------------------------------------- */

/* Under way: from the whole request to the end of its answer, so a DELAY makes calls meet that otherwise follow each other. */
struct leat_local_roles_counts {
    uint64_t calls, refused;            /* answers of 4xx and 5xx, without damage done on the way */
    uint64_t issued;                    /* credentials */
    uint64_t faults;                    /* how often one fired */
    uint64_t under_way, most_under_way; /* now; at once, so far */
    uint64_t connections;
};
void leat_local_roles_counts(struct leat_local_roles *server,
                             struct leat_local_roles_counts *ret_counts);
/*
 * Calls of one action, whatever became of them: AssumeRole, AssumeRoleWithWebIdentity, GetCallerIdentity, MetadataToken,
 * MetadataRole (the role's name), MetadataCredentials, MetadataPlace (region and zone), Container; "": of none of these.
 */
uint64_t leat_local_roles_calls(struct leat_local_roles *server, const char *action);
/* The most calls of one action that were under way at once. */
uint64_t leat_local_roles_most(struct leat_local_roles *server, const char *action);
/* Of STS' calls with this RoleSessionName (the first 64 names are counted): how many, and the most at once. Either may be NULL. */
void leat_local_roles_session(struct leat_local_roles *server, const char *session,
                              uint64_t *ret_calls, uint64_t *ret_most);

#endif
