/* SPDX-License-Identifier: Apache-2.0 */
#include "webhook/server/metrics.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/file.h"

#define PREFIX "modelberth_webhook_"
#define STATM_MAX_BYTES 256

/* Values of the label `kind`: a fixed set, since what objects call themselves is anybody's choice.
 */
static const char *const kinds[] = {"Pod", "InferenceService", "LLMInferenceService",
                                    "DynamoGraphDeployment", "other"};
#define N_KINDS (sizeof kinds / sizeof *kinds)
#define KIND_OTHER (N_KINDS - 1)
#define OUTCOME_ERROR REVIEW_OUTCOMES
#define N_OUTCOMES (REVIEW_OUTCOMES + 1)

static const unsigned statuses[] = {200, 400, 404, 405, 408, 413, 415, 500, 503, 505};
#define N_STATUSES (sizeof statuses / sizeof *statuses)

/* Upper bounds. A review takes some 100 us, so the buckets begin below that. */
static const struct bound {
    uint64_t ns;
    const char *text; /* seconds */
} bounds[] = {
    {50000, "5e-05"},    {100000, "0.0001"},  {250000, "0.00025"}, {500000, "0.0005"},
    {1000000, "0.001"},  {2500000, "0.0025"}, {5000000, "0.005"},  {10000000, "0.01"},
    {25000000, "0.025"}, {50000000, "0.05"},  {100000000, "0.1"},  {250000000, "0.25"},
    {500000000, "0.5"},  {1000000000, "1"},   {2500000000, "2.5"}, {5000000000, "5"},
    {10000000000, "10"},
};
#define N_BOUNDS (sizeof bounds / sizeof *bounds)

static struct {
    atomic_uint_least64_t reviews[N_KINDS][N_OUTCOMES];
    atomic_uint_least64_t durations[N_BOUNDS + 1]; /* per bucket, not cumulative */
    atomic_uint_least64_t duration_ns;
    atomic_uint_least64_t responses[N_STATUSES + 1];
    atomic_size_t in_flight;
} counters;

static void add(atomic_uint_least64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static uint64_t value(atomic_uint_least64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static void observe(uint64_t ns)
{
    size_t i = 0;

    while (i < N_BOUNDS && ns > bounds[i].ns)
        i++;
    add(&counters.durations[i], 1);
    add(&counters.duration_ns, ns);
}

void metrics_review(const char *kind, enum review_outcome outcome, uint64_t duration_ns)
{
    size_t i = 0;

    while (i < KIND_OTHER && strcmp(kinds[i], kind) != 0)
        i++;
    add(&counters.reviews[i][outcome], 1);
    observe(duration_ns);
}

void metrics_review_error(uint64_t duration_ns)
{
    add(&counters.reviews[KIND_OTHER][OUTCOME_ERROR], 1);
    observe(duration_ns);
}

/* Sequentially consistent: the end of a drain is decided on this number. */
void metrics_request_begin(void)
{
    atomic_fetch_add(&counters.in_flight, 1);
}

void metrics_request_end(void)
{
    atomic_fetch_sub(&counters.in_flight, 1);
}

size_t metrics_requests_in_flight(void)
{
    return atomic_load(&counters.in_flight);
}

void metrics_response(unsigned status)
{
    size_t i = 0;

    while (i < N_STATUSES && statuses[i] != status)
        i++;
    add(&counters.responses[i], 1);
}

static void write_head(struct strbuf *out, const char *name, const char *type, const char *help)
{
    strbuf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void write_reviews(struct strbuf *out)
{
    write_head(out, PREFIX "reviews_total", "counter", "Admission reviews by kind and outcome.");
    for (size_t k = 0; k < N_KINDS; k++)
        for (size_t o = 0; o < N_OUTCOMES; o++)
            strbuf_addf(out, PREFIX "reviews_total{kind=\"%s\",outcome=\"%s\"} %" PRIu64 "\n",
                        kinds[k],
                        o == OUTCOME_ERROR ? "error" : review_outcome_name((enum review_outcome)o),
                        value(&counters.reviews[k][o]));
}

/* The count is summed up from the buckets read, so that they agree whatever is recorded meanwhile.
 */
static void write_durations(struct strbuf *out)
{
    uint64_t count = 0;

    write_head(out, PREFIX "review_duration_seconds", "histogram",
               "Time from the last byte of a review to its answer.");
    for (size_t i = 0; i <= N_BOUNDS; i++) {
        count += value(&counters.durations[i]);
        strbuf_addf(out, PREFIX "review_duration_seconds_bucket{le=\"%s\"} %" PRIu64 "\n",
                    i < N_BOUNDS ? bounds[i].text : "+Inf", count);
    }
    strbuf_addf(out, PREFIX "review_duration_seconds_sum %.9f\n",
                (double)value(&counters.duration_ns) / 1e9);
    strbuf_addf(out, PREFIX "review_duration_seconds_count %" PRIu64 "\n", count);
}

static void write_responses(struct strbuf *out)
{
    write_head(out, PREFIX "http_responses_total", "counter", "HTTP responses by status code.");
    for (size_t i = 0; i < N_STATUSES; i++)
        strbuf_addf(out, PREFIX "http_responses_total{code=\"%u\"} %" PRIu64 "\n", statuses[i],
                    value(&counters.responses[i]));
    strbuf_addf(out, PREFIX "http_responses_total{code=\"other\"} %" PRIu64 "\n",
                value(&counters.responses[N_STATUSES]));
}

static void write_gauge(struct strbuf *out, const char *name, const char *help, int64_t n)
{
    write_head(out, name, "gauge", help);
    strbuf_addf(out, "%s %" PRId64 "\n", name, n);
}

void metrics_write(struct strbuf *out, const struct metrics_gauges *gauges)
{
    write_reviews(out);
    write_durations(out);
    write_responses(out);
    write_gauge(out, PREFIX "requests_in_flight", "HTTP requests that are being answered.",
                (int64_t)metrics_requests_in_flight());
    write_gauge(out, PREFIX "connections", "Open connections.", (int64_t)gauges->connections);
    write_gauge(out, PREFIX "certificate_expiry_timestamp_seconds",
                "When the serving certificate ends, in seconds since 1970.",
                gauges->certificate_expiry);
    write_gauge(out, "process_resident_memory_bytes", "Resident memory size in bytes.",
                (int64_t)gauges->resident_bytes);
    write_head(out, PREFIX "build_info", "gauge", "Always 1; the label is the version.");
    strbuf_adds(out, PREFIX "build_info{version=\"" MODELBERTH_VERSION "\"} 1\n");
}

uint64_t metrics_resident_bytes(void)
{
    autofree char *text = NULL;
    uint64_t pages = 0;
    struct err err;

    if (file_read(AT_FDCWD, "/proc/self/statm", STATM_MAX_BYTES, &text, NULL, &err) ||
        sscanf(text, "%*u %" SCNu64, &pages) != 1)
        return 0;
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}
