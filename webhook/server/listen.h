/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_LISTEN_H
#define MODELBERTH_LISTEN_H

#include <stdint.h>
#include <sys/socket.h>

#include "common/err.h"

struct listen_address {
    struct sockaddr_storage addr;
    socklen_t len;
};

/* "ADDR:PORT" with a numeric address, "[ADDR]:PORT" for IPv6. Returns 0, or -1 with ERR_INPUT. */
int listen_parse(const char *text, struct listen_address *out, struct err *err);

/*
 * A listening TCP socket, non-blocking, the caller's to close. `text` is
 * the address as it was written, for messages. An IPv6 wildcard takes IPv4 as well.
 */
int listen_open(const struct listen_address *address, const char *text, int *out, struct err *err);

/* The port that the socket is bound to. */
int listen_port(int fd, uint16_t *out, struct err *err);

#endif
