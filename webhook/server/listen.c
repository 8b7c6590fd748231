/* SPDX-License-Identifier: Apache-2.0 */
#include "webhook/server/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/xalloc.h"

#define BACKLOG 1024

static int parse_port(const char *text, uint16_t *out)
{
    char *end;
    size_t digits = strspn(text, "0123456789");

    if (!digits || digits > 5 || text[digits])
        return -1;
    unsigned long port = strtoul(text, &end, 10);
    if (port > UINT16_MAX)
        return -1;
    *out = (uint16_t)port;
    return 0;
}

static int fill(const char *host, uint16_t port, struct listen_address *out)
{
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};

    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, host, &v4.sin_addr) == 1) {
        memcpy(&out->addr, &v4, sizeof v4);
        out->len = sizeof v4;
        return 0;
    }
    if (inet_pton(AF_INET6, host, &v6.sin6_addr) != 1)
        return -1;
    memcpy(&out->addr, &v6, sizeof v6);
    out->len = sizeof v6;
    return 0;
}

int listen_parse(const char *text, struct listen_address *out, struct err *err)
{
    const char *colon = strrchr(text, ':');
    struct listen_address address;
    uint16_t port;

    if (!colon || parse_port(colon + 1, &port))
        return err_set(err, ERR_INPUT, "'%.200s' is not ADDRESS:PORT", text);
    size_t len = (size_t)(colon - text);
    bool bracketed = len > 2 && text[0] == '[' && text[len - 1] == ']';
    autofree char *host = bracketed ? xstrndup(text + 1, len - 2) : xstrndup(text, len);
    if (bracketed != !!strchr(host, ':') || fill(host, port, &address))
        return err_set(err, ERR_INPUT,
                       "'%.200s' is not ADDRESS:PORT with a numeric address, like 0.0.0.0:8443 "
                       "or [::]:8443",
                       text);
    *out = address;
    return 0;
}

int listen_open(const struct listen_address *address, const char *text, int *out, struct err *err)
{
    int on = 1;
    autoclose int fd =
        socket(address->addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return err_errno(err, errno, "cannot make a socket for %s", text);
    /* a restart must not wait for connections of the run before to time out */
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) ||
        bind(fd, (const struct sockaddr *)&address->addr, address->len) || listen(fd, BACKLOG))
        return err_errno(err, errno, "cannot listen on %s", text);
    *out = take_fd(fd);
    return 0;
}

int listen_port(int fd, uint16_t *out, struct err *err)
{
    struct sockaddr_storage addr;
    socklen_t len = sizeof addr;

    if (getsockname(fd, (struct sockaddr *)&addr, &len))
        return err_errno(err, errno, "cannot read the address of the socket");
    if (addr.ss_family == AF_INET6)
        *out = ntohs(((const struct sockaddr_in6 *)&addr)->sin6_port);
    else
        *out = ntohs(((const struct sockaddr_in *)&addr)->sin_port);
    return 0;
}
