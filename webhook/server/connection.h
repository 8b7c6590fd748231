/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_CONNECTION_H
#define MODELBERTH_CONNECTION_H

#include <microhttpd.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The open connections and how far each has come. libmicrohttpd's timeout is
 * one of silence, so a client that sends a byte a second would hold its
 * connection for ever and a few hundred of them would hold them all. Here each
 * request has a deadline, measured from outside by the bytes that the kernel has received:
 *
 *     never completed a request      CONNECTION_DEADLINE_MS from its start
 *     bytes since the last request   CONNECTION_DEADLINE_MS from when they were first seen
 *     otherwise                      idle, as long as CONNECTION_IDLE_S
 *
 * The API server keeps idle connections for 90 s and does not repeat a request on one that
 * closes under it, so ours are kept longer.
 */
#define CONNECTION_DEADLINE_MS 8000
#define CONNECTION_IDLE_S 120

/* For MHD_OPTION_NOTIFY_CONNECTION. */
void connection_notify(void *cls, struct MHD_Connection *connection, void **socket_context,
                       enum MHD_ConnectionNotificationCode code);

/* A request on it was answered to the last byte. */
void connection_completed(struct MHD_Connection *connection);

/* Shuts down connections past their deadline; to be called a few times a second. */
void connections_reap(int64_t now_ms);

/* Open connections, and how many of them are in the middle of a request. */
size_t connections_count(void);
size_t connections_busy(void);

#endif
