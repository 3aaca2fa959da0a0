/* What the files of the roles server share; nobody else includes this. */
#ifndef LEAT_LOCAL_ROLES_INSIDE_H
#define LEAT_LOCAL_ROLES_INSIDE_H

#include "base/thread.h"
#include "local/http.h"
#include "local/roles.h"
#include "local/roles_store.h"

#define LEAT_LOCAL_ROLES_SESSIONS 64
#define LEAT_LOCAL_METADATA_TOKENS 256
#define LEAT_LOCAL_METADATA_TOKEN_LETTERS 54
#define LEAT_LOCAL_ROLES_PARAMETERS 32

enum leat_local_roles_action {
    LEAT_LOCAL_ROLES_OTHER = 0, /* nothing that there is here */
    LEAT_LOCAL_ROLES_STS_OTHER, /* POST /, with an action that is not known */
    LEAT_LOCAL_ROLES_ASSUME_ROLE,
    LEAT_LOCAL_ROLES_WEB_IDENTITY,
    LEAT_LOCAL_ROLES_CALLER_IDENTITY,
    LEAT_LOCAL_ROLES_METADATA_OTHER, /* /latest/…, a path that is not known */
    LEAT_LOCAL_ROLES_METADATA_TOKEN,
    LEAT_LOCAL_ROLES_METADATA_ROLE,
    LEAT_LOCAL_ROLES_METADATA_CREDENTIALS,
    LEAT_LOCAL_ROLES_METADATA_PLACE,
    LEAT_LOCAL_ROLES_CONTAINER,
    LEAT_LOCAL_ROLES_ACTIONS
};
extern const char *const leat_local_roles_action_names[LEAT_LOCAL_ROLES_ACTIONS];

struct leat_local_roles_armed {
    struct leat_local_roles_fault fault; /* its strings are owned */
    uint64_t seen, fired;
};

struct leat_local_tally {
    uint64_t calls, under_way, most;
};

struct leat_local_roles {
    uint32_t magic;
    struct leat_local_http *http;
    char endpoint[40];
    char *region;
    struct leat_local_role *roles; /* strings owned */
    size_t role_count;
    struct leat_local_role instance_role;
    int64_t lifetime_us; /* 0: as asked for */
    char *container_path;
    char *token_files[LEAT_LOCAL_TOKENS]; /* NULL: none */
    struct leat_credentials known;        /* access_key_id NULL: nobody's */
    _Atomic int64_t shift_us;
    struct leat_mutex lock;
    struct leat_local_issued_list *issued LEAT_FIELD_GUARDED_BY(lock);
    struct leat_local_badge_list badges[LEAT_LOCAL_TOKENS] LEAT_FIELD_GUARDED_BY(lock);
    struct {
        char text[LEAT_LOCAL_METADATA_TOKEN_LETTERS + 3];
        int64_t expires_us;
    } metadata_tokens[LEAT_LOCAL_METADATA_TOKENS] LEAT_FIELD_GUARDED_BY(lock);
    size_t next_metadata_token LEAT_FIELD_GUARDED_BY(lock);
    struct leat_local_roles_armed *armed LEAT_FIELD_GUARDED_BY(lock);
    size_t armed_count LEAT_FIELD_GUARDED_BY(lock), armed_capacity LEAT_FIELD_GUARDED_BY(lock);
    struct leat_local_tally actions[LEAT_LOCAL_ROLES_ACTIONS] LEAT_FIELD_GUARDED_BY(lock);
    struct {
        char name[65];
        struct leat_local_tally tally;
    } sessions[LEAT_LOCAL_ROLES_SESSIONS] LEAT_FIELD_GUARDED_BY(lock);
    size_t session_count LEAT_FIELD_GUARDED_BY(lock);
    struct leat_local_roles_counts counts LEAT_FIELD_GUARDED_BY(lock);
};

/* What happens to one call. */
struct leat_local_roles_plan {
    int status; /* 0: it is done; else it is refused, with `code`, or with an empty body where code is "" */
    char code[64];
    struct leat_local_http_fault http;
    bool is_reset;     /* before anything is done */
    bool is_expired;   /* what it issues */
    bool has_no_role;  /* the instance */
    char lacking[40];  /* "": nothing */
    char metadata[64]; /* "Code"; "": Success */
    /* REDIRECT, TYPE, PAGE, BODY, HUGE or SHORT, the first that hit; kind LEAT_LOCAL_ROLES_FAULTS: none. text is owned. */
    struct leat_local_roles_fault changed;
    char *text;
};

struct leat_local_roles_parameter {
    struct leat_slice name, value;
};

/* One request. */
struct leat_local_roles_call {
    struct leat_local_roles *server;
    const struct leat_local_request *request;
    struct leat_local_answer *answer;
    enum leat_local_roles_action action;
    int64_t now_us;
    char request_id[40];
    const char *content_type; /* of the answer */
    struct leat_local_roles_plan plan;
    struct leat_buf text; /* the form, unescaped: what the parameters are cut from */
    struct leat_local_roles_parameter parameters[LEAT_LOCAL_ROLES_PARAMETERS];
    size_t parameter_count;
};

static inline bool
leat_local_roles_is_sts(enum leat_local_roles_action action)
{
    return action >= LEAT_LOCAL_ROLES_STS_OTHER && action <= LEAT_LOCAL_ROLES_CALLER_IDENTITY;
}
static inline bool
leat_local_roles_is_metadata(enum leat_local_roles_action action)
{
    return action >= LEAT_LOCAL_ROLES_METADATA_OTHER && action <= LEAT_LOCAL_ROLES_METADATA_PLACE;
}

/* roles.c */
struct leat_local_grant {
    struct leat_credentials credentials; /* the caller's: leat_credentials_release */
    char arn[256], owner[128];
    int64_t expires_us;
};
/* Credentials of a role under this session's name, for at most so long (0: one hour). */
void leat_local_roles_grant(const struct leat_local_roles_call *call,
                            const struct leat_local_role *role, const char *session,
                            int64_t asked_us, struct leat_local_grant *ret_grant);
enum leat_local_badge_state leat_local_roles_judge_token(struct leat_local_roles *server,
                                                         enum leat_local_roles_token kind,
                                                         struct leat_slice text, int64_t now_us);
/* Is any such token asked for? */
bool leat_local_roles_has_tokens(struct leat_local_roles *server, enum leat_local_roles_token kind);

/* roles_call.c */
void leat_local_roles_handle(void *context, const struct leat_local_request *request,
                             struct leat_local_answer *answer);
/* In the words of the endpoint that was asked. The answer's body is cleared first. */
void leat_local_roles_say_no(struct leat_local_roles_call *call, int status, const char *code,
                             const char *format, ...) LEAT_PRINTF(4, 5);

/* roles_sts.c */
/* The form, and which action it asks for. */
void leat_local_roles_parse_form(struct leat_local_roles_call *call);
/* Empty where the form has none. */
struct leat_slice leat_local_roles_parameter(const struct leat_local_roles_call *call,
                                             const char *name);
void leat_local_roles_run_sts(struct leat_local_roles_call *call);
void leat_local_roles_refuse_sts(struct leat_local_roles_call *call, const char *code,
                                 const char *message);

/* roles_metadata.c */
/* Which action is it, of the instance or the container? OTHER: neither. */
enum leat_local_roles_action leat_local_roles_find_path(const struct leat_local_roles *server,
                                                        struct leat_slice path);
void leat_local_roles_run_metadata(struct leat_local_roles_call *call);
void leat_local_roles_run_container(struct leat_local_roles_call *call);

/* roles_faults.c */
void leat_local_roles_make_plan(struct leat_local_roles *server,
                                enum leat_local_roles_action action,
                                struct leat_local_roles_plan *ret_plan) LEAT_REQUIRES(server->lock);
void leat_local_roles_forget_faults(struct leat_local_roles *server) LEAT_REQUIRES(server->lock);

struct json_object;
struct leat_json;
int leat_local_roles_fault_parse(struct json_object *object,
                                 struct leat_local_roles_fault *ret_fault, struct leat_error *err);
void leat_local_roles_faults_write(struct leat_local_roles *server, struct leat_json *json)
    LEAT_REQUIRES(server->lock);

/* roles_control.c */
void leat_local_roles_control(struct leat_local_roles *server,
                              const struct leat_local_request *request,
                              struct leat_local_answer *answer);

#endif
