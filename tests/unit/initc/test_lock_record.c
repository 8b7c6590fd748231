/* SPDX-License-Identifier: Apache-2.0 */
/* What a lock file says, and when a waiter counts its owner as dead. */
#include "tests/unit/test.h"

#include "common/json.h"
#include "initc/lock.h"

#define TIMEOUT_MS 90000

/* Field by field: padding may hold anything. */
static void assert_same_record(const struct lock_record *a, const struct lock_record *b)
{
    assert_string_equal(a->nonce, b->nonce);
    assert_string_equal(a->boot, b->boot);
    assert_string_equal(a->host, b->host);
    assert_int_equal(a->flocked, b->flocked);
    assert_int_equal(a->beats, b->beats);
    assert_int_equal(a->bytes_done, b->bytes_done);
    assert_int_equal(a->bytes_total, b->bytes_total);
    assert_int_equal(a->files_done, b->files_done);
    assert_int_equal(a->files_total, b->files_total);
}

static void a_record_has_a_fixed_size_and_comes_back(void **state)
{
    (void)state;
    const struct lock_record in = {.nonce = "0123456789abcdef",
                                   .boot = "b",
                                   .host = "pod-\xc3\xbc",
                                   .flocked = true,
                                   .beats = 7,
                                   .bytes_done = 1ULL << 40,
                                   .bytes_total = INT64_MAX,
                                   .files_done = 3,
                                   .files_total = 100000};
    struct lock_record out = {0};
    char text[LOCK_RECORD_BYTES];

    lock_record_format(&in, text);
    assert_int_equal(text[LOCK_RECORD_BYTES - 1], '\n');
    assert_null(memchr(text, '\0', sizeof text));
    assert_int_equal(lock_record_parse(text, sizeof text, &out), 0);
    assert_same_record(&in, &out);
}

static void the_longest_record_fits(void **state)
{
    (void)state;
    struct lock_record in = {.beats = INT64_MAX,
                             .bytes_done = INT64_MAX,
                             .bytes_total = INT64_MAX,
                             .files_done = INT64_MAX,
                             .files_total = INT64_MAX};
    struct lock_record out = {0};
    char text[LOCK_RECORD_BYTES];

    memset(in.nonce, 'f', sizeof in.nonce - 1);
    memset(in.boot, 'b', sizeof in.boot - 1);
    memset(in.host, 'h', sizeof in.host - 1);
    lock_record_format(&in, text);
    assert_int_equal(lock_record_parse(text, sizeof text, &out), 0);
    assert_same_record(&in, &out);
}

static void garbage_is_no_record(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "{",
        "[]",
        "{\"v\":2}",
        "{\"v\":1}",
        "{\"v\":1,\"nonce\":\"0123456789abcdefX\",\"boot\":\"\",\"host\":\"\"}",
        "{\"v\":1,\"nonce\":7,\"boot\":\"\",\"host\":\"\"}",
    };
    struct lock_record out = {.beats = 42};

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(lock_record_parse(bad[i], strlen(bad[i]), &out), -1);
    assert_int_equal(out.beats, 42);
}

static void an_owner_is_dead_after_a_whole_timeout_without_change(void **state)
{
    (void)state;
    struct lock_watch w = {0};

    assert_false(lock_watch_is_dead(&w, 1, "a", 1, 1000, TIMEOUT_MS));
    assert_false(lock_watch_is_dead(&w, 1, "a", 1, 1000 + TIMEOUT_MS - 1, TIMEOUT_MS));
    assert_true(lock_watch_is_dead(&w, 1, "a", 1, 1000 + TIMEOUT_MS, TIMEOUT_MS));
}

static void any_change_starts_the_wait_again(void **state)
{
    (void)state;
    struct lock_watch w = {0};

    assert_false(lock_watch_is_dead(&w, 1, "a", 1, 0, TIMEOUT_MS));
    assert_false(lock_watch_is_dead(&w, 1, "b", 1, TIMEOUT_MS, TIMEOUT_MS));
    assert_false(lock_watch_is_dead(&w, 1, "bb", 2, TIMEOUT_MS + 1, TIMEOUT_MS));
    /* the same bytes in another generation are another owner's */
    assert_false(lock_watch_is_dead(&w, 2, "bb", 2, 3 * TIMEOUT_MS, TIMEOUT_MS));
    assert_true(lock_watch_is_dead(&w, 2, "bb", 2, 4 * TIMEOUT_MS, TIMEOUT_MS));
}

static void an_empty_lock_file_dies_too(void **state)
{
    (void)state;
    struct lock_watch w = {0};

    assert_false(lock_watch_is_dead(&w, 1, "", 0, 5, TIMEOUT_MS));
    assert_true(lock_watch_is_dead(&w, 1, "", 0, 5 + TIMEOUT_MS, TIMEOUT_MS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_has_a_fixed_size_and_comes_back),
        cmocka_unit_test(the_longest_record_fits),
        cmocka_unit_test(garbage_is_no_record),
        cmocka_unit_test(an_owner_is_dead_after_a_whole_timeout_without_change),
        cmocka_unit_test(any_change_starts_the_wait_again),
        cmocka_unit_test(an_empty_lock_file_dies_too),
    };

    json_setup();
    return cmocka_run_group_tests_name("lock_record", tests, NULL, NULL);
}
