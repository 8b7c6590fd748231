/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/test.h"

#include "common/cleanup.h"
#include "webhook/inject/quantity.h"

/* The right-hand sides are what a Kubernetes API server stores for the left. */
static void quantities_are_spelt_as_the_api_server_does(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"1", "1"},         {"0.5", "500m"},   {"1.50", "1500m"},  {"2000m", "2"},
        {"128Mi", "128Mi"}, {"1024Mi", "1Gi"}, {"0.5Gi", "512Mi"}, {"1000M", "1G"},
        {"0", "0"},         {"0.0001", "1m"},  {"1500k", "1500k"}, {"1Ti", "1Ti"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err err = {0};
        autofree char *text = NULL;
        assert_ok(quantity_canonical(cases[i][0], &text, &err), err);
        assert_string_equal(text, cases[i][1]);
    }
}

static void what_is_no_quantity_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "x",
                                      "-1",
                                      "1 Gi",
                                      "1GB",
                                      "Mi",
                                      ".",
                                      "1e3",
                                      "1.2.3",
                                      "99999999999999999999",
                                      "9999999999Ti"};

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err err = {0};
        int64_t milli = 0;
        if (!quantity_parse(bad[i], &milli, &err))
            fail_msg("'%s' was accepted", bad[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantities_are_spelt_as_the_api_server_does),
        cmocka_unit_test(what_is_no_quantity_is_refused),
    };

    return cmocka_run_group_tests_name("quantity", tests, NULL, NULL);
}
