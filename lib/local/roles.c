/*
 * The roles server as a thing: made, freed, asked and told by C. Its lock is a leaf, and never held over I/O: token files are read
 * before it is taken.
 */
#include "local/roles.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/encoding.h"
#include "base/json.h"
#include "base/memory.h"
#include "local/roles_inside.h"

#define ROLES_MAGIC 0x6c726f6cu
#define LIFETIME_US (3600 * LEAT_SECOND_US)
#define BODY_BYTES ((size_t)256 << 10)
#define TOKEN_FILE_BYTES ((size_t)64 << 10)
#define CONTAINER_TOKEN_LETTERS 96

/* ---- tokens ---------------------------------------------------------------------------------------- */

/* What the file says now, without blanks around it. Empty: it is not there, or says nothing. */
static void
read_token_file(const char *path, struct leat_buf *ret_text)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    char piece[4096];
    ssize_t size;

    if (fd < 0)
        return;
    leat_buf_init(ret_text, TOKEN_FILE_BYTES);
    while ((size = read(fd, piece, sizeof piece)) > 0) {
        if (!leat_buf_add(ret_text, piece, (size_t)size))
            break;
    }
    close(fd);
    while (ret_text->size > 0 && strchr(" \t\r\n", ret_text->data[ret_text->size - 1]) != NULL)
        ret_text->size--;
}

bool
leat_local_roles_has_tokens(struct leat_local_roles *server, enum leat_local_roles_token kind)
{
    bool has_some;

    leat_mutex_lock(&server->lock);
    has_some = server->token_files[kind] != NULL || server->badges[kind].count > 0;
    leat_mutex_unlock(&server->lock);
    return has_some;
}

enum leat_local_badge_state
leat_local_roles_judge_token(struct leat_local_roles *server, enum leat_local_roles_token kind,
                             struct leat_slice text, int64_t now_us)
{
    enum leat_local_badge_state state;
    LEAT_AUTO_BUF current = LEAT_BUF_INIT;

    if (server->token_files[kind] != NULL)
        read_token_file(server->token_files[kind], &current);
    leat_mutex_lock(&server->lock);
    if (current.size > 0)
        leat_local_badges_replace(&server->badges[kind], leat_buf_slice(&current), now_us);
    state = leat_local_badges_judge(&server->badges[kind], text, now_us);
    leat_mutex_unlock(&server->lock);
    return state;
}

void
leat_local_roles_set_token(struct leat_local_roles *server, enum leat_local_roles_token kind,
                           const char *token)
{
    int64_t now_us = leat_local_roles_now_us(server);

    leat_mutex_lock(&server->lock);
    leat_local_badges_replace(&server->badges[kind], leat_slice_from(token), now_us);
    leat_mutex_unlock(&server->lock);
}

static void
add_url_base64(struct leat_buf *out, struct leat_slice bytes)
{
    size_t begin = out->size;

    leat_base64_encode(out, bytes);
    while (out->size > begin && out->data[out->size - 1] == '=')
        out->size--;
    for (size_t i = begin; i < out->size; i++) {
        if (out->data[i] == '+')
            out->data[i] = '-';
        else if (out->data[i] == '/')
            out->data[i] = '_';
    }
}

/* Of the form that a Kubernetes service account has; the signature is made of nothing. */
static void
make_jwt(int64_t now_us, int64_t expires_us, struct leat_buf *out)
{
    LEAT_AUTO_BUF claims = LEAT_BUF_INIT;
    LEAT_AUTO_BUF signature = LEAT_BUF_INIT;
    struct leat_json json;

    leat_json_begin(&json, &claims);
    leat_json_object(&json, NULL);
    leat_json_text(&json, "iss", "https://oidc.local");
    leat_json_text(&json, "sub", "system:serviceaccount:default:leat");
    leat_json_text(&json, "aud", "sts.amazonaws.com");
    leat_json_integer(&json, "iat", now_us / LEAT_SECOND_US);
    leat_json_integer(&json, "exp", expires_us / LEAT_SECOND_US);
    leat_json_object_end(&json);
    leat_local_random_text(&signature, 256);
    add_url_base64(out, leat_slice_from("{\"alg\":\"RS256\",\"typ\":\"JWT\"}"));
    leat_buf_add_byte(out, '.');
    add_url_base64(out, leat_buf_slice(&claims));
    leat_buf_add_byte(out, '.');
    add_url_base64(out, leat_buf_slice(&signature));
}

void
leat_local_roles_issue_token(struct leat_local_roles *server, enum leat_local_roles_token kind,
                             int64_t lifetime_us, struct leat_buf *ret_token)
{
    int64_t now_us = leat_local_roles_now_us(server);
    LEAT_AUTO_BUF token = LEAT_BUF_INIT;

    if (kind == LEAT_LOCAL_TOKEN_WEB_IDENTITY)
        make_jwt(now_us, now_us + lifetime_us, &token);
    else
        leat_local_random_text(&token, CONTAINER_TOKEN_LETTERS);
    leat_mutex_lock(&server->lock);
    leat_local_badges_add(&server->badges[kind], leat_buf_slice(&token), now_us + lifetime_us);
    leat_mutex_unlock(&server->lock);
    leat_buf_add_slice(ret_token, leat_buf_slice(&token));
}

/* ---- credentials ------------------------------------------------------------------------------------- */

/* AROA and 17 letters that are the role's own. */
static void
role_id(struct leat_slice name, char ret_id[22])
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    unsigned char hash[32];

    leat_sha256(name, hash);
    memcpy(ret_id, "AROA", 4);
    for (size_t i = 0; i < 17; i++)
        ret_id[4 + i] = letters[hash[i] % 32];
    ret_id[21] = '\0';
}

void
leat_local_roles_grant(const struct leat_local_roles_call *call, const struct leat_local_role *role,
                       const char *session, int64_t asked_us, struct leat_local_grant *ret_grant)
{
    struct leat_local_roles *server = call->server;
    int64_t now_us = leat_local_roles_now_us(server);
    int64_t lifetime_us = asked_us > 0 ? asked_us : LIFETIME_US;
    struct leat_local_role_name name = {leat_slice_from(""), leat_slice_from(""),
                                        leat_slice_from("")};
    const struct leat_local_issued *issued;
    char id[22];

    (void)leat_local_role_parse(leat_slice_from(role->arn), &name);
    role_id(name.name, id);
    if (server->lifetime_us > 0 && (asked_us == 0 || server->lifetime_us < asked_us))
        lifetime_us = server->lifetime_us;
    *ret_grant = (struct leat_local_grant){.expires_us = 0};
    snprintf(ret_grant->arn, sizeof ret_grant->arn, "arn:%.*s:sts::%.*s:assumed-role/%.*s/%s",
             (int)name.partition.size, (const char *)name.partition.data, (int)name.account.size,
             (const char *)name.account.data, (int)name.name.size, (const char *)name.name.data,
             session);
    snprintf(ret_grant->owner, sizeof ret_grant->owner, "%s:%s", id, session);
    /* Whole seconds, as they are told. */
    ret_grant->expires_us =
        (now_us + (call->plan.is_expired ? -60 * LEAT_SECOND_US : lifetime_us)) / LEAT_SECOND_US *
        LEAT_SECOND_US;
    leat_mutex_lock(&server->lock);
    issued = leat_local_issued_make(server->issued, ret_grant->arn, ret_grant->owner,
                                    ret_grant->expires_us);
    leat_credentials_copy(&ret_grant->credentials, &issued->credentials);
    server->counts.issued++;
    leat_mutex_unlock(&server->lock);
}

void
leat_local_roles_issue(struct leat_local_roles *server, const char *session,
                       struct leat_credentials *ret_credentials, int64_t *ret_expires_us)
{
    const struct leat_local_roles_call call = {.server = server};
    struct leat_local_grant grant;

    leat_local_roles_grant(&call, &server->roles[0], session, 0, &grant);
    *ret_credentials = grant.credentials;
    *ret_expires_us = grant.expires_us;
}

void
leat_local_roles_expire_all(struct leat_local_roles *server)
{
    int64_t now_us = leat_local_roles_now_us(server);

    leat_mutex_lock(&server->lock);
    leat_local_issued_expire(server->issued, now_us);
    leat_mutex_unlock(&server->lock);
}

static bool
find_key(void *context, struct leat_slice access_key_id, int64_t now_us,
         struct leat_credentials *ret_credentials, bool *ret_is_expired)
{
    struct leat_local_roles *server = context;
    const struct leat_local_issued *issued;

    leat_mutex_lock(&server->lock);
    issued = leat_local_issued_find(server->issued, access_key_id);
    if (issued != NULL) {
        leat_credentials_copy(ret_credentials, &issued->credentials);
        *ret_is_expired = now_us >= issued->expires_us;
    }
    leat_mutex_unlock(&server->lock);
    return issued != NULL;
}

struct leat_local_issuer
leat_local_roles_issuer(struct leat_local_roles *server)
{
    return (struct leat_local_issuer){find_key, server};
}

/* ---- the world around it ------------------------------------------------------------------------------- */

void
leat_local_roles_shift_clock(struct leat_local_roles *server, int64_t by_us)
{
    atomic_fetch_add(&server->shift_us, by_us);
}

int64_t
leat_local_roles_now_us(struct leat_local_roles *server)
{
    return leat_clock_wall_us() + atomic_load(&server->shift_us);
}

void
leat_local_roles_counts(struct leat_local_roles *server, struct leat_local_roles_counts *ret_counts)
{
    leat_mutex_lock(&server->lock);
    *ret_counts = server->counts;
    leat_mutex_unlock(&server->lock);
    ret_counts->connections = leat_local_http_connections(server->http);
}

static struct leat_local_tally
tally_of(struct leat_local_roles *server, const char *action)
{
    struct leat_local_tally sum = {0};

    leat_mutex_lock(&server->lock);
    for (size_t i = 0; i < LEAT_LOCAL_ROLES_ACTIONS; i++) {
        if (strcmp(leat_local_roles_action_names[i], action) != 0)
            continue;
        sum.calls += server->actions[i].calls;
        if (server->actions[i].most > sum.most)
            sum.most = server->actions[i].most;
    }
    leat_mutex_unlock(&server->lock);
    return sum;
}

uint64_t
leat_local_roles_calls(struct leat_local_roles *server, const char *action)
{
    return tally_of(server, action).calls;
}

uint64_t
leat_local_roles_most(struct leat_local_roles *server, const char *action)
{
    return tally_of(server, action).most;
}

void
leat_local_roles_session(struct leat_local_roles *server, const char *session, uint64_t *ret_calls,
                         uint64_t *ret_most)
{
    struct leat_local_tally found = {0};

    leat_mutex_lock(&server->lock);
    for (size_t i = 0; i < server->session_count; i++) {
        if (strcmp(server->sessions[i].name, session) == 0)
            found = server->sessions[i].tally;
    }
    leat_mutex_unlock(&server->lock);
    if (ret_calls != NULL)
        *ret_calls = found.calls;
    if (ret_most != NULL)
        *ret_most = found.most;
}

/* ---- begin and end ------------------------------------------------------------------------------------- */

static int64_t
http_now(void *context)
{
    return leat_local_roles_now_us(context);
}

static char *
copy(const char *text)
{
    return text != NULL ? leat_strdup(text) : NULL;
}

static struct leat_local_role
copy_role(const struct leat_local_role *role)
{
    return (struct leat_local_role){copy(role->arn), copy(role->external_id), role->maximum_us};
}

static void
role_free(struct leat_local_role *role)
{
    free((char *)(uintptr_t)role->arn);
    free((char *)(uintptr_t)role->external_id);
}

static int
take_roles(struct leat_local_roles *server, const struct leat_local_roles_options *options,
           struct leat_error *err)
{
    static const struct leat_local_role ours = {.arn = LEAT_LOCAL_ROLE_ARN};
    const struct leat_local_role *roles = options->role_count > 0 ? options->roles : &ours;
    struct leat_local_role instance = {
        .arn = options->instance_role != NULL ? options->instance_role : roles[0].arn};
    struct leat_local_role_name name;

    server->role_count = options->role_count > 0 ? options->role_count : 1;
    server->roles = LEAT_NEW_ARRAY(struct leat_local_role, server->role_count);
    for (size_t i = 0; i < server->role_count; i++)
        server->roles[i] = copy_role(&roles[i]);
    server->instance_role = copy_role(&instance);
    for (size_t i = 0; i < server->role_count; i++) {
        if (!leat_local_role_parse(leat_slice_from(roles[i].arn), &name))
            return leat_error_set(err, LEAT_E_INVALID, "\"%.80s\" is no role's ARN", roles[i].arn);
    }
    if (!leat_local_role_parse(leat_slice_from(instance.arn), &name))
        return leat_error_set(err, LEAT_E_INVALID, "\"%.80s\" is no role's ARN", instance.arn);
    return 0;
}

static void
take_options(struct leat_local_roles *server, const struct leat_local_roles_options *options)
{
    leat_is_unshared();
    server->magic = ROLES_MAGIC;
    leat_mutex_init(&server->lock);
    server->issued = LEAT_NEW(struct leat_local_issued_list);
    server->region = leat_strdup(options->region != NULL ? options->region : "us-east-1");
    server->lifetime_us = options->lifetime_us;
    server->container_path = leat_strdup(
        options->container_path != NULL ? options->container_path : LEAT_LOCAL_CONTAINER_PATH);
    server->token_files[LEAT_LOCAL_TOKEN_WEB_IDENTITY] = copy(options->web_identity_token_file);
    server->token_files[LEAT_LOCAL_TOKEN_CONTAINER] = copy(options->container_token_file);
    if (options->access_key_id != NULL)
        leat_credentials_set(&server->known, leat_slice_from(options->access_key_id),
                             leat_slice_from(options->secret_access_key), leat_slice_from(""));
    if (options->web_identity_token != NULL)
        leat_local_roles_set_token(server, LEAT_LOCAL_TOKEN_WEB_IDENTITY,
                                   options->web_identity_token);
    if (options->container_token != NULL)
        leat_local_roles_set_token(server, LEAT_LOCAL_TOKEN_CONTAINER, options->container_token);
}

struct leat_local_roles *
leat_local_roles_new(const struct leat_local_roles_options *options, struct leat_error *err)
{
    struct leat_local_roles *server = LEAT_NEW(struct leat_local_roles);
    struct leat_local_http_options http = {.port = options->port,
                                           .maximum_body_bytes = BODY_BYTES,
                                           .now_us = http_now,
                                           .handle = leat_local_roles_handle,
                                           .context = server};

    take_options(server, options);
    if (take_roles(server, options, err) == 0)
        server->http = leat_local_http_start(&http, err);
    if (server->http == NULL) {
        leat_error_prefix(err, "local roles");
        leat_local_roles_free(server);
        return NULL;
    }
    snprintf(server->endpoint, sizeof server->endpoint, "http://127.0.0.1:%u",
             (unsigned)leat_local_http_port(server->http));
    return server;
}

void
leat_local_roles_free(struct leat_local_roles *server)
{
    if (server == NULL)
        return;
    leat_local_http_stop(server->http);
    leat_mutex_lock(&server->lock);
    leat_local_issued_release(server->issued);
    free(server->issued);
    for (size_t i = 0; i < LEAT_LOCAL_TOKENS; i++)
        leat_local_badges_release(&server->badges[i]);
    leat_local_roles_forget_faults(server);
    free(server->armed);
    leat_mutex_unlock(&server->lock);
    leat_mutex_release(&server->lock);
    leat_credentials_release(&server->known);
    for (size_t i = 0; i < server->role_count; i++)
        role_free(&server->roles[i]);
    role_free(&server->instance_role);
    free(server->roles);
    for (size_t i = 0; i < LEAT_LOCAL_TOKENS; i++)
        free(server->token_files[i]);
    free(server->region);
    free(server->container_path);
    server->magic = 0;
    free(server);
}

uint16_t
leat_local_roles_port(const struct leat_local_roles *server)
{
    return leat_local_http_port(server->http);
}

const char *
leat_local_roles_endpoint(const struct leat_local_roles *server)
{
    return server->endpoint;
}
