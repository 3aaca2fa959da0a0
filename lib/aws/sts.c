/* A form goes out, XML comes back. What holds a secret (the token in the form, the answer) is wiped. */
#include "aws/sts.h"

#include <stdlib.h>
#include <unistd.h>

#include "aws/client.h"
#include "aws/credentials_file.h"
#include "aws/credentials_fetch.h"
#include "aws/xml.h"
#include "base/clock.h"
#include "base/encoding.h"
#include "base/memory.h"
#include "base/units.h"

#define VERSION "2011-06-15"
#define WEB_IDENTITY "AssumeRoleWithWebIdentity"
#define MAXIMUM_ANSWER_BYTES ((size_t)64 << 10)
/* What STS takes (20,000 letters), and a little. */
#define MAXIMUM_TOKEN_BYTES ((size_t)20000)
#define MAXIMUM_SESSION_NAME 64
#define TIMEOUT_US (10 * LEAT_SECOND_US)
#define CONNECT_TIMEOUT_US (3 * LEAT_SECOND_US)
#define BUDGET_US (20 * LEAT_SECOND_US)

/* ---- the answer ---------------------------------------------------------------------------- */

enum { KEY, SECRET, TOKEN, EXPIRATION, VALUES };
static const char *const value_names[VALUES] = {"AccessKeyId", "SecretAccessKey", "SessionToken",
                                                "Expiration"};

struct parsing {
    unsigned depth_of_credentials; /* of what is inside <Credentials>; 0: we are not */
    struct leat_buf values[VALUES];
};

static void
on_begin(void *context, struct leat_slice name, unsigned depth)
{
    struct parsing *parsing = context;

    if (parsing->depth_of_credentials == 0 && leat_slice_is(name, "Credentials"))
        parsing->depth_of_credentials = depth + 1;
}

static void
on_end(void *context, struct leat_slice name, unsigned depth, struct leat_slice text)
{
    struct parsing *parsing = context;

    if (parsing->depth_of_credentials == depth + 1 && leat_slice_is(name, "Credentials")) {
        parsing->depth_of_credentials = 0;
        return;
    }
    if (parsing->depth_of_credentials == 0 || parsing->depth_of_credentials != depth)
        return;
    for (size_t i = 0; i < VALUES; i++) {
        if (leat_slice_is(name, value_names[i]) && parsing->values[i].size == 0)
            leat_buf_add_slice(&parsing->values[i], text);
    }
}

static int
take_values(const struct parsing *parsing, struct leat_credentials *ret_credentials,
            struct leat_error *err)
{
    int64_t expires_us;

    for (size_t i = 0; i < VALUES; i++) {
        if (parsing->values[i].size == 0)
            return leat_error_set(err, LEAT_E_FORMAT, "the answer of STS has no %s",
                                  value_names[i]);
        if (i != EXPIRATION && !leat_credentials_is_clean(leat_buf_slice(&parsing->values[i])))
            return leat_error_set(
                err, LEAT_E_FORMAT,
                "the %s in the answer of STS has a character that does not belong", value_names[i]);
    }
    if (!leat_parse_time(leat_buf_slice(&parsing->values[EXPIRATION]), &expires_us))
        return leat_error_set(err, LEAT_E_FORMAT, "the Expiration in the answer of STS is no time");
    leat_credentials_set(ret_credentials, leat_buf_slice(&parsing->values[KEY]),
                         leat_buf_slice(&parsing->values[SECRET]),
                         leat_buf_slice(&parsing->values[TOKEN]));
    ret_credentials->expires_us = expires_us;
    return 0;
}

int
leat_sts_parse(struct leat_slice document, struct leat_credentials *ret_credentials,
               struct leat_error *err)
{
    static const struct leat_xml_events events = {on_begin, on_end};
    struct parsing parsing = {0};
    int result;

    for (size_t i = 0; i < VALUES; i++)
        leat_buf_init(&parsing.values[i], MAXIMUM_ANSWER_BYTES);
    if (leat_xml_parse(document, &events, &parsing, NULL) < 0)
        result = leat_error_set(err, LEAT_E_FORMAT, "the answer of STS is no XML");
    else
        result = take_values(&parsing, ret_credentials, err);
    for (size_t i = 0; i < VALUES; i++)
        leat_credentials_wipe(&parsing.values[i]);
    return result;
}

/* ---- the form ------------------------------------------------------------------------------ */

static void
add_field(struct leat_buf *form, const char *name, struct leat_slice value)
{
    leat_buf_printf(form, "%s%s=", form->size > 0 ? "&" : "", name);
    leat_uri_escape(form, value, false);
}

/* STS takes [A-Za-z0-9_+=,.@-], two to 64 of them. */
static bool
is_session_letter(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("_+=,.@-", c) != NULL);
}

static void
add_session_name(struct leat_buf *form, const char *given)
{
    char name[MAXIMUM_SESSION_NAME + 1] = "leat-";

    if (given == NULL) {
        gethostname(name + 5, sizeof name - 6);
        name[sizeof name - 1] = '\0';
        for (char *c = name; *c != '\0'; c++)
            *c = is_session_letter(*c) ? *c : '-';
    }
    add_field(form, "RoleSessionName", leat_slice_from(given != NULL ? given : name));
}

static void
begin_form(struct leat_buf *form, const char *action, const struct leat_sts_role *role)
{
    add_field(form, "Action", leat_slice_from(action));
    add_field(form, "Version", leat_slice_from(VERSION));
    add_field(form, "RoleArn", leat_slice_from(role->arn));
    add_session_name(form, role->session_name);
    if (role->external_id != NULL)
        add_field(form, "ExternalId", leat_slice_from(role->external_id));
    if (role->duration != NULL)
        add_field(form, "DurationSeconds", leat_slice_from(role->duration));
}

/* ---- the call ------------------------------------------------------------------------------ */

static int
on_bytes(void *context, const void *bytes, size_t size)
{
    struct leat_buf *answer = context;

    return leat_buf_add(answer, bytes, size) ? 0 : -1;
}

static void
on_restart(void *context)
{
    leat_buf_clear(context);
}

/* The answer's bytes; outcome is for its Date. more than five: what the three calls differ in. */
static int
send_form(struct leat_aws_client *client, const char *action, const char *role,
          struct leat_slice form, struct leat_buf *answer, struct leat_aws_outcome *outcome,
          struct leat_error *err)
{
    static const char *const headers[] = {"content-type: application/x-www-form-urlencoded"};
    struct leat_aws_request request = {
        .method = "POST",
        .path = leat_slice_from("/"),
        .headers = headers,
        .header_count = LEAT_COUNT_OF(headers),
        .body = form,
        .subject = {"sts", action, role != NULL ? "role" : NULL, leat_slice_from(role)},
        .is_unsigned = strcmp(action, WEB_IDENTITY) == 0,
        .sink = on_bytes,
        .restart = on_restart,
        .context = answer,
    };

    /* All of it at once: growing would leave pieces of secrets behind. */
    leat_buf_init(answer, MAXIMUM_ANSWER_BYTES);
    leat_buf_reserve(answer, MAXIMUM_ANSWER_BYTES);
    return leat_aws_run(client, &request, outcome, err);
}

static int
ask(struct leat_aws_client *client, const char *action, const struct leat_sts_role *role,
    struct leat_slice form, struct leat_credentials *ret_credentials, struct leat_error *err)
{
    struct leat_buf answer;
    struct leat_aws_outcome outcome;
    int result = send_form(client, action, role->arn, form, &answer, &outcome, err);

    if (result == 0)
        result = leat_sts_parse(leat_buf_slice(&answer), ret_credentials, err);
    if (result == 0) {
        ret_credentials->expires_us =
            leat_credentials_expiry_us(ret_credentials->expires_us, outcome.date_us);
        snprintf(ret_credentials->source, sizeof ret_credentials->source, "role %.200s", role->arn);
    }
    leat_credentials_wipe(&answer);
    return result;
}

/* more than five: what the two calls differ in. */
static int
call(const struct leat_credentials_context *context, struct leat_credentials_provider *signer,
     const char *action, const struct leat_sts_role *role, struct leat_slice form,
     struct leat_credentials *ret_credentials, struct leat_error *err)
{
    struct leat_aws aws = {.region = context->region,
                           .profile = context->profile,
                           .ca_bundle = context->ca_bundle,
                           .credentials = signer,
                           .timeout_us = TIMEOUT_US,
                           .connect_timeout_us = CONNECT_TIMEOUT_US,
                           .retry = {.maximum_attempts = 3, .budget_us = BUDGET_US},
                           .is_stopped = context->is_stopped,
                           .is_interrupted = &context->is_interrupted};
    struct leat_aws_client *client;
    int result;

    aws.endpoints[LEAT_SERVICE_STS] = context->endpoint_sts;
    client = leat_aws_client_new(&aws, LEAT_SERVICE_STS, err);
    if (client == NULL)
        return LEAT_E_INVALID;
    result = ask(client, action, role, form, ret_credentials, err);
    leat_aws_client_free(client);
    return result;
}

int
leat_sts_assume_role(const struct leat_credentials_context *context,
                     const struct leat_credentials *source, const struct leat_sts_role *role,
                     struct leat_credentials *ret_credentials, struct leat_error *err)
{
    static const char action[] = "AssumeRole";
    struct leat_credentials_provider *signer = leat_credentials_static_new(
        source->access_key_id, source->secret_access_key, source->session_token);
    LEAT_AUTO_BUF form = LEAT_BUF_INIT;
    int result;

    begin_form(&form, action, role);
    result = call(context, signer, action, role, leat_buf_slice(&form), ret_credentials, err);
    leat_credentials_provider_free(signer);
    return result;
}

int
leat_sts_assume_role_with_web_identity(const struct leat_credentials_context *context,
                                       const char *token_file, const struct leat_sts_role *role,
                                       struct leat_credentials *ret_credentials,
                                       struct leat_error *err)
{
    static const char action[] = WEB_IDENTITY;
    struct leat_buf token = LEAT_BUF_INIT, form = LEAT_BUF_INIT;
    int result = leat_credentials_file_read(token_file, "web identity token", MAXIMUM_TOKEN_BYTES,
                                            true, &token, err);

    if (result < 0)
        return result;
    leat_buf_reserve(&form, 3 * MAXIMUM_TOKEN_BYTES + 4096);
    begin_form(&form, action, role);
    add_field(&form, "WebIdentityToken", leat_buf_slice(&token));
    result = call(context, NULL, action, role, leat_buf_slice(&form), ret_credentials, err);
    leat_credentials_wipe(&token);
    leat_credentials_wipe(&form);
    return result;
}

/* ---- who ----------------------------------------------------------------------------------- */

static void
on_arn(void *context, struct leat_slice name, unsigned depth, struct leat_slice text)
{
    struct leat_buf *arn = context;

    if (leat_slice_is(name, "Arn") && arn->size == 0)
        leat_buf_add_slice(arn, text);
}

static void
on_nothing(void *context, struct leat_slice name, unsigned depth)
{
}

int
leat_sts_who(const struct leat_aws *aws, struct leat_buf *ret_arn, struct leat_error *err)
{
    static const char action[] = "GetCallerIdentity";
    static const struct leat_xml_events events = {on_nothing, on_arn};
    struct leat_aws_client *client = leat_aws_client_new(aws, LEAT_SERVICE_STS, err);
    LEAT_AUTO_BUF form = LEAT_BUF_INIT;
    LEAT_AUTO_BUF answer = LEAT_BUF_INIT;
    struct leat_aws_outcome outcome;
    int result;

    if (client == NULL)
        return LEAT_E_INVALID;
    add_field(&form, "Action", leat_slice_from(action));
    add_field(&form, "Version", leat_slice_from(VERSION));
    result = send_form(client, action, NULL, leat_buf_slice(&form), &answer, &outcome, err);
    if (result == 0 &&
        (leat_xml_parse(leat_buf_slice(&answer), &events, ret_arn, NULL) < 0 || ret_arn->size == 0))
        result = leat_error_set(err, LEAT_E_FORMAT, "the answer of STS has no Arn");
    leat_aws_client_free(client);
    return result;
}
