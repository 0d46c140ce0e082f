/* tanh(x / 4096) * 32768 of an integer, by a table of 32 steps to the unit. */
static int32_t tanh_of(int32_t x) {
    const int32_t sign = x >> 31;
    int32_t size = (x ^ sign) - sign;
    if (size > TANH_LAST) size = TANH_LAST;
    const uint16_t *at = tanh_table + (size >> 7);
    const int32_t value = at[0] + (((at[1] - at[0]) * (size & 127) + 64) >> 7);
    return (value ^ sign) - sign;
}
