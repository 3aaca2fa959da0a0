/*
 * An instance's metadata (IMDSv2: no request without a token) and a container's endpoint. Both give credentials as JSON, each
 * in its own form.
 */
#include "base/clock.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/units.h"
#include "local/roles_inside.h"

#define LIST "/latest/meta-data/iam/security-credentials"
#define REGION "/latest/meta-data/placement/region"
#define ZONE "/latest/meta-data/placement/availability-zone"
#define TTL_HEADER "x-aws-ec2-metadata-token-ttl-seconds"
#define MAXIMUM_TTL_SECONDS 21600
#define INSTANCE_SESSION "i-0123456789abcdef0"
#define CONTAINER_SESSION "leat-container"

static bool
begins_with(struct leat_slice text, const char *prefix)
{
    return text.size >= strlen(prefix) && memcmp(text.data, prefix, strlen(prefix)) == 0;
}

enum leat_local_roles_action
leat_local_roles_find_path(const struct leat_local_roles *server, struct leat_slice path)
{
    if (leat_slice_is(path, server->container_path))
        return LEAT_LOCAL_ROLES_CONTAINER;
    if (leat_slice_is(path, "/latest/api/token"))
        return LEAT_LOCAL_ROLES_METADATA_TOKEN;
    if (leat_slice_is(path, LIST) || leat_slice_is(path, LIST "/"))
        return LEAT_LOCAL_ROLES_METADATA_ROLE;
    if (begins_with(path, LIST "/"))
        return LEAT_LOCAL_ROLES_METADATA_CREDENTIALS;
    if (leat_slice_is(path, REGION) || leat_slice_is(path, ZONE))
        return LEAT_LOCAL_ROLES_METADATA_PLACE;
    return begins_with(path, "/latest/") ? LEAT_LOCAL_ROLES_METADATA_OTHER : LEAT_LOCAL_ROLES_OTHER;
}

/* ---- the instance: tokens ------------------------------------------------------------------------ */

static void
give_token(struct leat_local_roles_call *call)
{
    struct leat_local_roles *server = call->server;
    LEAT_AUTO_BUF token = LEAT_BUF_INIT;
    struct leat_slice value;
    int64_t seconds;
    struct leat_error err;

    if (!leat_slice_is(call->request->method, "PUT")) {
        leat_local_roles_say_no(call, 405, "Method Not Allowed", "PUT");
        return;
    }
    if (leat_local_http_find(call->request, "x-forwarded-for", &value)) {
        leat_local_roles_say_no(call, 403, "Forbidden", "forwarded");
        return;
    }
    if (!leat_local_http_find(call->request, TTL_HEADER, &value) ||
        leat_parse_integer(value, &seconds, &err) < 0 || seconds < 1 ||
        seconds > MAXIMUM_TTL_SECONDS) {
        leat_local_roles_say_no(call, 400, "Bad Request", "ttl");
        return;
    }
    leat_local_random_text(&token, LEAT_LOCAL_METADATA_TOKEN_LETTERS);
    leat_buf_add_text(&token, "==");
    leat_mutex_lock(&server->lock);
    memcpy(server->metadata_tokens[server->next_metadata_token].text, leat_buf_text(&token),
           token.size + 1);
    server->metadata_tokens[server->next_metadata_token].expires_us = call->now_us +
                                                                      seconds * LEAT_SECOND_US;
    server->next_metadata_token = (server->next_metadata_token + 1) % LEAT_LOCAL_METADATA_TOKENS;
    leat_mutex_unlock(&server->lock);
    leat_local_http_header(call->answer, TTL_HEADER, "%lld", (long long)seconds);
    leat_buf_add_slice(&call->answer->body, leat_buf_slice(&token));
}

static bool
has_good_token(struct leat_local_roles_call *call)
{
    struct leat_local_roles *server = call->server;
    struct leat_slice token;
    bool is_good = false;

    if (!leat_local_http_find(call->request, "x-aws-ec2-metadata-token", &token) || token.size == 0)
        return false;
    leat_mutex_lock(&server->lock);
    for (size_t i = 0; i < LEAT_LOCAL_METADATA_TOKENS; i++) {
        if (leat_slice_is(token, server->metadata_tokens[i].text))
            is_good = call->now_us < server->metadata_tokens[i].expires_us;
    }
    leat_mutex_unlock(&server->lock);
    return is_good;
}

/* ---- the instance: what it knows ----------------------------------------------------------------- */

static struct leat_slice
instance_role_name(const struct leat_local_roles *server)
{
    struct leat_local_role_name name = {.name = leat_slice_from("")};

    (void)leat_local_role_parse(leat_slice_from(server->instance_role.arn), &name);
    return name.name;
}

static void
member(struct leat_local_roles_call *call, struct leat_json *json, const char *name,
       const char *text)
{
    if (strcmp(call->plan.lacking, name) != 0)
        leat_json_text(json, name, text);
}

static void
moment(struct leat_local_roles_call *call, struct leat_json *json, const char *name, int64_t us)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;

    leat_format_time(&text, us / LEAT_SECOND_US * LEAT_SECOND_US);
    member(call, json, name, leat_buf_text(&text));
}

static void
write_failure(struct leat_local_roles_call *call, struct leat_json *json)
{
    struct leat_slice role = instance_role_name(call->server);
    LEAT_AUTO_BUF message = LEAT_BUF_INIT;

    leat_buf_printf(&message, "EC2 cannot assume the role %.*s.", (int)role.size,
                    (const char *)role.data);
    leat_json_text(json, "Code", call->plan.metadata);
    leat_json_text(json, "Message", leat_buf_text(&message));
    moment(call, json, "LastUpdated", call->now_us);
}

static void
give_instance_credentials(struct leat_local_roles_call *call)
{
    struct leat_local_roles *server = call->server;
    struct leat_local_grant grant = {.expires_us = 0};
    struct leat_json json;

    leat_json_begin(&json, &call->answer->body);
    leat_json_object(&json, NULL);
    if (call->plan.metadata[0] != '\0') {
        write_failure(call, &json);
    } else {
        leat_local_roles_grant(call, &server->instance_role, INSTANCE_SESSION, 0, &grant);
        member(call, &json, "Code", "Success");
        moment(call, &json, "LastUpdated", call->now_us);
        member(call, &json, "Type", "AWS-HMAC");
        member(call, &json, "AccessKeyId", grant.credentials.access_key_id);
        member(call, &json, "SecretAccessKey", grant.credentials.secret_access_key);
        member(call, &json, "Token", grant.credentials.session_token);
        moment(call, &json, "Expiration", grant.expires_us);
        leat_credentials_release(&grant.credentials);
    }
    leat_json_object_end(&json);
}

static void
run_known(struct leat_local_roles_call *call)
{
    struct leat_slice role = instance_role_name(call->server), path = call->request->path;

    switch (call->action) {
    case LEAT_LOCAL_ROLES_METADATA_ROLE:
        leat_buf_add_slice(&call->answer->body, role);
        return;
    case LEAT_LOCAL_ROLES_METADATA_CREDENTIALS:
        path = leat_slice_make(path.data + strlen(LIST "/"), path.size - strlen(LIST "/"));
        if (leat_slice_equals(path, role))
            give_instance_credentials(call);
        else
            leat_local_roles_say_no(call, 404, "Not Found", "role");
        return;
    case LEAT_LOCAL_ROLES_METADATA_PLACE:
        leat_buf_add_text(&call->answer->body, call->server->region);
        if (leat_slice_is(path, ZONE))
            leat_buf_add_byte(&call->answer->body, 'a');
        return;
    default:
        leat_local_roles_say_no(call, 404, "Not Found", "path");
    }
}

void
leat_local_roles_run_metadata(struct leat_local_roles_call *call)
{
    if (call->action == LEAT_LOCAL_ROLES_METADATA_TOKEN)
        give_token(call);
    else if (!leat_slice_is(call->request->method, "GET"))
        leat_local_roles_say_no(call, 405, "Method Not Allowed", "GET");
    else if (!has_good_token(call))
        leat_local_roles_say_no(call, 401, "Unauthorized", "token");
    else if (call->plan.has_no_role && (call->action == LEAT_LOCAL_ROLES_METADATA_ROLE ||
                                        call->action == LEAT_LOCAL_ROLES_METADATA_CREDENTIALS))
        leat_local_roles_say_no(call, 404, "Not Found", "no role");
    else
        run_known(call);
}

/* ---- the container --------------------------------------------------------------------------------- */

/* The raw token, without a word before it. false: refused. */
static bool
check_authorization(struct leat_local_roles_call *call)
{
    enum leat_local_badge_state state;
    struct leat_slice token;

    if (!leat_local_roles_has_tokens(call->server, LEAT_LOCAL_TOKEN_CONTAINER))
        return true;
    if (!leat_local_http_find(call->request, "authorization", &token) || token.size == 0) {
        leat_local_roles_say_no(call, 401, "MissingAuthenticationToken",
                                "the Authorization header is missing or empty");
        return false;
    }
    state =
        leat_local_roles_judge_token(call->server, LEAT_LOCAL_TOKEN_CONTAINER, token, call->now_us);
    if (state == LEAT_LOCAL_BADGE_EXPIRED)
        leat_local_roles_say_no(call, 400, "ExpiredTokenException", "the token has expired");
    else if (state == LEAT_LOCAL_BADGE_UNKNOWN)
        leat_local_roles_say_no(call, 401, "InvalidTokenException",
                                "the token in the Authorization header is not valid");
    return state == LEAT_LOCAL_BADGE_GOOD;
}

void
leat_local_roles_run_container(struct leat_local_roles_call *call)
{
    struct leat_local_roles *server = call->server;
    struct leat_local_role_name name = {.account = leat_slice_from("")};
    LEAT_AUTO_BUF account = LEAT_BUF_INIT;
    struct leat_local_grant grant;
    struct leat_json json;

    if (!leat_slice_is(call->request->method, "GET")) {
        leat_local_roles_say_no(call, 405, "MethodNotAllowed", "GET alone");
        return;
    }
    if (!check_authorization(call))
        return;
    (void)leat_local_role_parse(leat_slice_from(server->instance_role.arn), &name);
    leat_buf_add_slice(&account, name.account);
    leat_local_roles_grant(call, &server->instance_role, CONTAINER_SESSION, 0, &grant);
    leat_json_begin(&json, &call->answer->body);
    leat_json_object(&json, NULL);
    member(call, &json, "RoleArn", server->instance_role.arn);
    member(call, &json, "AccessKeyId", grant.credentials.access_key_id);
    member(call, &json, "SecretAccessKey", grant.credentials.secret_access_key);
    member(call, &json, "Token", grant.credentials.session_token);
    moment(call, &json, "Expiration", grant.expires_us);
    member(call, &json, "AccountId", leat_buf_text(&account));
    leat_json_object_end(&json);
    leat_credentials_release(&grant.credentials);
}
