/* HTTP as nobody should speak it: silence, drips, floods, lies about lengths, other protocols. All on GetRecords. */
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/memory.h"
#include "tests/hostile/kinds.h"

#define FOREVER_US (600 * LEAT_SECOND_US)
#define GOOD "{\"Records\":[],\"NextShardIterator\":\"evil-2\",\"MillisBehindLatest\":0}"

static bool
silent(struct hostile_call *call)
{
    return hostile_wait(call, FOREVER_US);
}

static bool
drip(struct hostile_call *call)
{
    static const char text[] = "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n{";

    for (size_t i = 0; i < sizeof text - 1; i++) {
        if (!hostile_send(call, text + i, 1))
            return false;
    }
    while (hostile_send(call, " ", 1) && hostile_wait(call, 200 * LEAT_MS_US))
        ;
    return false;
}

static bool
drip_head(struct hostile_call *call)
{
    static const char text[] =
        "HTTP/1.1 200 OK\r\nX-Pad: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    for (size_t i = 0; i < sizeof text - 1; i++) {
        if (!hostile_send(call, text + i, 1) || !hostile_wait(call, 500 * LEAT_MS_US))
            return false;
    }
    return hostile_wait(call, FOREVER_US);
}

static bool
flood(struct hostile_call *call, const char *head, const char *piece)
{
    LEAT_AUTO_BUF block = LEAT_BUF_INIT;
    bool is_open = hostile_text(call, head);

    while (block.size < 60000)
        leat_buf_add_text(&block, piece);
    /* A megabyte at a time, and then a rest: a flood, not a fight for this machine's processors. */
    for (int i = 0; is_open; i++)
        is_open = hostile_send(call, block.data, block.size) &&
                  (i % 16 != 15 || hostile_wait(call, 2 * LEAT_MS_US));
    return false;
}

static bool
endless_body(struct hostile_call *call)
{
    return flood(call, "HTTP/1.1 200 OK\r\n\r\n", " ");
}

static bool
endless_chunks(struct hostile_call *call)
{
    return flood(call, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                 "40\r\n                                                                \r\n");
}

static bool
continue_flood(struct hostile_call *call)
{
    return flood(call, "", "HTTP/1.1 100 Continue\r\n\r\n");
}

static bool
early_hints_flood(struct hostile_call *call)
{
    return flood(call, "", "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n");
}

static bool
header_flood(struct hostile_call *call)
{
    return flood(call, "HTTP/1.1 200 OK\r\n", "X-Amz-Nonsense: nonsense\r\n");
}

static bool
endless_header(struct hostile_call *call)
{
    return flood(call, "HTTP/1.1 200 OK\r\nX-Long: ", "a");
}

static bool
trailer_flood(struct hostile_call *call)
{
    return flood(call, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
                 "X-Trailer: nonsense\r\n");
}

static bool
long_length(struct hostile_call *call)
{
    hostile_text(call, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"Records\":");
    return hostile_wait(call, FOREVER_US);
}

static bool
cut(struct hostile_call *call)
{
    hostile_text(call, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"Records\":");
    return false;
}

static bool
half_closed(struct hostile_call *call)
{
    hostile_text(call, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{");
    shutdown(call->fd, SHUT_WR);
    return hostile_wait(call, FOREVER_US);
}

static bool
reset(struct hostile_call *call)
{
    struct linger now = {.l_onoff = 1};

    hostile_text(call, "HTTP/1.1 200 OK\r\n");
    setsockopt(call->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    return false;
}

static bool
closed(struct hostile_call *call)
{
    return false;
}

static bool
raw(struct hostile_call *call, const char *text)
{
    hostile_text(call, text);
    return hostile_wait(call, 100 * LEAT_MS_US) && false;
}

static bool
short_length(struct hostile_call *call)
{
    return raw(call, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" GOOD);
}

static bool
two_lengths(struct hostile_call *call)
{
    return raw(call, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 9\r\n\r\n" GOOD);
}

static bool
huge_length(struct hostile_call *call)
{
    hostile_text(call, "HTTP/1.1 200 OK\r\nContent-Length: 4611686018427387904\r\n\r\n{");
    return hostile_wait(call, FOREVER_US);
}

static bool
overflowing_length(struct hostile_call *call)
{
    hostile_text(call, "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999999\r\n\r\n{");
    return hostile_wait(call, FOREVER_US);
}

static bool
negative_length(struct hostile_call *call)
{
    return raw(call, "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n{");
}

static bool
bad_chunk(struct hostile_call *call)
{
    return raw(call, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZZ\r\n{}\r\n0\r\n\r\n");
}

static bool
huge_chunk(struct hostile_call *call)
{
    return raw(call, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                     "ffffffffffffffffff\r\n{}\r\n0\r\n\r\n");
}

static bool
chunk_and_length(struct hostile_call *call)
{
    return raw(call, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
                     "2\r\n{}\r\n0\r\n\r\n");
}

static bool
tls_on_plain(struct hostile_call *call)
{
    static const char alert[] = "\x15\x03\x01\x00\x02\x02\x28\x16\x03\x01";

    hostile_send(call, alert, sizeof alert - 1);
    return hostile_wait(call, 100 * LEAT_MS_US) && false;
}

static bool
ssh(struct hostile_call *call)
{
    return raw(call, "SSH-2.0-OpenSSH_9.2\r\n");
}

static bool
old_http(struct hostile_call *call)
{
    return raw(call, GOOD);
}

static bool
status_999(struct hostile_call *call)
{
    return raw(call, "HTTP/1.1 999 Strange\r\nContent-Length: 0\r\n\r\n");
}

static bool
status_text(struct hostile_call *call)
{
    return raw(call, "HTTP/1.1 abc\r\nContent-Length: 0\r\n\r\n");
}

static bool
zeros(struct hostile_call *call)
{
    static const char nothing[4096];

    hostile_send(call, nothing, sizeof nothing);
    return hostile_wait(call, 100 * LEAT_MS_US) && false;
}

/* 16 MiB of blanks in 16 kB. */
static bool
gzip_encoded(struct hostile_call *call)
{
    static const char head[] = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03";

    return hostile_reply(call, 200,
                         "Content-Encoding: gzip\r\nContent-Type: application/x-amz-json-1.1\r\n",
                         leat_slice_make(head, sizeof head - 1));
}

static bool
smuggled(struct hostile_call *call)
{
    return raw(call, "HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.1\r\n"
                     "Content-Length: 2\r\n\r\n{}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
}

#define READS(name, ...)                                                                           \
    {                                                                                              \
        name, "GetRecords", __VA_ARGS__                                                            \
    }
static const struct hostile_kind kinds[] = {
    READS("silent", silent, .says = "no answer from"),
    READS("drip", drip, .says = "no answer from"),
    READS("drip-head", drip_head, .says = "no answer from"),
    READS("endless-body", endless_body, .says = "larger than"),
    READS("endless-chunks", endless_chunks, .says = "larger than"),
    READS("continue-flood", continue_flood, .says = "lost the connection|no answer from"),
    READS("early-hints-flood", early_hints_flood, .says = "lost the connection|no answer from"),
    READS("header-flood", header_flood, .says = "lost the connection"),
    READS("endless-header", endless_header, .says = "lost the connection"),
    READS("trailer-flood", trailer_flood, .says = "lost the connection|no answer from"),
    READS("long-length", long_length, .says = "no answer from"),
    READS("cut", cut, .says = "lost the connection"),
    READS("half-closed", half_closed, .says = "lost the connection"),
    READS("reset", reset, .says = "lost the connection|no well-formed"),
    READS("closed", closed, .says = "lost the connection"),
    READS("short-length", short_length, .says = "no well-formed"),
    READS("two-lengths", two_lengths, .says = "lost the connection|no well-formed"),
    READS("huge-length", huge_length, .says = "larger than|no answer from"),
    READS("overflowing-length", overflowing_length,
          .says = "lost the connection|larger than|no answer from"),
    READS("negative-length", negative_length, .says = "lost the connection|no well-formed"),
    READS("bad-chunk", bad_chunk, .says = "lost the connection"),
    READS("huge-chunk", huge_chunk, .says = "lost the connection"),
    READS("chunk-and-length", chunk_and_length, .says = "no well-formed|lost the connection"),
    READS("tls-on-plain", tls_on_plain, .says = "lost the connection"),
    READS("ssh", ssh, .says = "lost the connection"),
    READS("http-0.9", old_http, .says = "lost the connection"),
    READS("status-999", status_999, .says = "999|lost the connection"),
    READS("status-text", status_text, .says = "lost the connection|HTTP status"),
    READS("zeros", zeros, .says = "lost the connection"),
    READS("gzip-encoded", gzip_encoded, .says = "no well-formed"),
    READS("smuggled", smuggled, .says = "no well-formed"),
    READS("redirect-loop", NULL, 301, "Location: /\r\n", "", .says = "HTTP status 301"),
    READS("redirect-to-file", NULL, 302, "Location: file:///etc/passwd\r\n", "",
          .says = "HTTP status 302"),
    READS("no-content", NULL, 204, "", "", .says = "no well-formed"),
    READS("error-500", NULL, 500, "", "", .says = "HTTP status 500"),
    READS("busy-for-an-hour", NULL, 503, "Retry-After: 3600\r\n", "", .says = "HTTP status 503"),
    READS("denied", NULL, 400, NULL, "{\"__type\":\"AccessDeniedException\"}",
          .says = "AccessDenied"),
    READS("long-error", NULL, 400, NULL, "{\"__type\":\"$Exception\",\"message\":\"$\"}", "n", 4000,
          .says = "nnnn"),
    READS("error-of-brackets", NULL, 400, NULL, "[$[]]", "[],", 5000, .says = "HTTP status 400"),
    READS("error-of-xml", NULL, 400, "Content-Type: text/xml\r\n",
          "<!DOCTYPE x [<!ENTITY a \"$\">]><x>&a;&a;</x>", "b", 10000, .says = "HTTP status 400"),
};
const struct hostile_kinds hostile_transport = {kinds, LEAT_COUNT_OF(kinds)};
