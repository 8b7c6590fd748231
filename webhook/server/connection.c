/* SPDX-License-Identifier: Apache-2.0 */
#include "webhook/server/connection.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/xalloc.h"

struct connection {
    int fd;
    bool completed;   /* a request, ever */
    uint64_t bytes;   /* received when the last request was complete */
    int64_t since_ms; /* when unfinished work was first seen; 0: none */
    struct connection *next;
    struct connection **link; /* what points to this one */
};

/*
 * Guards the list and its members. The library closes the socket after it told us, so while this
 * is held a listed fd is still that connection's.
 */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct connection *first;
static size_t count;

static uint64_t bytes_received(int fd)
{
    struct tcp_info info;
    socklen_t len = sizeof info;

    memset(&info, 0, sizeof info);
    (void)getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len);
    return info.tcpi_bytes_received;
}

static void list_add(struct connection *c)
{
    (void)pthread_mutex_lock(&lock);
    c->next = first;
    c->link = &first;
    if (first)
        first->link = &c->next;
    first = c;
    count++;
    (void)pthread_mutex_unlock(&lock);
}

static void list_remove(struct connection *c)
{
    (void)pthread_mutex_lock(&lock);
    *c->link = c->next;
    if (c->next)
        c->next->link = c->link;
    count--;
    (void)pthread_mutex_unlock(&lock);
}

void connection_notify(void *cls, struct MHD_Connection *connection, void **socket_context,
                       enum MHD_ConnectionNotificationCode code)
{
    struct connection *c = *socket_context;

    (void)cls;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        c = xcalloc(1, sizeof *c);
        c->fd = info->connect_fd;
        *socket_context = c;
        list_add(c);
    } else if (c) {
        list_remove(c);
        free(c);
        *socket_context = NULL;
    }
}

void connection_completed(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct connection *c = info ? info->socket_context : NULL;

    if (!c)
        return;
    uint64_t bytes = bytes_received(c->fd);
    (void)pthread_mutex_lock(&lock);
    c->completed = true;
    c->bytes = bytes;
    c->since_ms = 0;
    (void)pthread_mutex_unlock(&lock);
}

/* In the middle of a request, or before the first. */
static bool is_busy(const struct connection *c)
{
    return !c->completed || bytes_received(c->fd) != c->bytes;
}

void connections_reap(int64_t now_ms)
{
    (void)pthread_mutex_lock(&lock);
    for (struct connection *c = first; c; c = c->next) {
        if (!is_busy(c))
            c->since_ms = 0;
        else if (!c->since_ms)
            c->since_ms = now_ms;
        else if (now_ms - c->since_ms > CONNECTION_DEADLINE_MS)
            (void)shutdown(c->fd, SHUT_RDWR); /* the library notices and closes it */
    }
    (void)pthread_mutex_unlock(&lock);
}

size_t connections_count(void)
{
    (void)pthread_mutex_lock(&lock);
    size_t n = count;
    (void)pthread_mutex_unlock(&lock);
    return n;
}

size_t connections_busy(void)
{
    size_t n = 0;

    (void)pthread_mutex_lock(&lock);
    for (const struct connection *c = first; c; c = c->next)
        n += is_busy(c);
    (void)pthread_mutex_unlock(&lock);
    return n;
}
