/* Registry: a thread that ends gives its slot back to the device that it is of, and to none that is
 * gone. Serials here are larger than those of devices. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/registry.h"

enum { DEVICES = 3 };

static hd_slot_pool pools[DEVICES];
static hd_registry_entry entries[DEVICES];

static uint64_t serial_of(size_t device)
{
    return UINT64_MAX - device;
}

/* Each device with one slot that a thread remembers; returns its number, the same in each. */
static uint32_t open_devices(void)
{
    uint32_t slot = 0;
    for (size_t i = 0; i < DEVICES; i++) {
        assert_int_equal(hd_slot_pool_init(&pools[i]), HD_OK);
        assert_int_equal(hd_slot_pool_lease(&pools[i], HD_SLOT_NONE, 0, &slot), HD_OK);
        hd_slot_pool_return(&pools[i], slot);
        assert_int_equal(hd_slot_pool_count(&pools[i]).remembered, 1);
        entries[i] = (hd_registry_entry){.serial = serial_of(i), .slots = &pools[i]};
        hd_registry_add(&entries[i]);
    }
    return slot;
}

/* Those whose slot is still remembered, as bits. */
static unsigned remembered(void)
{
    unsigned bits = 0;
    for (size_t i = 0; i < DEVICES; i++) {
        bits |= hd_slot_pool_count(&pools[i]).remembered << i;
    }
    return bits;
}

static void close_devices(void)
{
    for (size_t i = 0; i < DEVICES; i++) {
        hd_slot_pool_destroy(&pools[i]);
    }
}

static void a_slot_is_given_back_to_its_own_device(void **state)
{
    (void)state;
    uint32_t slot = open_devices();
    hd_registry_forget_slot(serial_of(1), slot);
    assert_int_equal(remembered(), 5);
    hd_registry_forget_slot(serial_of(DEVICES), slot); /* never opened */
    assert_int_equal(remembered(), 5);
    hd_registry_forget_slot(serial_of(2), slot);
    hd_registry_forget_slot(serial_of(0), slot);
    assert_int_equal(remembered(), 0);
    for (size_t i = 0; i < DEVICES; i++) {
        hd_registry_remove(&entries[i]);
    }
    close_devices();
}

/* Whichever goes first: the newest, the oldest or the one between. */
static void a_device_that_is_gone_is_not_touched(void **state)
{
    (void)state;
    for (size_t gone = 0; gone < DEVICES; gone++) {
        uint32_t slot = open_devices();
        hd_registry_remove(&entries[gone]);
        hd_registry_forget_slot(serial_of(gone), slot);
        assert_int_equal(remembered(), 7);
        for (size_t i = 0; i < DEVICES; i++) {
            if (i != gone) {
                hd_registry_forget_slot(serial_of(i), slot);
                hd_registry_remove(&entries[i]);
            }
        }
        assert_int_equal(remembered(), 1u << gone);
        close_devices();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slot_is_given_back_to_its_own_device),
        cmocka_unit_test(a_device_that_is_gone_is_not_touched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
