/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_SERVER_H
#define MODELBERTH_SERVER_H

#include "common/err.h"
#include "webhook/server/route.h"

/*
 * The HTTPS server: libmicrohttpd with its own threads, TLS 1.2 and 1.3 by GnuTLS.
 * certs_load() comes first; signals must be blocked, since its threads inherit the mask.
 */
struct server;

/*
 * Starts to answer on the listening socket `fd`, which it takes, also when it fails. `service`
 * must outlive the server.
 *
 * out  to be ended with server_stop()
 */
int server_start(struct service *service, int fd, struct server **out, struct err *err);

/* New connections are refused from here on; those that are open go on. */
void server_close_listener(struct server *server);

/* Ends all threads and connections and frees the server. NULL is ignored. */
void server_stop(struct server *server);

#endif
