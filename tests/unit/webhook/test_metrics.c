/* SPDX-License-Identifier: Apache-2.0 */
/* The text of /metrics. Counters belong to the process, so each case looks at differences. */
#include "tests/unit/test.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/cleanup.h"
#include "webhook/server/metrics.h"

#define THREADS 4
#define EACH 20000

static char *metrics_text(void)
{
    strbuf_auto struct strbuf out = STRBUF_INIT(METRICS_MAX_BYTES);
    const struct metrics_gauges gauges = {
        .connections = 3, .certificate_expiry = 1893456000, .resident_bytes = 4096};

    metrics_write(&out, &gauges);
    assert_false(out.overflow);
    return strbuf_take(&out);
}

/* The value of the sample `name`, labels included. */
static double sample(const char *name)
{
    autofree char *text = metrics_text();
    char line[256];

    (void)snprintf(line, sizeof line, "\n%s ", name);
    const char *at = strstr(text, line);
    if (!at)
        fail_msg("no sample %s in\n%s", name, text);
    return strtod(at + strlen(line), NULL);
}

#define PREFIX "modelberth_webhook_"
#define BUCKET(le) PREFIX "review_duration_seconds_bucket{le=\"" le "\"}"

static void reviews_are_counted_by_kind_and_outcome(void **state)
{
    static const char name[] = PREFIX "reviews_total{kind=\"Pod\",outcome=\"patched\"}";
    double before = sample(name);

    (void)state;
    metrics_review("Pod", REVIEW_PATCHED, 1000);
    assert_true(sample(name) == before + 1);
}

static void an_unknown_kind_is_other(void **state)
{
    static const char name[] = PREFIX "reviews_total{kind=\"other\",outcome=\"denied\"}";
    double before = sample(name);

    (void)state;
    metrics_review("x\"} evil 1\n", REVIEW_DENIED, 1000);
    assert_true(sample(name) == before + 1);
    autofree char *text = metrics_text();
    assert_null(strstr(text, "evil"));
}

static void what_is_no_review_is_an_error(void **state)
{
    static const char name[] = PREFIX "reviews_total{kind=\"other\",outcome=\"error\"}";
    double before = sample(name);

    (void)state;
    metrics_review_error(1000);
    assert_true(sample(name) == before + 1);
}

static void buckets_include_their_upper_bound_and_all_below(void **state)
{
    double first = sample(BUCKET("5e-05"));
    double second = sample(BUCKET("0.0001"));
    double last = sample(BUCKET("10"));
    double all = sample(BUCKET("+Inf"));
    double sum = sample(PREFIX "review_duration_seconds_sum");

    (void)state;
    metrics_review("Pod", REVIEW_ALLOWED, 50000);        /* the first bound itself */
    metrics_review("Pod", REVIEW_ALLOWED, 50001);        /* just past it */
    metrics_review("Pod", REVIEW_ALLOWED, 20000000000U); /* past all */
    assert_true(sample(BUCKET("5e-05")) == first + 1);
    assert_true(sample(BUCKET("0.0001")) == second + 2);
    assert_true(sample(BUCKET("10")) == last + 2);
    assert_true(sample(BUCKET("+Inf")) == all + 3);
    assert_true(sample(PREFIX "review_duration_seconds_count") == all + 3);
    double grown = sample(PREFIX "review_duration_seconds_sum") - sum;
    assert_true(grown > 20.0000999 && grown < 20.0001011);
}

static void responses_are_counted_by_status(void **state)
{
    double known = sample(PREFIX "http_responses_total{code=\"413\"}");
    double other = sample(PREFIX "http_responses_total{code=\"other\"}");

    (void)state;
    metrics_response(413);
    metrics_response(418);
    assert_true(sample(PREFIX "http_responses_total{code=\"413\"}") == known + 1);
    assert_true(sample(PREFIX "http_responses_total{code=\"other\"}") == other + 1);
}

static void gauges_show_what_is_given(void **state)
{
    (void)state;
    metrics_request_begin();
    assert_int_equal(metrics_requests_in_flight(), 1);
    assert_true(sample(PREFIX "requests_in_flight") == 1);
    metrics_request_end();
    assert_true(sample(PREFIX "requests_in_flight") == 0);
    assert_true(sample(PREFIX "connections") == 3);
    assert_true(sample(PREFIX "certificate_expiry_timestamp_seconds") == 1893456000);
    assert_true(sample("process_resident_memory_bytes") == 4096);
    assert_true(sample(PREFIX "build_info{version=\"" MODELBERTH_VERSION "\"}") == 1);
}

static void resident_memory_is_that_of_this_process(void **state)
{
    (void)state;
    uint64_t bytes = metrics_resident_bytes();
    assert_true(bytes > 100 * 1024 && bytes < 4ULL * 1024 * 1024 * 1024);
}

static void *record(void *unused)
{
    (void)unused;
    for (int i = 0; i < EACH; i++) {
        metrics_request_begin();
        metrics_review("Pod", REVIEW_PATCHED, 70000);
        metrics_response(200);
        metrics_request_end();
    }
    return NULL;
}

static void nothing_is_lost_between_threads(void **state)
{
    static const char name[] = PREFIX "reviews_total{kind=\"Pod\",outcome=\"patched\"}";
    double before = sample(name);
    pthread_t threads[THREADS];

    (void)state;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, record, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_true(sample(name) == before + THREADS * EACH);
    assert_int_equal(metrics_requests_in_flight(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reviews_are_counted_by_kind_and_outcome),
        cmocka_unit_test(an_unknown_kind_is_other),
        cmocka_unit_test(what_is_no_review_is_an_error),
        cmocka_unit_test(buckets_include_their_upper_bound_and_all_below),
        cmocka_unit_test(responses_are_counted_by_status),
        cmocka_unit_test(gauges_show_what_is_given),
        cmocka_unit_test(resident_memory_is_that_of_this_process),
        cmocka_unit_test(nothing_is_lost_between_threads),
    };

    return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
