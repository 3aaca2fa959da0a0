/*
 * What the environment says of HTTP: the proxy, and the application's name in the user agent. A proxy never stands between this
 * machine and itself, nor before the addresses that a host, a pod or a container asks for its own credentials: it would be told
 * them, or be asked for those of its own machine.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <strings.h>

#include "aws/http.h"
#include "aws/setting.h"
#include "base/memory.h"

#define APPLICATION_BYTES ((size_t)50)

static bool
is_direct_v4(const unsigned char address[4])
{
    return address[0] == 127 || (address[0] == 169 && address[1] == 254);
}

/* fd00:ec2::23, fd00:ec2::254: AWS's own on the link. */
static bool
is_direct_v6(const unsigned char address[16])
{
    static const unsigned char here[16] = {[15] = 1}, of_aws[4] = {0xfd, 0x00, 0x0e, 0xc2};
    static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};

    if (memcmp(address, mapped, sizeof mapped) == 0)
        return is_direct_v4(address + sizeof mapped);
    return memcmp(address, here, sizeof here) == 0 || memcmp(address, of_aws, sizeof of_aws) == 0 ||
           (address[0] == 0xfe && (address[1] & 0xc0) == 0x80);
}

bool
leat_http_is_direct(const char *url)
{
    const char *host = strstr(url, "://");
    unsigned char address[16];
    char text[64];
    size_t size;
    bool is_v6;

    host = host != NULL ? host + 3 : url;
    is_v6 = *host == '[';
    host += is_v6;
    size = strcspn(host, is_v6 ? "]%/?#@" : ":/?#@");
    if (size >= sizeof text || host[size] == '@')
        return false;
    snprintf(text, sizeof text, "%.*s", (int)size, host);
    if (is_v6)
        return inet_pton(AF_INET6, text, address) == 1 && is_direct_v6(address);
    if (inet_pton(AF_INET, text, address) == 1)
        return is_direct_v4(address);
    return strcasecmp(text, "localhost") == 0 ||
           (size > 10 && strcasecmp(text + size - 10, ".localhost") == 0);
}

const char *
leat_http_proxy(const char *url)
{
    /* HTTP_PROXY is what a request's header "Proxy" becomes in a CGI program: libcurl takes none from there, nor do we. */
    static const char *const secure[] = {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"};
    static const char *const plain[] = {"http_proxy", "all_proxy", "ALL_PROXY"};
    bool is_secure = strncasecmp(url, "https://", 8) == 0;
    const char *const *names = is_secure ? secure : plain;
    size_t count = is_secure ? LEAT_COUNT_OF(secure) : LEAT_COUNT_OF(plain);

    for (size_t i = 0; i < count && !leat_http_is_direct(url); i++) {
        const char *proxy = getenv(names[i]);

        if (leat_setting_is_set(proxy))
            return proxy;
    }
    return "";
}

void
leat_http_user_agent(const char *application, struct leat_buf *ret_agent)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  "!$%&'*+-.^_`|~";
    size_t size = 0;

    leat_buf_add_text(ret_agent, "leat/" LEAT_VERSION);
    if (!leat_setting_is_set(application))
        return;
    leat_buf_add_text(ret_agent, " app/");
    for (const char *c = application; *c != '\0' && size < APPLICATION_BYTES; c++, size++)
        leat_buf_add_byte(ret_agent, strchr(allowed, *c) != NULL ? (unsigned char)*c : '-');
}
