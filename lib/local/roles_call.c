/*
 * A request from its bytes to its answer: which endpoint and action, which faults hit it, what is said. Foreign bytes: nothing here
 * asserts on them (tests/fuzz/local_roles.c).
 *
 * A call is under way until its answer was sent: the answer's memory is given back by depart(), which counts it off.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/encoding.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/random.h"
#include "local/roles_inside.h"
#include "local/xml.h"

#define HUGE_BYTES ((size_t)10 << 20)

const char *const leat_local_roles_action_names[LEAT_LOCAL_ROLES_ACTIONS] = {
    [LEAT_LOCAL_ROLES_OTHER] = "",
    [LEAT_LOCAL_ROLES_STS_OTHER] = "",
    [LEAT_LOCAL_ROLES_ASSUME_ROLE] = "AssumeRole",
    [LEAT_LOCAL_ROLES_WEB_IDENTITY] = "AssumeRoleWithWebIdentity",
    [LEAT_LOCAL_ROLES_CALLER_IDENTITY] = "GetCallerIdentity",
    [LEAT_LOCAL_ROLES_METADATA_OTHER] = "",
    [LEAT_LOCAL_ROLES_METADATA_TOKEN] = "MetadataToken",
    [LEAT_LOCAL_ROLES_METADATA_ROLE] = "MetadataRole",
    [LEAT_LOCAL_ROLES_METADATA_CREDENTIALS] = "MetadataCredentials",
    [LEAT_LOCAL_ROLES_METADATA_PLACE] = "MetadataPlace",
    [LEAT_LOCAL_ROLES_CONTAINER] = "Container",
};

/* ---- begin and end of a call ------------------------------------------------------------------- */

/* An answer on its way. */
struct departure {
    struct leat_local_roles *server;
    enum leat_local_roles_action action;
    size_t session; /* SIZE_MAX: none that is counted */
    unsigned char *body;
};

static void
tally_in(struct leat_local_tally *tally)
{
    tally->calls++;
    if (++tally->under_way > tally->most)
        tally->most = tally->under_way;
}

static void
depart(void *context)
{
    struct departure *departure = context;
    struct leat_local_roles *server = departure->server;

    leat_mutex_lock(&server->lock);
    server->counts.under_way--;
    server->actions[departure->action].under_way--;
    if (departure->session != SIZE_MAX)
        server->sessions[departure->session].tally.under_way--;
    leat_mutex_unlock(&server->lock);
    free(departure->body);
    free(departure);
}

static size_t
find_session(struct leat_local_roles *server, struct leat_slice session) LEAT_REQUIRES(server->lock)
{
    size_t place = 0;

    if (!leat_local_is_session_name(session))
        return SIZE_MAX;
    while (place < server->session_count && !leat_slice_is(session, server->sessions[place].name))
        place++;
    if (place == LEAT_LOCAL_ROLES_SESSIONS)
        return SIZE_MAX;
    if (place == server->session_count) {
        server->session_count++;
        snprintf(server->sessions[place].name, sizeof server->sessions[place].name, "%.*s",
                 (int)session.size, (const char *)session.data);
    }
    return place;
}

static struct departure *
begin_call(struct leat_local_roles_call *call)
{
    struct leat_local_roles *server = call->server;
    struct departure *departure = LEAT_NEW(struct departure);

    departure->server = server;
    departure->action = call->action;
    leat_mutex_lock(&server->lock);
    server->counts.calls++;
    if (++server->counts.under_way > server->counts.most_under_way)
        server->counts.most_under_way = server->counts.under_way;
    tally_in(&server->actions[call->action]);
    departure->session = find_session(server, leat_local_roles_parameter(call, "RoleSessionName"));
    if (departure->session != SIZE_MAX)
        tally_in(&server->sessions[departure->session].tally);
    leat_local_roles_make_plan(server, call->action, &call->plan);
    leat_mutex_unlock(&server->lock);
    return departure;
}

/* The body becomes memory that depart() gives back. */
static void
end_call(struct leat_local_roles_call *call, struct departure *departure)
{
    struct leat_local_answer *answer = call->answer;
    size_t size = answer->body.size;

    if (call->content_type != NULL)
        leat_local_http_header(answer, "Content-Type", "%s", call->content_type);
    if (answer->status >= 400) {
        leat_mutex_lock(&call->server->lock);
        call->server->counts.refused++;
        leat_mutex_unlock(&call->server->lock);
    }
    departure->body = (unsigned char *)leat_buf_take(&answer->body);
    answer->shared = leat_slice_make(departure->body, size);
    answer->release = depart;
    answer->release_context = departure;
    free(call->plan.text);
    leat_buf_release(&call->text);
}

/* ---- refusals ----------------------------------------------------------------------------------- */

/* As the metadata service says all that it refuses. */
static void
refuse_metadata(struct leat_local_roles_call *call, int status, const char *code)
{
    call->content_type = "text/html";
    leat_buf_printf(&call->answer->body,
                    "<?xml version=\"1.0\" encoding=\"iso-8859-1\"?>\n"
                    "<html xmlns=\"http://www.w3.org/1999/xhtml\" xml:lang=\"en\" lang=\"en\">\n"
                    " <head>\n  <title>%d - %s</title>\n </head>\n"
                    " <body>\n  <h1>%d - %s</h1>\n </body>\n</html>\n",
                    status, code, status, code);
}

static void
refuse_container(struct leat_local_roles_call *call, const char *code, const char *message)
{
    struct leat_json json;

    call->content_type = "application/json";
    leat_json_begin(&json, &call->answer->body);
    leat_json_object(&json, NULL);
    leat_json_text(&json, "code", code);
    leat_json_text(&json, "message", message);
    leat_json_object_end(&json);
}

void
leat_local_roles_say_no(struct leat_local_roles_call *call, int status, const char *code,
                        const char *format, ...)
{
    LEAT_AUTO_BUF message = LEAT_BUF_INIT;
    va_list arguments;

    va_start(arguments, format);
    leat_buf_vprintf(&message, format, arguments);
    va_end(arguments);
    call->answer->status = status;
    leat_buf_clear(&call->answer->body);
    if (leat_local_roles_is_sts(call->action))
        leat_local_roles_refuse_sts(call, code, leat_buf_text(&message));
    else if (leat_local_roles_is_metadata(call->action))
        refuse_metadata(call, status, code);
    else
        refuse_container(call, code, leat_buf_text(&message));
}

/* ---- what is asked, and what is answered -------------------------------------------------------- */

static void
run(struct leat_local_roles_call *call)
{
    if (leat_local_roles_is_sts(call->action))
        leat_local_roles_run_sts(call);
    else if (leat_local_roles_is_metadata(call->action))
        leat_local_roles_run_metadata(call);
    else if (call->action == LEAT_LOCAL_ROLES_CONTAINER)
        leat_local_roles_run_container(call);
    else
        leat_local_roles_say_no(call, 404, "NotFound", "nothing is here");
}

static void
redirect(struct leat_local_roles_call *call)
{
    const struct leat_local_roles_fault *fault = &call->plan.changed;

    call->answer->status = fault->status > 0 ? fault->status : 302;
    if (fault->text != NULL)
        leat_local_http_header(call->answer, "Location", "%s", fault->text);
    else
        leat_local_http_header(call->answer, "Location", "%s/elsewhere", call->server->endpoint);
}

/* The faults that say something else than what was asked for. false: there is none of them. */
static bool
run_instead(struct leat_local_roles_call *call)
{
    const struct leat_local_roles_plan *plan = &call->plan;
    const struct leat_local_roles_fault *fault = &plan->changed;

    if (plan->status != 0 && plan->code[0] != '\0') {
        leat_local_roles_say_no(call, plan->status, plan->code, "On demand.");
    } else if (plan->status != 0) {
        call->answer->status = plan->status;
        call->content_type = NULL;
    } else if (fault->kind == LEAT_LOCAL_ROLES_REDIRECT) {
        redirect(call);
    } else if (fault->kind == LEAT_LOCAL_ROLES_PAGE) {
        call->answer->status = fault->status;
        call->content_type = "text/html";
        leat_buf_add_text(&call->answer->body,
                          "<!DOCTYPE html><html><body>Please log in.</body></html>\n");
    } else if (fault->kind == LEAT_LOCAL_ROLES_BODY) {
        call->answer->status = fault->status;
        leat_buf_add_text(&call->answer->body, fault->text != NULL ? fault->text : "");
    } else {
        return false;
    }
    return true;
}

/* The faults that spoil what was said. */
static void
spoil(struct leat_local_roles_call *call)
{
    const struct leat_local_roles_fault *fault = &call->plan.changed;
    struct leat_buf *body = &call->answer->body;

    if (fault->kind == LEAT_LOCAL_ROLES_TYPE) {
        call->content_type = NULL;
        leat_local_http_header(call->answer, "Content-Type", "%s",
                               fault->text != NULL ? fault->text : "text/html");
    } else if (fault->kind == LEAT_LOCAL_ROLES_HUGE) {
        size_t wanted = fault->bytes > 0 ? fault->bytes : HUGE_BYTES;

        if (wanted > body->size && leat_buf_reserve(body, wanted - body->size)) {
            memset(body->data + body->size, ' ', wanted - body->size);
            body->size = wanted;
        }
    } else if (fault->kind == LEAT_LOCAL_ROLES_SHORT) {
        size_t wanted = fault->bytes > 0 ? fault->bytes : body->size / 2;

        if (wanted < body->size)
            body->size = wanted;
    }
}

static void
find_action(struct leat_local_roles_call *call)
{
    const struct leat_local_request *request = call->request;

    call->action = leat_local_roles_find_path(call->server, request->path);
    if (call->action == LEAT_LOCAL_ROLES_OTHER && leat_slice_is(request->path, "/") &&
        leat_slice_is(request->method, "POST"))
        leat_local_roles_parse_form(call);
    call->content_type = leat_local_roles_is_sts(call->action) ? "text/xml"
                         : call->action == LEAT_LOCAL_ROLES_CONTAINER ||
                                 call->action == LEAT_LOCAL_ROLES_OTHER
                             ? "application/json"
                             : "text/plain";
}

static void
make_request_id(char ret_id[40])
{
    unsigned char bytes[16];
    LEAT_AUTO_BUF hex = LEAT_BUF_INIT;
    const char *text;

    leat_random_bytes(bytes, sizeof bytes);
    leat_hex_encode(&hex, leat_slice_make(bytes, sizeof bytes));
    text = leat_buf_text(&hex);
    snprintf(ret_id, 40, "%.8s-%.4s-%.4s-%.4s-%.12s", text, text + 8, text + 12, text + 16,
             text + 20);
}

void
leat_local_roles_handle(void *context, const struct leat_local_request *request,
                        struct leat_local_answer *answer)
{
    struct leat_local_roles *server = context;
    struct leat_local_roles_call call = {.server = server,
                                         .request = request,
                                         .answer = answer,
                                         .now_us = leat_local_roles_now_us(server)};
    struct departure *departure;

    if (request->path.size >= 7 && memcmp(request->path.data, "/_leat/", 7) == 0) {
        leat_local_roles_control(server, request, answer);
        return;
    }
    leat_buf_init(&call.text, SIZE_MAX);
    make_request_id(call.request_id);
    find_action(&call);
    if (leat_local_roles_is_sts(call.action))
        leat_local_http_header(answer, "x-amzn-RequestId", "%s", call.request_id);
    departure = begin_call(&call);
    answer->fault = call.plan.http;
    if (!call.plan.is_reset) {
        if (!run_instead(&call))
            run(&call);
        spoil(&call);
    }
    end_call(&call, departure);
}
