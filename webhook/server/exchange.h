/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_EXCHANGE_H
#define MODELBERTH_EXCHANGE_H

#include <microhttpd.h>
#include <stddef.h>

/*
 * One HTTP request and its answer: strict checks of the head, a bounded body,
 * the route, the response. libmicrohttpd lets through what disagrees about the
 * length of a body, and does not limit bodies at all.
 */

/*
 * What the bodies of all requests together may take; a request that would pass it
 * is answered 503. Small bodies are always taken (the number of connections bounds them), and the
 * largest leave room for those of usual size, so that nobody can crowd out good requests.
 */
#define EXCHANGE_BODIES_MAX_BYTES (32UL * 1024 * 1024)
#define EXCHANGE_LARGE_BODIES_MAX_BYTES (24UL * 1024 * 1024)
#define EXCHANGE_LARGE_BYTES (256UL * 1024)
#define EXCHANGE_SMALL_BYTES (64UL * 1024)

/*
 * Large bodies are read one at a time, since a hostile one takes as much memory as parsing
 * is allowed. Another one waits this long for its turn, then it is answered 503.
 */
#define EXCHANGE_LARGE_WAIT_MS 100

/* For MHD_start_daemon(); `cls` is a struct service. */
enum MHD_Result exchange_handle(void *cls, struct MHD_Connection *connection, const char *url,
                                const char *method, const char *version, const char *upload_data,
                                size_t *upload_data_size, void **request_context);

/* For MHD_OPTION_NOTIFY_COMPLETED. */
void exchange_completed(void *cls, struct MHD_Connection *connection, void **request_context,
                        enum MHD_RequestTerminationCode code);

#endif
