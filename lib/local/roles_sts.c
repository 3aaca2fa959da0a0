/* STS: a form comes in, XML goes out. What is checked is checked in the words of the service. */
#include <strings.h>

#include "base/clock.h"
#include "base/encoding.h"
#include "base/memory.h"
#include "base/units.h"
#include "local/roles_inside.h"
#include "local/xml.h"

#define NAMESPACE "https://sts.amazonaws.com/doc/2011-06-15/"
#define VERSION "2011-06-15"
#define MAXIMUM_SKEW_US (15 * 60 * LEAT_SECOND_US)
#define SHOWN_BYTES 200
#define MINIMUM_SECONDS 900
#define MAXIMUM_SECONDS 43200
#define CHAINED_SECONDS 3600

/* ---- the form ------------------------------------------------------------------------------------ */

struct leat_slice
leat_local_roles_parameter(const struct leat_local_roles_call *call, const char *name)
{
    for (size_t i = 0; i < call->parameter_count; i++) {
        if (leat_slice_is(call->parameters[i].name, name))
            return call->parameters[i].value;
    }
    return leat_slice_from("");
}

/* A blank may be '+'. Into the call's text, which has room for all of the body: slices of it stay good. */
static bool
unescape(struct leat_local_roles_call *call, struct leat_slice text, struct leat_slice *ret_plain)
{
    size_t before = call->text.size;
    LEAT_AUTO_BUF spaced = LEAT_BUF_INIT;

    leat_buf_add_slice(&spaced, text);
    for (size_t i = 0; i < spaced.size; i++) {
        if (spaced.data[i] == '+')
            spaced.data[i] = ' ';
    }
    if (!leat_uri_unescape(&call->text, leat_buf_slice(&spaced)))
        return false;
    *ret_plain = leat_slice_make(call->text.data + before, call->text.size - before);
    return leat_utf8_is_valid(*ret_plain) && memchr(ret_plain->data, 0, ret_plain->size) == NULL;
}

static bool
parse_pairs(struct leat_local_roles_call *call)
{
    struct leat_slice form = leat_slice_make(call->request->body, call->request->body_size);

    leat_buf_reserve(&call->text, form.size + 1);
    for (size_t begin = 0; begin < form.size;) {
        const unsigned char *amp = memchr(form.data + begin, '&', form.size - begin);
        size_t end = amp != NULL ? (size_t)(amp - form.data) : form.size;
        const unsigned char *equals = memchr(form.data + begin, '=', end - begin);
        size_t name_end = equals != NULL ? (size_t)(equals - form.data) : end;
        size_t value_begin = equals != NULL ? name_end + 1 : end;
        struct leat_local_roles_parameter *parameter = &call->parameters[call->parameter_count];

        if (end > begin) {
            if (call->parameter_count == LEAT_LOCAL_ROLES_PARAMETERS ||
                !unescape(call, leat_slice_make(form.data + begin, name_end - begin),
                          &parameter->name) ||
                !unescape(call, leat_slice_make(form.data + value_begin, end - value_begin),
                          &parameter->value))
                return false;
            call->parameter_count++;
        }
        begin = end + 1;
    }
    return true;
}

static bool
is_form(const struct leat_local_roles_call *call)
{
    static const char wanted[] = "application/x-www-form-urlencoded";
    struct leat_slice type;

    return leat_local_http_find(call->request, "content-type", &type) &&
           type.size >= sizeof wanted - 1 &&
           strncasecmp((const char *)type.data, wanted, sizeof wanted - 1) == 0;
}

void
leat_local_roles_parse_form(struct leat_local_roles_call *call)
{
    struct leat_slice action;

    call->action = LEAT_LOCAL_ROLES_STS_OTHER;
    if (!is_form(call) || !parse_pairs(call)) {
        call->parameter_count = 0;
        return;
    }
    action = leat_local_roles_parameter(call, "Action");
    if (!leat_slice_is(leat_local_roles_parameter(call, "Version"), VERSION))
        return;
    for (int i = LEAT_LOCAL_ROLES_ASSUME_ROLE; i <= LEAT_LOCAL_ROLES_CALLER_IDENTITY; i++) {
        if (leat_slice_is(action, leat_local_roles_action_names[i]))
            call->action = (enum leat_local_roles_action)i;
    }
}

/* ---- XML ------------------------------------------------------------------------------------------- */

static void
element(struct leat_local_roles_call *call, const char *name, struct leat_slice text)
{
    struct leat_buf *out = &call->answer->body;

    if (strcmp(call->plan.lacking, name) == 0)
        return;
    leat_buf_printf(out, "<%s>", name);
    leat_local_xml_text(out, text);
    leat_buf_printf(out, "</%s>\n", name);
}

void
leat_local_roles_refuse_sts(struct leat_local_roles_call *call, const char *code,
                            const char *message)
{
    struct leat_buf *out = &call->answer->body;

    call->content_type = "text/xml";
    leat_buf_printf(out, "<ErrorResponse xmlns=\"%s\">\n<Error>\n<Type>%s</Type>\n<Code>",
                    NAMESPACE, call->answer->status < 500 ? "Sender" : "Receiver");
    leat_local_xml_text(out, leat_slice_from(code));
    leat_buf_add_text(out, "</Code>\n<Message>");
    leat_local_xml_text(out, leat_slice_from(message));
    leat_buf_printf(out, "</Message>\n</Error>\n<RequestId>%s</RequestId>\n</ErrorResponse>\n",
                    call->request_id);
}

static void
begin_answer(struct leat_local_roles_call *call)
{
    const char *action = leat_local_roles_action_names[call->action];

    leat_buf_printf(&call->answer->body, "<%sResponse xmlns=\"%s\">\n<%sResult>\n", action,
                    NAMESPACE, action);
}

static void
end_answer(struct leat_local_roles_call *call)
{
    const char *action = leat_local_roles_action_names[call->action];

    leat_buf_printf(&call->answer->body,
                    "</%sResult>\n<ResponseMetadata>\n<RequestId>%s</RequestId>\n"
                    "</ResponseMetadata>\n</%sResponse>\n",
                    action, call->request_id, action);
}

/* ---- who asks ---------------------------------------------------------------------------------------- */

struct caller {
    struct leat_local_grant issued; /* credentials.access_key_id NULL: it is the configured one */
    bool is_issued, is_expired;
};

static bool
refuse_verdict(struct leat_local_roles_call *call, enum leat_sign_verdict verdict)
{
    switch (verdict) {
    case LEAT_SIGN_OK:
        return true;
    case LEAT_SIGN_MISSING:
        leat_local_roles_say_no(call, 403, "MissingAuthenticationToken",
                                "Request is missing Authentication Token");
        break;
    case LEAT_SIGN_MALFORMED:
        leat_local_roles_say_no(call, 400, "IncompleteSignature", "%s",
                                leat_sign_verdict_text(verdict));
        break;
    case LEAT_SIGN_UNKNOWN_KEY:
    case LEAT_SIGN_BAD_TOKEN:
        leat_local_roles_say_no(call, 403, "InvalidClientTokenId",
                                "The security token included in the request is invalid.");
        break;
    case LEAT_SIGN_WRONG_SCOPE:
        leat_local_roles_say_no(call, 403, "SignatureDoesNotMatch",
                                "Credential should be scoped to region '%s', to service 'sts' "
                                "and to the day of the request.",
                                call->server->region);
        break;
    case LEAT_SIGN_SKEWED:
        leat_local_roles_say_no(call, 403, "SignatureDoesNotMatch",
                                "Signature expired, or not yet current: the request's time is "
                                "more than 15 min. from the server's");
        break;
    case LEAT_SIGN_WRONG_BODY:
    case LEAT_SIGN_MISMATCH:
        leat_local_roles_say_no(
            call, 403, "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. Check "
            "your AWS Secret Access Key and signing method. Consult the service documentation for "
            "details.");
        break;
    }
    return false;
}

static void
find_caller(struct leat_local_roles_call *call, const struct leat_sign_request *request,
            struct caller *ret_caller)
{
    struct leat_local_roles *server = call->server;
    const struct leat_local_issued *issued;
    struct leat_slice key_id;

    *ret_caller = (struct caller){.is_issued = false};
    if (!leat_sign_access_key(request, &key_id))
        return;
    leat_mutex_lock(&server->lock);
    issued = leat_local_issued_find(server->issued, key_id);
    if (issued != NULL) {
        ret_caller->is_issued = true;
        ret_caller->is_expired = call->now_us >= issued->expires_us;
        leat_credentials_copy(&ret_caller->issued.credentials, &issued->credentials);
        snprintf(ret_caller->issued.arn, sizeof ret_caller->issued.arn, "%s", issued->arn);
        snprintf(ret_caller->issued.owner, sizeof ret_caller->issued.owner, "%s", issued->owner);
    }
    leat_mutex_unlock(&server->lock);
}

/* The caller's credentials are for him to release in any case. false: refused. */
static bool
check_caller(struct leat_local_roles_call *call, struct caller *ret_caller)
{
    const struct leat_local_request *request = call->request;
    char hash[LEAT_SHA256_HEX_BYTES];
    struct leat_sign_request received = {.method = request->method,
                                         .path = request->path,
                                         .query = request->query,
                                         .headers = request->headers,
                                         .header_count = request->header_count};
    struct leat_sign_check check = {.region = leat_slice_from(call->server->region),
                                    .service = leat_slice_from("sts"),
                                    .now_us = call->now_us,
                                    .maximum_skew_us = MAXIMUM_SKEW_US};

    find_caller(call, &received, ret_caller);
    check.credentials = ret_caller->is_issued ? &ret_caller->issued.credentials
                                              : &call->server->known;
    leat_sha256_hex(leat_slice_make(request->body, request->body_size), hash);
    check.body_hash = leat_slice_from(hash);
    if (!refuse_verdict(call, leat_sign_verify(&received, &check)))
        return false;
    if (!ret_caller->is_expired)
        return true;
    leat_local_roles_say_no(call, 403, "ExpiredToken",
                            "The security token included in the request is expired");
    return false;
}

/* ---- the actions --------------------------------------------------------------------------------------- */

/* As much of it as is shown, in whole characters. */
static struct leat_slice
shown(struct leat_slice text)
{
    if (text.size > SHOWN_BYTES) {
        text.size = SHOWN_BYTES;
        while (text.size > 0 && (text.data[text.size] & 0xc0) == 0x80)
            text.size--;
    }
    return text;
}

static bool
refuse_value(struct leat_local_roles_call *call, const char *name, struct leat_slice value,
             const char *rule)
{
    value = shown(value);
    leat_local_roles_say_no(call, 400, "ValidationError",
                            "1 validation error detected: Value '%.*s' at '%s' failed to satisfy "
                            "constraint: %s",
                            (int)value.size, (const char *)value.data, name, rule);
    return false;
}

/* The role that is asked for, and under which name. false: refused. *ret_role NULL: there is no such role. */
static bool
check_role(struct leat_local_roles_call *call, const struct leat_local_role **ret_role,
           char ret_session[65])
{
    struct leat_slice arn = leat_local_roles_parameter(call, "RoleArn");
    struct leat_slice session = leat_local_roles_parameter(call, "RoleSessionName");
    struct leat_local_role_name name;

    if (arn.size < 20)
        return refuse_value(call, "roleArn", arn,
                            "Member must have length greater than or equal to 20");
    if (!leat_local_role_parse(arn, &name)) {
        leat_local_roles_say_no(call, 400, "ValidationError", "%.*s is invalid",
                                (int)shown(arn).size, (const char *)arn.data);
        return false;
    }
    if (session.size < 2)
        return refuse_value(call, "roleSessionName", session,
                            "Member must have length greater than or equal to 2");
    if (session.size > 64)
        return refuse_value(call, "roleSessionName", session,
                            "Member must have length less than or equal to 64");
    if (!leat_local_is_session_name(session))
        return refuse_value(call, "roleSessionName", session,
                            "Member must satisfy regular expression pattern: [\\w+=,.@-]*");
    *ret_role = NULL;
    for (size_t i = 0; i < call->server->role_count; i++) {
        if (leat_slice_is(arn, call->server->roles[i].arn))
            *ret_role = &call->server->roles[i];
    }
    snprintf(ret_session, 65, "%.*s", (int)session.size, (const char *)session.data);
    return true;
}

/* DurationSeconds; 0 where it is not there. false: refused. */
static bool
check_duration(struct leat_local_roles_call *call, const struct leat_local_role *role,
               bool is_chained, int64_t *ret_us)
{
    struct leat_slice text = leat_local_roles_parameter(call, "DurationSeconds");
    int64_t seconds,
        most = role->maximum_us > 0 ? role->maximum_us / LEAT_SECOND_US : MAXIMUM_SECONDS;
    struct leat_error err;

    *ret_us = 0;
    if (text.size == 0)
        return true;
    if (leat_parse_integer(text, &seconds, &err) < 0) {
        leat_local_roles_say_no(call, 400, "MalformedInput", "DurationSeconds is no integer");
        return false;
    }
    if (seconds < MINIMUM_SECONDS)
        return refuse_value(call, "durationSeconds", text,
                            "Member must have value greater than or equal to 900");
    if (seconds > MAXIMUM_SECONDS)
        return refuse_value(call, "durationSeconds", text,
                            "Member must have value less than or equal to 43200");
    if (is_chained && seconds > CHAINED_SECONDS) {
        leat_local_roles_say_no(call, 400, "ValidationError",
                                "The requested DurationSeconds exceeds the 1 hour session limit "
                                "for roles assumed by role chaining.");
        return false;
    }
    if (seconds > most) {
        leat_local_roles_say_no(call, 400, "ValidationError",
                                "The requested DurationSeconds exceeds the MaxSessionDuration set "
                                "for this role.");
        return false;
    }
    *ret_us = seconds * LEAT_SECOND_US;
    return true;
}

static void
write_grant(struct leat_local_roles_call *call, const struct leat_local_grant *grant)
{
    struct leat_buf *out = &call->answer->body;
    LEAT_AUTO_BUF expiration = LEAT_BUF_INIT;

    leat_format_time(&expiration, grant->expires_us);
    leat_buf_add_text(out, "<AssumedRoleUser>\n");
    element(call, "AssumedRoleId", leat_slice_from(grant->owner));
    element(call, "Arn", leat_slice_from(grant->arn));
    leat_buf_add_text(out, "</AssumedRoleUser>\n");
    if (strcmp(call->plan.lacking, "Credentials") == 0)
        return;
    leat_buf_add_text(out, "<Credentials>\n");
    element(call, "AccessKeyId", leat_slice_from(grant->credentials.access_key_id));
    element(call, "SecretAccessKey", leat_slice_from(grant->credentials.secret_access_key));
    element(call, "SessionToken", leat_slice_from(grant->credentials.session_token));
    element(call, "Expiration", leat_buf_slice(&expiration));
    leat_buf_add_text(out, "</Credentials>\n");
}

static void
grant_role(struct leat_local_roles_call *call, const struct leat_local_role *role,
           const char *session, int64_t asked_us)
{
    bool is_web_identity = call->action == LEAT_LOCAL_ROLES_WEB_IDENTITY;
    struct leat_local_grant grant;

    leat_local_roles_grant(call, role, session, asked_us, &grant);
    begin_answer(call);
    if (is_web_identity)
        element(call, "SubjectFromWebIdentityToken",
                leat_slice_from("system:serviceaccount:default:leat"));
    if (is_web_identity)
        element(call, "Audience", leat_slice_from("sts.amazonaws.com"));
    write_grant(call, &grant);
    if (is_web_identity)
        element(call, "Provider", leat_slice_from("arn:aws:iam::123456789012:oidc-provider/local"));
    end_answer(call);
    leat_credentials_release(&grant.credentials);
}

/* An account's own user is not a role's session. */
static void
caller_arn(const struct leat_local_roles_call *call, const struct caller *caller,
           struct leat_buf *out)
{
    struct leat_local_role_name name;

    if (caller->is_issued) {
        leat_buf_add_text(out, caller->issued.arn);
    } else if (leat_local_role_parse(leat_slice_from(call->server->roles[0].arn), &name)) {
        leat_buf_printf(out, "arn:%.*s:iam::%.*s:user/leat", (int)name.partition.size,
                        (const char *)name.partition.data, (int)name.account.size,
                        (const char *)name.account.data);
    }
}

static void
assume_role(struct leat_local_roles_call *call, const struct caller *caller)
{
    struct leat_slice external_id = leat_local_roles_parameter(call, "ExternalId");
    const struct leat_local_role *role;
    char session[65];
    int64_t asked_us;

    if (!check_role(call, &role, session))
        return;
    if (external_id.size > 0 && !leat_local_is_external_id(external_id)) {
        refuse_value(call, "externalId", external_id,
                     "Member must satisfy regular expression pattern: [\\w+=,.@:\\/-]*, of 2 to "
                     "1224 letters");
        return;
    }
    if (role == NULL ||
        (role->external_id != NULL && !leat_slice_is(external_id, role->external_id))) {
        LEAT_AUTO_BUF user = LEAT_BUF_INIT;
        struct leat_slice arn = leat_local_roles_parameter(call, "RoleArn");

        caller_arn(call, caller, &user);
        leat_local_roles_say_no(call, 403, "AccessDenied",
                                "User: %s is not authorized to perform: sts:AssumeRole on "
                                "resource: %.*s",
                                leat_buf_text(&user), (int)arn.size, (const char *)arn.data);
        return;
    }
    if (check_duration(call, role, caller->is_issued, &asked_us))
        grant_role(call, role, session, asked_us);
}

/* false: refused. */
static bool
check_web_identity(struct leat_local_roles_call *call)
{
    struct leat_slice token = leat_local_roles_parameter(call, "WebIdentityToken");
    enum leat_local_badge_state state;

    if (token.size < 4 || token.size > 20000)
        return refuse_value(call, "webIdentityToken", leat_slice_from("..."),
                            "Member must have length between 4 and 20000");
    state = leat_local_roles_judge_token(call->server, LEAT_LOCAL_TOKEN_WEB_IDENTITY, token,
                                         call->now_us);
    if (state == LEAT_LOCAL_BADGE_EXPIRED)
        leat_local_roles_say_no(call, 400, "ExpiredTokenException",
                                "Token expired: the current date must be before the expiration "
                                "date of the web identity token");
    else if (state == LEAT_LOCAL_BADGE_UNKNOWN)
        leat_local_roles_say_no(call, 400, "InvalidIdentityToken",
                                "The web identity token that was passed could not be validated");
    return state == LEAT_LOCAL_BADGE_GOOD;
}

static void
assume_role_with_web_identity(struct leat_local_roles_call *call)
{
    const struct leat_local_role *role;
    char session[65];
    int64_t asked_us;

    if (!check_role(call, &role, session) || !check_web_identity(call))
        return;
    if (role == NULL) {
        leat_local_roles_say_no(call, 403, "AccessDenied",
                                "Not authorized to perform sts:AssumeRoleWithWebIdentity");
        return;
    }
    if (check_duration(call, role, false, &asked_us))
        grant_role(call, role, session, asked_us);
}

static void
get_caller_identity(struct leat_local_roles_call *call, const struct caller *caller)
{
    LEAT_AUTO_BUF arn = LEAT_BUF_INIT;
    struct leat_local_role_name name = {.account = leat_slice_from("")};

    (void)leat_local_role_parse(leat_slice_from(call->server->roles[0].arn), &name);
    caller_arn(call, caller, &arn);
    begin_answer(call);
    element(call, "Arn", leat_buf_slice(&arn));
    element(call, "UserId",
            leat_slice_from(caller->is_issued ? caller->issued.owner : "AIDALEATLEATLEATLEAT"));
    element(call, "Account", name.account);
    end_answer(call);
}

void
leat_local_roles_run_sts(struct leat_local_roles_call *call)
{
    struct caller caller;

    if (call->action == LEAT_LOCAL_ROLES_STS_OTHER) {
        struct leat_slice action = leat_local_roles_parameter(call, "Action");
        struct leat_slice version = leat_local_roles_parameter(call, "Version");

        if (action.size == 0)
            leat_local_roles_say_no(call, 400, "MissingAction",
                                    "The request must contain the parameter Action, in a form");
        else
            leat_local_roles_say_no(call, 400, "InvalidAction",
                                    "Could not find operation %.*s for version %.*s",
                                    (int)shown(action).size, (const char *)action.data,
                                    (int)shown(version).size, (const char *)version.data);
        return;
    }
    if (call->action == LEAT_LOCAL_ROLES_WEB_IDENTITY) {
        assume_role_with_web_identity(call);
        return;
    }
    if (check_caller(call, &caller)) {
        if (call->action == LEAT_LOCAL_ROLES_ASSUME_ROLE)
            assume_role(call, &caller);
        else
            get_caller_identity(call, &caller);
    }
    leat_credentials_release(&caller.issued.credentials);
}
